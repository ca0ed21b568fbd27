//! Reads a bulk: lines from a file or standard input, checked and gathered into chunks.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Stdin},
    path::Path,
    sync::mpsc::{Receiver, SyncSender},
};

use super::line::LineParser;
use crate::{
    client::Waiting,
    job::Schema,
    limits::{BULK_LINE_BYTES_MAX, BULK_READ_BYTES},
    small_file,
};

/// Jobs of consecutive lines.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) jobs: Waiting,
    /// Number of the first job's line; the first line of a file is 1.
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    /// Bytes of the file read up to this point.
    pub(super) read_bytes: u64,
}

/// What the reading thread reports. After anything but jobs it has ended.
#[derive(Debug)]
pub(super) enum Event {
    Jobs(Chunk),
    /// A line that is not a job.
    Bad {
        line: u64,
        reason: String,
    },
    /// The input cannot be read.
    Failed(io::Error),
    End,
}

enum Input {
    File(File),
    Stdin(Stdin),
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Stdin(stdin) => stdin.read(buffer),
        }
    }
}

/// The input.
pub(super) struct Lines {
    reader: BufReader<Input>,
    size: Option<u64>,
}

impl Lines {
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else {
            return Ok(Self {
                reader: BufReader::with_capacity(BULK_READ_BYTES, Input::Stdin(io::stdin())),
                size: None,
            });
        };
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let size = metadata.is_file().then_some(metadata.len());
        Ok(Self { reader: BufReader::with_capacity(BULK_READ_BYTES, Input::File(file)), size })
    }

    /// The size of a regular file.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }
}

/// Reads to the end, or to the first line that is not a job, or until nobody is listening. `spent` returns chunks whose
/// memory can be reused.
pub(super) fn read(
    mut lines: Lines,
    (mut parser, schema): (LineParser, Schema),
    later: bool,
    sender: &SyncSender<Event>,
    spent: &Receiver<Waiting>,
) {
    let mut gathering = Gathering::default();
    let mut line = Vec::new();
    let end = loop {
        line.clear();
        match next_line(&mut lines.reader, &mut line) {
            Ok(0) => break Event::End,
            Ok(bytes) => gathering.chunk.read_bytes += bytes as u64,
            Err(error) => break Event::Failed(error),
        }
        gathering.line += 1;
        if gathering.line == 1 {
            if small_file::is_utf16(&line) {
                let reason = "it is UTF-16; save the file as UTF-8".to_owned();
                break Event::Bad { line: 1, reason };
            }
            line.drain(..line.len() - small_file::without_mark(&line).len());
        }
        if line.len() > BULK_LINE_BYTES_MAX {
            let reason = format!("it is longer than the allowed {BULK_LINE_BYTES_MAX} bytes");
            break Event::Bad { line: gathering.line, reason };
        }
        if !line.iter().all(u8::is_ascii_whitespace) {
            let jobs = &mut gathering.chunk.jobs;
            if let Err(reason) = parser.parse(&line, |queue, job| jobs.add_text(schema, queue, job, later)) {
                break Event::Bad { line: gathering.line, reason };
            }
            gathering.added();
        }
        let waits_for_more = lines.reader.buffer().is_empty();
        if (gathering.chunk.jobs.is_full() || waits_for_more) && !gathering.send(sender, spent) {
            return;
        }
    };
    if gathering.send(sender, spent) {
        // Nobody stops listening unless there is nothing more to report.
        let _ = sender.send(end);
    }
}

/// Appends the next line without its line end, or as much of it as shows that it is too long. Returns how many bytes it
/// had.
fn next_line(reader: &mut BufReader<Input>, line: &mut Vec<u8>) -> io::Result<usize> {
    let bytes = reader.by_ref().take(BULK_LINE_BYTES_MAX as u64 + 2).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(bytes)
}

#[derive(Default)]
struct Gathering {
    chunk: Chunk,
    /// Lines read so far.
    line: u64,
}

impl Gathering {
    /// The most recently read line is the chunk's last job.
    fn added(&mut self) {
        if self.chunk.jobs.len() == 1 {
            self.chunk.first_line = self.line;
        }
        self.chunk.last_line = self.line;
    }

    /// Sends what has been gathered; `false` if nobody is listening.
    fn send(&mut self, sender: &SyncSender<Event>, spent: &Receiver<Waiting>) -> bool {
        if self.chunk.jobs.is_empty() {
            return true;
        }
        let next = Chunk {
            jobs: spent.try_recv().unwrap_or_default(),
            read_bytes: self.chunk.read_bytes,
            ..Chunk::default()
        };
        sender.send(Event::Jobs(std::mem::replace(&mut self.chunk, next))).is_ok()
    }
}
