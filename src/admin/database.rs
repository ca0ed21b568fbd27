//! The database that a command is about: where it is, and how its keys and payloads are written.

use crate::{
    client::{self, Client, Spelling},
    job::Schema,
    net::blocking::BlockingOptions,
    resp::RedisUrl,
    wire::{Dialect, Keyspace},
};

/// Where it is, and how keys and payloads are written there.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) url: RedisUrl,
    pub(crate) keys: Keyspace,
    pub(crate) schema: Schema,
}

impl Database {
    /// The one at a url, in a dialect.
    pub(crate) fn new(url: RedisUrl, dialect: Dialect) -> Self {
        let Spelling { keys, schema } = Spelling::of(dialect, &url);
        Self { url, keys, schema }
    }

    /// The same at the node that has a key, if it is a cluster.
    pub(super) fn at_key(&self, key: &[u8]) -> Self {
        Self { url: self.url.at_key(key), ..*self }
    }

    /// A client that is connected to it.
    ///
    /// # Errors
    /// [`client::Error::Connect`] if no connection comes about.
    pub(super) fn client(&self) -> Result<Client, client::Error> {
        let spelling = Spelling { keys: self.keys, schema: self.schema };
        let mut client = Client::lazy_in(spelling, &self.url, BlockingOptions::default());
        client.connect_now()?;
        Ok(client)
    }
}
