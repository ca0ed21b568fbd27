//! Fills the queue: jobs with unique ids, by bulk LPUSH.

use jiggler_uring::internal::resp::encode::Requests;
use jiggler_uring::internal::resp::url::RedisUrl;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::keys;
use crate::null_client::NullClient;
use crate::progress::Progress;

/// Most jobs of one LPUSH: large enough to make Redis's cost per call vanish.
const PUSH_JOBS: u64 = 1_000;

/// Bytes of one LPUSH, about, if jobs are large.
const PUSH_BYTES: usize = 1024 * 1024;

/// What comes behind the part that all payloads share has at most so many bytes: a number, and what closes the JSON.
const END_BYTES_MAX: usize = 64;

/// LPUSHes between two checks for an interrupt and updates of the progress bar.
const PUSHES_PER_WINDOW: u64 = 10;

/// Odd, so that multiplying by it maps different numbers to different ids; without an obvious pattern, so that ids look
/// like the random ones of real producers.
const ID_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Digits of a job id.
const ID_DIGITS: usize = 16;

/// The arguments of a scenario's jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arguments {
    /// The same for each job: a JSON array.
    Same(String),
    /// This JSON value, followed by the job's number.
    Numbered(String),
}

/// What each job of a scenario is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Work {
    /// The job's name; none of its characters needs escaping in JSON.
    pub(crate) name: &'static str,
    /// Its arguments.
    pub(crate) arguments: Arguments,
}

impl Work {
    /// A job that does nothing.
    pub(crate) fn noop() -> Self {
        Self { name: "Noop", arguments: Arguments::Same("[]".to_owned()) }
    }

    /// A job that fails, without a retry.
    pub(crate) fn failing() -> Self {
        Self { name: "Fail", arguments: Arguments::Same("[\"measured\"]".to_owned()) }
    }

    /// A job that does nothing, with a payload of so many bytes: its argument is a text, as long as that takes.
    pub(crate) fn noop_of_bytes(bytes: u64) -> Self {
        let around = Payloads::new(&Self { name: "Noop", arguments: Arguments::Same("[\"\"]".to_owned()) })
            .next()
            .len();
        let filler = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(around);
        Self { name: "Noop", arguments: Arguments::Same(format!("[\"{}\"]", "x".repeat(filler))) }
    }
}

/// Jobs, each with its own id, as the gem writes them.
#[derive(Debug)]
pub(crate) struct Payloads {
    // Fixed at construction.
    start: String,
    numbered: bool,
    // Advanced by each job.
    next_number: u64,
    text: Vec<u8>,
}

impl Payloads {
    /// Starts with the first job.
    pub(crate) fn new(work: &Work) -> Self {
        let start = format!(r#"{{"name":"{}","args":"#, work.name);
        let (start, numbered) = match &work.arguments {
            Arguments::Same(array) => (format!("{start}{array}"), false),
            Arguments::Numbered(first) => (format!("{start}[{first},"), true),
        };
        Self { start, numbered, next_number: 1, text: Vec::new() }
    }

    /// How many of them one LPUSH takes.
    fn per_push(&self) -> u64 {
        ((PUSH_BYTES / (self.start.len() + END_BYTES_MAX)) as u64).clamp(1, PUSH_JOBS)
    }

    /// The next job's JSON.
    pub(crate) fn next(&mut self) -> &[u8] {
        self.text.clear();
        self.text.extend_from_slice(self.start.as_bytes());
        if self.numbered {
            self.text.extend_from_slice(self.next_number.to_string().as_bytes());
            self.text.push(b']');
        }
        self.text.extend_from_slice(br#","retries":0,"jid":""#);
        self.text.extend_from_slice(&id_digits(self.next_number.wrapping_mul(ID_STEP)));
        self.text.extend_from_slice(br#""}"#);
        self.next_number += 1;
        &self.text
    }

    /// Appends one LPUSH of the next `jobs` jobs.
    pub(crate) fn append_push(&mut self, requests: &mut Requests, queue: &str, jobs: u64) {
        let argc = 2 + usize::try_from(jobs).unwrap_or(usize::MAX - 2);
        let mut push = requests.begin(argc);
        push.arg(b"LPUSH").arg(queue.as_bytes());
        for _ in 0..jobs {
            push.arg(self.next());
        }
    }
}

/// The 16 digits of a job id.
fn id_digits(mut id: u64) -> [u8; ID_DIGITS] {
    let mut digits = [b'0'; ID_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(id & 0xf) as usize];
        id >>= 4;
    }
    digits
}

/// Puts `jobs` jobs into the queue.
///
/// # Errors
/// The connection breaks, or an interrupt.
pub(crate) fn enqueue(
    url: &RedisUrl,
    work: &Work,
    jobs: u64,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<(), Error> {
    enqueue_spread(url, work, (jobs, 1), interrupt, progress)
}

/// Puts `jobs` jobs into this many queues, as many into each.
///
/// # Errors
/// The connection breaks, or an interrupt.
pub(crate) fn enqueue_spread(
    url: &RedisUrl,
    work: &Work,
    (jobs, queues): (u64, u64),
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<(), Error> {
    let mut feeder = Feeder::connect(url, work)?;
    let mut before = 0;
    for at in 0..queues {
        let share = jobs * (at + 1) / queues - before;
        feeder.push_into(&keys::queue(at), share, interrupt, |done| progress.set(before + done))?;
        before += share;
    }
    Ok(())
}

/// Puts jobs into the queue repeatedly, no two with the same id.
#[derive(Debug)]
pub(crate) struct Feeder {
    client: NullClient,
    payloads: Payloads,
}

impl Feeder {
    /// Connects.
    ///
    /// # Errors
    /// Redis does not accept the connection.
    pub(crate) fn connect(url: &RedisUrl, work: &Work) -> Result<Self, Error> {
        Ok(Self { client: NullClient::connect(url)?, payloads: Payloads::new(work) })
    }

    /// Puts the next `jobs` jobs into the queue and reports the count to `progress`.
    ///
    /// # Errors
    /// The connection breaks, or an interrupt.
    pub(crate) fn push(
        &mut self,
        jobs: u64,
        interrupt: &Interrupt,
        progress: impl Fn(u64),
    ) -> Result<(), Error> {
        self.push_into(keys::QUEUE, jobs, interrupt, progress)
    }

    /// The same for another list.
    fn push_into(
        &mut self,
        queue: &str,
        jobs: u64,
        interrupt: &Interrupt,
        progress: impl Fn(u64),
    ) -> Result<(), Error> {
        let mut left = jobs;
        let payloads = &mut self.payloads;
        let per_push = payloads.per_push();
        let fill = |window: &mut Requests| {
            for _ in 0..PUSHES_PER_WINDOW {
                let chunk = left.min(per_push);
                if chunk == 0 {
                    break;
                }
                payloads.append_push(window, queue, chunk);
                left -= chunk;
            }
        };
        let answered = |windows: usize| progress((windows as u64 * PUSHES_PER_WINDOW * per_push).min(jobs));
        self.client.drive(interrupt, fill, answered)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_payload_is_what_the_gem_writes_for_a_job_without_arguments() {
        let mut payloads = Payloads::new(&Work::noop());
        let text = String::from_utf8(payloads.next().to_vec()).unwrap();
        assert_eq!(text, r#"{"name":"Noop","args":[],"retries":0,"jid":"9e3779b97f4a7c15"}"#);
    }

    #[test]
    fn the_number_of_a_job_can_be_its_last_argument() {
        let work = Work { name: "Append", arguments: Arguments::Numbered(r#""/tmp/x""#.to_owned()) };
        let mut payloads = Payloads::new(&work);
        payloads.next();
        let text = String::from_utf8(payloads.next().to_vec()).unwrap();
        let expected = r#"{"name":"Append","args":["/tmp/x",2],"retries":0,"jid":"3c6ef372fe94f82a"}"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn a_payload_has_the_bytes_that_were_asked_for() {
        for bytes in [100, 2_000, 200_000] {
            let mut payloads = Payloads::new(&Work::noop_of_bytes(bytes));
            assert_eq!(payloads.next().len() as u64, bytes);
            assert!(payloads.per_push() * bytes <= PUSH_BYTES as u64);
        }
        assert!(Payloads::new(&Work::noop_of_bytes(1)).next().len() < 100, "as small as a job can be");
    }

    #[test]
    fn no_two_payloads_are_the_same() {
        let mut payloads = Payloads::new(&Work::noop());
        let different: HashSet<Vec<u8>> = (0..100_000).map(|_| payloads.next().to_vec()).collect();
        assert_eq!(different.len(), 100_000);
    }
}
