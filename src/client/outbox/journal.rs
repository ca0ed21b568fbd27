//! The file in which an outbox keeps jobs while Redis is away.
//!
//! Append-only: a header, then lines ([`super::record`]). Jobs are done in order, and a line records how many are;
//! when all are, the file is truncated to its header. It knows nothing about Redis, and is used by one thread.
//!
//! A crash can leave a torn line at the end: it was never acknowledged and is cut off when the journal is next
//! opened. A damaged line followed by whole ones was not left by a crash, and is rejected rather than cut.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::lines::Lines;
use super::record::{self, Parsed, Record};
use super::{Durability, OutboxOptions};
use crate::client::journal_error::JournalError;
use crate::limits::{OUTBOX_COMPACT_BYTES, PUSH_BYTES_MAX, PUSH_JOBS_MAX};

/// What a journal starts with; another version would have another number.
pub(super) const HEADER: &[u8] = b"jiggler-uring outbox 1\n";

/// Only its owner may read what jobs contain.
const MODE: u32 = 0o600;

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    // Fixed at construction.
    path: PathBuf,
    durability: Durability,
    jobs_max: u64,
    bytes_max: u64,
    /// Held while the journal is open.
    _lock: Lock,
    // Changed by calls only.
    file: File,
    /// Jobs in the file, and how many of them, from the start, are done.
    jobs: u64,
    done: u64,
    /// Where the first job not yet done starts, and where the file ends.
    head: u64,
    tail: u64,
    /// Set when a write failed and could not be undone: nothing is appended any longer, because the file's contents
    /// are unknown.
    is_broken: bool,
}

/// Jobs read from the front of a journal.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    /// Where the next job begins.
    end: u64,
}

impl Journal {
    /// Opens the journal at a path, creating it if needed. Two processes, or two outboxes of one, cannot have it open
    /// at once.
    pub(super) fn open(path: &Path, options: &OutboxOptions) -> Result<Self, JournalError> {
        let lock = lock(path)?;
        let file = open_private(path).map_err(|cause| JournalError::io("open", path, cause))?;
        let mut journal = Self {
            path: path.to_owned(),
            durability: options.durability,
            jobs_max: options.jobs_max,
            bytes_max: options.bytes_max,
            _lock: lock,
            file,
            jobs: 0,
            done: 0,
            head: HEADER.len() as u64,
            tail: HEADER.len() as u64,
            is_broken: false,
        };
        journal.recover()?;
        Ok(journal)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waiting jobs.
    pub(super) const fn len(&self) -> u64 {
        self.jobs - self.done
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.jobs == self.done
    }

    /// Bytes from the first waiting job to the end.
    pub(super) const fn bytes(&self) -> u64 {
        self.tail - self.head
    }

    /// Whether there is room for this much more.
    pub(super) const fn has_room(&self, jobs: u64, bytes: u64) -> bool {
        self.len() + jobs <= self.jobs_max && self.bytes() + bytes <= self.bytes_max
    }

    pub(super) const fn bounds(&self) -> (u64, u64) {
        (self.jobs_max, self.bytes_max)
    }

    /// Appends the lines of this many jobs, and makes them as durable as requested. Afterwards, either all of them
    /// are there or none.
    pub(super) fn append(&mut self, lines: &[u8], jobs: u64) -> Result<(), JournalError> {
        self.write(lines, self.durability)?;
        self.jobs += jobs;
        Ok(())
    }

    /// The jobs at the front, as many as one round trip carries.
    pub(super) fn page(&self) -> Result<Page, JournalError> {
        let failed = |cause| JournalError::io("read", &self.path, cause);
        let mut lines = Lines::new(&self.file, self.head, self.tail);
        let mut page = Page { records: Vec::new(), end: self.head };
        let mut bytes = 0;
        while page.records.len() < PUSH_JOBS_MAX && bytes < PUSH_BYTES_MAX && lines.offset() < self.tail {
            match lines.next().map_err(failed)? {
                Parsed::Job(record, _) => {
                    bytes += record.job.payload.len();
                    page.records.push(record);
                    page.end = lines.offset();
                }
                Parsed::Done(..) => {}
                Parsed::Incomplete | Parsed::Bad => return Err(self.damaged(lines.offset())),
            }
        }
        Ok(page)
    }

    /// Records that Redis has the jobs of a page. If the record is lost, they are sent again and Redis recognises
    /// them, so it is not forced to disk.
    pub(super) fn done(&mut self, page: &Page) -> Result<(), JournalError> {
        self.done += page.records.len() as u64;
        self.head = page.end;
        if self.is_empty() {
            return self.cut_back();
        }
        let mut line = Vec::new();
        record::write_done(self.done, &mut line);
        self.write(&line, Durability::ProcessCrash)?;
        if self.head > OUTBOX_COMPACT_BYTES && self.head > self.tail / 2 {
            self.compact()?;
        }
        Ok(())
    }

    fn cut_back(&mut self) -> Result<(), JournalError> {
        let end = HEADER.len() as u64;
        self.file.set_len(end).map_err(|cause| JournalError::io("cut", &self.path, cause))?;
        (self.jobs, self.done, self.head, self.tail) = (0, 0, end, end);
        // Anything after the last known line is gone.
        self.is_broken = false;
        Ok(())
    }

    fn write(&mut self, lines: &[u8], durability: Durability) -> Result<(), JournalError> {
        if self.is_broken {
            return Err(JournalError::Broken { path: self.path.clone() });
        }
        let written = self.file.write_all_at(lines, self.tail).and_then(|()| match durability {
            Durability::PowerLoss => self.file.sync_data(),
            Durability::ProcessCrash => Ok(()),
        });
        if let Err(cause) = written {
            // Nobody may later find what was reported as failed.
            self.is_broken = self.file.set_len(self.tail).and_then(|()| self.file.sync_data()).is_err();
            return Err(JournalError::io("write", &self.path, cause));
        }
        self.tail += lines.len() as u64;
        Ok(())
    }

    /// Writes what is waiting to a new file, and replaces the old one with it.
    fn compact(&mut self) -> Result<(), JournalError> {
        let path = with_suffix(&self.path, "new");
        let failed = |cause| JournalError::io("rewrite", &path, cause);
        // Left by an earlier attempt that crashed.
        remove_if_there(&path).map_err(failed)?;
        let file = open_private(&path).map_err(failed)?;
        let mut out = BufWriter::new(&file);
        out.write_all(HEADER).map_err(failed)?;
        let mut lines = Lines::new(&self.file, self.head, self.tail);
        let mut line = Vec::new();
        while lines.offset() < self.tail {
            match lines.next().map_err(failed)? {
                Parsed::Job(Record { opening, number, job }, _) => {
                    line.clear();
                    Record::write(&opening, number, &job, &mut line);
                    out.write_all(&line).map_err(failed)?;
                }
                Parsed::Done(..) => {}
                Parsed::Incomplete | Parsed::Bad => return Err(self.damaged(lines.offset())),
            }
        }
        out.flush().map_err(failed)?;
        drop(out);
        file.sync_all().map_err(failed)?;
        let tail = file.metadata().map_err(failed)?.len();
        fs::rename(&path, &self.path).map_err(failed)?;
        (self.jobs, self.done) = (self.jobs - self.done, 0);
        (self.head, self.tail, self.file) = (HEADER.len() as u64, tail, file);
        sync_directory(&self.path).map_err(failed)
    }

    /// Finds out what is waiting, and cuts off a torn end.
    fn recover(&mut self) -> Result<(), JournalError> {
        let path = self.path.clone();
        let unreadable = |cause| JournalError::io("read", &path, cause);
        let length = self.file.metadata().map_err(unreadable)?.len();
        if self.recover_header(length).map_err(unreadable)? {
            return sync_directory(&path).map_err(|cause| JournalError::io("make", &path, cause));
        }
        let mut lines = Lines::new(&self.file, HEADER.len() as u64, length);
        // Where the jobs not yet done begin.
        let mut waiting = VecDeque::new();
        loop {
            let offset = lines.offset();
            match lines.next().map_err(unreadable)? {
                Parsed::Job(..) => {
                    self.jobs += 1;
                    waiting.push_back(offset);
                }
                Parsed::Done(count, _) if count >= self.done && count <= self.jobs => {
                    waiting.drain(..(count - self.done) as usize);
                    self.done = count;
                }
                Parsed::Done(..) => return Err(self.damaged(offset)),
                Parsed::Incomplete | Parsed::Bad => {
                    self.tail = offset;
                    break;
                }
            }
        }
        if self.tail < length {
            if lines.whole_line_follows().map_err(unreadable)? {
                return Err(self.damaged(self.tail));
            }
            let bytes = length - self.tail;
            tracing::warn!(path = %path.display(), bytes, "an outbox ended in an unfinished line, which was cut off");
            let cut = self.file.set_len(self.tail).and_then(|()| self.file.sync_data());
            cut.map_err(|cause| JournalError::io("cut", &path, cause))?;
        }
        self.head = waiting.front().copied().unwrap_or(self.tail);
        if self.is_empty() { self.cut_back() } else { Ok(()) }
    }

    /// Whether the file is new, or was torn while it was being created; it has its header now.
    fn recover_header(&self, length: u64) -> io::Result<bool> {
        let mut start = vec![0; HEADER.len().min(length as usize)];
        self.file.read_exact_at(&mut start, 0)?;
        if start == HEADER {
            return Ok(false);
        }
        if !HEADER.starts_with(&start) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is not an outbox journal"));
        }
        self.file.write_all_at(HEADER, 0)?;
        self.file.sync_all()?;
        Ok(true)
    }

    fn damaged(&self, offset: u64) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), offset }
    }
}

/// A lock that is held until it is dropped, and no longer.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just starting also has the file open until it runs its
        // program.
        let _gone_with_the_file = self.0.unlock();
    }
}

fn lock(path: &Path) -> Result<Lock, JournalError> {
    let lock_path = with_suffix(path, "lock");
    let lock = open_private(&lock_path).map_err(|cause| JournalError::io("open", &lock_path, cause))?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(cause)) => Err(JournalError::io("lock", &lock_path, cause)),
    }
}

fn open_private(path: &Path) -> io::Result<File> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != MODE {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(file)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A file that is new in its directory survives a power failure only if the directory is synced too.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests;
