//! loadgen's own few commands: a thin typed layer over the library's blocking connection.
//!
//! Counts what it sends, so that a measurement can subtract it again. The load itself, which must cost nothing outside
//! Redis, is sent by [`crate::null_client`].

use std::collections::BTreeMap;

use jiggler_uring::internal::net::blocking::{BlockingConnection, BlockingOptions};
use jiggler_uring::internal::resp::encode::Requests;
use jiggler_uring::internal::resp::reply::{Reply, Value};
use jiggler_uring::internal::resp::url::RedisUrl;
use jiggler_uring::internal::store::scripts::{self, Scripts};
use jiggler_uring::internal::wire::keys::JIGGLER;
use jiggler_uring::internal::{net, resp};

use crate::keys;

/// The connection's name in `CLIENT LIST`.
const CLIENT_NAME: &str = "loadgen";

/// Keys examined per SCAN; a private Redis holds a handful.
const SCAN_COUNT: &str = "1000";

/// What can go wrong between loadgen and the private Redis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RedisError {
    /// The connection, or an error reply.
    #[error("private Redis: {0}")]
    Connection(#[from] net::Error),
    /// The server does not accept the engine's scripts.
    #[error("private Redis does not accept the engine's scripts: {0}")]
    Scripts(resp::Error),
    /// A reply of a type that the command does not give.
    #[error("private Redis answered {command} with {reply}, expected {expected}")]
    Unexpected {
        /// What was sent.
        command: String,
        /// What came.
        reply: String,
        /// What should have come.
        expected: &'static str,
    },
}

impl From<resp::Error> for RedisError {
    fn from(error: resp::Error) -> Self {
        Self::Connection(error.into())
    }
}

/// What was sent on one connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// How often each command was sent, by its name in INFO commandstats.
    pub(crate) calls: BTreeMap<String, u64>,
    /// Writes to the socket, each of which Redis reads at once.
    pub(crate) writes: u64,
}

/// How many jobs are done and how many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// The processed counter.
    pub(crate) processed: u64,
    /// Length of the queue.
    pub(crate) waiting: u64,
}

/// A connection for loadgen's own questions.
#[derive(Debug)]
pub(crate) struct Client {
    conn: BlockingConnection,
    requests: Requests,
    sent: Sent,
}

impl Sent {
    /// What was sent on the same connection since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let calls = self.calls.iter().map(|(name, calls)| {
            (name.clone(), calls.saturating_sub(earlier.calls.get(name).copied().unwrap_or(0)))
        });
        Self { calls: calls.collect(), writes: self.writes.saturating_sub(earlier.writes) }
    }
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Redis does not accept the connection.
    pub(crate) fn open(url: &RedisUrl) -> Result<Self, RedisError> {
        let options = BlockingOptions { client_name: CLIENT_NAME.to_owned(), ..BlockingOptions::default() };
        let conn = BlockingConnection::connect_with(url, &options)?;
        Ok(Self { conn, requests: Requests::new(), sent: Sent::default() })
    }

    /// What was sent on this connection, except its handshake.
    pub(crate) fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Runs a command that answers with text.
    ///
    /// # Errors
    /// The connection, an error reply, or another type.
    pub(crate) fn text(&mut self, command: &[&str]) -> Result<String, RedisError> {
        let reply = self.call(command)?;
        match reply.value() {
            Value::Simple(text) | Value::Bulk(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            _ => Err(unexpected(command, &reply, "text")),
        }
    }

    /// Runs a command that answers with a non-negative number; nil is 0.
    ///
    /// # Errors
    /// The connection, an error reply, or another type.
    pub(crate) fn number(&mut self, command: &[&str]) -> Result<u64, RedisError> {
        let reply = self.call(command)?;
        number_in(&reply).ok_or_else(|| unexpected(command, &reply, "a number"))
    }

    /// Empties the server.
    ///
    /// # Errors
    /// The connection or an error reply.
    pub(crate) fn flush(&mut self) -> Result<(), RedisError> {
        self.text(&["FLUSHALL", "SYNC"]).map(drop)
    }

    /// Loads the engine's scripts.
    ///
    /// # Errors
    /// The connection, or the server accepts no scripts.
    pub(crate) fn load_scripts(&mut self) -> Result<Scripts, RedisError> {
        let mut requests = Requests::new();
        scripts::load(&JIGGLER.shared_realm(), &mut requests);
        Scripts::read(JIGGLER.shared_realm(), &self.conn.call(&requests)?).map_err(RedisError::Scripts)
    }

    /// How many jobs are done and how many wait: one round trip, two commands.
    ///
    /// # Errors
    /// The connection, an error reply, or another type.
    pub(crate) fn backlog(&mut self) -> Result<Backlog, RedisError> {
        self.backlog_of(1)
    }

    /// The same for several queues: a command more for each.
    ///
    /// # Errors
    /// The connection, an error reply, or another type.
    pub(crate) fn backlog_of(&mut self, queues: u64) -> Result<Backlog, RedisError> {
        self.requests.clear();
        let lists: Vec<String> = (0..queues).map(keys::queue).collect();
        let lengths = lists.iter().map(|list| ["LLEN", list]);
        let commands: Vec<[&str; 2]> =
            std::iter::once(["GET", JIGGLER.names().processed]).chain(lengths).collect();
        for command in &commands {
            self.append(command);
        }
        self.sent.writes += 1;
        let replies = self.conn.call(&self.requests)?;
        let mut numbers = Vec::with_capacity(commands.len());
        for (position, command) in commands.iter().enumerate() {
            let reply = replies.get(position).ok_or(net::Error::Closed)?.clone().into_result()?;
            numbers.push(number_in(&reply).ok_or_else(|| unexpected(command, &reply, "a number"))?);
        }
        Ok(Backlog { processed: numbers[0], waiting: numbers[1..].iter().sum() })
    }

    /// All keys that match a pattern.
    ///
    /// # Errors
    /// The connection, an error reply, or another type.
    pub(crate) fn scan(&mut self, pattern: &str) -> Result<Vec<String>, RedisError> {
        let mut found = Vec::new();
        let mut cursor = "0".to_owned();
        loop {
            let command = ["SCAN", &cursor, "MATCH", pattern, "COUNT", SCAN_COUNT];
            let reply = self.call(&command)?;
            let (next, page) =
                scan_page(&reply).ok_or_else(|| unexpected(&command, &reply, "a page of keys"))?;
            found.extend(page);
            if next == "0" {
                return Ok(found);
            }
            cursor = next;
        }
    }

    /// The in-flight lists that hold jobs. Redis removes empty lists, so one that exists has content; a shard's index
    /// next to them is bookkeeping and may stay. One round trip for the scan and one for each key.
    ///
    /// # Errors
    /// The connection, an error reply, or another type.
    pub(crate) fn in_flight(&mut self) -> Result<Vec<String>, RedisError> {
        let mut held = Vec::new();
        for key in self.scan(keys::IN_FLIGHT_PATTERN)? {
            if self.text(&["TYPE", &key])? == "list" {
                held.push(key);
            }
        }
        Ok(held)
    }

    fn call(&mut self, command: &[&str]) -> Result<Reply, RedisError> {
        self.requests.clear();
        self.append(command);
        self.sent.writes += 1;
        Ok(self.conn.call_one(&self.requests)?)
    }

    fn append(&mut self, command: &[&str]) {
        let arguments: Vec<&[u8]> = command.iter().map(|argument| argument.as_bytes()).collect();
        self.requests.command(&arguments);
        let name = command.first().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        *self.sent.calls.entry(name).or_default() += 1;
    }
}

fn unexpected(command: &[&str], reply: &Reply, expected: &'static str) -> RedisError {
    RedisError::Unexpected { command: command.join(" "), reply: format!("{reply:?}"), expected }
}

fn number_in(reply: &Reply) -> Option<u64> {
    match reply.value() {
        Value::Nil => Some(0),
        Value::Integer(number) => u64::try_from(number).ok(),
        Value::Bulk(digits) => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}

/// The next cursor and the keys of one SCAN reply.
fn scan_page(reply: &Reply) -> Option<(String, Vec<String>)> {
    let mut parts = reply.as_array().ok()?;
    let cursor = text_of(&parts.next()?)?;
    let keys = parts.next()?.as_array().ok()?.map(|key| text_of(&key)).collect::<Option<_>>()?;
    Some((cursor, keys))
}

fn text_of(value: &Value<'_>) -> Option<String> {
    value.as_bulk().ok().map(|text| String::from_utf8_lossy(text).into_owned())
}
