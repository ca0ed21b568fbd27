//! How a client writes: which keys it pushes to, and what its payloads look like.

use crate::job::Schema;
use crate::resp::RedisUrl;
use crate::wire::{Dialect, Keyspace};

/// How keys and payloads are written at one server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spelling {
    /// Keys.
    pub(crate) keys: Keyspace,
    /// Payloads.
    pub(crate) schema: Schema,
}

impl Spelling {
    /// That of a dialect, at the server of a url.
    pub(crate) const fn of(dialect: Dialect, url: &RedisUrl) -> Self {
        Self { keys: dialect.keys(url.is_cluster()), schema: Schema::of(dialect) }
    }

    /// For clients that are not told otherwise.
    pub(super) fn usual(url: &RedisUrl) -> Self {
        Self::of(Dialect::default(), url)
    }
}
