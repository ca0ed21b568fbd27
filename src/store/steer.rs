//! Telling one process, wherever it runs, to become quiet or to stop: a channel on which only it listens, or for a process
//! of Sidekiq the list of its signals.
//!
//! A message reaches a process only if it listens at that moment; Redis stores it nowhere and tells the sender whether
//! anybody received it. The figures of the process show the effect.

use super::cancel;
use crate::limits::IDENTITY_TTL_S;
use crate::resp::{Error, RedisUrl, Reply, Requests, Value};
use crate::wire::sidekiq_process::signals_key;
use crate::wire::{Keyspace, figures};

/// What a process is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SteerRequest {
    /// Take no more jobs.
    Quiet,
    /// Stop as on SIGTERM: running jobs have the process's own timeout.
    Stop,
    /// Stop and hand running jobs back at once.
    StopNow,
}

impl SteerRequest {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Stop => "stop",
            Self::StopNow => "stop now",
        }
    }

    /// Reads a message; `None` if this version does not know the request.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Quiet, Self::Stop, Self::StopNow].into_iter().find(|request| request.as_str() == text)
    }
}

/// The message that asks a process to report about itself once a second for a while: someone is looking at it.
pub const WATCH: &str = "watch";

/// Appends that message to the process `uuid` of this database: one PUBLISH. [`heard`] reads the reply.
pub fn watch(keys: Keyspace, database: u32, uuid: &str, requests: &mut Requests) {
    requests.command(&[b"PUBLISH", keys.steer_channel(database, uuid).as_bytes(), WATCH.as_bytes()]);
}

/// Appends a request to the process `uuid` of this database: one PUBLISH. [`heard`] reads the reply.
pub fn publish(keys: Keyspace, database: u32, uuid: &str, request: SteerRequest, requests: &mut Requests) {
    requests.command(&[
        b"PUBLISH",
        keys.steer_channel(database, uuid).as_bytes(),
        request.as_str().as_bytes(),
    ]);
}

/// How many commands [`signal`] appends.
pub const SIGNAL_COMMANDS: usize = 2;

/// How many commands [`ask_signalled`] appends.
pub const SIGNALLED_COMMANDS: usize = 2;

/// Whether the processes of others look for signals in Redis.
#[must_use]
pub fn takes_signals(keys: Keyspace) -> bool {
    keys.names().registries.is_some()
}

/// Appends the signal that asks a process of others for this, by its identity, as the API of its gem does: it obeys with its
/// next heartbeat. The first reply is the length of the list.
pub fn signal(identity: &str, request: SteerRequest, requests: &mut Requests) {
    let key = signals_key(identity);
    let signal: &[u8] = if request == SteerRequest::Quiet { b"TSTP" } else { b"TERM" };
    requests.command(&[b"LPUSH", key.as_bytes(), signal]);
    requests.begin(3).arg(b"EXPIRE").arg(key.as_bytes()).arg_u64(IDENTITY_TTL_S);
}

/// Appends the question what became of such a process. [`signalled`] reads the replies.
pub fn ask_signalled(keys: Keyspace, identity: &str, requests: &mut Requests) {
    let Some(registries) = &keys.names().registries else { return };
    requests.command(&[b"SMISMEMBER", registries.processes.as_bytes(), identity.as_bytes()]);
    requests.command(&[b"HGET", identity.as_bytes(), b"quiet"]);
}

/// Its phase; `None` if it has left.
///
/// # Errors
/// [`Error::Redis`], [`Error::Unexpected`].
pub fn signalled(replies: &[Reply]) -> Result<Option<String>, Error> {
    let [registered, quiet] = replies else {
        return Err(Error::Unexpected { expected: "two replies", got: replies.len().to_string() });
    };
    let is_registered =
        registered.as_array()?.next().is_some_and(|one| one.as_integer().is_ok_and(|one| one == 1));
    let quiet = quiet.as_nil_or_bulk()?.filter(|_| is_registered);
    Ok(quiet.map(|quiet| if quiet == b"true" { "quiet" } else { "running" }.to_owned()))
}

/// Whether the process listens, from the reply to [`publish`].
///
/// # Errors
/// [`Error::Redis`], [`Error::Unexpected`].
pub fn heard(reply: &Reply) -> Result<bool, Error> {
    Ok(cancel::told(reply)? > 0)
}

/// Appends the subscription of the process `uuid`. One array confirms it; after that each message is an array.
pub fn subscribe(keys: Keyspace, database: u32, uuid: &str, requests: &mut Requests) {
    requests.command(&[b"SUBSCRIBE", keys.steer_channel(database, uuid).as_bytes()]);
}

/// The text of a message to the process `uuid`; `None` if it came on another channel, or is not a message, or not text.
///
/// # Errors
/// If it is an error, or not an array.
pub fn message<'m>(
    message: &'m Reply,
    keys: Keyspace,
    database: u32,
    uuid: &str,
) -> Result<Option<&'m str>, Error> {
    let mut parts = message.as_array()?;
    let (Some(Value::Bulk(b"message")), Some(Value::Bulk(channel)), Some(Value::Bulk(text))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let ours = channel == keys.steer_channel(database, uuid).as_bytes();
    Ok(ours.then(|| std::str::from_utf8(text).unwrap_or("no text")))
}

/// The url at which to publish and to listen on the channels of cancellations and of steering. A cluster forwards a message
/// from any node to all others, but tells the publisher only about the listeners at its own node: so everyone meets at the
/// node that has the slot of one channel's name.
#[must_use]
pub fn url(url: &RedisUrl, keys: Keyspace) -> RedisUrl {
    url.at_key(keys.cancel_channel(url.database()).as_bytes())
}

/// Appends the question which phase these processes are in: one MGET of their figures. [`phases`] reads the reply.
pub fn ask_phases(keys: Keyspace, uuids: &[&str], requests: &mut Requests) {
    let mut command = requests.begin(1 + uuids.len());
    command.arg(b"MGET");
    for uuid in uuids {
        command.arg(keys.process(uuid).as_bytes());
    }
}

/// The phase of each, in the order they were asked for; `None` if it no longer has figures. Anything but JSON is an unknown
/// phase.
///
/// # Errors
/// [`Error::Redis`], [`Error::Unexpected`].
pub fn phases(reply: &Reply) -> Result<Vec<Option<String>>, Error> {
    let phase = |value: Value<'_>| {
        let json = value.as_nil_or_bulk()?;
        Ok(json
            .map(|json| figures::parse(json).map_or_else(|_| "unknown".to_owned(), |figures| figures.phase)))
    };
    reply.as_array()?.map(phase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_read_back_and_other_words_do_not() {
        for request in [SteerRequest::Quiet, SteerRequest::Stop, SteerRequest::StopNow] {
            assert_eq!(SteerRequest::parse(request.as_str()), Some(request));
        }
        for other in ["", "Quiet", "stop  now", "dance", WATCH] {
            assert_eq!(SteerRequest::parse(other), None, "{other}");
        }
    }
}
