//! The shard's connection: opening it, sending over it, and why one can no longer be used.

use crate::limits::READ_CHUNK_BYTES;
use crate::net::{ConnOptions, Connection, Error, Stopper};
use crate::resp::{self, RedisError, Reply, ReplyLimits, Requests, Value};
use crate::store::scripts::{self, Scripts};
use crate::wire::{Cause, Realm, client_name};

use super::options::ShardOptions;

/// An open connection whose server knows our scripts.
pub(super) struct Link {
    conn: Connection,
    scripts: Scripts,
}

/// Why a shard can no longer use its connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// A new connection may fix it.
    #[error(transparent)]
    Lost(#[from] Error),
    /// The server forgets its scripts as fast as they are loaded; a new connection may fix it.
    #[error(
        "redis forgets scripts as soon as they are loaded; does something run SCRIPT FLUSH again and again?"
    )]
    Forgetful,
    /// Redis denies this worker's user something a shard does. Fixed when an administrator has run the line.
    #[error("{denial}; let an administrator run {line}")]
    Denied {
        /// The reply of Redis.
        denial: String,
        /// The line for redis-cli.
        line: String,
        /// Whether the server could tell what is missing: then it can also tell when the right is back.
        is_named: bool,
    },
    /// Jobs are to go back to a queue whose key is not a list, and stay in flight.
    #[error("{0}")]
    Held(String),
    /// This shard has ended itself in Redis.
    #[error("this shard has already left")]
    Left,
    /// Another process took this shard's in-flight jobs; nothing fixes that.
    #[error("{0}")]
    Fenced(String),
}

impl LinkError {
    /// Why Redis cannot be worked with, given this outcome.
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Lost(error) => error.cause(),
            Self::Denied { .. } => Cause::Denied,
            Self::Forgetful | Self::Held(_) | Self::Left | Self::Fenced(_) => Cause::Refused,
        }
    }
}

impl From<resp::Error> for LinkError {
    fn from(error: resp::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl Link {
    pub(super) async fn open(shard: &ShardOptions) -> Result<Self, Error> {
        let options = ConnOptions {
            name: client_name(&shard.uuid, Some(shard.shard), ""),
            limits: ReplyLimits::default(),
            chunk_bytes: READ_CHUNK_BYTES,
        };
        let mut conn = Connection::open(&shard.url, &options).await?;
        let scripts = load_scripts(&mut conn, &shard.realm).await?;
        Ok(Self { conn, scripts })
    }

    /// Loads the scripts again, after a `SCRIPT FLUSH`.
    pub(super) async fn reload(&mut self) -> Result<(), Error> {
        self.scripts = load_scripts(&mut self.conn, self.scripts.realm()).await?;
        Ok(())
    }

    /// The scripts as its server knows them.
    pub(super) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    /// A handle that ends its connection from outside.
    pub(super) fn stopper(&self) -> Stopper {
        self.conn.stopper()
    }

    /// Sends a turn, whose replies are awaited later.
    pub(super) async fn send_turn(&mut self, requests: &Requests) -> Result<(), Error> {
        self.conn.send(requests).await
    }

    /// Awaits the replies to one turn: its own first, then those of the lists it reads, which are meaningless if it was
    /// refused.
    pub(super) async fn turn_replies(&mut self, count: usize) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::with_capacity(count);
        for _ in 0..count {
            replies.push(self.conn.reply().await?);
        }
        Ok(replies)
    }

    /// Sends commands and awaits their replies. No turn may be under way.
    pub(super) async fn ask(&mut self, requests: &Requests) -> Result<Vec<Reply>, Error> {
        self.conn.call(requests).await
    }

    /// Sends calls of scripts and awaits their replies; one call per reply, `write` appends them. If the server has
    /// forgotten the scripts, they are loaded and the calls are sent once more: calls refused for that reason did not
    /// run.
    pub(super) async fn call(
        &mut self,
        write: impl Fn(&Scripts, &mut Requests),
    ) -> Result<Vec<Reply>, LinkError> {
        self.exchange(write).await?.into_iter().map(check).collect()
    }

    /// Like [`Self::call`], but each reply may be an error.
    pub(super) async fn exchange(
        &mut self,
        write: impl Fn(&Scripts, &mut Requests),
    ) -> Result<Vec<Reply>, LinkError> {
        let mut requests = Requests::new();
        write(&self.scripts, &mut requests);
        let mut replies = self.conn.call(&requests).await?;
        if scripts::forgotten(&replies) {
            self.reload().await?;
            requests.clear();
            write(&self.scripts, &mut requests);
            replies = self.conn.call(&requests).await?;
        }
        Ok(replies)
    }
}

async fn load_scripts(conn: &mut Connection, realm: &Realm) -> Result<Scripts, Error> {
    let mut requests = Requests::new();
    scripts::load(realm, &mut requests);
    Ok(Scripts::read(realm.clone(), &conn.call(&requests).await?)?)
}

/// Turns an error reply into the error it carries.
pub(super) fn check(reply: Reply) -> Result<Reply, LinkError> {
    match reply.value() {
        Value::Error(error) => Err(error.to_owned().into()),
        _ => Ok(reply),
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        match error.code() {
            "LEFT" => Self::Left,
            "HELD" => Self::Held(error.to_string()),
            "FENCED" | "STALE" => Self::Fenced(error.to_string()),
            _ => Self::Lost(Error::Redis(error)),
        }
    }
}
