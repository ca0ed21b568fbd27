//! The Lua scripts, and calling them by hash.
//!
//! Redis runs a script atomically, so each is one step of the protocol; its header (`scripts/*.lua`) says what it reads,
//! writes and returns. Scripts are called with the keys of a [`Realm`]. A connection loads the scripts right after its
//! handshake ([`load`], [`Scripts::read`]), so `NOSCRIPT` ([`forgotten`]) occurs only after a `SCRIPT FLUSH`: the caller
//! then loads again and sends its call once more, exactly once.

use std::borrow::Cow;

use crate::resp::{Command, Error, RedisError, RedisErrorKind, Reply, Requests, Value};
use crate::wire::in_flight::names_for_lua;
use crate::wire::keys::{NO_REGISTRY_FOR_LUA, no_registry_for_lua};
use crate::wire::{Keyspace, Realm};

/// The scripts, in the order in which [`load`] loads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// `turn.lua`: settle, then fetch.
    Turn,
    /// `reconcile.lua`: make a batch list agree with its shard.
    Reconcile,
    /// `resume.lua`: which turn ran last?
    Resume,
    /// `bury.lua`: bury a payload too large to fetch.
    Bury,
    /// `lease.lua`: renew a process's lease, name those that ended.
    Lease,
    /// `reap.lua`: put a dead shard's jobs back.
    Reap,
    /// `release.lua`: forget a dead process.
    Release,
    /// `free.lua`: put suspects of a dead shard back.
    Free,
    /// `leave.lua`: the end of a shard with nothing in flight.
    Leave,
    /// `due.lua`: move due jobs to their queues.
    Due,
    /// `resign.lua`: give up the lead of the pollers.
    Resign,
    /// `page.lua`: read a part of a queue or of a set.
    Page,
    /// `requeue.lua`: move jobs of a set to their queues at once.
    Requeue,
    /// `kill.lua`: move jobs of a set to the dead set.
    Kill,
    /// `delete.lua`: delete jobs of a queue or of a set.
    Delete,
    /// `prune.lua`: delete a whole queue, set or counter.
    Prune,
    /// `forget.lua`: delete the heartbeat key of a process that is gone.
    Forget,
}

impl Script {
    /// All of them, in the order in which [`load`] loads them.
    pub const ALL: [Self; LOAD_REPLIES] = [
        Self::Turn,
        Self::Reconcile,
        Self::Resume,
        Self::Bury,
        Self::Lease,
        Self::Reap,
        Self::Release,
        Self::Free,
        Self::Leave,
        Self::Due,
        Self::Resign,
        Self::Page,
        Self::Requeue,
        Self::Kill,
        Self::Delete,
        Self::Prune,
        Self::Forget,
    ];

    /// The Lua source.
    pub fn source(self) -> &'static str {
        macro_rules! lua {
            ($($name:literal),+) => { concat!($(include_str!(concat!("scripts/", $name, ".lua"))),+) };
        }
        // A script that changes queues begins with a line about their registry.
        macro_rules! changing {
            ($first:expr, $($name:literal),+) => { concat!(no_registry_for_lua!(), $first, lua!("undo", $($name),+)) };
        }
        match self {
            Self::Turn => changing!(names_for_lua!(), "turn"),
            Self::Reconcile => changing!("", "newest", "reconcile"),
            Self::Resume => lua!("resume"),
            Self::Bury => changing!("", "bury"),
            Self::Lease => changing!("", "lease"),
            Self::Reap => changing!(names_for_lua!(), "newest", "in_flight", "reap"),
            Self::Release => lua!("release"),
            Self::Free => changing!(names_for_lua!(), "in_flight", "free"),
            Self::Leave => changing!(names_for_lua!(), "newest", "in_flight", "leave"),
            Self::Due => changing!("local own_queue\n", "same", "queue_of", "renew", "pace", "due"),
            Self::Resign => lua!("resign"),
            Self::Page => lua!("page"),
            Self::Requeue => {
                changing!("local own_queue\n", "same", "queue_of", "renew", "seen", "requeue")
            }
            Self::Kill => changing!("", "same", "seen", "kill"),
            Self::Delete => changing!("", "same", "seen", "delete"),
            Self::Prune => lua!("prune"),
            Self::Forget => lua!("forget"),
        }
    }

    /// The source for a realm.
    fn source_in(self, realm: &Realm) -> Cow<'static, str> {
        let source = self.source();
        if realm.guard().is_some() {
            let source = source.replacen("local own_queue\n", "", 1);
            return [include_str!("scripts/cluster.lua"), &source].concat().into();
        }
        with_registry(source, realm.keys())
    }
}

/// A script's source where these keys are: one that begins with a line about the registry of queues names it there.
pub(super) fn with_registry(source: &'static str, keys: Keyspace) -> Cow<'static, str> {
    match (keys.registry_for_lua(), source.strip_prefix(NO_REGISTRY_FOR_LUA)) {
        (Some(registry), Some(rest)) => [&registry, rest].concat().into(),
        _ => source.into(),
    }
}

/// The hashes under which one Redis server knows the scripts, and the realm whose keys they are called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripts {
    hashes: [Box<str>; LOAD_REPLIES],
    realm: Realm,
}

/// Appends one `SCRIPT LOAD` for each script of a realm; [`Scripts::read`] reads the replies. One round trip, shared with
/// whatever else is sent.
pub fn load(realm: &Realm, requests: &mut Requests) {
    for script in Script::ALL {
        requests.command(&[b"SCRIPT", b"LOAD", script.source_in(realm).as_bytes()]);
    }
}

/// How many replies [`load`] has.
pub const LOAD_REPLIES: usize = 17;

/// Whether the server has forgotten a script that was called. That call has done nothing.
#[must_use]
pub fn forgotten(replies: &[Reply]) -> bool {
    replies.iter().any(|reply| matches!(reply.value(), Value::Error(error) if is_noscript(error.kind())))
}

/// Whether that is what an error says.
#[must_use]
pub fn is_forgotten(error: &RedisError) -> bool {
    is_noscript(error.kind())
}

fn is_noscript(kind: RedisErrorKind) -> bool {
    kind == RedisErrorKind::Noscript
}

impl Scripts {
    /// Reads the replies to [`load`] for the same realm, in their order.
    ///
    /// # Errors
    /// [`Error::Redis`]: the server is loading, or the user may not run `SCRIPT`; [`Error::Unexpected`].
    pub fn read(realm: Realm, replies: &[Reply]) -> Result<Self, Error> {
        let mut hashes: [Box<str>; LOAD_REPLIES] = Default::default();
        if replies.len() != hashes.len() {
            let got = format!("{} replies", replies.len());
            return Err(Error::Unexpected { expected: "a hash for each of our scripts", got });
        }
        for (hash, reply) in hashes.iter_mut().zip(replies) {
            *hash = String::from_utf8_lossy(reply.as_bulk()?).into();
        }
        Ok(Self { hashes, realm })
    }

    /// The realm whose keys the scripts are called with.
    #[must_use]
    pub const fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Begins an `EVALSHA` of `script` with `keys` keys and `args` further arguments; exactly this many must follow.
    pub fn begin<'r>(
        &self,
        script: Script,
        keys: usize,
        args: usize,
        requests: &'r mut Requests,
    ) -> Command<'r> {
        let hash = self.hashes[script as usize].as_bytes();
        let Some(guard) = self.realm.guard() else {
            let mut command = requests.begin(3 + keys + args);
            command.arg(b"EVALSHA").arg(hash).arg_u64(keys as u64);
            return command;
        };
        let mut command = requests.begin(4 + keys + args);
        command.arg(b"EVALSHA").arg(hash).arg_u64(1 + keys as u64).arg(guard.as_bytes());
        command
    }
}
