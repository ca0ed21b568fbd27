//! What can be wrong with the options, reported so that the user can fix it: where it is and what is allowed.
//!
//! None of these heals on its own: the process refuses to start (exit code 2).

use std::{fmt, io, path::PathBuf};

use crate::limits::CLUSTER_QUEUES_MAX;
use crate::limits::{CONFIG_DEPTH_MAX, CONFIG_FILE_BYTES_MAX};

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag; the text does not include the dashes.
    Flag(&'static str),
    /// An environment variable.
    Variable(&'static str),
    /// A key of the configuration file.
    File {
        /// Path as the user gave it.
        path: PathBuf,
        /// Line of the value, from 1.
        line: usize,
        /// Key as the file spells it.
        key: String,
    },
    /// The table of options.
    Default(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File { path, line, key } => write!(f, "{} line {line}, key `{key}`", path.display()),
            Self::Default(key) => write!(f, "the default of `{key}`"),
        }
    }
}

/// Why there is no [`Config`](super::Config).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value that its option does not accept.
    #[error("{origin}: {reason}")]
    BadValue {
        /// Where it was given.
        origin: Origin,
        /// The value and what is allowed instead. Never contains a Redis URL.
        reason: String,
    },
    /// Queues of a Redis Cluster have no weights.
    #[error(
        "balance: queues of a Redis Cluster are served by priority, not by weight; give strict, even or adaptive"
    )]
    WeightedInCluster,
    /// More queues than a process serves in a Redis Cluster.
    #[error(
        "{count} queues are too many for one process in a Redis Cluster, where each core has connections for each of them: at \
         most {CLUSTER_QUEUES_MAX}; start more processes that serve fewer"
    )]
    QueuesInCluster {
        /// How many were named.
        count: usize,
    },
    /// Periodic jobs of the file are refused.
    #[error("{reasons}; fix them, or start without them by --ignore-bad-cron")]
    BadCron {
        /// For each of them file, line, name and reason.
        reasons: String,
    },
    /// A key the file may not have.
    #[error("{} line {line}: unknown key `{key}`{}; allowed: {allowed}", path.display(), nearest_hint(*.nearest))]
    UnknownKey {
        /// Path of the file.
        path: PathBuf,
        /// Line of the key, from 1.
        line: usize,
        /// The key as the file spells it.
        key: String,
        /// The closest known key, if one is near.
        nearest: Option<&'static str>,
        /// All keys that have an effect.
        allowed: String,
    },
    /// One option given by two keys of one section, such as `timeout` and `:timeout`.
    #[error("{} line {line}: key `{key}` is given twice in one section; keep one of them", path.display())]
    KeyTwice {
        /// Path of the file.
        path: PathBuf,
        /// Line of the second key, from 1.
        line: usize,
        /// The key as the file spells it the second time.
        key: String,
    },
    /// The file is not YAML.
    #[error("{} line {line}, column {column}: not valid YAML: {reason}", path.display())]
    Syntax {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's message.
        reason: String,
    },
    /// The file contains an ERB tag, which only Ruby can run.
    #[error("{} line {line}: `<%` is Ruby (ERB), which is not run here; write the value itself, or use the \
             environment variables REDIS_URL and APP_ENV", path.display())]
    Erb {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// The file's top level is not a mapping, or it holds more than one document.
    #[error("{} line {line}: {reason}", path.display())]
    Shape {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What was found and what is expected.
        reason: &'static str,
    },
    /// Lists and mappings are nested too deeply.
    #[error("{} line {line}: nested deeper than {CONFIG_DEPTH_MAX} levels; a configuration needs four", path.display())]
    TooDeep {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// The file cannot be read.
    #[error("read configuration file {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is far larger than any configuration.
    #[error("configuration file {} has {bytes} bytes, more than {CONFIG_FILE_BYTES_MAX}: is this the right file?",
            path.display())]
    TooLarge {
        /// Path of the file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A flag, variable or file that is not UTF-8.
    #[error("{place} is not valid UTF-8")]
    NotUnicode {
        /// The flag, the variable or the file's path.
        place: String,
    },
}

fn nearest_hint(nearest: Option<&str>) -> String {
    nearest.map(|key| format!(", did you mean `{key}`?")).unwrap_or_default()
}
