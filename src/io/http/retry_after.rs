//! The header `retry-after` (RFC 9110, section 10.2.3): when the server wants to be asked again.

use std::time::Duration;

use jiff::fmt::rfc2822;

/// The pause that it asks for, in seconds or until a date; `None`: it is neither. `now`: Unix time in seconds.
pub(crate) fn retry_after(text: &str, now: f64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let date = rfc2822::parse(text.trim()).ok()?;
    Duration::try_from_secs_f64((date.timestamp().as_second() as f64 - now).max(0.0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_number_of_seconds_or_a_date() {
        // The example of RFC 9110.
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (text, seconds) in [
            ("120", Some(120.0)),
            (" 0 ", Some(0.0)),
            (DATE, Some(37.5)),
            ("Sun, 06 Nov 1994 08:48:00 GMT", Some(0.0)),
            ("-5", None),
            ("soon", None),
            ("", None),
        ] {
            let pause = retry_after(text, 784_111_739.5);
            assert_eq!(pause.map(|pause| pause.as_secs_f64()), seconds, "{text:?}");
        }
    }
}
