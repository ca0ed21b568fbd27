//! Pausing and resuming queues and classes of jobs for a whole fleet: one text that is read and replaced, and a bell on a
//! channel that every process hears.
//!
//! The bell says only that the text has changed: a process that hears it reads the text, so bells may be lost, repeated or
//! come in any order. A process reads it when it starts, at each bell, and whenever it begins to listen anew.
//!
//! Beside Sidekiq, queues may also be in a set of its Pro edition. Nobody rings for that, so processes look with each
//! heartbeat.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::PAUSES_MAX;
use crate::resp::{Error, RedisUrl, Reply, Requests, Value};
use crate::wire::Keyspace;
use crate::wire::paused::{Pause, Paused};

/// The script that changes the text: called by its text, because it runs a few times a day.
const SCRIPT: &str = include_str!("scripts/pause.lua");

/// The script's source.
#[must_use]
pub const fn source() -> &'static str {
    SCRIPT
}

/// Where the text is, and where the bell rings: in a cluster the node that has the slot of both.
#[must_use]
pub fn url(url: &RedisUrl, keys: Keyspace) -> RedisUrl {
    super::steer::url(url, keys)
}

/// Appends the question what is paused: one GET. [`read`] reads the reply.
pub fn ask(keys: Keyspace, database: u32, requests: &mut Requests) {
    requests.command(&[b"GET", keys.paused(database).as_bytes()]);
}

/// Appends the question which queues the programs of others have paused, if there are such: one SMEMBERS, read by
/// [`read_of_others`]. Returns whether there is a question.
pub fn ask_of_others(keys: Keyspace, requests: &mut Requests) -> bool {
    let Some(registries) = &keys.names().registries else { return false };
    requests.command(&[b"SMEMBERS", registries.paused.as_bytes()]);
    true
}

/// The pauses that a reply to [`ask_of_others`] names, no more than ours may be. Whatever else is stored there pauses
/// nothing.
#[must_use]
pub fn read_of_others(reply: &Reply) -> BTreeMap<String, Pause> {
    let names =
        reply.as_array().into_iter().flatten().filter_map(|name| name.as_bulk().ok().map(<[u8]>::to_vec));
    let names = names.take(PAUSES_MAX).filter_map(|name| String::from_utf8(name).ok());
    names.map(|name| (name, Pause::of_others())).collect()
}

/// Appends the same question about the queues that a process serves: one SMISMEMBER, read by [`read_served`].
pub fn ask_served(keys: Keyspace, queues: &[String], requests: &mut Requests) {
    let Some(registries) = &keys.names().registries else { return };
    let mut command = requests.begin(2 + queues.len());
    command.arg(b"SMISMEMBER").arg(registries.paused.as_bytes());
    queues.iter().for_each(|queue| _ = command.arg(queue.as_bytes()));
}

/// Which of these queues are paused, from the reply to [`ask_served`].
///
/// # Errors
/// [`Error::Redis`], for example because the key is not a set; [`Error::Unexpected`].
pub fn read_served(queues: &[String], reply: &Reply) -> Result<BTreeSet<String>, Error> {
    let mut paused = BTreeSet::new();
    for (queue, is_paused) in queues.iter().zip(reply.as_array()?) {
        if is_paused.as_integer()? == 1 {
            paused.insert(queue.clone());
        }
    }
    Ok(paused)
}

/// What is stored, as it is: for [`change`].
///
/// # Errors
/// [`Error::Redis`], for example because the key is not a string; [`Error::Unexpected`].
pub fn stored(reply: &Reply) -> Result<Option<&[u8]>, Error> {
    reply.as_nil_or_bulk()
}

/// What is paused, from the reply to [`ask`].
///
/// # Errors
/// As [`stored`], and [`Error::Unexpected`] if the text is not ours.
pub fn read(reply: &Reply) -> Result<Paused, Error> {
    Paused::parse(stored(reply)?)
        .map_err(|error| Error::Unexpected { expected: "a list of pauses", got: error.to_string() })
}

/// Appends the replacement of the text, if it still is what was read, and the bell: one EVAL, atomic. [`changed`] reads the
/// reply.
pub fn change(keys: Keyspace, database: u32, before: Option<&[u8]>, after: &Paused, requests: &mut Requests) {
    let after = after.to_stored().unwrap_or_default();
    let mut command = requests.begin(7);
    command.arg(b"EVAL").arg(SCRIPT.as_bytes()).arg_u64(1).arg(keys.paused(database).as_bytes());
    command.arg(before.unwrap_or_default()).arg(after.as_bytes());
    command.arg(keys.fleet_channel(database).as_bytes());
}

/// Whether the text was replaced, and how many processes heard the bell; `None`: somebody else has changed it meanwhile.
///
/// # Errors
/// [`Error::Redis`], [`Error::Unexpected`].
pub fn changed(reply: &Reply) -> Result<Option<u64>, Error> {
    Ok(u64::try_from(reply.as_integer()?).ok())
}

/// Appends the subscription to the bell. One array confirms it; after that each message is an array ([`is_bell`]).
pub fn subscribe(keys: Keyspace, database: u32, requests: &mut Requests) {
    requests.command(&[b"SUBSCRIBE", keys.fleet_channel(database).as_bytes()]);
}

/// Whether a message is the bell, or anything else on its channel.
///
/// # Errors
/// If it is an error, or not an array.
pub fn is_bell(message: &Reply, keys: Keyspace, database: u32) -> Result<bool, Error> {
    let mut parts = message.as_array()?;
    let (Some(Value::Bulk(b"message")), Some(Value::Bulk(channel))) = (parts.next(), parts.next()) else {
        return Ok(false);
    };
    Ok(channel == keys.fleet_channel(database).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::blocking::BlockingConnection;
    use crate::own_redis::OwnRedis;
    use crate::wire::keys::{JIGGLER, SIDEKIQ};

    fn call(conn: &mut BlockingConnection, write: impl Fn(&mut Requests)) -> Reply {
        let mut requests = Requests::new();
        write(&mut requests);
        conn.call_one(&requests).unwrap()
    }

    #[test]
    fn queues_that_others_have_paused_are_read_from_their_set() {
        let redis = OwnRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        redis.run(&[b"SADD", b"paused", b"img", b"a:b", b"\xff"]);
        let queues = ["a".to_owned(), "a:b".to_owned()];
        let reply = call(&mut conn, |requests| ask_served(SIDEKIQ, &queues, requests));
        assert_eq!(read_served(&queues, &reply).unwrap(), ["a:b".to_owned()].into());
        let reply = call(&mut conn, |requests| assert!(ask_of_others(SIDEKIQ, requests)));
        let names: Vec<String> = read_of_others(&reply).into_keys().collect();
        assert_eq!(names, ["a:b", "img"]);
        assert!(!ask_of_others(JIGGLER, &mut Requests::new()));
        redis.run(&[b"SET", b"paused", b"x"]);
        let mut requests = Requests::new();
        ask_served(SIDEKIQ, &queues, &mut requests);
        assert!(read_served(&queues, &conn.call(&requests).unwrap()[0]).is_err());
    }

    #[test]
    fn a_change_is_made_only_to_what_was_read_and_rings_for_those_who_listen() {
        let redis = OwnRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        let mut hears = BlockingConnection::connect(&redis.url()).unwrap();
        call(&mut hears, |requests| subscribe(JIGGLER, 0, requests));
        let mut paused = Paused::default();
        let mut put = |before: Option<&[u8]>, after: &Paused| {
            changed(&call(&mut conn, |requests| change(JIGGLER, 0, before, after, requests))).unwrap()
        };
        assert_eq!(put(None, &paused), Some(1), "nothing before, nothing after");
        paused.queues.insert("img".to_owned(), Pause::default());
        assert_eq!(put(Some(b"other"), &paused), None);
        assert_eq!(put(None, &paused), Some(1));
        assert_eq!(put(None, &paused), None, "it is there by now");
        let stored = paused.to_stored().unwrap();
        assert_eq!(redis.run(&[b"GET", b"jiggler:uring:paused"]).as_bulk().unwrap(), stored.as_bytes());
        assert_eq!(put(Some(stored.as_bytes()), &Paused::default()), Some(1));
        assert!(redis.strings(&[b"KEYS", b"*"]).is_empty());
        let reply = call(&mut conn, |requests| ask(JIGGLER, 0, requests));
        assert_eq!(read(&reply).unwrap(), Paused::default());
        redis.run(&[b"SET", b"jiggler:uring:paused", b"[]"]);
        let reply = call(&mut conn, |requests| ask(JIGGLER, 0, requests));
        assert!(read(&reply).is_err());
    }
}
