//! A file that many jobs append to: appends made at the same time go out in one write.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, Waker};

use glommio::io::BufferedFile;

use super::{Error, append_options, kernels_word, write_all};
use crate::limits::io::APPEND_BATCH_BYTES_MAX;

/// When an append counts as done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The kernel has it: it survives the end of this process, however that comes about, and the kernel writes it out
    /// within about thirty seconds. A power failure before then loses it.
    #[default]
    Written,
    /// The device has confirmed that it has it (`fdatasync`, once for everything appended together): it survives a
    /// power failure.
    Synced,
}

/// A file opened for appending. Cloning gives a handle to the same one.
///
/// While one write is in progress, further appends are collected and go out as the next single write: a thousand jobs
/// that append a line each cost a few writes. The guarantees are:
///
/// - [`append`](Self::append) returns when its bytes are as durable as requested;
/// - the bytes of one append are contiguous and come after everything that was in the file before, no matter who else
///   appends to it, including other cores and processes;
/// - two appends of one job, one awaited after the other, are in this order.
///
/// Concurrent appends of several jobs have no order among them. A job that fails or is killed after its append runs
/// again, and appends again: write something that identifies a repeated line. If the disk fills up midway, the
/// appends whose bytes are not complete in the file fail, and a torn line remains.
///
/// The file stays the one that was opened: after a rotation by renaming, reopen it.
#[derive(Clone)]
pub struct AppendFile {
    shared: Rc<Shared>,
}

struct Shared {
    file: BufferedFile,
    path: PathBuf,
    durability: Durability,
    /// What goes out with the next write.
    batch: RefCell<Batch>,
    /// Whether the writing task is alive.
    writing: Cell<bool>,
}

#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    outcome: Rc<Outcome>,
}

/// The outcome of one batch.
#[derive(Default)]
struct Outcome {
    result: RefCell<Option<Written>>,
    waiting: RefCell<Vec<Waker>>,
}

/// How far a batch got.
struct Written {
    bytes: usize,
    /// What stopped it; applies to appends that end beyond `bytes`.
    stopped: Option<(&'static str, io::Error)>,
}

impl AppendFile {
    /// Opens a file for appending, creating it if needed, with [`Durability::Written`].
    ///
    /// # Errors
    /// [`Error`](struct@Error) with the action `open`.
    ///
    /// # Cancel-safety
    /// Safe.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, Durability::default()).await
    }

    /// Opens a file for appending, creating it if needed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel-safety
    /// Safe.
    pub async fn open_with(path: impl AsRef<Path>, durability: Durability) -> Result<Self, Error> {
        let path = path.as_ref();
        let opened = append_options().buffered_open(path).await;
        let file = opened.map_err(|error| Error::of_glommio("open", path, error))?;
        let (path, batch) = (path.to_owned(), RefCell::default());
        let shared = Shared { file, path, durability, batch, writing: Cell::new(false) };
        Ok(Self { shared: Rc::new(shared) })
    }

    /// Appends bytes; waits while a full batch is waiting to be written.
    ///
    /// # Errors
    /// [`Error`](struct@Error) with the action `append to` or `sync`, and the kernel's error.
    ///
    /// # Cancel-safety
    /// If dropped after it was polled, the bytes may or may not be written.
    pub async fn append(&self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        let (outcome, end) = loop {
            let full = {
                let mut batch = shared.batch.borrow_mut();
                let before = batch.bytes.len();
                if before == 0 || before + bytes.len() <= APPEND_BATCH_BYTES_MAX {
                    batch.bytes.extend_from_slice(bytes);
                    break (Rc::clone(&batch.outcome), before + bytes.len());
                }
                Rc::clone(&batch.outcome)
            };
            full.ended().await;
        };
        if !shared.writing.replace(true) {
            glommio::spawn_local(Rc::clone(shared).write_batches()).detach();
        }
        outcome.ended().await;
        outcome.of_append_to(end).map_err(|(action, source)| Error::new(action, &shared.path, source))
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }
}

impl Shared {
    /// Writes until nothing is left to write. It is a task of its own, so that the end of a job cannot interrupt a
    /// write.
    async fn write_batches(self: Rc<Self>) {
        loop {
            let batch = self.batch.take();
            if batch.bytes.is_empty() {
                *self.batch.borrow_mut() = batch;
                self.writing.set(false);
                return;
            }
            let (bytes, result) = write_all(&self.file, &batch.bytes, usize::MAX).await;
            let mut written = Written { bytes, stopped: result.err().map(|error| ("append to", error)) };
            if self.durability == Durability::Synced
                && let Err(error) = self.file.fdatasync().await
            {
                written = Written { bytes: 0, stopped: Some(("sync", kernels_word(error))) };
            }
            batch.outcome.end(written);
        }
    }
}

impl Outcome {
    fn end(&self, written: Written) {
        *self.result.borrow_mut() = Some(written);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    async fn ended(&self) {
        poll_fn(|ctx| {
            if self.result.borrow().is_some() {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.last().is_some_and(|waker| waker.will_wake(ctx.waker())) {
                waiting.push(ctx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    /// The outcome of the append whose bytes end here.
    fn of_append_to(&self, end: usize) -> Result<(), (&'static str, io::Error)> {
        match &*self.result.borrow() {
            Some(Written { bytes, stopped: Some((action, error)) }) if end > *bytes => {
                Err((action, again(error)))
            }
            _ => Ok(()),
        }
    }
}

/// Copies one error for several appends.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
