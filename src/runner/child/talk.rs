//! How a child is read and written: readiness is awaited, never a read in flight; one task writes all that has gathered.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use futures_lite::future::or;

use super::{Child, End};
use crate::handler::give_way;
use crate::limits::runner::{RUNNER_CHUNK_BYTES, RUNNER_LAST_CHUNKS_MAX, RUNNER_LINE_BYTES_MAX};
use crate::runner::frame::{self, Garbage};

/// What was read and is not a whole line yet.
#[derive(Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    filled: usize,
}

impl Child {
    pub(super) async fn read_until_end(&self) -> End {
        let died = async {
            poll_fn(|ctx| self.process.poll_readable(ctx)).await;
            End::Died
        };
        or(self.read(), died).await
    }

    async fn read(&self) -> End {
        loop {
            poll_fn(|ctx| self.socket.poll_readable(ctx)).await;
            match self.take() {
                Ok(true) => give_way().await,
                Ok(false) => {}
                Err(end) => return end,
            }
        }
    }

    /// Takes what it has said before its end; not what others, which it has started, may go on saying.
    pub(super) async fn take_rest(&self) -> Result<(), End> {
        for _ in 0..RUNNER_LAST_CHUNKS_MAX {
            if !self.take()? {
                break;
            }
            give_way().await;
        }
        Ok(())
    }

    /// Takes one chunk of what it has said. Returns whether there may be more.
    fn take(&self) -> Result<bool, End> {
        if self.output.is_readable() {
            self.output.log(self.only_jid().as_deref());
        }
        let mut inbox = self.inbox.take();
        let taken = inbox.read(self.socket.socket());
        let heard = inbox.each_line(|line| self.hear(frame::read(line)?));
        self.inbox.replace(inbox);
        heard?;
        match taken {
            Ok(0) => Err(End::Closed),
            Ok(count) if count < RUNNER_CHUNK_BYTES => {
                self.socket.is_drained();
                Ok(false)
            }
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.is_drained();
                Ok(false)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(End::Closed),
            Err(error) => Err(error.into()),
        }
    }

    // Writing.

    pub(super) async fn write(&self) -> End {
        loop {
            self.to_write.wait().await;
            let mut bytes = self.outbox.take();
            let answers = self.unread.get();
            let mut written = 0;
            while written < bytes.len() {
                poll_fn(|ctx| self.socket.poll_writable(ctx)).await;
                match self.socket.socket().write(&bytes[written..]) {
                    Ok(count) => written += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.socket.is_full(),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return End::Closed,
                }
            }
            self.unread.set(self.unread.get() - answers);
            // The buffer is used again if nothing has gathered meanwhile.
            let mut outbox = self.outbox.borrow_mut();
            if outbox.is_empty() && bytes.capacity() <= RUNNER_CHUNK_BYTES {
                bytes.clear();
                *outbox = bytes;
            }
        }
    }
}

impl Inbox {
    fn read(&mut self, mut socket: &UnixStream) -> io::Result<usize> {
        let room = self.filled + RUNNER_CHUNK_BYTES;
        if self.bytes.len() < room {
            self.bytes.resize(room, 0);
        }
        let count = socket.read(&mut self.bytes[self.filled..room])?;
        self.filled += count;
        Ok(count)
    }

    /// Passes on every whole line, without its end.
    fn each_line(&mut self, mut hear: impl FnMut(&[u8]) -> Result<(), Garbage>) -> Result<(), Garbage> {
        let mut began = 0;
        while let Some(length) = self.bytes[began..self.filled].iter().position(|byte| *byte == b'\n') {
            let line = &self.bytes[began..began + length];
            began += length + 1;
            hear(line)?;
        }
        self.bytes.copy_within(began..self.filled, 0);
        self.filled -= began;
        if self.filled > RUNNER_LINE_BYTES_MAX { Err(Garbage::TooLong) } else { Ok(()) }
    }
}
