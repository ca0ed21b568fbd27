//! `jiggler-uring enqueue --bulk FILE|-`: pushes jobs that stand in a file, one JSON value a line.
//!
//! One thread reads and checks lines, another pushes what was checked, so that Redis need not wait for either; two chunks
//! may wait between them. A chunk is one round trip ([`PUSH_JOBS_MAX`] jobs or [`PUSH_BYTES_MAX`] bytes), or what has come
//! when the input makes a pause, so that a slow producer's lines do not wait for more.
//!
//! It stops at the first line that is no job; all lines before it are pushed. Lines are pushed once: after a lost connection
//! it says which lines are in doubt and sends none of them again.

mod line;
mod source;

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use self::{
    line::{Defaults, LineParser},
    source::{Chunk, Event, Lines},
};
use super::{
    Error,
    progress::{Progress, rate},
};
use crate::{
    client::{self, Client},
    limits::BULK_CHUNKS_MAX,
    resp::{blocking::BlockingOptions, url::RedisUrl},
    time,
    wire::QueueName,
};

/// A file of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bulk {
    /// Where it is; `None`: standard input.
    pub file: Option<PathBuf>,
    /// The name of jobs whose line says none. Such a line may be an array of arguments.
    pub name: Option<String>,
    /// The queue of jobs whose line says none.
    pub queue: QueueName,
    /// The retries of jobs whose line says none.
    pub retries: u32,
    /// Delay before they are due; `None`: now.
    pub delay: Option<Duration>,
}

/// Pushes all jobs of a file and says how many.
///
/// # Errors
/// [`Error::BulkOpen`], [`Error::BulkRead`], [`Error::BulkLine`], [`Error::BulkPush`], [`Error::Connect`],
/// [`Error::Output`].
pub fn bulk(url: &RedisUrl, bulk: &Bulk, out: &mut dyn Write) -> Result<(), Error> {
    let file =
        bulk.file.as_ref().map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    let lines =
        Lines::open(bulk.file.as_deref()).map_err(|cause| Error::BulkOpen { file: file.clone(), cause })?;
    let size = lines.size();
    let mut client = match Client::connect_with(url, BlockingOptions::default()) {
        Err(client::Error::Redis(error)) => return Err(Error::Connect(error)),
        other => other.map_err(|cause| Error::BulkPush {
            file: file.clone(),
            first: 1,
            last: 1,
            pushed: 0,
            cause: Box::new(cause),
        })?,
    };
    let due_at = bulk.delay.map(|delay| time::unix_now() + delay.as_secs_f64());
    let defaults = Defaults { name: bulk.name.clone(), queue: bulk.queue.clone(), retries: bulk.retries };
    let parser = LineParser::new(defaults);
    let (sender, receiver) = mpsc::sync_channel(BULK_CHUNKS_MAX);
    // It ends with its input, or at the next line once nobody listens; nobody waits for it, since it may wait for a person.
    let _reader = std::thread::spawn(move || source::read(lines, parser, &sender));
    let pushed = push(&mut client, &receiver, due_at, &file, size)?;
    match bulk.delay {
        None => writeln!(out, "enqueued {pushed} jobs")?,
        Some(delay) => writeln!(out, "scheduled {pushed} jobs in {} s", delay.as_secs_f64())?,
    }
    Ok(())
}

fn push(
    client: &mut Client,
    receiver: &Receiver<Event>,
    due_at: Option<f64>,
    file: &str,
    size: Option<u64>,
) -> Result<u64, Error> {
    let mut progress = Progress::new();
    let mut pushed = 0;
    loop {
        match receiver.recv() {
            Ok(Event::Jobs(chunk)) => {
                pushed += push_chunk(client, &chunk, due_at, file, pushed)?;
                progress.tell(|elapsed| {
                    let part = size.map(|size| {
                        format!(" ({:.0}%)", 100.0 * chunk.read_bytes as f64 / size.max(1) as f64)
                    });
                    format!("pushed {pushed} jobs{}, {}", part.unwrap_or_default(), rate(pushed, elapsed))
                });
            }
            Ok(Event::Bad { line, reason }) => {
                return Err(Error::BulkLine { file: file.to_owned(), line, reason, pushed });
            }
            Ok(Event::Failed(cause)) => {
                return Err(Error::BulkRead { file: file.to_owned(), pushed, cause });
            }
            Ok(Event::End) => return Ok(pushed),
            // It sends how it ended before it ends, so this is a fault of the program.
            Err(_) => {
                let cause = io::Error::other("the reading thread ended without a word");
                return Err(Error::BulkRead { file: file.to_owned(), pushed, cause });
            }
        }
    }
}

fn push_chunk(
    client: &mut Client,
    chunk: &Chunk,
    due_at: Option<f64>,
    file: &str,
    before: u64,
) -> Result<u64, Error> {
    let pushed = match due_at {
        None => client.enqueue_bulk(&chunk.jobs),
        Some(due_at) => client.enqueue_bulk_at(due_at, &chunk.jobs),
    };
    pushed.map_err(|cause| {
        let (enqueued, cause) = match cause {
            client::Error::Bulk { enqueued, cause } => (enqueued, cause),
            other => (0, Box::new(other)),
        };
        let pushed = before + enqueued;
        Error::BulkPush {
            file: file.to_owned(),
            first: chunk.first_line,
            last: chunk.last_line,
            pushed,
            cause,
        }
    })
}

#[cfg(test)]
mod tests;
