//! Putting jobs into queues and into the scheduled set.
//!
//! Payloads are bytes here; making them is the caller's business.

use crate::{
    limits::{PUSH_BYTES_MAX, PUSH_JOBS_MAX},
    resp::{Error, encode::Requests, reply::Reply},
    wire::{QueueName, Realm, keys},
};

/// Appends the push of one job, as the gem's `enqueue` does it: one LPUSH, one reply ([`pushed`]), atomic.
///
/// New jobs enter at the head and workers take from the tail, so a queue is first in, first out.
pub fn push(requests: &mut Requests, queue: &QueueName, payload: &[u8]) {
    let key = keys::queue(queue.as_str());
    requests.command(&[b"LPUSH", key.as_bytes(), payload]);
}

/// Appends the scheduling of one job, as the gem's `enqueue_in` does it: one ZADD, one reply ([`scheduled`]), atomic.
/// `due_at` is Unix time in seconds. The payload's `queue` says where the poller will put the job.
pub fn schedule(requests: &mut Requests, due_at: f64, payload: &[u8]) {
    schedule_in(&Realm::SHARED, requests, due_at, payload);
}

/// As [`schedule`], into the scheduled set of a realm: in a cluster that of the job's queue.
pub fn schedule_in(realm: &Realm, requests: &mut Requests, due_at: f64, payload: &[u8]) {
    add(&realm.scheduled, requests, due_at, payload);
}

/// Appends a job that failed to the retry set of a realm: one ZADD, one reply ([`scheduled`]), atomic, and safe to repeat.
pub fn retry_in(realm: &Realm, requests: &mut Requests, due_at: f64, payload: &[u8]) {
    add(&realm.retries, requests, due_at, payload);
}

fn add(set: &str, requests: &mut Requests, due_at: f64, payload: &[u8]) {
    requests.begin(4).arg(b"ZADD").arg(set.as_bytes()).arg_f64(due_at).arg(payload);
}

/// Appends the question whether the server still answers: one PING, one reply.
pub fn probe(requests: &mut Requests) {
    requests.command(&[b"PING"]);
}

/// Reads the reply to [`push`] or [`Batch::push`]: how many jobs now wait in the queue.
///
/// # Errors
/// [`Error::Redis`]: nothing was pushed; [`Error::Unexpected`].
pub fn pushed(reply: &Reply) -> Result<u64, Error> {
    count(reply, "the length of a queue")
}

/// Reads the reply to [`schedule`] or [`Batch::schedule`]: how many jobs are new in the set. A payload that is there
/// already, byte for byte, only gets the new time.
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
/// One command for many jobs costs Redis a third of one for each. It is bounded, because Redis serves nobody else
/// meanwhile and holds the whole command in memory: once [`Self::is_full`] the caller sends it.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each payload ends in `bytes`.
    ends: Vec<usize>,
}

impl Batch {
    /// Appends one job.
    pub fn add(&mut self, payload: &[u8]) {
        self.bytes.extend_from_slice(payload);
        self.ends.push(self.bytes.len());
    }

    /// Appends the job whose payload `write` appends, and says how many bytes that has. If it fails, nothing is appended.
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

    /// How many bytes their payloads have.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no job is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether it has reached [`PUSH_JOBS_MAX`] jobs or [`PUSH_BYTES_MAX`] bytes. It exceeds the latter by less than
    /// one payload.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= PUSH_JOBS_MAX || self.payload_bytes() >= PUSH_BYTES_MAX
    }

    /// Forgets all jobs and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Appends the push of all jobs into one queue: one LPUSH, one reply ([`pushed`]), atomic. The job added first
    /// will be taken first. Nothing is appended for an empty batch.
    pub fn push(&self, requests: &mut Requests, queue: &QueueName) {
        if self.is_empty() {
            return;
        }
        let key = keys::queue(queue.as_str());
        let mut command = requests.begin(2 + self.len());
        command.arg(b"LPUSH").arg(key.as_bytes());
        for payload in self.payloads() {
            command.arg(payload);
        }
    }

    /// Appends the scheduling of all jobs for the same time: one ZADD, one reply ([`scheduled`]), atomic. Nothing is
    /// appended for an empty batch.
    pub fn schedule(&self, requests: &mut Requests, due_at: f64) {
        self.schedule_in(&Realm::SHARED, requests, due_at);
    }

    /// As [`Self::schedule`], into the scheduled set of a realm.
    pub fn schedule_in(&self, realm: &Realm, requests: &mut Requests, due_at: f64) {
        if self.is_empty() {
            return;
        }
        let mut command = requests.begin(2 + 2 * self.len());
        command.arg(b"ZADD").arg(realm.scheduled.as_bytes());
        for payload in self.payloads() {
            command.arg_f64(due_at).arg(payload);
        }
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

    fn batch(payloads: &[&str]) -> Batch {
        let mut batch = Batch::default();
        payloads.iter().for_each(|payload| batch.add(payload.as_bytes()));
        batch
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
        assert_eq!(pushed(&call(&redis, |r| push(r, &queue, b"a"))).unwrap(), 1);
        assert_eq!(pushed(&call(&redis, |r| batch(&["b", "c", "d"]).push(r, &queue))).unwrap(), 4);
        assert_eq!(pushed(&call(&redis, |r| push(r, &queue, b"e"))).unwrap(), 5);
        let taken: Vec<_> =
            (0..5).flat_map(|_| redis.strings(&[b"RPOP", b"jiggler:list:img", b"1"])).collect();
        assert_eq!(taken, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn scheduled_jobs_stand_under_their_time() {
        let redis = OwnRedis::start();
        let due_at = 1_795_299_801.126_563_5;
        assert_eq!(scheduled(&call(&redis, |r| schedule(r, due_at, b"a"))).unwrap(), 1);
        assert_eq!(scheduled(&call(&redis, |r| batch(&["a", "b"]).schedule(r, due_at + 1.0))).unwrap(), 1);
        assert_eq!(
            redis.strings(&[b"ZRANGE", b"jiggler:set:scheduled", b"0", b"-1", b"WITHSCORES"]),
            ["a", "1795299802.1265635", "b", "1795299802.1265635"]
        );
    }

    #[test]
    fn a_key_of_another_type_is_redis_own_error() {
        let redis = OwnRedis::start();
        redis.run(&[b"SET", b"jiggler:list:default", b"no list"]);
        let mut requests = Requests::new();
        push(&mut requests, &QueueName::default(), b"a");
        let replies = redis.connect().call(&requests).unwrap();
        assert!(matches!(pushed(&replies[0]), Err(Error::Redis(error)) if error.code() == "WRONGTYPE"));
    }

    #[test]
    fn a_batch_is_full_at_its_jobs_or_its_bytes() {
        let mut jobs = Batch::default();
        (0..PUSH_JOBS_MAX - 1).for_each(|_| jobs.add(b"{}"));
        assert!(!jobs.is_full());
        jobs.add(b"{}");
        assert!(jobs.is_full());

        let mut bytes = Batch::default();
        bytes.add(&vec![b'x'; PUSH_BYTES_MAX - 1]);
        assert!(!bytes.is_full());
        bytes.add(b"x");
        assert!(bytes.is_full());
        bytes.clear();
        assert!(bytes.is_empty() && bytes.payload_bytes() == 0 && !bytes.is_full());
    }

    #[test]
    fn an_empty_batch_sends_nothing() {
        let mut requests = Requests::new();
        Batch::default().push(&mut requests, &QueueName::default());
        Batch::default().schedule(&mut requests, 1.0);
        assert!(requests.is_empty());
    }
}
