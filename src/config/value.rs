//! Values as they come from outside, and the checks that the option table's bounds require.
//!
//! Text from a flag or variable and typed scalars of a YAML file meet here, so that each option is parsed in one place.

use std::{borrow::Cow, time::Duration};

use super::options::{Allowed, OptionSpec};
use crate::limits::DEBUG_BYTES_MAX;

/// A text as errors show it: a foreign file may contain any amount of it.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    match text.floor_char_boundary(DEBUG_BYTES_MAX) {
        end if end < text.len() => format!("{}…", &text[..end]).into(),
        _ => text.into(),
    }
}

/// A value before its option has looked at it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A flag's argument, a variable, or a YAML string.
    Text(Cow<'a, str>),
    /// A YAML integer.
    Integer(i64),
    /// A YAML float.
    Decimal(f64),
    /// A YAML boolean, or a switch given as a flag.
    Switch(bool),
    /// A YAML sequence, or a flag given more than once.
    List(Vec<Value<'a>>),
    /// Any other YAML value; the text names it.
    Other(&'static str),
}

impl Value<'_> {
    /// The value as error texts show it.
    fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("`{}`", shortened(text)),
            Self::Integer(number) => format!("`{number}`"),
            Self::Decimal(number) => format!("`{number}`"),
            Self::Switch(switch) => format!("`{switch}`"),
            Self::List(_) => "a list".to_owned(),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }

    /// "X is not allowed here", with what is.
    pub(super) fn refused(&self, spec: &OptionSpec) -> String {
        format!("{} is not allowed; give {}", self.shown(), spec.allowed)
    }

    /// A whole number within the bounds of `spec`.
    pub(super) fn number(&self, spec: &OptionSpec) -> Result<u64, String> {
        let number = match self {
            // Ruby reads `10_000` as ten thousand.
            Self::Text(text) => text.replace('_', "").parse().ok(),
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        match (number, spec.allowed) {
            (Some(number), Allowed::Number { min, max }) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.refused(spec)),
        }
    }

    /// A whole number of seconds within the bounds of `spec`.
    pub(super) fn seconds(&self, spec: &OptionSpec) -> Result<Duration, String> {
        self.number(spec).map(Duration::from_secs)
    }

    /// Seconds with decimals within the bounds of `spec`.
    pub(super) fn decimal_seconds(&self, spec: &OptionSpec) -> Result<Duration, String> {
        let seconds = match self {
            Self::Text(text) => text.parse().ok(),
            Self::Integer(number) => Some(*number as f64),
            Self::Decimal(number) => Some(*number),
            _ => None,
        };
        match (seconds, spec.allowed) {
            (Some(seconds), Allowed::Decimal { min, max })
                if (min as f64..=max as f64).contains(&seconds) =>
            {
                Ok(Duration::from_secs_f64(seconds))
            }
            _ => Err(self.refused(spec)),
        }
    }

    /// A switch.
    pub(super) fn switch(&self, spec: &OptionSpec) -> Result<bool, String> {
        match self {
            Self::Switch(switch) => Ok(*switch),
            Self::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => Err(self.refused(spec)),
            },
            _ => Err(self.refused(spec)),
        }
    }

    /// Text unchanged; a number that YAML read from unquoted text counts as text.
    pub(super) fn text(&self, spec: &OptionSpec) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_owned()),
            Self::Integer(number) => Ok(number.to_string()),
            _ => Err(self.refused(spec)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::options::{OPTIONS, OptionId},
        *,
    };

    fn text(value: &str) -> Value<'_> {
        Value::Text(value.into())
    }

    #[test]
    fn numbers_are_bounded_at_both_ends_in_every_row() {
        for spec in OPTIONS {
            if let Allowed::Number { min, max } = spec.allowed {
                let below = min.checked_sub(1).map(|number| (number, false));
                for (number, valid) in [(min, true), (max, true), (max + 1, false)].into_iter().chain(below) {
                    assert_eq!(
                        text(&number.to_string()).number(spec).is_ok(),
                        valid,
                        "{} {number}",
                        spec.key
                    );
                    let integer = Value::Integer(i64::try_from(number).unwrap());
                    assert_eq!(integer.number(spec).is_ok(), valid, "{} {number}", spec.key);
                }
                for nonsense in ["", "x", "-1", "1.5", "99999999999999999999"] {
                    let error = text(nonsense).number(spec).unwrap_err();
                    assert!(error.contains(&format!("from {min} to {max}")), "{error}");
                }
            }
        }
    }

    #[test]
    fn decimals_are_bounded_and_never_nan() {
        let spec = OptionSpec::of(OptionId::PollInterval).unwrap();
        assert_eq!(text("2.5").decimal_seconds(spec), Ok(Duration::from_millis(2500)));
        assert_eq!(Value::Decimal(2.5).decimal_seconds(spec), Ok(Duration::from_millis(2500)));
        assert_eq!(Value::Integer(3).decimal_seconds(spec), Ok(Duration::from_secs(3)));
        for value in
            [Value::Decimal(f64::NAN), Value::Decimal(f64::INFINITY), text("NaN"), Value::Decimal(0.5)]
        {
            assert!(value.decimal_seconds(spec).is_err(), "{value:?}");
        }
    }

    #[test]
    fn ruby_spellings_of_numbers_and_switches_are_read() {
        let number = OptionSpec::of(OptionId::MaxDeadJobs).unwrap();
        assert_eq!(text("10_000").number(number), Ok(10_000));
        let switch = OptionSpec::of(OptionId::PollerEnabled).unwrap();
        for (word, expected) in [("yes", true), ("On", true), ("TRUE", true), ("no", false), ("off", false)] {
            assert_eq!(text(word).switch(switch), Ok(expected));
        }
        assert!(text("maybe").switch(switch).is_err());
        assert!(Value::Integer(1).switch(switch).is_err());
    }
}
