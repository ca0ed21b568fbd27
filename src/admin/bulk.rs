//! `jiggler-uring enqueue --bulk FILE|-`: pushes the jobs in a file, one JSON value per line.
//!
//! One thread reads and checks lines and writes payloads; another sends them, a few batches ahead of Redis's answers, so
//! that reading, sending and Redis do not wait for each other; two chunks may wait between the threads. A chunk is one
//! batch ([`PUSH_JOBS_MAX`](crate::limits::PUSH_JOBS_MAX) jobs or [`PUSH_BYTES_MAX`](crate::limits::PUSH_BYTES_MAX) bytes),
//! or whatever has arrived when the input pauses, so that a slow producer's lines do not wait for more.
//!
//! It stops at the first line that is not a job; all lines before it are pushed. Each line is pushed once: after a lost
//! connection it reports which lines are in doubt and does not send them again.

mod line;
mod scan;
mod source;

use std::{
    collections::VecDeque,
    io::{self, Write},
    path::PathBuf,
    sync::mpsc::{self, Receiver, SyncSender, TryRecvError},
    time::Duration,
};

use self::{
    line::{Defaults, LineParser},
    source::{Chunk, Event, Lines},
};
use super::{
    database::Database,
    enqueue::{Due, told},
    error::Error,
    ticker::{Ticker, rate},
};
use crate::{
    client::{self, Flight, Waiting},
    limits::{BULK_BATCHES_IN_FLIGHT_MAX, BULK_CHUNKS_MAX},
    view::count,
    wire::QueueName,
};

/// A file of jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Bulk {
    /// Where it is; `None` is standard input.
    pub file: Option<PathBuf>,
    /// The name for jobs whose line has none. Such a line may be an array of arguments.
    pub name: Option<String>,
    /// The queue for jobs whose line names none.
    pub queue: QueueName,
    /// The retries for jobs whose line does not set them; `None` leaves them to the worker.
    pub retries: Option<u32>,
    /// When they are due; `None` is now.
    pub due: Option<Due>,
    /// The time over which they are spread from then on.
    pub spread: Option<Duration>,
}

/// Pushes all jobs of a file and reports how many.
///
/// # Errors
/// [`Error::BulkOpen`], [`Error::BulkRead`], [`Error::BulkLine`], [`Error::BulkPush`], [`Error::Connect`],
/// [`Error::Output`].
pub(crate) fn bulk(db: &Database, bulk: &Bulk, out: &mut dyn Write) -> Result<(), Error> {
    let file =
        bulk.file.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    let lines =
        Lines::open(bulk.file.as_deref()).map_err(|cause| Error::BulkOpen { file: file.clone(), cause })?;
    let size = lines.size();
    let failed =
        |cause| Error::BulkPush { file: file.clone(), first: 1, last: 1, pushed: 0, cause: Box::new(cause) };
    let mut client = match db.client() {
        Err(client::Error::Redis(error)) => return Err(Error::Connect(error)),
        other => other.map_err(failed)?,
    };
    let due_at = bulk.due.map(|due| due.unix_time(&mut client)).transpose().map_err(failed)?;
    let is_later = due_at.is_some() || bulk.spread.is_some();
    let defaults = Defaults { name: bulk.name.clone(), queue: bulk.queue.clone(), retries: bulk.retries };
    let (parser, schema) = (LineParser::new(defaults), db.schema);
    let (sender, chunks) = mpsc::sync_channel(BULK_CHUNKS_MAX);
    let (spender, spent) = mpsc::sync_channel(BULK_CHUNKS_MAX);
    // It ends with its input, or at the next line once nobody is listening; nobody waits for it, since it may be waiting
    // for a person.
    let _reader =
        std::thread::spawn(move || source::read(lines, (parser, schema), is_later, &sender, &spent));
    let when = client.when(due_at, bulk.spread).map_err(failed)?;
    let flight = client.flight(when);
    let pushing = Pushing { flight, spender, places: Places::default(), file, size, ticker: Ticker::new() };
    let pushed = pushing.run(&chunks)?;
    match told(bulk.due, bulk.spread) {
        None => writeln!(out, "enqueued {}", count::jobs(pushed))?,
        Some(due) => writeln!(out, "scheduled {} {due}", count::jobs(pushed))?,
    }
    Ok(())
}

/// The sending side.
struct Pushing<'c> {
    flight: Flight<'c>,
    /// Returns chunks to the reading side for reuse.
    spender: SyncSender<Waiting>,
    places: Places,
    file: String,
    size: Option<u64>,
    ticker: Ticker,
}

impl Pushing<'_> {
    fn run(mut self, chunks: &Receiver<Event>) -> Result<u64, Error> {
        loop {
            // While the input pauses, all answers from Redis are read, so that errors are reported at once.
            let event = match chunks.try_recv() {
                Err(TryRecvError::Empty) if self.flight.settle() => chunks.recv().ok(),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
                Ok(event) => Some(event),
            };
            match event {
                Some(Event::Jobs(chunk)) => {
                    if !self.send(chunk) {
                        return self.end().map(|(_, pushed)| pushed);
                    }
                }
                Some(Event::End) => return self.end().map(|(_, pushed)| pushed),
                Some(Event::Bad { line, reason }) => {
                    let (file, pushed) = self.end()?;
                    return Err(Error::BulkLine { file, line, reason, pushed });
                }
                Some(Event::Failed(cause)) => {
                    let (file, pushed) = self.end()?;
                    return Err(Error::BulkRead { file, pushed, cause });
                }
                None => {
                    let (file, pushed) = self.end()?;
                    // It reports its outcome before it ends, so this is a bug in the program.
                    let cause = io::Error::other("the reading thread ended without reporting its outcome");
                    return Err(Error::BulkRead { file, pushed, cause });
                }
            }
        }
    }

    /// `false` if this chunk or an earlier one failed.
    fn send(&mut self, chunk: Chunk) -> bool {
        self.places.add(&chunk);
        let goes_on = self.flight.send(chunk.jobs);
        // If the reading side has enough of them, or has ended, this one is dropped.
        let _enough = self.spender.try_send(self.flight.batch());
        let (pushed, size) = (self.flight.enqueued(), self.size);
        self.ticker.tell(|elapsed| {
            let part =
                size.map(|size| format!(" ({:.0}%)", 100.0 * chunk.read_bytes as f64 / size.max(1) as f64));
            format!("pushed {}{}, {}", count::jobs(pushed), part.unwrap_or_default(), rate(pushed, elapsed))
        });
        goes_on
    }

    /// Reads all answers from Redis; returns the file, and how many jobs it has.
    fn end(self) -> Result<(String, u64), Error> {
        let Self { flight, places, file, .. } = self;
        match flight.end() {
            Ok(pushed) => Ok((file, pushed)),
            Err(client::Error::Bulk { enqueued, leading, cause, .. }) => {
                let (first, last) = places.from(leading);
                Err(Error::BulkPush { file, first, last, pushed: enqueued, cause })
            }
            Err(cause) => {
                let (first, last) = places.from(0);
                Err(Error::BulkPush { file, first, last, pushed: 0, cause: Box::new(cause) })
            }
        }
    }
}

/// Where in the file the most recently sent jobs are.
#[derive(Default)]
struct Places {
    /// For each chunk, the number of its first job, counted from 0, and its first and last line. Invariant: holds the
    /// chunks that may be on their way, the one that failed to be sent and one before them.
    chunks: VecDeque<(u64, u64, u64)>,
    jobs: u64,
}

impl Places {
    fn add(&mut self, chunk: &Chunk) {
        if self.chunks.len() > BULK_BATCHES_IN_FLIGHT_MAX + 1 {
            self.chunks.pop_front();
        }
        self.chunks.push_back((self.jobs, chunk.first_line, chunk.last_line));
        self.jobs += chunk.jobs.len() as u64;
    }

    /// The lines from the job with this number on: exactly, or from the start of its chunk if that has lines without a job.
    fn from(&self, job: u64) -> (u64, u64) {
        let last = self.chunks.back().map_or(1, |chunk| chunk.2);
        let ends = self.chunks.iter().skip(1).map(|chunk| chunk.0).chain([self.jobs]);
        let mut chunks = self.chunks.iter().zip(ends);
        let first = chunks.find(|(_, end)| job < *end).map(|((number, first, last), end)| {
            let dense = end - number == last - first + 1;
            if dense { first + job.saturating_sub(*number) } else { *first }
        });
        (first.unwrap_or(last), last)
    }
}

#[cfg(test)]
mod tests;
