//! Cancelling running jobs: a channel on which every process listens for jids.
//!
//! A message reaches the processes that listen at that moment and is stored nowhere: a job that is not running by then is
//! not cancelled later.

use crate::resp::{Error, Reply, Requests, Value};
use crate::wire::Keyspace;

/// Appends the request that the job with this jid end, wherever it runs in this database: one PUBLISH, read by [`told`].
pub fn publish(keys: Keyspace, database: u32, jid: &str, requests: &mut Requests) {
    requests.command(&[b"PUBLISH", keys.cancel_channel(database).as_bytes(), jid.as_bytes()]);
}

/// How many processes received it, from the reply to [`publish`].
///
/// # Errors
/// [`Error::Redis`], [`Error::Unexpected`].
pub fn told(reply: &Reply) -> Result<u64, Error> {
    let count = reply.as_integer()?;
    u64::try_from(count).map_err(|_| Error::Unexpected {
        expected: "a number of listeners",
        got: format!("the integer {count}"),
    })
}

/// Appends the subscription. One array confirms it; after that each message is an array ([`wanted`]).
pub fn subscribe(keys: Keyspace, database: u32, requests: &mut Requests) {
    requests.command(&[b"SUBSCRIBE", keys.cancel_channel(database).as_bytes()]);
}

/// The jid in a message; `None` if it is not a message, or holds no text.
///
/// # Errors
/// If it is an error, or not an array.
pub fn wanted(message: &Reply) -> Result<Option<&str>, Error> {
    let mut parts = message.as_array()?;
    let (Some(Value::Bulk(b"message")), _, Some(Value::Bulk(jid))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    Ok(std::str::from_utf8(jid).ok())
}
