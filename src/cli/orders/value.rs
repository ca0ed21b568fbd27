//! Values that several subcommands take, checked while parsing.

use std::ops::RangeInclusive;

use clap::{ValueEnum, builder::ValueParser, error::ErrorKind};

use crate::{
    limits::{JID_BYTES_MAX, JOB_NAME_BYTES_MAX},
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
