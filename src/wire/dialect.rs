//! Whose programs share a Redis with us: that decides how keys are spelt there, and payloads, and how a process shows
//! itself.
//!
//! Chosen once, where a process, a command or a client starts. What differs between dialects is a value made from it there
//! and passed down; nothing below asks for the dialect again.

use std::{fmt, str::FromStr};

use super::keys::{JIGGLER, Keyspace, SIDEKIQ};

/// Whose programs share the Redis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Those that use the gem `jiggler`.
    #[default]
    Jiggler,
    /// Those that use the gem `sidekiq`.
    Sidekiq,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Jiggler, Self::Sidekiq];

    /// How its keys are spelt, in a Redis Cluster or outside one.
    #[doc(hidden)]
    #[must_use]
    pub const fn keys(self, is_cluster: bool) -> Keyspace {
        match self {
            Self::Jiggler => JIGGLER.with_cluster(is_cluster),
            Self::Sidekiq => SIDEKIQ.with_cluster(is_cluster),
        }
    }

    /// Whether it can be spoken in a Redis Cluster: Sidekiq's keys have no hash tags.
    #[doc(hidden)]
    #[must_use]
    pub const fn allows_cluster(self) -> bool {
        match self {
            Self::Jiggler => true,
            Self::Sidekiq => false,
        }
    }

    /// The other one.
    #[doc(hidden)]
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Jiggler => Self::Sidekiq,
            Self::Sidekiq => Self::Jiggler,
        }
    }

    /// The word of flags and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jiggler => "jiggler",
            Self::Sidekiq => "sidekiq",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|dialect| dialect.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is not a dialect: jiggler or sidekiq"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_read_as_it_is_written() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        assert!("resque".parse::<Dialect>().is_err());
        assert_eq!(Dialect::default(), Dialect::Jiggler);
    }
}
