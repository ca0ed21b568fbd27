//! The path of the log's lines to standard error: a bounded queue, and a thread that writes.
//!
//! A pipe whose reader stands still (a paused journal, `| less`, a stuck sidecar) blocks its writer for as long as that
//! lasts. Only the thread here waits like that. Every other thread leaves a line and continues; a line that does not fit
//! into the queue is dropped and counted, and the count is logged when the reader reads again.
//!
//! The thread holds the lock of `std::io::Stderr` for each batch, so that what a handler prints with `eprintln!`, in
//! pieces, is not torn by a line of the log. Such a handler waits for the same reader, lock or no lock. What the Rust
//! runtime itself prints at an abort bypasses the queue.

use std::io::{self, StderrLock, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};
use rustix::event::{PollFd, PollFlags, poll};

use super::log_floods::{Floods, Sum};
use crate::foreign::escape_json;
use crate::limits::{
    LOG_BATCH_BYTES, LOG_DROPS_INTERVAL, LOG_FLUSH_AGAIN_TIMEOUT, LOG_FLUSH_TIMEOUT, LOG_QUEUE_BYTES,
    LOG_QUEUE_LINES,
};

/// What the log reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// This many lines did not fit into the queue.
    Dropped(u64),
    /// This many lines were like others.
    More(Sum),
}

/// Makes a line of it, in the format of the log.
pub(super) type Teller = Box<dyn Fn(&Notice) -> Vec<u8> + Send>;

/// Where lines are left. It never waits, except in [`Self::flush`].
#[derive(Debug)]
pub(super) struct LogQueue {
    lines: Sender<Vec<u8>>,
    flushes: Sender<Sender<()>>,
    counts: Arc<Counts>,
    /// The last flush was in vain.
    is_stuck: AtomicBool,
}

/// What both ends share.
#[derive(Debug, Default)]
struct Counts {
    /// Bytes of the lines that wait, and of those that are being written.
    bytes: AtomicUsize,
    /// Lines dropped since the start.
    dropped: AtomicU64,
}

impl LogQueue {
    /// A queue to standard error, and its thread, which calls `prepare` before anything else.
    ///
    /// # Errors
    /// No thread can be created.
    pub(super) fn start(
        floods: Arc<Floods>,
        tell: Teller,
        prepare: impl FnOnce() + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let (lines, waiting) = bounded(LOG_QUEUE_LINES);
        let (flushes, asked) = bounded(1);
        let counts = Arc::new(Counts::default());
        let writer = Writer {
            floods,
            tell,
            lines: waiting,
            flushes: asked,
            counts: Arc::clone(&counts),
            told: 0,
            told_at: None,
        };
        let (ready, is_ready) = bounded::<()>(0);
        thread::Builder::new().name("log".to_owned()).spawn(move || {
            prepare();
            drop(ready);
            writer.run();
        })?;
        // Nothing is ever sent: the other end is dropped.
        let _prepared = is_ready.recv();
        Ok(Arc::new(Self { lines, flushes, counts, is_stuck: AtomicBool::new(false) }))
    }

    /// Leaves a line, or drops it.
    pub(super) fn push(&self, line: &[u8]) {
        let bytes = &self.counts.bytes;
        let add = |waiting: usize| {
            let sum = waiting.saturating_add(line.len());
            (sum <= LOG_QUEUE_BYTES).then_some(sum)
        };
        if bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_err() {
            self.counts.drop_lines(1);
        } else if self.lines.try_send(line.to_vec()).is_err() {
            bytes.fetch_sub(line.len(), Ordering::Relaxed);
            self.counts.drop_lines(1);
        }
    }

    /// Waits until everything left so far is written, but at most a second: the reader must not hold up the end of the
    /// process. Once that was in vain, it waits only a moment.
    pub(super) fn flush(&self) {
        let stuck = self.is_stuck.load(Ordering::Relaxed);
        let patience = if stuck { LOG_FLUSH_AGAIN_TIMEOUT } else { LOG_FLUSH_TIMEOUT };
        let (done, is_done) = bounded(1);
        let deadline = Instant::now() + patience;
        let written =
            self.flushes.send_deadline(done, deadline).is_ok() && is_done.recv_deadline(deadline).is_ok();
        self.is_stuck.store(!written, Ordering::Relaxed);
    }
}

impl Write for &LogQueue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only JSON still has such characters, in its strings.
        match std::str::from_utf8(bytes) {
            Ok(line) => self.push(escape_json(line).as_bytes()),
            Err(_) => self.push(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Counts {
    fn drop_lines(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}

/// The thread's side.
struct Writer {
    floods: Arc<Floods>,
    tell: Teller,
    lines: Receiver<Vec<u8>>,
    flushes: Receiver<Sender<()>>,
    counts: Arc<Counts>,
    /// Dropped lines that the log has reported.
    told: u64,
    told_at: Option<Instant>,
}

impl Writer {
    /// Writes until the queue is gone.
    fn run(mut self) {
        loop {
            let ends = self.floods.next_end().map_or_else(never, after);
            select! {
                recv(self.lines) -> line => match line {
                    Ok(line) => {
                        self.write_batch(line);
                        self.tell_drops();
                    }
                    Err(_) => return,
                },
                recv(self.flushes) -> done => match done {
                    Ok(done) => {
                        self.write_what_waits();
                        self.tell_drops();
                        self.tell_sums(self.floods.last_sums());
                        // The requester has either given up waiting or receives this.
                        let _heard = done.try_send(());
                    }
                    Err(_) => return,
                },
                recv(ends) -> _now => self.tell_sums(self.floods.sums()),
            }
        }
    }

    /// Writes what is in the queue now, and no more: others may keep filling it.
    fn write_what_waits(&mut self) {
        let mut left = self.lines.len();
        while left > 0 {
            let Ok(line) = self.lines.try_recv() else { return };
            left = left.saturating_sub(self.write_batch(line));
        }
    }

    /// Writes this line and those behind it with one call, and returns how many.
    fn write_batch(&mut self, first: Vec<u8>) -> usize {
        let mut batch = first;
        let mut lines = 1;
        while batch.len() < LOG_BATCH_BYTES {
            let Ok(line) = self.lines.try_recv() else { break };
            batch.extend_from_slice(&line);
            lines += 1;
        }
        if self.write(&batch).is_err() {
            // The reader is gone, or the disk is full. The next lines are tried anew.
            self.counts.drop_lines(lines as u64);
        }
        self.counts.bytes.fetch_sub(batch.len(), Ordering::Relaxed);
        lines
    }

    /// Reports what was dropped: after what was in the queue, or during an endless flood once in a while.
    fn tell_drops(&mut self) {
        let dropped = self.counts.dropped.load(Ordering::Relaxed);
        let told_lately = self.told_at.is_some_and(|at| at.elapsed() < LOG_DROPS_INTERVAL);
        if dropped == self.told || (told_lately && !self.lines.is_empty()) {
            return;
        }
        self.told_at = Some(Instant::now());
        let line = (self.tell)(&Notice::Dropped(dropped - self.told));
        if self.write(&line).is_ok() {
            self.told = dropped;
        }
    }

    fn tell_sums(&self, sums: Vec<Sum>) {
        for sum in sums {
            if self.write(&(self.tell)(&Notice::More(sum))).is_err() {
                self.counts.drop_lines(1);
            }
        }
    }

    /// Writes all of it, for as long as it takes.
    fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        while !bytes.is_empty() {
            match stderr.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another process has made the pipe that both share non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for_room(&stderr)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn wait_for_room(stderr: &StderrLock<'_>) -> io::Result<()> {
    match poll(&mut [PollFd::new(stderr, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
