//! Reads the lines of a journal one by one, in bounded memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::record::{self, Parsed};
use crate::limits::{OUTBOX_CHUNK_BYTES, OUTBOX_RECORD_BYTES_MAX};

/// A walk over part of a file.
pub(super) struct Lines<'f> {
    // Fixed at construction.
    file: &'f File,
    end: u64,
    // Changed by calls only.
    /// What was read, starting at `offset` except for the first `used` bytes.
    buffer: Vec<u8>,
    used: usize,
    /// Where the next line begins.
    offset: u64,
}

impl<'f> Lines<'f> {
    /// From an offset where a line begins, up to `end`.
    pub(super) fn new(file: &'f File, start: u64, end: u64) -> Self {
        Self { file, end, buffer: Vec::new(), used: 0, offset: start }
    }

    /// Where the next line begins.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line. [`Parsed::Incomplete`] means that the rest, perhaps nothing at all, is not a whole line; the
    /// walk stays before it, as it does before a bad one.
    pub(super) fn next(&mut self) -> io::Result<Parsed> {
        loop {
            let parsed = record::parse(&self.buffer[self.used..]);
            match parsed {
                Parsed::Job(_, bytes) | Parsed::Done(_, bytes) => {
                    self.used += bytes;
                    self.offset += bytes as u64;
                    return Ok(parsed);
                }
                Parsed::Incomplete if self.read_more()? => {}
                Parsed::Incomplete | Parsed::Bad => return Ok(parsed),
            }
        }
    }

    /// Whether a whole line begins after the unreadable one. Searches as far as one damaged line can reach.
    pub(super) fn whole_line_follows(&mut self) -> io::Result<bool> {
        while self.buffer.len() - self.used < 2 * OUTBOX_RECORD_BYTES_MAX && self.read_more()? {}
        let rest = &self.buffer[self.used..];
        let starts = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        Ok(starts
            .map(|at| record::parse(&rest[at..]))
            .any(|parsed| matches!(parsed, Parsed::Job(..) | Parsed::Done(..))))
    }

    /// `false` if there is no more.
    fn read_more(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let have = self.buffer.len();
        let left = self.end.saturating_sub(self.offset + have as u64);
        let chunk = OUTBOX_CHUNK_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX));
        if chunk == 0 {
            return Ok(false);
        }
        self.buffer.resize(have + chunk, 0);
        self.file.read_exact_at(&mut self.buffer[have..], self.offset + have as u64)?;
        Ok(true)
    }
}
