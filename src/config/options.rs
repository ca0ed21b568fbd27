//! The table of all options: one row names an option's flag, YAML key, variable, default, bounds and help.
//!
//! The command line, the file reader, the help text and the tests walk this table; none of them knows any single option.
//! What a value becomes is decided in `settings`.

use std::{fmt, sync::LazyLock};

mod rows;

pub use super::settings::OptionId;
pub use rows::OPTIONS;

/// The words of `--mode`, the design's promise P1 and P2.
pub const MODE_WORDS: &[&str] = &["at-least-once", "at-most-once"];

/// The words of `--balance`.
pub const BALANCE_WORDS: &[&str] = &["strict", "weighted", "even", "adaptive", "adaptive-io"];

/// The words of `--unknown`.
pub const UNKNOWN_WORDS: &[&str] = &["leave", "fail"];

/// The words of `--sidekiq-metrics`.
pub const METRICS_WORDS: &[&str] = &["7", "8", "both", "off"];

/// The words of `--dialect`.
pub const DIALECT_WORDS: &[&str] = &["jiggler", "sidekiq"];

/// The words of `--log-format`.
pub const LOG_FORMAT_WORDS: &[&str] = &["text", "json"];

/// An option's value when nobody sets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DefaultValue {
    /// Decided later, when the machine is known; the text says how.
    Later(&'static str),
    /// A text.
    Text(&'static str),
    /// A number, in the option's unit.
    Number(u64),
    /// A switch.
    Switch(bool),
    /// Nothing: the option has no meaning here.
    Nothing,
}

/// Which values an option takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Allowed {
    /// A whole number between two bounds, both allowed.
    Number {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// A number of seconds between two bounds, both allowed, with decimals.
    Decimal {
        /// Smallest value.
        min: u64,
        /// Largest value.
        max: u64,
    },
    /// `true` or `false` (also `yes`, `no`, `on`, `off`, as Ruby's YAML reads them).
    Switch,
    /// One of a few words.
    Words(&'static [&'static str]),
    /// Anything that the text describes.
    Text(&'static str),
}

/// When a change of an option takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// At the next start of the process.
    Restart,
    /// At SIGHUP, which rereads the configuration file.
    Hangup,
}

/// One option.
#[derive(Debug)]
pub struct OptionSpec {
    /// Which option.
    pub id: OptionId,
    /// Name in the YAML file: the gem's spelling, unless that says too little.
    pub key: &'static str,
    /// The gem's spelling where it is another: taken as key and as long flag, and not shown.
    pub gem_key: Option<&'static str>,
    /// Long flag without dashes, if it can be given on the command line.
    pub flag: Option<&'static str>,
    /// Short flag.
    pub short: Option<char>,
    /// The environment variable under which other programs know it too; each option also has one of its own, see
    /// [`Self::variables`].
    pub variable: Option<&'static str>,
    /// Name of the value in the help text.
    pub value_name: &'static str,
    /// Value when nobody gives one.
    pub default: DefaultValue,
    /// Accepted values.
    pub allowed: Allowed,
    /// One sentence for `--help`, without full stop.
    pub help: &'static str,
    /// When a change to it takes effect.
    pub change: Change,
}

/// What rows leave out.
const BASE: OptionSpec = OptionSpec {
    id: OptionId::Unused,
    key: "",
    gem_key: None,
    flag: None,
    short: None,
    variable: None,
    value_name: "VALUE",
    default: DefaultValue::Nothing,
    allowed: Allowed::Text("anything"),
    help: "Accepted for the sake of the jiggler gem's files; not used by jiggler-uring",
    change: Change::Restart,
};

impl OptionSpec {
    /// The row of an option. `Unused` has many rows and is never requested.
    #[must_use]
    pub fn of(id: OptionId) -> Option<&'static Self> {
        OPTIONS.iter().find(|spec| spec.id == id)
    }

    /// The environment variables that set it; the first one that is set counts. First comes that of this program,
    /// `JIGGLER_` and the key in capitals.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        static OWN: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
            let rows = OPTIONS.iter().filter(|spec| spec.id != OptionId::Unused);
            rows.map(|spec| (spec.key, format!("JIGGLER_{}", spec.key.to_ascii_uppercase()))).collect()
        });
        let own = OWN.iter().find(|(key, _)| *key == self.key).map(|(_, variable)| variable.as_str());
        own.into_iter().chain(self.variable)
    }

    /// The row of a YAML key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|spec| spec.key == key || spec.gem_key == Some(key))
    }
}

impl fmt::Display for DefaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later(text) | Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Switch(switch) => write!(f, "{switch}"),
            Self::Nothing => f.write_str("none"),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Decimal { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Switch => f.write_str("`true` or `false`"),
            Self::Words(words) => write!(f, "one of `{}`", words.join("`, `")),
            Self::Text(text) => f.write_str(text),
        }
    }
}
