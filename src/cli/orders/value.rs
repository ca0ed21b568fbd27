//! Values that several subcommands take, checked while parsing.

use std::{ops::RangeInclusive, time::Duration};

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use clap::{ValueEnum, builder::ValueParser, error::ErrorKind};

use crate::{
    limits::{ENQUEUE_DELAY_MAX, JID_BYTES_MAX, JOB_NAME_BYTES_MAX},
    store::entries::Set,
    view::filter::NamePattern,
};

pub(super) fn jid(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > JID_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("a jid has 1 to {JID_BYTES_MAX} bytes and no control characters"));
    }
    Ok(text.to_owned())
}

pub(super) fn job_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > JOB_NAME_BYTES_MAX {
        return Err(format!("a job name has 1 to {JOB_NAME_BYTES_MAX} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("a job name holds no control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses a whole number within bounds; the error says what is accepted.
pub(super) fn whole<N>(allowed: RangeInclusive<u64>) -> ValueParser
where
    N: TryFrom<u64> + Clone + Send + Sync + 'static,
{
    ValueParser::new(move |text: &str| {
        let number = text.parse().ok().filter(|number| allowed.contains(number));
        let refused = || format!("give a whole number from {} to {}", allowed.start(), allowed.end());
        number.and_then(|number| N::try_from(number).ok()).ok_or_else(refused)
    })
}

/// A time span: seconds, with decimals, or whole numbers with units from days down: `90`, `1.5`, `5m`, `1h30m`, `2d`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let max = ENQUEUE_DELAY_MAX.as_secs();
    let seconds = text.parse().ok().or_else(|| in_units(text));
    match seconds {
        Some(seconds) if (0.0..=max as f64).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("give seconds from 0 to {max}, or units such as 90s, 5m, 1h30m, 2d")),
    }
}

fn in_units(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut seconds = 0.0;
    let mut smallest = f64::INFINITY;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, length) = match after.chars().next()? {
            's' => ('s', 1.0),
            'm' => ('m', 60.0),
            'h' => ('h', 3_600.0),
            'd' => ('d', 86_400.0),
            _ => return None,
        };
        // `5m2h` is a slip, `5m5m` too.
        if length >= smallest {
            return None;
        }
        smallest = length;
        seconds += number.parse::<u32>().ok()? as f64 * length;
        rest = &after[unit.len_utf8()..];
    }
    (smallest < f64::INFINITY).then_some(seconds)
}

/// A moment as Unix seconds: such a number, or a date and time as in RFC 3339.
pub(super) fn moment(text: &str) -> Result<f64, String> {
    let dated =
        || OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| at.unix_timestamp_nanos() as f64 / 1e9);
    let at = text.parse().ok().or_else(dated);
    at.filter(|at: &f64| (0.0..=MOMENT_MAX).contains(at)).ok_or_else(|| {
        "give Unix seconds such as 1795299901.5, or a date and time with its zone such as 2026-12-24T18:00:00Z or \
         2026-12-24T18:00:00+01:00"
            .to_owned()
    })
}

/// The end of the year 9999: what is later is milliseconds by mistake.
const MOMENT_MAX: f64 = 253_402_300_799.0;

/// A set, by its word on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SetWord {
    Retries,
    Scheduled,
    Dead,
}

impl From<SetWord> for Set {
    fn from(word: SetWord) -> Self {
        match word {
            SetWord::Retries => Self::Retries,
            SetWord::Scheduled => Self::Scheduled,
            SetWord::Dead => Self::Dead,
        }
    }
}

/// A job name, or a prefix of job names.
pub(super) fn name_pattern(text: &str) -> Result<NamePattern, String> {
    job_name(text).map(|text| NamePattern::parse(&text))
}

/// An error about arguments that clap cannot detect itself.
pub(super) fn usage(kind: ErrorKind, text: &str) -> clap::Error {
    clap::Error::raw(kind, format!("{text}\n\nFor more information, try '--help'.\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_seconds_or_units_from_days_down() {
        let seconds = |text| span(text).map(|span| span.as_secs_f64());
        for (text, expected) in [
            ("90", 90.0),
            ("1.5", 1.5),
            ("0", 0.0),
            ("90s", 90.0),
            ("5m", 300.0),
            ("1h30m", 5_400.0),
            ("2d", 172_800.0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in
            ["", "m", "5", "5x", "30m1h", "5m5m", "-1", "-5m", "1.5h", "NaN", "inf", "9999999d", "5 m"]
        {
            let expected = text == "5";
            assert_eq!(span(text).is_ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn moments_are_unix_seconds_or_dates_with_a_zone() {
        assert_eq!(moment("1795299901.5"), Ok(1_795_299_901.5));
        assert_eq!(moment("2026-12-24T18:00:00Z"), Ok(1_798_135_200.0));
        assert_eq!(moment("2026-12-24T18:00:00+01:00"), Ok(1_798_131_600.0));
        for text in ["", "tomorrow", "2026-12-24", "2026-12-24T18:00:00", "-1", "1795299901500", "NaN"] {
            assert!(moment(text).unwrap_err().contains("zone"), "{text:?}");
        }
    }
}
