//! Pushing jobs once each, even if it is unknown whether they were pushed before.
//!
//! Each job of an outbox has a number, and each [target](super::enqueue::Target) has a marker next to it: the number
//! of the last job it received. One script pushes what is beyond the marker and moves it. The script is called by its text,
//! about 700 bytes a batch, so an empty script cache cannot matter.

use super::enqueue::Push;
use crate::limits::OUTBOX_MEMORY;
use crate::resp::{Error, Reply, Requests};
use crate::wire::keys::outbox_marker;

/// The Lua source.
const PUSH: &str = include_str!("scripts/outbox.lua");

/// A job of an outbox, as passed to the script.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<'j> {
    /// Its number: each job of one opening of an outbox has a higher number than those before it.
    pub number: u64,
    /// When it is due: Unix time in seconds. `None` for a queue; jobs of a set may be due at different times.
    pub due_at: Option<f64>,
    /// Its payload.
    pub payload: &'j [u8],
}

/// Pushes to one target that push no job twice: the marker of one opening of an outbox guards them.
#[derive(Clone, Copy, Debug)]
pub struct Guarded<'p> {
    push: Push<'p>,
    opening: &'p str,
}

impl<'p> Push<'p> {
    /// The same with a guard: the marker of this opening, next to its target.
    #[must_use]
    pub const fn guarded_by(self, opening: &'p str) -> Guarded<'p> {
        Guarded { push: self, opening }
    }
}

impl Guarded<'_> {
    /// Appends the push of jobs for its target, in the order of their numbers: one EVAL, one reply ([`pushed`]), atomic. At
    /// most [`PUSH_JOBS_MAX`](crate::limits::PUSH_JOBS_MAX): Lua can unpack about 8,000 values.
    pub fn write(&self, jobs: &[Numbered<'_>], requests: &mut Requests) {
        let key = self.push.key();
        let marker = outbox_marker(&key, self.opening);
        let registry = self.push.registry();
        let mut command = requests.begin(6 + usize::from(registry.is_some()) + 3 * jobs.len());
        command.arg(b"EVAL").arg(PUSH.as_bytes()).arg_u64(if registry.is_some() { 3 } else { 2 });
        command.arg(key.as_bytes()).arg(marker.as_bytes());
        if let Some(registry) = registry {
            command.arg(registry.as_bytes());
        }
        command.arg_u64(OUTBOX_MEMORY.as_secs());
        for job in jobs {
            command.arg_u64(job.number);
            match job.due_at {
                None => command.arg(b""),
                Some(due_at) => command.arg_f64(due_at),
            };
            command.arg(job.payload);
        }
    }
}

/// Reads the reply to [`Guarded::write`]: how many jobs were pushed now; the others had been pushed before.
///
/// # Errors
/// [`Error::Redis`]: nothing was pushed; [`Error::Unexpected`].
pub fn pushed(reply: &Reply) -> Result<u64, Error> {
    let number = reply.as_integer()?;
    u64::try_from(number)
        .map_err(|_| Error::Unexpected { expected: "a number of jobs", got: format!("the integer {number}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PUSH_JOBS_MAX;
    use crate::net;
    use crate::own_redis::OwnRedis;
    use crate::store::enqueue::When;
    use crate::wire::{QueueName, keys::JIGGLER};

    fn call(
        redis: &OwnRedis,
        push: Push<'_>,
        opening: &str,
        jobs: &[Numbered<'_>],
    ) -> Result<u64, net::Error> {
        let mut requests = Requests::new();
        push.guarded_by(opening).write(jobs, &mut requests);
        Ok(pushed(&redis.connect().call_one(&requests)?)?)
    }

    fn to(queue: &QueueName, when: When) -> Push<'_> {
        Push { keys: JIGGLER, queue, when }
    }

    fn numbered(number: u64, payload: &str) -> Numbered<'_> {
        Numbered { number, due_at: None, payload: payload.as_bytes() }
    }

    #[test]
    fn each_job_is_pushed_once_however_often_and_late_it_is_sent() {
        let redis = OwnRedis::start();
        let name = QueueName::new("img").unwrap();
        let queue = to(&name, When::Now);
        let (a, b, c) = (numbered(1, "a"), numbered(9, "b"), numbered(10, "c"));
        assert_eq!(call(&redis, queue, "x", &[a]).unwrap(), 1);
        assert_eq!(call(&redis, queue, "x", &[a, b]).unwrap(), 1, "the overlap of a repeated batch");
        assert_eq!(call(&redis, queue, "x", &[a, b, c]).unwrap(), 1);
        assert_eq!(call(&redis, queue, "x", &[b]).unwrap(), 0, "delayed on its way");
        assert_eq!(call(&redis, queue, "y", &[a]).unwrap(), 1, "another outbox counts for itself");
        assert_eq!(redis.strings(&[b"LRANGE", b"jiggler:list:img", b"0", b"-1"]), ["a", "c", "b", "a"]);
        let ttl = redis.run(&[b"TTL", b"{jiggler:list:img}:outbox:x"]).as_integer().unwrap();
        assert!(ttl > 0 && ttl <= OUTBOX_MEMORY.as_secs() as i64, "{ttl}");
    }

    #[test]
    fn scheduled_jobs_are_added_once_although_a_poller_took_them_meanwhile() {
        let redis = OwnRedis::start();
        let job = Numbered { number: 3, due_at: Some(1_795_299_801.5), payload: b"a" };
        let name = QueueName::default();
        let later = to(&name, When::At(1_795_299_801.5));
        assert_eq!(call(&redis, later, "x", &[job]).unwrap(), 1);
        let stored = redis.strings(&[b"ZRANGE", b"jiggler:set:scheduled", b"0", b"-1", b"WITHSCORES"]);
        assert_eq!(stored, ["a", "1795299801.5"]);
        redis.run(&[b"DEL", b"jiggler:set:scheduled"]);
        assert_eq!(call(&redis, later, "x", &[job]).unwrap(), 0);
        assert_eq!(redis.run(&[b"EXISTS", b"jiggler:set:scheduled"]).as_integer().unwrap(), 0);
    }

    #[test]
    fn the_largest_batch_fits_and_numbers_stay_whole() {
        let redis = OwnRedis::start();
        let first = (1_u64 << 53) - 2 * PUSH_JOBS_MAX as u64;
        let jobs: Vec<_> = (0..PUSH_JOBS_MAX as u64).map(|at| numbered(first + at, "{}")).collect();
        let name = QueueName::default();
        let queue = to(&name, When::Now);
        assert_eq!(call(&redis, queue, "x", &jobs).unwrap(), PUSH_JOBS_MAX as u64);
        assert_eq!(call(&redis, queue, "x", &jobs).unwrap(), 0);
        let due: Vec<_> = jobs.iter().map(|job| Numbered { due_at: Some(1.0), ..*job }).collect();
        assert_eq!(call(&redis, to(&name, When::At(1.0)), "x", &due).unwrap(), PUSH_JOBS_MAX as u64);
        let marker = redis.run(&[b"GET", b"{jiggler:list:default}:outbox:x"]);
        assert_eq!(marker.as_bulk().unwrap(), (first + PUSH_JOBS_MAX as u64 - 1).to_string().as_bytes());
    }

    #[test]
    fn a_refused_push_moves_no_marker() {
        let redis = OwnRedis::start();
        redis.run(&[b"SET", b"jiggler:list:default", b"no list"]);
        let name = QueueName::default();
        let queue = to(&name, When::Now);
        let error = call(&redis, queue, "x", &[numbered(1, "a")]).unwrap_err();
        assert!(matches!(&error, net::Error::Redis(error) if !error.kind().may_heal()), "{error}");
        redis.run(&[b"DEL", b"jiggler:list:default"]);
        assert_eq!(call(&redis, queue, "x", &[numbered(1, "a")]).unwrap(), 1);
    }
}
