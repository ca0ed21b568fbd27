//! Putting jobs into queues and into the scheduled set.
//!
//! Payloads are bytes here; creating them is up to the caller.

use std::borrow::Cow;

use crate::{
    resp::{Error, encode::Requests, reply::Reply},
    wire::{Keyspace, QueueName, Realm},
};

/// The push to a queue where a registry names the queues; a spoilt registry keeps no job from it. KEYS: queue list,
/// registry. ARGV: name of the queue, payloads, of which Lua can unpack about 8,000. Called by its text, which is shorter
/// than a payload: a client need not load it.
const REGISTERED_PUSH: &str =
    "redis.pcall('SADD',KEYS[2],ARGV[1]) return redis.call('LPUSH',KEYS[1],unpack(ARGV,2))";

/// When jobs should run, and so where they go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// As soon as a worker is free: into their queue.
    Now,
    /// At this Unix time in seconds, which is finite: into the scheduled set of their queue's realm.
    At(f64),
    /// Spread evenly over a time, in no particular order: into the same set.
    Over {
        /// When it begins, Unix time in seconds, which is finite.
        from: f64,
        /// How long it lasts.
        seconds: f64,
    },
}

/// Steps of this part of a whole, taken again and again from anywhere, divide it evenly however many they are: the golden
/// ratio.
const EVEN_STEP: f64 = 0.618_033_988_749_894_9;

impl When {
    /// The Unix time in seconds, of the first of jobs that are spread; `None` if now.
    #[must_use]
    pub const fn due_at(self) -> Option<f64> {
        match self {
            Self::Now => None,
            Self::At(due_at) | Self::Over { from: due_at, .. } => Some(due_at),
        }
    }

    /// Reads the reply to a [`Push`] for this time: how many jobs now wait in the queue, or are new in the set.
    ///
    /// # Errors
    /// [`Error::Redis`]: nothing was pushed; [`Error::Unexpected`].
    pub fn read(self, reply: &Reply) -> Result<u64, Error> {
        match self {
            Self::Now => pushed(reply),
            Self::At(_) | Self::Over { .. } => scheduled(reply),
        }
    }
}

/// The push of jobs to one queue, for now or for later: one command, one reply ([`When::read`]), atomic.
///
/// New jobs enter a queue at the head and workers take from the tail, so it is first in, first out. A job for later goes to
/// the scheduled set, in a cluster to that of its queue; its payload's `queue` says where the poller will put it.
#[derive(Clone, Copy, Debug)]
pub struct Push<'p> {
    /// How keys are spelt.
    pub keys: Keyspace,
    /// Their queue.
    pub queue: &'p QueueName,
    /// When they should run.
    pub when: When,
}

/// The queue or set that a push goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target<'p> {
    /// This queue.
    Queue(&'p QueueName),
    /// The scheduled set.
    Scheduled,
    /// The scheduled set of this queue's realm, in a cluster.
    ScheduledOf(&'p QueueName),
}

impl<'p> Push<'p> {
    /// Where it goes: pushes to one target can share a command.
    #[must_use]
    pub const fn target(&self) -> Target<'p> {
        match self.when {
            When::Now => Target::Queue(self.queue),
            When::At(_) | When::Over { .. } if self.keys.is_cluster() => Target::ScheduledOf(self.queue),
            When::At(_) | When::Over { .. } => Target::Scheduled,
        }
    }

    /// The key of its target.
    pub(super) fn key(&self) -> Cow<'static, str> {
        match self.when {
            When::Now => self.keys.queue(self.queue.as_str()).into(),
            When::At(_) | When::Over { .. } => self.keys.scheduled(self.queue.as_str()),
        }
    }

    /// The registry that names its queue, if there is one and it goes to the queue.
    pub(super) fn registry(&self) -> Option<&'static str> {
        let registries = self.keys.names().registries.as_ref()?;
        (self.when == When::Now).then_some(registries.queues)
    }

    /// Appends the push of one job, as the gem's `enqueue` and `enqueue_in` do it.
    pub fn one(&self, payload: &[u8], requests: &mut Requests) {
        self.write(1, std::iter::once(payload), requests);
    }

    /// Appends the push of all jobs of a batch; nothing for an empty one. The job added first is taken first.
    pub fn all(&self, batch: &Batch, requests: &mut Requests) {
        if !batch.is_empty() {
            self.write(batch.len(), batch.payloads(), requests);
        }
    }

    fn write<'j>(&self, jobs: usize, payloads: impl Iterator<Item = &'j [u8]>, requests: &mut Requests) {
        let key = self.key();
        match (self.when, &self.keys.names().registries) {
            (When::Now, Some(registries)) => {
                let mut command = requests.begin(6 + jobs);
                command.arg(b"EVAL").arg(REGISTERED_PUSH.as_bytes()).arg_u64(2).arg(key.as_bytes());
                command.arg(registries.queues.as_bytes()).arg(self.queue.as_str().as_bytes());
                for payload in payloads {
                    command.arg(payload);
                }
            }
            (When::Now, None) => {
                let mut command = requests.begin(2 + jobs);
                command.arg(b"LPUSH").arg(key.as_bytes());
                for payload in payloads {
                    command.arg(payload);
                }
            }
            (When::At(due_at), _) => zadd(&key, jobs, std::iter::repeat(due_at).zip(payloads), requests),
            (When::Over { from, seconds }, _) => {
                // Each batch begins elsewhere, so that many small ones are spread as evenly as a large one.
                let mut part = fastrand::f64();
                let dues = std::iter::repeat_with(|| {
                    part = (part + EVEN_STEP).fract();
                    from + part * seconds
                });
                zadd(&key, jobs, dues.zip(payloads), requests);
            }
        }
    }
}

fn zadd<'j>(key: &str, jobs: usize, due: impl Iterator<Item = (f64, &'j [u8])>, requests: &mut Requests) {
    let mut command = requests.begin(2 + 2 * jobs);
    command.arg(b"ZADD").arg(key.as_bytes());
    for (due_at, payload) in due {
        command.arg_f64(due_at).arg(payload);
    }
}

/// Appends a job that failed to the retry set of a realm: one ZADD, one reply ([`scheduled`]), atomic, and safe to repeat.
pub fn retry_in(realm: &Realm, requests: &mut Requests, due_at: f64, payload: &[u8]) {
    requests.begin(4).arg(b"ZADD").arg(realm.retries.as_bytes()).arg_f64(due_at).arg(payload);
}

/// Appends the question whether the server still answers: one PING, one reply.
pub fn probe(requests: &mut Requests) {
    requests.command(&[b"PING"]);
}

/// Reads the reply to a [`Push`] for now: how many jobs now wait in the queue.
///
/// # Errors
/// [`Error::Redis`]: nothing was pushed; [`Error::Unexpected`].
pub fn pushed(reply: &Reply) -> Result<u64, Error> {
    count(reply, "the length of a queue")
}

/// Reads the reply to a [`Push`] for later, or to [`retry_in`]: how many jobs are new in the set. A payload that is already
/// there, byte for byte, only gets the new time.
///
/// # Errors
/// [`Error::Redis`]: nothing was scheduled; [`Error::Unexpected`].
pub fn scheduled(reply: &Reply) -> Result<u64, Error> {
    count(reply, "the number of new members")
}

fn count(reply: &Reply, expected: &'static str) -> Result<u64, Error> {
    let number = reply.as_integer()?;
    u64::try_from(number).map_err(|_| Error::Unexpected { expected, got: format!("the integer {number}") })
}

/// Payloads for one variadic command.
///
/// One command for many jobs costs Redis a third as much per job. It is bounded, because meanwhile Redis serves nobody else
/// and holds the whole command in memory: the caller sends it once it has [`PUSH_JOBS_MAX`] jobs or [`PUSH_BYTES_MAX`]
/// bytes.
///
/// [`PUSH_JOBS_MAX`]: crate::limits::PUSH_JOBS_MAX
/// [`PUSH_BYTES_MAX`]: crate::limits::PUSH_BYTES_MAX
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each payload ends in `bytes`.
    ends: Vec<usize>,
}

impl Batch {
    /// Appends the job whose payload `write` appends, and returns its size in bytes. If `write` fails, nothing is appended.
    ///
    /// # Errors
    /// That of `write`.
    pub fn add_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<usize, E> {
        let start = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.ends.push(self.bytes.len());
        Ok(self.bytes.len() - start)
    }

    /// How many jobs are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no job is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets all jobs and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn payloads(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;
    use crate::wire::keys::{JIGGLER, SIDEKIQ};

    fn batch(payloads: &[&str]) -> Batch {
        let mut batch = Batch::default();
        for payload in payloads {
            let written = batch.add_with(|bytes| {
                bytes.extend_from_slice(payload.as_bytes());
                Ok::<_, ()>(())
            });
            assert_eq!(written, Ok(payload.len()));
        }
        batch
    }

    fn push(queue: &QueueName, when: When) -> Push<'_> {
        Push { keys: JIGGLER, queue, when }
    }

    fn call(redis: &OwnRedis, write: impl FnOnce(&mut Requests)) -> Reply {
        let mut requests = Requests::new();
        write(&mut requests);
        redis.connect().call_one(&requests).unwrap()
    }

    #[test]
    fn jobs_are_taken_in_the_order_they_were_pushed() {
        let redis = OwnRedis::start();
        let queue = QueueName::new("img").unwrap();
        assert_eq!(pushed(&call(&redis, |r| push(&queue, When::Now).one(b"a", r))).unwrap(), 1);
        assert_eq!(
            pushed(&call(&redis, |r| push(&queue, When::Now).all(&batch(&["b", "c", "d"]), r))).unwrap(),
            4
        );
        assert_eq!(pushed(&call(&redis, |r| push(&queue, When::Now).one(b"e", r))).unwrap(), 5);
        let taken: Vec<_> =
            (0..5).flat_map(|_| redis.strings(&[b"RPOP", b"jiggler:list:img", b"1"])).collect();
        assert_eq!(taken, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn scheduled_jobs_stand_under_their_time() {
        let redis = OwnRedis::start();
        let due_at = 1_795_299_801.126_563_5;
        let queue = QueueName::default();
        let later = |due_at| push(&queue, When::At(due_at));
        assert_eq!(scheduled(&call(&redis, |r| later(due_at).one(b"a", r))).unwrap(), 1);
        assert_eq!(scheduled(&call(&redis, |r| later(due_at + 1.0).all(&batch(&["a", "b"]), r))).unwrap(), 1);
        assert_eq!(
            redis.strings(&[b"ZRANGE", b"jiggler:set:scheduled", b"0", b"-1", b"WITHSCORES"]),
            ["a", "1795299802.1265635", "b", "1795299802.1265635"]
        );
    }

    #[test]
    fn jobs_that_are_spread_are_due_evenly_over_the_time_whatever_their_batches() {
        let redis = OwnRedis::start();
        let queue = QueueName::default();
        let spread = push(&queue, When::Over { from: 1_000.0, seconds: 100.0 });
        assert_eq!(spread.when.due_at(), Some(1_000.0));
        for batch_of in [1, 10, 100] {
            redis.run(&[b"FLUSHALL"]);
            let names: Vec<String> = (0..100).map(|number| number.to_string()).collect();
            for some in names.chunks(batch_of) {
                let some: Vec<&str> = some.iter().map(String::as_str).collect();
                assert_eq!(
                    spread.when.read(&call(&redis, |r| spread.all(&batch(&some), r))).unwrap(),
                    some.len() as u64
                );
            }
            let count = |from: u32, to: u32| {
                let (from, to) = (from.to_string(), format!("({to}"));
                let args = [&b"ZCOUNT"[..], b"jiggler:set:scheduled", from.as_bytes(), to.as_bytes()];
                redis.run(&args).as_integer().unwrap()
            };
            assert_eq!(count(1_000, 1_100), 100);
            // Quarters; batches of one job are spread by chance alone.
            let quarters = [0, 25, 50, 75].map(|at| count(1_000 + at, 1_025 + at));
            let expected = if batch_of == 1 { 5..=50 } else { 18..=32 };
            assert!(quarters.iter().all(|jobs| expected.contains(jobs)), "{batch_of}: {quarters:?}");
        }
    }

    #[test]
    fn a_key_of_another_type_is_redis_own_error() {
        let redis = OwnRedis::start();
        redis.run(&[b"SET", b"jiggler:list:default", b"no list"]);
        let mut requests = Requests::new();
        push(&QueueName::default(), When::Now).one(b"a", &mut requests);
        let replies = redis.connect().call(&requests).unwrap();
        assert!(matches!(pushed(&replies[0]), Err(Error::Redis(error)) if error.code() == "WRONGTYPE"));
    }

    #[test]
    fn a_queue_is_named_in_the_registry_whenever_it_is_pushed_to() {
        let redis = OwnRedis::start();
        let queue = QueueName::new("img").unwrap();
        let push = |when| Push { keys: SIDEKIQ, queue: &queue, when };
        assert_eq!(pushed(&call(&redis, |r| push(When::Now).one(b"a", r))).unwrap(), 1);
        redis.run(&[b"DEL", b"queues"]);
        assert_eq!(pushed(&call(&redis, |r| push(When::Now).all(&batch(&["b", "c"]), r))).unwrap(), 3);
        assert_eq!(redis.strings(&[b"SMEMBERS", b"queues"]), ["img"]);
        assert_eq!(redis.strings(&[b"LRANGE", b"queue:img", b"0", b"-1"]), ["c", "b", "a"]);
        assert_eq!(scheduled(&call(&redis, |r| push(When::At(5.5)).one(b"d", r))).unwrap(), 1);
        assert_eq!(redis.strings(&[b"ZRANGE", b"schedule", b"0", b"-1"]), ["d"]);
        // A spoilt registry keeps no job from its queue.
        redis.run(&[b"SET", b"queues", b"no set"]);
        assert_eq!(pushed(&call(&redis, |r| push(When::Now).one(b"e", r))).unwrap(), 4);
    }

    #[test]
    fn an_empty_batch_sends_nothing() {
        let mut requests = Requests::new();
        let queue = QueueName::default();
        push(&queue, When::Now).all(&Batch::default(), &mut requests);
        push(&queue, When::At(1.0)).all(&Batch::default(), &mut requests);
        assert!(requests.is_empty());
    }
}
