//! The state of one connection without its socket: what is waiting to be written, and which replies are still to
//! come.
//!
//! Replies come in the order of the commands, so counting is all the matching needed. Pushes of RESP3 come between
//! them and are counted separately; their content is dropped unless it is [asked for](Pipeline::keep_pushes), because most
//! of what waits for pushes checks for itself anyway. Not responsible for what to do when the connection fails: the owner of
//! the socket drops the pipeline with it, and everything that was waiting.

use std::fmt;

use super::{
    decode::{Decoder, Protocol, ReplyLimits},
    encode::Requests,
    error::Error,
    reply::Reply,
};
use crate::limits::{PIPELINE_COMMANDS_MAX, PUSHES_KEPT_MAX, REQUEST_BUFFER_KEEP_BYTES};

/// Commands going out and replies coming in, over one connection.
#[derive(Default)]
pub struct Pipeline {
    output: Vec<u8>,
    /// How much of `output` the socket has accepted.
    written: usize,
    /// Commands pushed and not yet answered.
    pending: usize,
    /// Pushes that arrived; nothing on a connection that gets none, as nearly all.
    pushed: Option<Box<Pushed>>,
    decoder: Decoder,
}

/// Pushes that arrived and were not yet taken.
#[derive(Default)]
struct Pushed {
    count: usize,
    /// Their content, if it is asked for.
    kept: Option<Vec<Reply>>,
}

impl Pipeline {
    /// A pipeline whose replies must stay within `limits`.
    #[must_use]
    pub fn new(limits: ReplyLimits) -> Self {
        Self { decoder: Decoder::new(limits), ..Self::default() }
    }

    /// Appends commands to what is waiting to be written.
    ///
    /// # Errors
    /// [`Error::PipelineFull`] if more than [`PIPELINE_COMMANDS_MAX`] would be waiting for replies; nothing is
    /// appended.
    pub fn push(&mut self, requests: &Requests) -> Result<(), Error> {
        let more = requests.len_commands();
        if self.pending + more > PIPELINE_COMMANDS_MAX {
            return Err(Error::PipelineFull { pending: self.pending, more, max: PIPELINE_COMMANDS_MAX });
        }
        self.output.extend_from_slice(requests.as_bytes());
        self.pending += more;
        Ok(())
    }

    /// What is waiting to be written.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output[self.written..]
    }

    /// Records that the socket has accepted the first `bytes` of [`Self::output`].
    pub fn wrote(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.output().len(), "the socket accepted more than there was");
        self.written = self.output.len().min(self.written + bytes);
        if self.written == self.output.len() {
            self.output.clear();
            self.output.shrink_to(REQUEST_BUFFER_KEEP_BYTES);
            self.written = 0;
        }
    }

    /// Appends bytes as they came from the socket, split anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
    }

    /// From now on replies may be RESP3, and pushes may come between them.
    pub fn speak_resp3(&mut self) {
        self.decoder.speak_resp3();
    }

    /// The number of pushes since the last call, as far as [`next_reply`](Self::next_reply) has passed them.
    pub fn take_pushes(&mut self) -> usize {
        self.pushed.as_mut().map_or(0, |pushed| std::mem::take(&mut pushed.count))
    }

    /// From now on the content of pushes is kept, for [`take_pushed`](Self::take_pushed).
    pub fn keep_pushes(&mut self) {
        self.pushed.get_or_insert_default().kept = Some(Vec::new());
    }

    /// The pushes since the last call, the oldest first. Of more than [`PUSHES_KEPT_MAX`] the newest are missing, which
    /// [`take_pushes`](Self::take_pushes) shows.
    pub fn take_pushed(&mut self) -> Vec<Reply> {
        self.pushed.as_mut().and_then(|pushed| pushed.kept.as_mut()).map(std::mem::take).unwrap_or_default()
    }

    /// The next reply; `None` if more bytes are needed. It belongs to the oldest command that has none yet. Pushes
    /// before it are skipped, even while no command is waiting.
    ///
    /// # Errors
    /// [`Error::Decode`], or [`Error::Unrequested`] if bytes came although no command is waiting. The connection is
    /// unusable after either.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, Error> {
        if self.pending == 0 {
            return self.expect_no_reply();
        }
        loop {
            let reply = self.decoder.next_reply()?;
            match reply {
                Some(push) if push.is_push() => self.note_push(push),
                reply => {
                    self.pending -= usize::from(reply.is_some());
                    return Ok(reply);
                }
            }
        }
    }

    fn note_push(&mut self, push: Reply) {
        let pushed = self.pushed.get_or_insert_default();
        pushed.count = pushed.count.saturating_add(1);
        if let Some(kept) = pushed.kept.as_mut().filter(|kept| kept.len() < PUSHES_KEPT_MAX) {
            kept.push(push);
        }
    }

    fn expect_no_reply(&mut self) -> Result<Option<Reply>, Error> {
        if self.decoder.protocol() == Protocol::Resp2 {
            return if self.decoder.is_empty() { Ok(None) } else { Err(Error::Unrequested) };
        }
        while let Some(reply) = self.decoder.next_reply()? {
            if !reply.is_push() {
                return Err(Error::Unrequested);
            }
            self.note_push(reply);
        }
        Ok(None)
    }

    /// Counts a message that no command asked for directly: one of a subscription, which
    /// [`next_reply`](Self::next_reply) then returns as if it were a reply.
    pub fn expect_message(&mut self) {
        if self.pending == 0 {
            self.pending = 1;
        }
    }

    /// How many replies are still to come.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }
}

impl fmt::Debug for Pipeline {
    /// Sizes, not bytes: what is waiting may be an AUTH with its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("output_bytes", &self.output().len())
            .field("pending", &self.pending)
            .field("decoder", &self.decoder)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Requests {
        let mut requests = Requests::new();
        requests.command(&[b"PING"]);
        requests
    }

    #[test]
    fn replies_are_counted_against_commands() {
        let mut pipeline = Pipeline::default();
        pipeline.push(&ping()).unwrap();
        pipeline.push(&ping()).unwrap();
        pipeline.feed(b"+PONG\r\n+PO");
        assert!(pipeline.next_reply().unwrap().is_some());
        assert_eq!((pipeline.next_reply().unwrap(), pipeline.pending()), (None, 1));
        pipeline.feed(b"NG\r\n");
        assert!(pipeline.next_reply().unwrap().is_some());
        assert_eq!((pipeline.next_reply().unwrap(), pipeline.pending()), (None, 0));
    }

    #[test]
    fn a_reply_nobody_asked_for_is_an_error_from_its_first_byte() {
        let mut pipeline = Pipeline::default();
        pipeline.push(&ping()).unwrap();
        pipeline.feed(b"+PONG\r\n+");
        assert!(pipeline.next_reply().unwrap().is_some());
        assert!(matches!(pipeline.next_reply(), Err(Error::Unrequested)));
        assert!(matches!(pipeline.next_reply(), Err(Error::Unrequested)));
    }

    const PUSH: &[u8] = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nkey\r\n";

    #[test]
    fn pushes_are_no_replies_wherever_they_come() {
        let mut pipeline = Pipeline::default();
        pipeline.speak_resp3();
        pipeline.feed(PUSH);
        assert_eq!((pipeline.next_reply().unwrap(), pipeline.take_pushes()), (None, 1));
        pipeline.push(&ping()).unwrap();
        pipeline.push(&ping()).unwrap();
        pipeline.feed(&[PUSH, b"+PONG\r\n", PUSH, PUSH, b"_\r\n", &PUSH[..7]].concat());
        assert_eq!(format!("{:?}", pipeline.next_reply().unwrap()), r#"Some(+"PONG")"#);
        assert_eq!(format!("{:?}", pipeline.next_reply().unwrap()), "Some(nil)");
        assert_eq!((pipeline.pending(), pipeline.take_pushes()), (0, 3));
        assert_eq!((pipeline.next_reply().unwrap(), pipeline.take_pushes()), (None, 0));
        pipeline.feed(&PUSH[7..]);
        assert_eq!((pipeline.next_reply().unwrap(), pipeline.take_pushes()), (None, 1));
        pipeline.feed(b"+PONG\r\n");
        assert!(matches!(pipeline.next_reply(), Err(Error::Unrequested)));
    }

    #[test]
    fn what_is_pushed_is_kept_up_to_a_bound_if_it_is_asked_for() {
        let mut pipeline = Pipeline::default();
        pipeline.speak_resp3();
        pipeline.feed(PUSH);
        assert_eq!(pipeline.next_reply().unwrap(), None);
        assert!(pipeline.take_pushed().is_empty());
        pipeline.keep_pushes();
        pipeline.push(&ping()).unwrap();
        pipeline.feed(&[PUSH, b"+PONG\r\n", PUSH].concat());
        assert!(pipeline.next_reply().unwrap().is_some());
        assert_eq!(pipeline.next_reply().unwrap(), None);
        assert_eq!(pipeline.take_pushed().len(), 2);
        pipeline.feed(&PUSH.repeat(PUSHES_KEPT_MAX + 1));
        pipeline.take_pushes();
        assert_eq!(pipeline.next_reply().unwrap(), None);
        assert_eq!(
            (pipeline.take_pushed().len(), pipeline.take_pushes()),
            (PUSHES_KEPT_MAX, PUSHES_KEPT_MAX + 1)
        );
        assert!(pipeline.take_pushed().is_empty());
    }

    #[test]
    fn nothing_is_pushed_to_a_connection_that_speaks_resp2() {
        let mut pipeline = Pipeline::default();
        pipeline.push(&ping()).unwrap();
        pipeline.feed(PUSH);
        assert!(matches!(pipeline.next_reply(), Err(Error::Decode(_))));
    }

    #[test]
    fn messages_of_a_subscription_are_taken_one_by_one_though_they_come_together() {
        let mut pipeline = Pipeline::default();
        pipeline.feed(b":1\r\n:2\r\n:3");
        for expected in [Some(1), Some(2), None, None] {
            pipeline.expect_message();
            let message = pipeline.next_reply().unwrap();
            assert_eq!(message.map(|reply| reply.as_integer().unwrap()), expected);
        }
    }

    #[test]
    fn output_is_what_the_socket_has_not_taken() {
        let mut pipeline = Pipeline::default();
        pipeline.push(&ping()).unwrap();
        pipeline.wrote(4);
        assert_eq!(pipeline.output(), b"$4\r\nPING\r\n");
        pipeline.push(&ping()).unwrap();
        assert_eq!(pipeline.output(), b"$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n");
        pipeline.wrote(24);
        assert!(pipeline.output().is_empty());
        assert_eq!(pipeline.pending(), 2);
    }

    #[test]
    fn as_many_commands_as_allowed_may_wait_and_not_one_more() {
        let mut pipeline = Pipeline::default();
        let mut requests = Requests::new();
        for _ in 0..PIPELINE_COMMANDS_MAX - 1 {
            requests.command(&[b"PING"]);
        }
        pipeline.push(&requests).unwrap();
        pipeline.push(&ping()).unwrap();
        let waiting = pipeline.output().len();
        assert!(matches!(pipeline.push(&ping()), Err(Error::PipelineFull { more: 1, .. })));
        assert_eq!(pipeline.output().len(), waiting);
        pipeline.feed(b"+PONG\r\n");
        assert!(pipeline.next_reply().unwrap().is_some());
        pipeline.push(&ping()).unwrap();
    }
}
