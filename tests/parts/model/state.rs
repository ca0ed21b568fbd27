//! The whole database as one value: what the oracle checks, and what "nothing was changed" compares.

use std::collections::BTreeMap;

use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests, Value};
use jiggler_uring::internal::wire::Keyspace;

pub(crate) type Bytes = Vec<u8>;

/// The value of a key.
#[derive(Clone, PartialEq)]
pub(crate) enum Content {
    List(Vec<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    /// Members only: scores are the caller's business.
    Set(Vec<Bytes>),
    Text(Bytes),
}

/// Every key and its value.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Database(pub(crate) BTreeMap<String, Content>);

impl Database {
    /// Reads everything. Three round trips.
    pub(crate) fn read(conn: &mut BlockingConnection) -> Self {
        let names: Vec<String> = strings(&one(conn, &[b"KEYS", b"*"]))
            .into_iter()
            .map(|key| String::from_utf8(key).unwrap())
            .collect();
        if names.is_empty() {
            return Self::default();
        }
        let mut types = Requests::new();
        names.iter().for_each(|name| types.command(&[b"TYPE", name.as_bytes()]));
        let mut contents = Requests::new();
        let types = conn.call(&types).unwrap();
        for (name, kind) in names.iter().zip(&types) {
            let name = name.as_bytes();
            match kind.value() {
                Value::Simple(b"list") => contents.command(&[b"LRANGE", name, b"0", b"-1"]),
                Value::Simple(b"hash") => contents.command(&[b"HGETALL", name]),
                Value::Simple(b"zset") => contents.command(&[b"ZRANGE", name, b"0", b"-1"]),
                Value::Simple(b"set") => contents.command(&[b"SMEMBERS", name]),
                Value::Simple(b"string") => contents.command(&[b"GET", name]),
                other => panic!("{}: {other:?}", name.escape_ascii()),
            }
        }
        let contents = conn.call(&contents).unwrap();
        let content = |(kind, reply): (&Reply, &Reply)| match kind.value() {
            Value::Simple(b"list") => Content::List(strings(reply)),
            Value::Simple(b"hash") => {
                let flat = strings(reply);
                Content::Hash(flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
            }
            Value::Simple(b"zset" | b"set") => Content::Set(strings(reply)),
            _ => Content::Text(reply.as_bulk().unwrap().to_vec()),
        };
        Self(names.into_iter().zip(types.iter().zip(&contents).map(content)).collect())
    }

    /// The elements of a list, left to right; empty if there is no such key.
    pub(crate) fn list(&self, key: &str) -> &[Bytes] {
        match self.0.get(key) {
            Some(Content::List(elements)) => elements,
            _ => &[],
        }
    }

    /// The members of a set, sorted or not.
    pub(crate) fn set(&self, key: &str) -> &[Bytes] {
        match self.0.get(key) {
            Some(Content::Set(members)) => members,
            _ => &[],
        }
    }

    /// A counter; 0 if there is no such key.
    pub(crate) fn counter(&self, key: &str) -> u64 {
        match self.0.get(key) {
            Some(Content::Text(text)) => String::from_utf8_lossy(text).parse().unwrap(),
            _ => 0,
        }
    }

    /// Whether the index names the batch.
    pub(crate) fn index_has(&self, index: &str, batch: &str) -> bool {
        matches!(self.0.get(index), Some(Content::Hash(fields)) if fields.contains_key(batch.as_bytes()))
    }

    /// Keys other than the queues, sets and counters that the gem knows too.
    pub(crate) fn own_keys(&self, keys: Keyspace) -> impl Iterator<Item = (&String, &Content)> {
        let names = keys.names();
        let registry = names.registries.as_ref().map_or("", |registries| registries.queues);
        let shared = [names.retries, names.dead, names.processed, names.failures, registry];
        self.0
            .iter()
            .filter(move |(key, _)| !key.starts_with(names.list_prefix) && !shared.contains(&key.as_str()))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short =
            |bytes: &Bytes| format!("{} ({} B)", bytes[..bytes.len().min(40)].escape_ascii(), bytes.len());
        for (key, content) in &self.0 {
            let shown: Vec<String> = match content {
                Content::List(all) | Content::Set(all) => all.iter().map(short).collect(),
                Content::Hash(all) => all.iter().map(|(k, v)| format!("{}={}", short(k), short(v))).collect(),
                Content::Text(text) => vec![short(text)],
            };
            writeln!(f, "  {key}: {shown:?}")?;
        }
        Ok(())
    }
}

/// One command, one reply.
pub(crate) fn one(conn: &mut BlockingConnection, args: &[&[u8]]) -> Reply {
    let mut requests = Requests::new();
    requests.command(args);
    conn.call_one(&requests).unwrap()
}

fn strings(reply: &Reply) -> Vec<Bytes> {
    reply.as_array().unwrap().map(|value| value.as_bulk().unwrap().to_vec()).collect()
}
