//! What waits: when the next jobs of the sets are due, and which job of each queue is taken next.

use crate::limits::WAITS_JOB_BYTES;
use crate::resp::{Error, Reply, Requests, Value};
use crate::wire::Keyspace;

const SCRIPT: &str = include_str!("scripts/waits.lua");

/// When the first job of each set is due, Unix seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct NextDue {
    /// Of the retry set.
    pub retries: Option<f64>,
    /// Of the scheduled set.
    pub scheduled: Option<f64>,
}

/// The job that is taken next from a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextJob<'r> {
    /// The beginning of its payload, at most [`WAITS_JOB_BYTES`]: enough for all members of most.
    pub head: &'r [u8],
    /// Bytes that it has.
    pub size: u64,
}

/// Appends the question about the sets and these queues: one EVAL, read by [`read`]. Not in a cluster, where keys lie on
/// several nodes.
pub fn ask<'q>(keys: Keyspace, queues: impl ExactSizeIterator<Item = &'q str>, requests: &mut Requests) {
    let names = keys.names();
    let lists = queues.len();
    let mut command = requests.begin(3 + 2 + lists + 1);
    command.arg(b"EVAL").arg(SCRIPT.as_bytes()).arg_u64(2 + lists as u64);
    command.arg(names.retries.as_bytes()).arg(names.scheduled.as_bytes());
    for queue in queues {
        command.arg(keys.queue(queue).as_bytes());
    }
    command.arg_u64(WAITS_JOB_BYTES as u64);
}

/// Reads the reply to [`ask`]: the sets, and for each queue in order the job that is next; `None`: it has none.
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read(reply: &Reply) -> Result<(NextDue, Vec<Option<NextJob<'_>>>), Error> {
    let shape = || reply.value().instead_of("two scores, and a text and a size for each queue");
    let mut parts = reply.as_array()?;
    let mut score = || -> Result<Option<f64>, Error> {
        let text = parts.next().ok_or_else(shape)?.as_bulk()?;
        Ok(std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|at: &f64| at.is_finite()))
    };
    let due = NextDue { retries: score()?, scheduled: score()? };
    let mut next = Vec::new();
    while let Some(head) = parts.next() {
        let (Value::Bulk(head), Some(size)) = (head, parts.next()) else { return Err(shape()) };
        let size = u64::try_from(size.as_integer()?).unwrap_or(0);
        next.push((size > 0).then_some(NextJob { head, size }));
    }
    Ok((due, next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;
    use crate::wire::Dialect;

    #[test]
    fn the_next_jobs_are_told_and_what_is_spoilt_is_left_out() {
        let redis = OwnRedis::start();
        let keys = Dialect::Jiggler.keys(false);
        let list = |queue: &str| keys.queue(queue);
        redis.run(&[b"LPUSH", list("a").as_bytes(), b"first", b"second"]);
        redis.run(&[b"LPUSH", list("long").as_bytes(), "x".repeat(WAITS_JOB_BYTES + 1).as_bytes()]);
        redis.run(&[b"SET", list("spoilt").as_bytes(), b"x"]);
        redis.run(&[b"ZADD", keys.names().retries.as_bytes(), b"7.5", b"x", b"9", b"y"]);
        let look = || {
            let mut requests = Requests::new();
            ask(keys, ["a", "none", "spoilt", "long"].into_iter(), &mut requests);
            redis.connect().call_one(&requests).unwrap()
        };
        let reply = look();
        let (due, next) = read(&reply).unwrap();
        assert_eq!(due, NextDue { retries: Some(7.5), scheduled: None });
        assert_eq!(next[0], Some(NextJob { head: b"first", size: 5 }));
        assert_eq!((next[1], next[2]), (None, None));
        let long = next[3].unwrap();
        assert_eq!((long.head.len(), long.size), (WAITS_JOB_BYTES, WAITS_JOB_BYTES as u64 + 1));
        redis.run(&[b"SET", keys.names().scheduled.as_bytes(), b"x"]);
        assert_eq!(read(&look()).unwrap().0, due, "a spoilt set");
    }
}
