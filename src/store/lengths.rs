//! How many jobs wait in queues, and being told when that changes: Redis tracks the keys that a connection has read
//! (`CLIENT TRACKING`, [`super::due::listen`]), and says once of each that it was written to.

use crate::resp::{Error, Reply, Requests, Value};
use crate::wire::Keyspace;

/// Appends the question how many jobs wait in each of these queues. An integer for each; [`read`] reads it.
pub fn ask<'q>(keys: Keyspace, queues: impl IntoIterator<Item = &'q str>, requests: &mut Requests) {
    for queue in queues {
        requests.command(&[b"LLEN", keys.queue(queue).as_bytes()]);
    }
}

/// Reads an answer to [`ask`]; a key that is no list counts as empty.
#[must_use]
pub fn read(reply: &Reply) -> u64 {
    reply.as_integer().ok().and_then(|jobs| u64::try_from(jobs).ok()).unwrap_or(0)
}

/// Appends a question after this key for no other reason than to hear when it is written to next. An integer answers.
pub fn track(key: &str, requests: &mut Requests) {
    requests.command(&[b"EXISTS", key.as_bytes()]);
}

/// What a push says.
#[derive(Debug, PartialEq, Eq)]
pub enum Changed<'p> {
    /// These keys were written to, or Redis does not track them any longer.
    Keys(Vec<&'p [u8]>),
    /// All of them: a database was emptied.
    All,
}

/// Reads a push; `None` if it is about something else.
#[must_use]
pub fn changed(push: &Reply) -> Option<Changed<'_>> {
    let mut parts = push.as_array().ok()?;
    let (Some(Value::Bulk(b"invalidate")), Some(what)) = (parts.next(), parts.next()) else { return None };
    match what {
        Value::Nil => Some(Changed::All),
        Value::Array(keys) => Some(Changed::Keys(
            keys.filter_map(|key| match key {
                Value::Bulk(key) => Some(key),
                _ => None,
            })
            .collect(),
        )),
        _ => None,
    }
}

/// Appends the question which processes of this database listen for requests: `PUBSUB CHANNELS`. [`read_processes`] reads
/// the reply.
pub fn ask_processes(keys: Keyspace, database: u32, requests: &mut Requests) {
    requests.command(&[b"PUBSUB", b"CHANNELS", keys.steer_channel(database, "*").as_bytes()]);
}

/// The channels of the processes, from the reply to [`ask_processes`], sorted.
///
/// # Errors
/// If it is an error (the user may not ask), or no array.
pub fn read_processes(keys: Keyspace, database: u32, reply: &Reply) -> Result<Vec<Box<[u8]>>, Error> {
    let mut channels = Vec::new();
    for channel in reply.as_array()? {
        let channel = channel.as_bulk()?;
        // The one that fits the pattern and belongs to none.
        if channel != keys.slots_channel(database).as_bytes() {
            channels.push(Box::from(channel));
        }
    }
    channels.sort_unstable();
    Ok(channels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::decode::Decoder;

    fn push(bytes: &[u8]) -> Reply {
        let mut decoder = Decoder::default();
        decoder.speak_resp3();
        decoder.feed(bytes);
        decoder.next_reply().unwrap().unwrap()
    }

    #[test]
    fn a_push_names_the_keys_that_changed_or_all() {
        let keys = push(b">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$2\r\nbc\r\n");
        assert_eq!(changed(&keys), Some(Changed::Keys(vec![b"a", b"bc"])));
        assert_eq!(changed(&push(b">2\r\n$10\r\ninvalidate\r\n_\r\n")), Some(Changed::All));
        assert_eq!(changed(&push(b">2\r\n$7\r\nmessage\r\n$1\r\na\r\n")), None);
        assert_eq!(changed(&push(b">1\r\n$10\r\ninvalidate\r\n")), None);
    }
}
