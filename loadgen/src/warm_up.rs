//! How a scenario makes a worker of this program open connections before it takes its first job.
//!
//! By environment variable, because the worker's flags are those of the stock program.

use std::env;

use crate::error::Error;

/// For the HTTP client.
pub(crate) const HTTP_VARIABLE: &str = "LOADGEN_WARM_UP_HTTP";

/// For the pool of PostgreSQL connections.
pub(crate) const POSTGRES_VARIABLE: &str = "LOADGEN_WARM_UP_POSTGRES";

/// How many connections each core opens, and to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WarmUp {
    /// Per core.
    pub(crate) count: usize,
    /// A url or connection string.
    pub(crate) target: String,
}

impl WarmUp {
    /// The variable's value.
    pub(crate) fn value(&self) -> String {
        format!("{} {}", self.count, self.target)
    }

    /// What the scenario asked for, if anything.
    ///
    /// # Errors
    /// The value does not have the form of [`value`](Self::value).
    pub(crate) fn asked(variable: &'static str) -> Result<Option<Self>, Error> {
        let Ok(value) = env::var(variable) else { return Ok(None) };
        Self::parse(&value).map(Some).ok_or(Error::BadVariable { variable, value })
    }

    fn parse(value: &str) -> Option<Self> {
        let (count, target) = value.split_once(' ')?;
        Some(Self { count: count.parse().ok()?, target: target.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written() {
        let warm_up = WarmUp { count: 7, target: "host=a user=b".to_owned() };
        assert_eq!(WarmUp::parse(&warm_up.value()), Some(warm_up));
        assert_eq!((WarmUp::parse("7"), WarmUp::parse("x y")), (None, None));
    }
}
