//! Spans of time and dates for people.

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A span: `7 s`, `3 min`, `2 h`, `5 d`.
pub(crate) fn span(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// A moment, this many seconds from now: "in 12 s", "3 d ago".
pub(crate) fn moment(seconds: f64) -> String {
    let span = span(seconds.abs());
    if seconds < 0.0 { format!("{span} ago") } else { format!("in {span}") }
}

/// A Unix time as a date, and how far it is from `now`: "2026-11-21T22:28:39Z, 3 d ago".
pub(crate) fn date(at: f64, now: f64) -> String {
    let seconds = OffsetDateTime::from_unix_timestamp(at as i64).ok();
    let date = seconds.and_then(|seconds| seconds.format(&Rfc3339).ok());
    // Anyone may have written the number.
    date.map_or_else(|| format!("{at}"), |date| format!("{date}, {}", moment(at - now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_at_a_glance() {
        let spans = [-1.0, 7.2, 119.0, 180.0, 7_199.0, 9_000.0, 500_000.0].map(span);
        assert_eq!(date(1_795_299_903.7, 1_795_300_000.0), "2026-11-21T22:25:03Z, 96 s ago");
        assert_eq!(date(1e300, 0.0), format!("{}", 1e300));
        assert_eq!(spans, ["0 s", "7 s", "119 s", "3 min", "120 min", "2 h", "6 d"]);
    }
}
