//! Time as it appears in Redis: Unix seconds as a float, printed as Ruby prints floats.
//!
//! Responsible for reading clocks, this host's and Redis's ([`RedisClock`]), and for the text. Not for durations, deadlines
//! or timers.

mod redis_clock;

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use ::time::OffsetDateTime;

pub use redis_clock::{Asked, RedisClock};

/// Unix time now by the clock of this host, in seconds. Before 1970 it is 0. For times that stay on this host: those that
/// go to Redis come from [`RedisClock`].
#[must_use]
pub fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The day of a Unix time in UTC, as in `2026-11-21`.
#[must_use]
pub fn utc_day(unix: f64) -> String {
    let day = OffsetDateTime::from_unix_timestamp(unix as i64).unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    format!("{:04}-{:02}-{:02}", day.year(), u8::from(day.month()), day.day())
}

/// A float that prints as Ruby's `Float#to_s` does: the shortest digits that read back to the same value, always
/// with a decimal point, with an exponent of at least two digits outside 1e-4 to 1e16 (`1.0e+21`, `5.0e-05`).
///
/// The gem writes times and scores this way, so equal times give equal bytes. Infinite and undefined values print as
/// Ruby prints them too (`Infinity`, `NaN`), which is not JSON: never put those into a payload.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct RubyFloat(pub f64);

impl fmt::Display for RubyFloat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        if value.is_nan() {
            return f.write_str("NaN");
        }
        if value.is_infinite() {
            return f.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
            let text = format!("{value}");
            let point = if text.contains('.') { "" } else { ".0" };
            return write!(f, "{text}{point}");
        }
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        write!(f, "{digits}{point}e{sign}{exponent:0>2}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: f64, expected: &str) {
        assert_eq!(RubyFloat(value).to_string(), expected);
    }

    #[test]
    fn floats_print_as_ruby_prints_them() {
        check(1_795_299_903.709_517_7, "1795299903.7095177");
        check(1_795_299_770.324_94, "1795299770.32494");
        check(100.0, "100.0");
        check(0.1, "0.1");
        check(1.0 / 3.0, "0.3333333333333333");
        check(1e21, "1.0e+21");
        check(-2.5e-7, "-2.5e-07");
        check(0.0, "0.0");
        check(-0.0, "-0.0");
        check(0.0001, "0.0001");
        check(0.00001, "1.0e-05");
        check(1e16, "1.0e+16");
        check(9_999_999_999_999_998.0, "9999999999999998.0");
        check(1.797_693_134_862_315_7e308, "1.7976931348623157e+308");
        check(5e-324, "5.0e-324");
        check(f64::INFINITY, "Infinity");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn a_day_is_that_of_utc() {
        assert_eq!(utc_day(0.0), "1970-01-01");
        assert_eq!(utc_day(1_795_299_903.7), "2026-11-21");
        assert_eq!(utc_day(1_795_305_599.9), "2026-11-21");
        assert_eq!(utc_day(1_795_305_600.0), "2026-11-22");
        assert_eq!(utc_day(f64::NAN), "1970-01-01");
    }

    #[test]
    fn the_clock_is_past_the_day_this_was_written() {
        assert!(unix_now() > 1_700_000_000.0);
    }

    proptest! {
        #[test]
        fn printed_floats_read_back_to_the_same_value(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = RubyFloat(value).to_string();
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits, "{}", text);
            prop_assert!(text.contains('.'));
        }
    }
}
