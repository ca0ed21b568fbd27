//! Which job a shard is polling at this moment, so that control can name it when the shard does not return from it, and
//! the log when the job writes a line.
//!
//! A shard stuck in a handler cannot report anything, so it must have reported beforehand: what it is about to poll,
//! and when the poll started. That is nine plain stores per poll, on its own cache lines (about 3 ns); control reads
//! them once a second. A version around the stores tells a reader whether it read one job or halves of two.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::{Duration, Instant};

use super::here::JobHere;

/// Bytes of a jid that are published: the gem's have 16, Sidekiq's 24.
pub(super) const JID_SHOWN_BYTES: usize = crate::limits::RUNNING_JID_BYTES;

/// Words of a jid.
const WORDS: usize = JID_SHOWN_BYTES / 8;

/// Bits of a word that hold the number of the name. Above them is the length of the jid, and then the number of the queue.
const NUMBER_BITS: u32 = 32;

/// Bits that hold the length of the jid.
const LEN_BITS: u32 = 8;

/// What one shard is polling. One thread writes, any may read.
#[derive(Debug)]
pub(crate) struct CurrentJob {
    /// The time from which others are counted.
    epoch: Instant,
    /// The jobs' names, by number.
    names: OnceLock<Box<[Box<str>]>>,
    /// The queues' names, by number.
    queues: OnceLock<Box<[Box<str>]>>,
    /// Odd while the words below change.
    version: AtomicU64,
    /// When the poll started, in nanoseconds after the epoch, plus 1; 0 if nothing is being polled.
    began_ns: AtomicU64,
    /// Number of the name, length of the jid, number of the queue.
    job: AtomicU64,
    jid: [AtomicU64; WORDS],
}

/// A job as it is published, created once per run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobMark {
    job: u64,
    jid: [u64; WORDS],
}

/// What a shard is polling, as seen by a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Polled {
    /// Distinguishes one poll from the next.
    pub version: u64,
    /// The job's name.
    pub name: String,
    /// The first 32 bytes of its jid.
    pub jid: String,
    /// How long it has been polled.
    pub time: Duration,
}

impl JobMark {
    /// The mark of a job whose name and whose queue have these numbers.
    #[must_use]
    pub(crate) fn new(number: u32, queue: usize, jid: &str) -> Self {
        let jid = jid.as_bytes();
        let len = jid.len().min(JID_SHOWN_BYTES);
        let mut words = [0; WORDS];
        // The usual length takes two moves; any other goes through a buffer.
        if let Some(([first, second], [])) = jid.split_first_chunk::<16>().map(|(id, rest)| {
            let (first, second) = id.split_at(8);
            ([word(first), word(second)], rest)
        }) {
            words[0] = first;
            words[1] = second;
        } else {
            let mut bytes = [0; JID_SHOWN_BYTES];
            bytes[..len].copy_from_slice(&jid[..len]);
            for (place, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                *place = word(chunk);
            }
        }
        let (len, queue) = ((len as u64) << NUMBER_BITS, (queue as u64) << (NUMBER_BITS + LEN_BITS));
        Self { job: u64::from(number) | len | queue, jid: words }
    }

    /// The number of the job's name.
    pub(crate) fn number(&self) -> usize {
        // Only 32 bits, so it fits.
        usize::try_from(self.job & ((1 << NUMBER_BITS) - 1)).unwrap_or(usize::MAX)
    }

    /// The number of its queue.
    fn queue(&self) -> usize {
        usize::try_from(self.job >> (NUMBER_BITS + LEN_BITS)).unwrap_or(usize::MAX)
    }

    /// The first 32 bytes of its jid.
    #[must_use]
    pub(crate) fn jid(&self) -> String {
        let bytes: Vec<u8> = self.jid.iter().flat_map(|word| word.to_le_bytes()).collect();
        let len = (self.job >> NUMBER_BITS) & ((1 << LEN_BITS) - 1);
        let len = usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len()));
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    }
}

/// Eight bytes as a word; 0 for any other length.
fn word(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

impl CurrentJob {
    /// Sets what the jobs' numbers mean, once; only the one writer may call it.
    pub(crate) fn name_jobs<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        self.names.get_or_init(|| names.into_iter().map(Box::from).collect());
    }

    /// Sets what the numbers of queues mean, once; only the one writer may call it.
    pub(crate) fn name_queues<'n>(&self, names: impl IntoIterator<Item = &'n str>) {
        self.queues.get_or_init(|| names.into_iter().map(Box::from).collect());
    }

    /// A poll starts; only the one writer may call it.
    pub(crate) fn begin(&self, mark: &JobMark, now: Instant) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.job.store(mark.job, Ordering::Relaxed);
        for (place, word) in self.jid.iter().zip(mark.jid) {
            place.store(word, Ordering::Relaxed);
        }
        let began_ns =
            u64::try_from(now.saturating_duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX - 1);
        self.began_ns.store(began_ns + 1, Ordering::Relaxed);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// The poll is over; only the one writer may call it.
    pub(crate) fn end(&self) {
        self.began_ns.store(0, Ordering::Relaxed);
    }

    /// What is being polled now; `None` if nothing is, or if it is just changing.
    #[must_use]
    pub(crate) fn polled(&self, now: Instant) -> Option<Polled> {
        let version = self.version.load(Ordering::Acquire);
        let began_ns = self.began_ns.load(Ordering::Relaxed).checked_sub(1)?;
        let job = self.job.load(Ordering::Relaxed);
        let jid = self.jid.each_ref().map(|word| word.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        if version % 2 == 1 || self.version.load(Ordering::Relaxed) != version {
            return None;
        }
        let mark = JobMark { job, jid };
        let began_at = self.epoch + Duration::from_nanos(began_ns);
        Some(Polled {
            version,
            name: self.name(&mark).to_owned(),
            jid: mark.jid(),
            time: now.saturating_duration_since(began_at),
        })
    }

    /// What is being polled now; `None` if nothing is. Only the one writer may call it: others might see halves of two.
    #[must_use]
    pub(crate) fn here(&self) -> Option<JobHere> {
        if self.began_ns.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let jid = self.jid.each_ref().map(|word| word.load(Ordering::Relaxed));
        let mark = JobMark { job: self.job.load(Ordering::Relaxed), jid };
        let queue = self.queues.get().and_then(|names| names.get(mark.queue()));
        Some(JobHere {
            name: self.name(&mark).to_owned(),
            jid: mark.jid(),
            queue: queue.map_or_else(String::new, ToString::to_string),
        })
    }

    /// What the jobs' numbers mean; nothing before [`Self::name_jobs`].
    pub(crate) fn job_names(&self) -> &[Box<str>] {
        self.names.get().map_or(&[], |names| names)
    }

    /// What the numbers of queues mean; nothing before [`Self::name_queues`].
    pub(crate) fn queue_names(&self) -> &[Box<str>] {
        self.queues.get().map_or(&[], |names| names)
    }

    /// The name of a marked job; empty before [`Self::name_jobs`].
    #[must_use]
    pub(crate) fn name(&self, mark: &JobMark) -> &str {
        self.names.get().and_then(|names| names.get(mark.number())).map_or("", |name| name)
    }
}

impl Default for CurrentJob {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            names: OnceLock::new(),
            queues: OnceLock::new(),
            version: AtomicU64::new(0),
            began_ns: AtomicU64::new(0),
            job: AtomicU64::new(0),
            jid: Default::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn what_is_polled_is_named_with_its_time_until_the_poll_is_over() {
        let current = CurrentJob::default();
        current.name_jobs(["A", "Billing::Charge"]);
        let began = Instant::now();
        let long = "é".repeat(40);
        for jid in ["", "x", "0d655a187e214821", "0d655a187e2148210d655a18", "7 bytes", &*long] {
            current.begin(&JobMark::new(1, 7, jid), began);
            let polled = current.polled(began + Duration::from_millis(1_500)).unwrap();
            assert_eq!((&*polled.name, polled.time), ("Billing::Charge", Duration::from_millis(1_500)));
            assert_eq!(polled.jid, jid.chars().take(if jid == long { 16 } else { 40 }).collect::<String>());
            current.end();
            assert_eq!(current.polled(began), None);
        }
    }

    #[test]
    fn polls_of_one_job_differ_in_version() {
        let current = CurrentJob::default();
        let (mark, now) = (JobMark::new(0, 0, "j"), Instant::now());
        current.begin(&mark, now);
        let first = current.polled(now).unwrap();
        assert_eq!((first.version, &*first.name), (2, ""), "no names are known");
        current.begin(&mark, now);
        assert_eq!(current.polled(now).unwrap().version, 4);
    }

    #[test]
    fn a_reader_never_sees_the_halves_of_two_jobs() {
        let current = CurrentJob::default();
        current.name_jobs(["0", "1"]);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let marks = [JobMark::new(0, 0, &"0".repeat(32)), JobMark::new(1, 0, &"1".repeat(32))];
                for round in 0..200_000 {
                    current.begin(&marks[round % 2], Instant::now());
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                if let Some(polled) = current.polled(Instant::now()) {
                    assert_eq!(polled.jid, polled.name.repeat(32));
                }
            }
        });
    }
}
