//! Fills the queue: no-op jobs with unique ids, by bulk LPUSH.

use jiggler_uring::resp::encode::Requests;
use jiggler_uring::resp::url::RedisUrl;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::keys;
use crate::null_client::NullClient;
use crate::progress::Progress;

/// Jobs of one LPUSH: large enough that Redis's cost per call vanishes.
const PUSH_JOBS: u64 = 1_000;

/// LPUSHes between two looks at interrupt and progress bar.
const PUSHES_PER_WINDOW: u64 = 10;

/// Odd, so that multiplication by it maps different numbers to different ids; of no obvious pattern, so that ids look
/// like the random ones of real producers.
const ID_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Digits of a job id.
const ID_DIGITS: usize = 16;

const BEFORE_ID: &[u8] = br#"{"name":"Noop","args":[],"retries":0,"jid":""#;
const AFTER_ID: &[u8] = br#""}"#;

/// No-op jobs, each with an id of its own, as the gem writes them.
#[derive(Debug)]
pub(crate) struct Payloads {
    next_number: u64,
    text: Vec<u8>,
}

impl Payloads {
    /// Starts with the first job.
    pub(crate) fn new() -> Self {
        Self { next_number: 1, text: [BEFORE_ID, &[b'0'; ID_DIGITS], AFTER_ID].concat() }
    }

    /// The next job's JSON.
    pub(crate) fn next(&mut self) -> &[u8] {
        let mut id = self.next_number.wrapping_mul(ID_STEP);
        self.next_number += 1;
        for digit in self.text[BEFORE_ID.len()..BEFORE_ID.len() + ID_DIGITS].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(id & 0xf) as usize];
            id >>= 4;
        }
        &self.text
    }

    /// Appends one LPUSH of the next `jobs` jobs.
    pub(crate) fn append_push(&mut self, requests: &mut Requests, jobs: u64) {
        let argc = 2 + usize::try_from(jobs).unwrap_or(usize::MAX - 2);
        let mut push = requests.begin(argc);
        push.arg(b"LPUSH").arg(keys::QUEUE.as_bytes());
        for _ in 0..jobs {
            push.arg(self.next());
        }
    }
}

/// Puts `jobs` no-op jobs into the queue.
///
/// # Errors
/// The connection breaks, or an interrupt.
pub(crate) fn enqueue(
    url: &RedisUrl,
    jobs: u64,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<(), Error> {
    let mut payloads = Payloads::new();
    let mut left = jobs;
    let fill = |window: &mut Requests| {
        for _ in 0..PUSHES_PER_WINDOW {
            let chunk = left.min(PUSH_JOBS);
            if chunk == 0 {
                break;
            }
            payloads.append_push(window, chunk);
            left -= chunk;
        }
    };
    let answered = |windows: usize| progress.set((windows as u64 * PUSHES_PER_WINDOW * PUSH_JOBS).min(jobs));
    NullClient::connect(url)?.drive(interrupt, fill, answered)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_payload_is_what_the_gem_writes_for_a_job_without_arguments() {
        let mut payloads = Payloads::new();
        let text = String::from_utf8(payloads.next().to_vec()).unwrap();
        assert_eq!(text, r#"{"name":"Noop","args":[],"retries":0,"jid":"9e3779b97f4a7c15"}"#);
    }

    #[test]
    fn no_two_payloads_are_the_same() {
        let mut payloads = Payloads::new();
        let different: HashSet<Vec<u8>> = (0..100_000).map(|_| payloads.next().to_vec()).collect();
        assert_eq!(different.len(), 100_000);
    }
}
