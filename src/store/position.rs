//! How many jobs are taken from a queue before one of them, and how often that one was recovered.
//!
//! A search from the end at which workers take, bounded in Redis itself: `LPOS` compares so many entries and gives up. It
//! finds the first that has these bytes.

use crate::limits::WHY_POSITION_MAX;
use crate::resp::{Error, Reply, Requests};
use crate::wire::{Keyspace, ListName};

/// Where a job is in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// 1: it is taken next; `None`: it is not among the first that were looked at.
    pub nth: Option<u64>,
    /// Jobs in the queue.
    pub of: u64,
}

/// Appends the question where the job with these bytes is: one LPOS and one LLEN. [`read`] reads the two replies.
pub fn ask(keys: Keyspace, queue: &ListName, payload: &[u8], requests: &mut Requests) {
    let key = keys.list(queue);
    let mut command = requests.begin(7);
    command.arg(b"LPOS").arg(&key).arg(payload).arg(b"RANK").arg(b"-1").arg(b"MAXLEN");
    command.arg_u64(WHY_POSITION_MAX);
    drop(command);
    requests.command(&[b"LLEN", &key]);
}

/// Reads the replies to [`ask`].
///
/// # Errors
/// [`Error::Redis`], for example because the user may not ask; [`Error::Unexpected`].
pub fn read(found: &Reply, length: &Reply) -> Result<Position, Error> {
    let of = u64::try_from(length.as_integer()?).unwrap_or(0);
    let from_head = match found.value() {
        crate::resp::Value::Nil => None,
        _ => u64::try_from(found.as_integer()?).ok(),
    };
    Ok(Position { nth: from_head.map(|at| of.saturating_sub(at)), of })
}

/// Appends the question how often the job with this jid was recovered: one HGET. [`read_recoveries`] reads the reply.
pub fn ask_recoveries(keys: Keyspace, queue: &str, jid: &str, requests: &mut Requests) {
    requests.command(&[b"HGET", [&keys.recoveries_prefix(queue), jid].concat().as_bytes(), b"n"]);
}

/// Reads the reply to [`ask_recoveries`]; 0 if it never was.
///
/// # Errors
/// [`Error::Redis`], [`Error::Unexpected`].
pub fn read_recoveries(reply: &Reply) -> Result<u64, Error> {
    let text = reply.as_nil_or_bulk()?.and_then(|text| std::str::from_utf8(text).ok());
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}
