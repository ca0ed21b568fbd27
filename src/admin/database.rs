//! The database that a command is about: where it is, and how its keys are spelt.

use crate::{
    client::{self, Client},
    net::blocking::BlockingOptions,
    resp::RedisUrl,
    wire::{Dialect, Keyspace},
};

/// Where keys are, and how they are spelt there.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pub(crate) url: RedisUrl,
    pub(crate) keys: Keyspace,
}

impl Database {
    /// The one at a url, in a dialect.
    pub(crate) fn new(url: RedisUrl, dialect: Dialect) -> Self {
        let keys = dialect.keys(url.is_cluster());
        Self { url, keys }
    }

    /// The same at the node that has a key, if it is a cluster.
    pub(super) fn at_key(&self, key: &[u8]) -> Self {
        Self { url: self.url.at_key(key), keys: self.keys }
    }

    /// A client that is connected to it.
    ///
    /// # Errors
    /// [`client::Error::Connect`] if no connection comes about.
    pub(super) fn client(&self) -> Result<Client, client::Error> {
        let mut client = Client::lazy_in(self.keys, &self.url, BlockingOptions::default());
        client.connect_now()?;
        Ok(client)
    }
}
