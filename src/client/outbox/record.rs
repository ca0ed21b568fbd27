//! The lines of a journal: jobs, and how many of them are done.
//!
//! ```text
//! <crc32> job <opening> <number> <due_at, or -> <queue, or -> <bytes> <payload>    both: in a cluster
//! <crc32> done <count>
//! ```
//!
//! A tab separates the parts, a line feed ends the line. The checksum (8 hex digits) covers everything after its tab.
//! The length makes a payload safe whatever it contains; text form lets a person read a journal, and push its jobs by
//! hand. Pure: bytes in, values out.

use std::fmt::Write as _;
use std::str;

use crate::limits::{OUTBOX_HEAD_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::store::enqueue::{Push, When};
use crate::wire::{Keyspace, QueueName};

/// Bytes of a checksum and its tab.
const SUM_BYTES: usize = 9;

/// A waiting job.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// Which opening of the journal numbered it.
    pub(super) opening: String,
    pub(super) number: u64,
    pub(super) job: Job,
}

/// What to push.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::client) struct Job {
    /// Its queue; `None` where it goes into a scheduled set that all queues share.
    pub(in crate::client) queue: Option<QueueName>,
    /// When it is due, if it goes into the scheduled set.
    pub(in crate::client) due_at: Option<f64>,
    pub(in crate::client) payload: Vec<u8>,
}

/// What is at the start of some bytes.
#[derive(Debug, PartialEq)]
pub(super) enum Parsed {
    /// A job, and the length of its line in bytes.
    Job(Record, usize),
    /// How many of the journal's jobs are done, and the length of the line in bytes.
    Done(u64, usize),
    /// The beginning of a line, as far as can be seen.
    Incomplete,
    /// Not a line of a journal.
    Bad,
}

impl Job {
    /// Its push, of a job for `usual` where it does not say its queue.
    pub(super) fn push<'j>(&'j self, keys: Keyspace, usual: &'j QueueName) -> Push<'j> {
        let when = self.due_at.map_or(When::Now, When::At);
        Push { keys, queue: self.queue.as_ref().unwrap_or(usual), when }
    }
}

impl Record {
    /// Appends its line.
    pub(super) fn write(opening: &str, number: u64, job: &Job, out: &mut Vec<u8>) {
        let due_at = job.due_at.map_or_else(|| "-".to_owned(), |due_at| format!("{due_at:?}"));
        let queue = job.queue.as_ref().map_or("-", QueueName::as_str);
        let head = format!("job\t{opening}\t{number}\t{due_at}\t{queue}\t{}\t", job.payload.len());
        write_line(&[head.as_bytes(), &job.payload], out);
    }
}

/// Appends the line recording that the first `count` jobs are done.
pub(super) fn write_done(count: u64, out: &mut Vec<u8>) {
    write_line(&[format!("done\t{count}").as_bytes()], out);
}

fn write_line(parts: &[&[u8]], out: &mut Vec<u8>) {
    let mut sum = crc32fast::Hasher::new();
    parts.iter().for_each(|part| sum.update(part));
    let mut text = String::with_capacity(SUM_BYTES);
    // Writing to a string does not fail.
    let _ = write!(text, "{:08x}\t", sum.finalize());
    out.extend_from_slice(text.as_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.push(b'\n');
}

/// Reads the line at the start of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let Some(body) = bytes.get(SUM_BYTES..) else { return Parsed::Incomplete };
    let Some(sum) = checksum(&bytes[..SUM_BYTES]) else { return Parsed::Bad };
    if body.starts_with(b"done\t") || b"done\t".starts_with(body) {
        return parse_done(body, sum);
    }
    let head = &body[..body.len().min(OUTBOX_HEAD_BYTES_MAX)];
    // "job", opening, number, due_at, queue, bytes: a tab ends each.
    let Some(last_tab) = head.iter().enumerate().filter(|(_, byte)| **byte == b'\t').map(|(at, _)| at).nth(5)
    else {
        return if body.len() < OUTBOX_HEAD_BYTES_MAX { Parsed::Incomplete } else { Parsed::Bad };
    };
    let Some((mut record, payload_bytes)) = parse_head(&head[..last_tab]) else { return Parsed::Bad };
    let start = last_tab + 1;
    let end = start + payload_bytes;
    if body.len() <= end {
        return Parsed::Incomplete;
    }
    if body[end] != b'\n' || crc32fast::hash(&body[..end]) != sum {
        return Parsed::Bad;
    }
    record.job.payload.extend_from_slice(&body[start..end]);
    Parsed::Job(record, SUM_BYTES + end + 1)
}

fn checksum(bytes: &[u8]) -> Option<u32> {
    let (digits, tab) = bytes.split_at(SUM_BYTES - 1);
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if tab != b"\t" || !digits.iter().all(is_digit) {
        return None;
    }
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

fn parse_done(body: &[u8], sum: u32) -> Parsed {
    let head = &body[..body.len().min(OUTBOX_HEAD_BYTES_MAX)];
    let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
        return if body.len() < OUTBOX_HEAD_BYTES_MAX { Parsed::Incomplete } else { Parsed::Bad };
    };
    let count = str::from_utf8(&body[..end]).ok().and_then(|line| line.strip_prefix("done\t")?.parse().ok());
    match count {
        Some(count) if crc32fast::hash(&body[..end]) == sum => Parsed::Done(count, SUM_BYTES + end + 1),
        _ => Parsed::Bad,
    }
}

/// A record without its payload, and the payload's length in bytes.
fn parse_head(head: &[u8]) -> Option<(Record, usize)> {
    let mut parts = str::from_utf8(head).ok()?.split('\t');
    if parts.next()? != "job" {
        return None;
    }
    let opening = parts.next()?.to_owned();
    let number = parts.next()?.parse().ok()?;
    let due_at: Option<f64> = match parts.next()? {
        "-" => None,
        text => Some(text.parse().ok().filter(|due_at: &f64| due_at.is_finite())?),
    };
    let queue = parts.next()?;
    let queue = match due_at {
        Some(_) if queue == "-" => None,
        _ => Some(QueueName::new(queue).ok()?),
    };
    let bytes = parts.next()?.parse().ok().filter(|bytes| *bytes <= PAYLOAD_BYTES_MAX)?;
    Some((Record { opening, number, job: Job { queue, due_at, payload: Vec::new() } }, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(queue: &str, payload: &[u8]) -> Job {
        Job { queue: Some(QueueName::new(queue).unwrap()), due_at: None, payload: payload.to_vec() }
    }

    fn line(number: u64, job: &Job) -> Vec<u8> {
        let mut line = Vec::new();
        Record::write("0d655a187e214821", number, job, &mut line);
        line
    }

    #[test]
    fn records_come_back_as_they_were_whatever_is_in_them() {
        let due = Job { queue: None, due_at: Some(1_795_299_801.5), payload: b"{}".to_vec() };
        for job in [job("a queue", b"{\"args\":[\"\n\t\0\xff\"]}"), job("q", b""), due] {
            let line = line(7, &job);
            let record = Record { opening: "0d655a187e214821".to_owned(), number: 7, job };
            let more = [&line[..], b"more"].concat();
            assert_eq!(parse(&more), Parsed::Job(record, line.len()));
        }
        let mut done = Vec::new();
        write_done(12, &mut done);
        assert_eq!(parse(&done), Parsed::Done(12, done.len()));
    }

    #[test]
    fn the_beginning_of_a_line_is_incomplete_at_every_byte() {
        let mut done = Vec::new();
        write_done(12, &mut done);
        for line in [line(7, &job("img", b"{\"name\":\"N\"}")), done] {
            for end in 0..line.len() {
                assert_eq!(parse(&line[..end]), Parsed::Incomplete, "{end} bytes");
            }
        }
    }

    #[test]
    fn a_changed_byte_is_seen_wherever_it_is() {
        let mut done = Vec::new();
        write_done(12, &mut done);
        for line in [line(7, &job("img", b"{\"name\":\"N\"}")), done] {
            for at in 0..line.len() {
                let mut changed = line.clone();
                changed[at] ^= 0x01;
                // A larger length needs more bytes than there are.
                assert!(matches!(parse(&changed), Parsed::Bad | Parsed::Incomplete), "byte {at}");
            }
        }
    }

    #[test]
    fn what_is_no_line_is_bad_within_a_bound() {
        assert_eq!(parse(&[0; 100]), Parsed::Bad);
        assert_eq!(parse(b"name: value\nother: value"), Parsed::Bad);
        let mut endless = b"00000000\t".to_vec();
        endless.resize(SUM_BYTES + OUTBOX_HEAD_BYTES_MAX, b'x');
        assert_eq!(parse(&endless), Parsed::Bad);
        let too_long = format!("00000000\tjob\to\t1\t-\tq\t{}\t", PAYLOAD_BYTES_MAX + 1);
        assert_eq!(parse(too_long.as_bytes()), Parsed::Bad);
    }

    #[test]
    fn whatever_the_bytes_are_only_what_was_written_is_read() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let whole = [line(7, &job("img", b"{\"name\":\"N\"}")), line(8, &job("q", b"x"))].concat();
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                match random.u8(0..3) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes.insert(at, *random.choice(b"\t\n0-j").unwrap()),
                    _ => drop(bytes.remove(at)),
                }
            }
            if let Parsed::Job(record, length) = parse(&bytes) {
                let mut again = Vec::new();
                Record::write(&record.opening, record.number, &record.job, &mut again);
                assert_eq!(again, bytes[..length], "seed {seed}");
            }
        }
    }
}
