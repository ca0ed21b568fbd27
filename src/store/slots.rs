//! Telling other processes how many slots one gives to its queues, and hearing it: a channel of the database, of which
//! nothing is kept. Processes that do not give slots to queues neither tell nor listen.

use crate::resp::{Error, Reply, Requests, Value};
use crate::wire::Keyspace;
use crate::wire::slots::SlotsNews;

/// Appends a message: one PUBLISH. [`told`] reads the reply. In a cluster any node passes it on to all.
pub fn tell(keys: Keyspace, database: u32, news: &SlotsNews, requests: &mut Requests) {
    requests.command(&[b"PUBLISH", keys.slots_channel(database).as_bytes(), news.to_json().as_bytes()]);
}

/// Whether the message went out, from the reply to [`tell`].
///
/// # Errors
/// [`Error::Redis`], [`Error::Unexpected`].
pub fn told(reply: &Reply) -> Result<(), Error> {
    reply.as_integer().map(drop)
}

/// Appends the subscription. One array confirms it; after that each message is an array ([`heard`]).
pub fn subscribe(keys: Keyspace, database: u32, requests: &mut Requests) {
    requests.command(&[b"SUBSCRIBE", keys.slots_channel(database).as_bytes()]);
}

/// The bytes of a message that came on this channel; `None` if it came on another.
///
/// # Errors
/// If it is an error, or not an array.
pub fn heard(message: &Reply, keys: Keyspace, database: u32) -> Result<Option<&[u8]>, Error> {
    let mut parts = message.as_array()?;
    let (Some(Value::Bulk(b"message")), Some(Value::Bulk(channel)), Some(Value::Bulk(text))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    Ok((channel == keys.slots_channel(database).as_bytes()).then_some(text))
}
