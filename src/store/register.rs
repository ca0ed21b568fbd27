//! The register of queues and processes: sets that name what there is, so that an operator who asks for it need not
//! walk over all keys of the database.
//!
//! Each program that knows of a queue or a process names it: workers themselves and what they serve, with their
//! figures; a client a queue that it pushes to, now and then; the process that looks after the lists of Ruby servers
//! ([`super::ruby_lists`]) all that it comes across on its walk, which includes what only Ruby programs have made.
//! Naming is safe to repeat, and what is named may be gone: readers see that under its key. The walk also takes out
//! what is gone and was not named for [`REGISTER_KEPT`](crate::limits::REGISTER_KEPT), in one step that looks again
//! whether it is.
//!
//! Nothing depends on the register but what operators see. There is none in a Redis Cluster, nor beside Sidekiq, whose own
//! sets do the same.

use std::time::Duration;

use crate::limits::{REGISTER_KEPT, REGISTER_NAMES_PER_CALL};
use crate::resp::{Error, Reply, Requests};
use crate::wire::heartbeat_key::{parse_heartbeat, split_queues};
use crate::wire::keys::{ListKey, Register};
use crate::wire::{Keyspace, heartbeat_key};

/// What a set of the register names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Queues, by their names.
    Queues,
    /// Processes, by the keys of their heartbeats.
    Processes,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Queues, Self::Processes];

    /// The key of its set.
    #[must_use]
    pub const fn set(self, register: &Register) -> &'static str {
        match self {
            Self::Queues => register.queues,
            Self::Processes => register.processes,
        }
    }

    /// What a name stands for.
    #[must_use]
    pub fn key(self, keys: Keyspace, name: &[u8]) -> Vec<u8> {
        match self {
            Self::Queues => [keys.names().list_prefix.as_bytes(), name].concat(),
            Self::Processes => name.to_vec(),
        }
    }

    /// What a key that was found is named, and by which set; `None` if by none.
    #[must_use]
    pub fn of_key(keys: Keyspace, key: &str) -> Option<(Self, &str)> {
        if heartbeat_key::server_uuid(key).is_some() {
            return Some((Self::Processes, key));
        }
        match keys.parse_list(key)? {
            ListKey::Queue { queue } => Some((Self::Queues, queue)),
            ListKey::InProgress { .. } => None,
        }
    }
}

/// Appends the naming of queues or processes at this Unix time: one command and one reply ([`named`]) for each
/// [`REGISTER_NAMES_PER_CALL`] of them. Safe to repeat. Returns how many commands.
pub fn name<N: AsRef<[u8]>>(
    register: &Register,
    kind: Kind,
    names: &[N],
    at: f64,
    requests: &mut Requests,
) -> usize {
    let chunks = names.chunks(REGISTER_NAMES_PER_CALL);
    let commands = chunks.len();
    for chunk in chunks {
        let mut command = requests.begin(2 + 2 * chunk.len());
        command.arg(b"ZADD").arg(kind.set(register).as_bytes());
        for name in chunk {
            command.arg_f64(at).arg(name.as_ref());
        }
    }
    commands
}

/// Appends the naming of the process with this heartbeat, and of the queues that it serves. Safe to repeat.
pub fn name_process(register: &Register, heartbeat_key: &str, at: f64, requests: &mut Requests) {
    name(register, Kind::Processes, &[heartbeat_key], at, requests);
    let served = parse_heartbeat(heartbeat_key).map(|parts| split_queues(parts.queues)).unwrap_or_default();
    let served: Vec<&str> = served.iter().map(|queue| queue.name).collect();
    name(register, Kind::Queues, &served, at, requests);
}

/// Whether what was to be named is, from a reply to [`name`].
///
/// # Errors
/// If the reply is an error, or no number.
pub fn named(reply: &Reply) -> Result<(), Error> {
    reply.as_integer().map(drop)
}

/// Appends the end of a process that takes its leave. The reply is an integer.
pub fn forget_process(register: &Register, heartbeat_key: &str, requests: &mut Requests) {
    requests.command(&[b"ZREM", register.processes.as_bytes(), heartbeat_key.as_bytes()]);
}

/// Appends the question whether someone has walked over all keys; [`read_walked`] reads the reply.
pub fn ask_walked(register: &Register, requests: &mut Requests) {
    requests.command(&[b"GET", register.walked.as_bytes()]);
}

/// Whether someone has walked over all keys.
///
/// # Errors
/// If the reply is an error, or not a string.
pub fn read_walked(reply: &Reply) -> Result<bool, Error> {
    Ok(reply.as_nil_or_bulk()?.is_some())
}

/// Appends that all keys were walked over, which counts so long. The reply is `OK`.
pub fn note_walked(register: &Register, at: f64, kept: Duration, requests: &mut Requests) {
    let mut command = requests.begin(5);
    command.arg(b"SET").arg(register.walked.as_bytes()).arg_f64(at.floor());
    command.arg(b"EX").arg_u64(kept.as_secs());
}

/// Appends the question what was not named for long, as of this Unix time: at most [`REGISTER_NAMES_PER_CALL`] names.
/// [`read_stale`] reads the reply. After a walk these are names of what is gone.
pub fn ask_stale(register: &Register, kind: Kind, now: f64, requests: &mut Requests) {
    let mut command = requests.begin(7);
    command.arg(b"ZRANGEBYSCORE").arg(kind.set(register).as_bytes()).arg(b"-inf").arg_f64(stale_at(now));
    command.arg(b"LIMIT").arg_u64(0).arg_u64(REGISTER_NAMES_PER_CALL as u64);
}

/// The names.
///
/// # Errors
/// If the reply is an error, or not an array of strings.
pub fn read_stale(reply: &Reply) -> Result<Vec<Vec<u8>>, Error> {
    reply.as_array()?.map(|name| Ok(name.as_bulk()?.to_vec())).collect()
}

/// Appends the order to take out those of these names that were not named meanwhile, and under whose keys there is nothing.
/// [`read_dropped`] reads the reply. Atomic.
pub fn drop_stale(keys: Keyspace, kind: Kind, names: &[Vec<u8>], now: f64, requests: &mut Requests) {
    let Some(register) = keys.register() else { return };
    let mut command = requests.begin(5 + 2 * names.len());
    command.arg(b"EVAL").arg(DROP.as_bytes()).arg_u64(1 + names.len() as u64);
    command.arg(kind.set(register).as_bytes());
    for name in names {
        command.arg(&kind.key(keys, name));
    }
    command.arg_f64(stale_at(now));
    for name in names {
        command.arg(name);
    }
}

/// How many names were taken out.
///
/// # Errors
/// If the reply is an error, or no number.
pub fn read_dropped(reply: &Reply) -> Result<usize, Error> {
    Ok(usize::try_from(reply.as_integer()?).unwrap_or(0))
}

/// The script of [`drop_stale`]: called by its text, a few times an hour in a whole fleet.
pub const DROP: &str = include_str!("scripts/register_drop.lua");

fn stale_at(now: f64) -> f64 {
    now - REGISTER_KEPT.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;
    use crate::wire::keys::JIGGLER;

    const NOW: f64 = 1_800_000_000.0;

    fn call(redis: &OwnRedis, write: impl FnOnce(&Register, &mut Requests)) -> Reply {
        let mut requests = Requests::new();
        write(JIGGLER.register().unwrap(), &mut requests);
        redis.connect().call(&requests).unwrap().pop().unwrap()
    }

    fn names(redis: &OwnRedis, kind: Kind) -> Vec<String> {
        let set = kind.set(JIGGLER.register().unwrap());
        redis.strings(&[b"ZRANGE", set.as_bytes(), b"0", b"-1"])
    }

    fn drop_all(redis: &OwnRedis, kind: Kind) -> usize {
        let stale = read_stale(&call(redis, |register, r| ask_stale(register, kind, NOW, r))).unwrap();
        if stale.is_empty() {
            return 0;
        }
        read_dropped(&call(redis, |_, r| drop_stale(JIGGLER, kind, &stale, NOW, r))).unwrap()
    }

    #[test]
    fn what_is_gone_and_was_not_named_for_long_is_taken_out_and_nothing_else() {
        let redis = OwnRedis::start();
        let old = NOW - REGISTER_KEPT.as_secs_f64();
        let name_at = |names: &[&str], at| {
            named(&call(&redis, |register, r| _ = name(register, Kind::Queues, names, at, r))).unwrap();
        };
        name_at(&["gone", "full"], old);
        name_at(&["empty"], old + 1.0);
        redis.run(&[b"RPUSH", b"jiggler:list:full", b"x"]);
        assert_eq!(drop_all(&redis, Kind::Queues), 1);
        assert_eq!(names(&redis, Kind::Queues), ["full", "empty"]);
        let key = "jiggler:svr:d8625f8721eb:3:25:default,img:1:1795299901:8066:vm";
        call(&redis, |register, r| name_process(register, key, old, r));
        assert_eq!(names(&redis, Kind::Processes), [key]);
        assert_eq!(names(&redis, Kind::Queues), ["default", "full", "img", "empty"]);
        assert_eq!(drop_all(&redis, Kind::Processes), 1);
        assert!(names(&redis, Kind::Processes).is_empty());
    }

    #[test]
    fn what_is_named_between_the_question_and_the_order_stays() {
        let redis = OwnRedis::start();
        let old = NOW - 2.0 * REGISTER_KEPT.as_secs_f64();
        call(&redis, |register, r| _ = name(register, Kind::Queues, &["a", "b", "c"], old, r));
        let stale =
            read_stale(&call(&redis, |register, r| ask_stale(register, Kind::Queues, NOW, r))).unwrap();
        assert_eq!(stale.len(), 3);
        call(&redis, |register, r| _ = name(register, Kind::Queues, &["b"], NOW, r));
        redis.run(&[b"RPUSH", b"jiggler:list:c", b"x"]);
        let dropped = call(&redis, |_, r| drop_stale(JIGGLER, Kind::Queues, &stale, NOW, r));
        assert_eq!(read_dropped(&dropped).unwrap(), 1);
        assert_eq!(names(&redis, Kind::Queues), ["c", "b"]);
    }

    #[test]
    fn many_names_go_in_several_commands() {
        let register = JIGGLER.register().unwrap();
        for (count, commands) in
            [(0, 0), (1, 1), (REGISTER_NAMES_PER_CALL, 1), (REGISTER_NAMES_PER_CALL + 1, 2)]
        {
            let mut requests = Requests::new();
            assert_eq!(name(register, Kind::Queues, &vec!["a"; count], NOW, &mut requests), commands);
            assert_eq!(requests.len_commands(), commands);
        }
    }

    #[test]
    fn only_queues_and_heartbeats_have_a_name() {
        let of = |key| Kind::of_key(JIGGLER, key);
        let heartbeat = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        assert_eq!(of(heartbeat), Some((Kind::Processes, heartbeat)));
        assert_eq!(of("jiggler:list:a"), Some((Kind::Queues, "a")));
        assert_eq!(of("jiggler:list:a:in_progress:d8625f8721eb"), None);
        assert_eq!(of("jiggler:set:dead"), None);
    }
}
