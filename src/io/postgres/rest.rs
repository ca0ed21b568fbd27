//! Works out from the passing messages whether a connection is at rest: every answer has arrived, no transaction is
//! open.
//!
//! From above, a client that was dropped in the middle of a query looks like any other. But what the server sends at
//! the end of each exchange (`ReadyForQuery`, with the transaction state) is reliable, so these are counted against
//! the requests.
//! Format: PostgreSQL's manual, "Message Formats": one byte of type, four of length (which include themselves), the
//! rest. The client's very first message has no type.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// `ReadyForQuery`: ends the answer to a `Query`, a `Sync` or a `FunctionCall`.
const READY: u8 = b'Z';

/// Bytes of a message's length field, which counts itself.
const LENGTH_BYTES: u32 = 4;

/// What the passing messages show. Exchanges are counted from the start-up, which is the first.
pub(super) struct Rest {
    /// The number of the most recently started exchange.
    begun: Cell<u64>,
    /// The number of the last one that did more than close statements, which the client does on its own, late, and
    /// which does not matter to anyone.
    work_begun: Cell<u64>,
    /// Whether anything sent since then does more than that.
    work_sent: Cell<bool>,
    /// How many have ended.
    ended: Cell<u64>,
    /// The transaction state at the end of the last one: `I` if none is open.
    state: Cell<u8>,
}

/// A stream whose messages are observed.
pub(super) struct Observed<S> {
    stream: S,
    sent: Frames,
    received: Frames,
    rest: Rc<Rest>,
}

/// Where one direction is within a sequence of messages.
struct Frames {
    kind: u8,
    /// Bytes of the length seen so far, and their value.
    length_seen: u32,
    length: u32,
    /// Bytes of the message still to come after its length.
    left: u32,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Kind,
    Length,
    Rest,
}

impl Rest {
    /// Whether the server waits for a query, outside of a transaction.
    pub(super) fn is_at_rest(&self) -> bool {
        self.ended.get() >= self.work_begun.get() && !self.work_sent.get() && self.state.get() == b'I'
    }

    fn sent(&self, kind: u8) {
        match kind {
            // Query, FunctionCall; Sync ends what came before it.
            b'Q' | b'F' | b'S' => {
                self.begun.set(self.begun.get() + 1);
                if kind != b'S' || self.work_sent.replace(false) {
                    self.work_begun.set(self.begun.get());
                }
            }
            // Close; the start-up and what belongs to the login.
            b'C' | 0 | b'p' => {}
            _ => self.work_sent.set(true),
        }
    }

    fn received(&self, kind: u8, last: u8) {
        if kind == READY {
            self.ended.set(self.ended.get() + 1);
            self.state.set(last);
        }
    }
}

impl<S> Observed<S> {
    /// Before the first byte.
    pub(super) fn new(stream: S) -> (Self, Rc<Rest>) {
        let rest = Rc::new(Rest {
            begun: Cell::new(1),
            work_begun: Cell::new(1),
            work_sent: Cell::new(false),
            ended: Cell::new(0),
            state: Cell::new(0),
        });
        let (sent, received) = (Frames::new(Part::Length), Frames::new(Part::Kind));
        (Self { stream, sent, received, rest: Rc::clone(&rest) }, rest)
    }
}

impl Frames {
    fn new(part: Part) -> Self {
        Self { kind: 0, length_seen: 0, length: 0, left: 0, part }
    }

    /// Scans passing bytes; calls `begun` with each message's type once its length is known, and `ended` with the
    /// type and last byte of each message.
    fn pass(&mut self, mut bytes: &[u8], mut begun: impl FnMut(u8), mut ended: impl FnMut(u8, u8)) {
        while let Some((&first, others)) = bytes.split_first() {
            match self.part {
                Part::Kind => {
                    (self.kind, self.length, self.length_seen, self.part) = (first, 0, 0, Part::Length);
                    bytes = others;
                }
                Part::Length => {
                    self.length = self.length << 8 | u32::from(first);
                    self.length_seen += 1;
                    bytes = others;
                    if self.length_seen == LENGTH_BYTES {
                        begun(self.kind);
                        self.left = self.length.saturating_sub(LENGTH_BYTES);
                        self.part = if self.left == 0 { Part::Kind } else { Part::Rest };
                    }
                }
                Part::Rest => {
                    let count = bytes.len().min(self.left as usize);
                    let (now, others) = bytes.split_at(count);
                    // At most `left`, so it fits.
                    self.left -= count as u32;
                    bytes = others;
                    if self.left == 0 {
                        ended(self.kind, now.last().copied().unwrap_or_default());
                        self.part = Part::Kind;
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Observed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(ctx, buffer))?;
        let rest = &this.rest;
        this.received.pass(&buffer.filled()[before..], |_| {}, |kind, last| rest.received(kind, last));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Observed<S> {
    fn poll_write(self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.stream).poll_write(ctx, bytes))?;
        let rest = &this.rest;
        this.sent.pass(&bytes[..count], |kind| rest.sent(kind), |_, _| {});
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(ctx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(ctx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend((body.len() as u32 + LENGTH_BYTES).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn messages_are_seen_however_the_bytes_are_split() {
        // The first has no type; a body may look like anything.
        let mut sent = vec![0, 0, 0, 8, 1, 2, 3, 4];
        sent.extend(message(b'Q', b"SELECT 'S', 'Z'"));
        sent.extend(message(b'S', b""));
        sent.extend(message(b'd', &[b'Q'; 300]));
        for size in 1..sent.len() {
            let mut frames = Frames::new(Part::Length);
            let (mut begun, mut ended) = (Vec::new(), Vec::new());
            for piece in sent.chunks(size) {
                frames.pass(piece, |kind| begun.push(kind), |kind, last| ended.push((kind, last)));
            }
            assert_eq!(begun, [0, b'Q', b'S', b'd'], "pieces of {size}");
            assert_eq!(ended, [(0, 4), (b'Q', b'\''), (b'd', b'Q')], "pieces of {size}");
        }
    }

    #[test]
    fn rest_is_when_all_has_been_answered_outside_of_a_transaction() {
        futures_lite::future::block_on(async {
            // The server's bytes are read from one stream, the client's go to the other.
            let mut received = message(b'R', &[0; 4]);
            received.extend(message(READY, b"I"));
            let begun = message(READY, b"T");
            let steps: &[(&[u8], &[u8], bool)] = &[
                (&[0, 0, 0, 4], &received, true),
                (&message(b'Q', b"BEGIN\0"), &[], false),
                (&[], &begun, false),
                (&message(b'Q', b"COMMIT\0"), &received, true),
                // A statement in use: half of it, all of it, its answer; and the closing of a statement.
                (&message(b'B', b"..."), &[], false),
                (&message(b'S', b""), &[], false),
                (&[], &received, true),
                (&[message(b'C', b"Ss1\0"), message(b'S', b"")].concat(), &[], true),
                (&message(b'Q', b"SELECT 1\0"), &received, false),
                (&[], &received, true),
            ];
            let (mut observed, rest) = Observed::new(Line::default());
            assert!(!rest.is_at_rest(), "before the start-up was answered");
            for (sent, received, at_rest) in steps {
                observed.stream.coming.extend(*received);
                let _written =
                    std::future::poll_fn(|ctx| Pin::new(&mut observed).poll_write(ctx, sent)).await;
                let mut bytes = [0; 64];
                let mut buffer = ReadBuf::new(&mut bytes);
                let _read =
                    std::future::poll_fn(|ctx| Pin::new(&mut observed).poll_read(ctx, &mut buffer)).await;
                assert_eq!(rest.is_at_rest(), *at_rest, "after {sent:?} and {received:?}");
            }
        });
    }

    /// A stream that yields its contents and accepts everything.
    #[derive(Default)]
    struct Line {
        coming: Vec<u8>,
    }

    impl AsyncRead for Line {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buffer.put_slice(&std::mem::take(&mut self.coming));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Line {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}
