//! Whose programs share a Redis with us: that decides how keys are spelt there.
//!
//! Chosen once, where a process, a command or a client starts. What differs between dialects is a value made from it there
//! and passed down; nothing below asks for the dialect again.

use super::keys::{JIGGLER, Keyspace};

/// Whose programs share the Redis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Those that use the gem `jiggler`.
    #[default]
    Jiggler,
}

impl Dialect {
    /// How its keys are spelt, in a Redis Cluster or outside one.
    #[must_use]
    pub const fn keys(self, is_cluster: bool) -> Keyspace {
        match self {
            Self::Jiggler => JIGGLER.with_cluster(is_cluster),
        }
    }
}
