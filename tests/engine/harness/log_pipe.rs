//! A pipe between a worker's log and its file, whose reader can be stalled.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

/// Bytes copied at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// The reader of a log.
pub(crate) struct LogPipe {
    gate: Arc<Gate>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let is_shut = self.is_shut.lock().unwrap();
        drop(self.moved.wait_while(is_shut, |is_shut| *is_shut).unwrap());
    }
}

impl LogPipe {
    /// A pipe into a file; whatever a process writes to the returned end arrives there.
    pub(crate) fn into_file(file: File) -> (Self, PipeWriter) {
        let (reader, writer) = std::io::pipe().unwrap();
        let gate = Arc::new(Gate::default());
        let thread = thread::spawn({
            let gate = Arc::clone(&gate);
            move || carry(reader, file, &gate)
        });
        (Self { gate, thread: Some(thread) }, writer)
    }

    /// Reads nothing until [`Self::read`].
    pub(crate) fn stop(&self) {
        self.gate.set(true);
    }

    pub(crate) fn read(&self) {
        self.gate.set(false);
    }

    /// Reads what a process that has ended left in the pipe.
    pub(crate) fn finish(&mut self) {
        self.read();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn carry(mut reader: PipeReader, mut file: File, gate: &Gate) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        gate.pass();
        let length = reader.read(&mut chunk).unwrap();
        if length == 0 {
            return;
        }
        file.write_all(&chunk[..length]).unwrap();
    }
}
