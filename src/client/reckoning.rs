//! By which clock a delay counts: Redis's, for there it is told when a job is due.
//!
//! Redis is asked for its time at the first delay that is pushed over a connection, and again once a minute: one round trip
//! more each time. In between it is reckoned ([`RedisClock`]), so that the clock of this host may be wrong or be set. In a
//! cluster the clock is that of one of its nodes. A server that does not tell its time to this user (the right `+time`)
//! leaves delays to the clock of this host.

use super::Error;
use crate::limits::CLOCK_KEPT;
use crate::net;
use crate::resp::{Reply, Requests};
use crate::store::server;
use crate::time::{Asked, RedisClock};

/// Appends the question, if the clock is not known well enough.
pub(super) fn ask(clock: &RedisClock, requests: &mut Requests) -> Option<Asked> {
    if clock.is_fresh(CLOCK_KEPT) {
        return None;
    }
    server::ask_clock(requests);
    Some(Asked::now())
}

/// Notes the reply.
///
/// # Errors
/// Those of the connection. None of them says that a job may have been pushed: nothing but the question was sent.
pub(super) fn note(clock: &RedisClock, asked: Asked, reply: Result<Reply, Error>) -> Result<(), Error> {
    let reply = match reply {
        Ok(reply) => reply,
        Err(Error::Redis(_)) => {
            clock.note_refused();
            return Ok(());
        }
        Err(Error::Lost(cause)) => return Err(Error::Connect(cause)),
        Err(Error::Stopped { .. }) => return Err(Error::Stopped { may_have_pushed: false }),
        Err(other) => return Err(other),
    };
    match server::clock(&reply) {
        Ok(told) => {
            clock.learn(asked, told);
        }
        Err(error) => {
            let error = net::Error::from(error);
            tracing::debug!(%error, "redis does not tell its time; delays count by the clock of this host");
            clock.note_refused();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::client::{Client, NewJob};
    use crate::own_redis::OwnRedis;

    #[test]
    fn the_clock_is_asked_for_once_a_connection_and_not_at_all_for_jobs_that_are_due_now() {
        let redis = OwnRedis::start();
        let asked = || {
            let reply = redis.run(&[b"INFO", b"commandstats"]);
            let text = String::from_utf8_lossy(reply.as_bulk().unwrap()).into_owned();
            let calls = text.lines().find_map(|line| line.strip_prefix("cmdstat_time:calls="));
            calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
        };
        let job = NewJob::new("N", &[1]).unwrap();
        let mut client = Client::connect(&redis.url_text()).unwrap();
        client.enqueue(&job).unwrap();
        client.enqueue_at(1e10, &job).unwrap();
        assert_eq!(asked(), 0);
        for _ in 0..3 {
            client.enqueue_in(std::time::Duration::from_secs(60), &job).unwrap();
        }
        assert_eq!(asked(), 1);
        redis.run(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]);
        assert!(client.enqueue(&job).is_err(), "the connection is lost");
        client.enqueue_in(std::time::Duration::from_secs(60), &job).unwrap();
        assert_eq!(asked(), 2, "another server may answer over a new one");
    }

    #[test]
    fn a_user_who_may_not_ask_for_the_time_delays_by_the_clock_of_this_host() {
        let redis = OwnRedis::start();
        redis.run(&[b"ACL", b"SETUSER", b"default", b"-time"]);
        let mut client = Client::connect(&redis.url_text()).unwrap();
        let job = NewJob::new("N", &[1]).unwrap();
        client.enqueue_in(std::time::Duration::from_secs(60), &job).unwrap();
        let scores = redis.strings(&[b"ZRANGE", b"jiggler:set:scheduled", b"0", b"-1", b"WITHSCORES"]);
        let due_at: f64 = scores[1].parse().unwrap();
        assert!((due_at - crate::time::unix_now() - 60.0).abs() < 5.0, "{due_at}");
    }
}
