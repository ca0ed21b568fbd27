//! Ruby servers with a poller next to our workers: which of those that a look has found are alive.
//!
//! The gem's poller and requeuer read a SCAN up to its first page without a match, so next to other keys they take living
//! servers for dead. Nothing in this project can fix that; it can only report it.

use serde::Deserialize;

use super::ruby_lists::Seen;
use super::server;
use crate::limits::{LEASE, RUBY_POLLERS_READ_MAX};
use crate::resp::{Error, Reply, Requests};

/// The part of a heartbeat that shows whether its server lives.
#[derive(Deserialize)]
struct Beat {
    heartbeat: f64,
}

/// Appends the questions which of the servers with a poller and without a lease live, at most [`RUBY_POLLERS_READ_MAX`] of
/// them. [`count_living`] reads the two replies. `false` if there are no such servers.
pub fn ask_living(seen: &Seen, requests: &mut Requests) -> bool {
    if seen.pollers.is_empty() {
        return false;
    }
    server::ask_clock(requests);
    let keys = seen.pollers.values().take(RUBY_POLLERS_READ_MAX);
    let mut command = requests.begin(1 + keys.len());
    command.arg(b"MGET");
    for key in keys {
        command.arg(key.as_bytes());
    }
    true
}

/// How many of them have sent a heartbeat within the length of a lease. Any process of ours that has done so has a lease,
/// even if it was killed since: so these are Ruby's.
///
/// # Errors
/// If a reply is an error, or not of the command's shape.
pub fn count_living(replies: &[Reply]) -> Result<usize, Error> {
    let [clock, beats] = replies else {
        let got = format!("{} replies", replies.len());
        return Err(Error::Unexpected { expected: "a time and heartbeats", got });
    };
    let now = server::clock(clock)?.as_secs_f64();
    let mut living = 0;
    for beat in beats.as_array()? {
        // Nil: it has expired meanwhile.
        let beat = beat.as_nil_or_bulk()?.and_then(|json| serde_json::from_slice::<Beat>(json).ok());
        living += usize::from(beat.is_some_and(|beat| (now - beat.heartbeat).abs() < LEASE.as_secs_f64()));
    }
    Ok(living)
}

#[cfg(test)]
mod tests {
    use super::super::ruby_lists::Look;
    use super::*;
    use crate::net::blocking::BlockingConnection;
    use crate::own_redis::OwnRedis;
    use crate::wire::{keys::JIGGLER, lease};

    fn call(redis: &OwnRedis, requests: &Requests) -> Vec<Reply> {
        BlockingConnection::connect(&redis.url()).unwrap().call(requests).unwrap()
    }

    /// How many living Ruby servers with a poller a look finds.
    fn living(redis: &OwnRedis) -> usize {
        let (mut look, mut requests) = (Look::new(JIGGLER), Requests::new());
        while look.write(&mut requests) {
            look.accept(&call(redis, &requests).pop().unwrap()).unwrap();
            requests.clear();
        }
        let seen = look.finish();
        if !ask_living(&seen, &mut requests) {
            return 0;
        }
        count_living(&call(redis, &requests)).unwrap()
    }

    #[test]
    fn living_servers_with_a_poller_and_without_a_lease_are_counted_and_no_others() {
        let redis = OwnRedis::start();
        let mut requests = Requests::new();
        server::ask_clock(&mut requests);
        let now = server::clock(&call(&redis, &requests)[0]).unwrap().as_secs_f64();
        let beat = |uuid: &str, poller: u8, at: f64| {
            let key = format!("jiggler:svr:{uuid}:3:25:default:{poller}:1:7:vm");
            let value = format!(r#"{{"heartbeat":{at},"rss":1,"current_jobs":{{}}}}"#);
            redis.run(&[b"SET", key.as_bytes(), value.as_bytes()]);
        };
        assert_eq!(living(&redis), 0);
        beat("aaaaaaaaaaaa", 0, now);
        beat("bbbbbbbbbbbb", 1, now - LEASE.as_secs_f64() - 1.0);
        beat("cccccccccccc", 1, now);
        let member = lease::lease_member("cccccccccccc", 1, &["default"]);
        redis.run(&[b"ZADD", JIGGLER.names().leases.as_bytes(), b"1", member.as_bytes()]);
        redis.run(&[b"SET", b"jiggler:svr:dddddddddddd:3:25:default:1:1:7:vm", b"no heartbeat"]);
        assert_eq!(living(&redis), 0, "none has a poller, lives and is Ruby's");
        beat("eeeeeeeeeeee", 1, now - 5.0);
        beat("ffffffffffff", 1, now + 2.0);
        assert_eq!(living(&redis), 2);
    }
}
