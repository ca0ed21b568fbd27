//! Turns a stream of bytes into whole replies.
//!
//! [`super::scan`] decides when a reply is whole and within the limits, redis-protocol decodes exactly that frame
//! (`super::resp3` on a connection that speaks RESP3), and the frame's bytes leave the buffer without a copy.

use std::fmt;

use bytes::BytesMut;
use redis_protocol::resp2::decode::decode_range;

pub use super::scan::{DecodeError, Protocol, ReplyLimits};
use super::{reply::Reply, resp3, scan::Scanner};
use crate::limits::REPLY_BUFFER_KEEP_BYTES;

/// Collects bytes and returns replies.
///
/// A usual reply costs one allocation (its list of element ranges): the buffer is reused once all replies cut from it
/// have been dropped. A reply, or a slice of one, that is kept pins the whole buffer it was read into.
#[derive(Default)]
pub struct Decoder {
    limits: ReplyLimits,
    scanner: Scanner,
    buffer: BytesMut,
    /// The most bytes the current buffer has ever held; what it may keep alive.
    buffered_bytes_peak: usize,
    /// A broken stream stays broken: the place where the next reply begins is lost.
    failure: Option<DecodeError>,
}

impl Decoder {
    /// A decoder with these limits and an empty buffer.
    #[must_use]
    pub fn new(limits: ReplyLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// From now on replies may be RESP3.
    pub fn speak_resp3(&mut self) {
        self.scanner.protocol = Protocol::Resp3;
    }

    /// What replies may be made of.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.scanner.protocol
    }

    /// Appends bytes as they came from the socket, split anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.buffered_bytes_peak = self.buffered_bytes_peak.max(self.buffer.len());
    }

    /// Whether no bytes are waiting, not even those of an unfinished reply.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next whole reply; `None` if more bytes are needed.
    ///
    /// # Errors
    /// The stream is not of this protocol, or a reply exceeds the limits. Every later call returns the same error.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, DecodeError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let result = self.cut_reply();
        if let Err(failure) = &result {
            self.failure = Some(failure.clone());
            self.buffer = BytesMut::new();
        }
        result
    }

    fn cut_reply(&mut self) -> Result<Option<Reply>, DecodeError> {
        let Some(length) = self.scanner.scan(&self.buffer, &self.limits)? else {
            return Ok(None);
        };
        let bytes = self.buffer.split_to(length).freeze();
        if self.buffer.is_empty() {
            self.give_back_memory();
        }
        let refused = |details| DecodeError::Refused { bytes: length, details };
        if self.scanner.protocol == Protocol::Resp3 {
            return match resp3::frame(&bytes) {
                Some(frame) => Ok(Some(Reply::new(bytes, frame))),
                None => Err(refused("it is not a valid frame".to_owned())),
            };
        }
        match decode_range(&bytes) {
            Ok(Some((frame, used))) if used == length => Ok(Some(Reply::new(bytes, frame))),
            Ok(Some((_, used))) => Err(refused(format!("it used only {used} of them"))),
            Ok(None) => Err(refused("it needs more bytes".to_owned())),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// An empty buffer still owns the allocation its last replies were cut from. Releasing a large one leaves it to
    /// those replies, and to the allocator when they are dropped.
    fn give_back_memory(&mut self) {
        if self.buffered_bytes_peak > REPLY_BUFFER_KEEP_BYTES {
            self.buffer = BytesMut::new();
            self.buffered_bytes_peak = 0;
        }
    }
}

impl fmt::Debug for Decoder {
    /// Sizes, not bytes: a buffer holds payloads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("limits", &self.limits)
            .field("buffered_bytes", &self.buffer.len())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{REPLY_DEPTH_MAX, REPLY_NUMBER_BYTES_MAX};

    const SMALL: ReplyLimits =
        ReplyLimits { bytes_max: 64, depth_max: 3, elements_max: 5, line_bytes_max: 10 };

    fn decode(limits: ReplyLimits, bytes: &[u8]) -> Result<Option<Reply>, DecodeError> {
        let mut decoder = Decoder::new(limits);
        decoder.feed(bytes);
        let at_once = decoder.next_reply();

        let mut decoder = Decoder::new(limits);
        let mut bytewise = Ok(None);
        for byte in bytes {
            decoder.feed(&[*byte]);
            bytewise = decoder.next_reply();
            if !matches!(bytewise, Ok(None)) {
                break;
            }
        }
        match (&at_once, &bytewise) {
            // Byte by byte, the text of a bad number, or the size so far, is shorter.
            (Err(left), Err(right)) => {
                assert_eq!(std::mem::discriminant(left), std::mem::discriminant(right), "{left} | {right}");
            }
            _ => assert_eq!(at_once, bytewise),
        }
        at_once
    }

    fn check_whole(bytes: &[u8]) {
        assert!(matches!(decode(SMALL, bytes), Ok(Some(_))), "{}", bytes.escape_ascii());
    }

    fn check_error(bytes: &[u8], expected: &DecodeError) {
        assert_eq!(decode(SMALL, bytes).as_ref(), Err(expected), "{}", bytes.escape_ascii());
    }

    #[test]
    fn a_line_may_have_exactly_the_allowed_length() {
        check_whole(b"+123456789\r\n");
        check_whole(b"+1234567890\r\n");
        check_whole(b"-1234567890\r\n");
        check_error(b"+12345678901\r\n", &DecodeError::LineTooLong { bytes_max: 10 });
        check_error(b"-12345678901", &DecodeError::LineTooLong { bytes_max: 10 });
    }

    #[test]
    fn a_reply_may_have_exactly_the_allowed_size() {
        let bulk = |bytes: usize| {
            [format!("${bytes}\r\n").into_bytes(), vec![b'x'; bytes], b"\r\n".to_vec()].concat()
        };
        check_whole(&bulk(56));
        check_whole(&bulk(57));
        check_error(&bulk(58), &DecodeError::ReplyTooLarge { bytes: 65, bytes_max: 64 });
        check_error(b"$58\r\n", &DecodeError::ReplyTooLarge { bytes: 65, bytes_max: 64 });
        let with_line = |bytes: usize| [b"*2\r\n".to_vec(), bulk(bytes), b"+ok\r\n".to_vec()].concat();
        check_whole(&with_line(48));
        check_error(&with_line(49), &DecodeError::ReplyTooLarge { bytes: 65, bytes_max: 64 });
    }

    #[test]
    fn arrays_may_have_exactly_the_allowed_elements() {
        check_whole(b"*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
        check_whole(b"*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
        check_error(b"*6\r\n", &DecodeError::TooManyElements { elements: 6, elements_max: 5 });
        // All arrays count together; otherwise nesting would multiply the bound.
        check_whole(b"*2\r\n*3\r\n:1\r\n:1\r\n:1\r\n*0\r\n");
        check_error(b"*2\r\n*4\r\n", &DecodeError::TooManyElements { elements: 6, elements_max: 5 });
    }

    #[test]
    fn arrays_may_have_exactly_the_allowed_depth() {
        check_whole(b"*1\r\n*1\r\n:1\r\n");
        check_whole(b"*1\r\n*1\r\n*1\r\n:1\r\n");
        check_whole(b"*1\r\n*1\r\n*0\r\n");
        check_error(b"*1\r\n*1\r\n*1\r\n*1\r\n", &DecodeError::TooDeep { depth_max: 3 });
        check_error(b"*1\r\n*1\r\n*1\r\n*0\r\n", &DecodeError::TooDeep { depth_max: 3 });
    }

    #[test]
    fn a_depth_bomb_is_refused_at_the_first_level_too_many() {
        let bomb = b"*1\r\n".repeat(1_000_000);
        let expected = DecodeError::TooDeep { depth_max: REPLY_DEPTH_MAX };
        assert_eq!(decode(ReplyLimits::default(), &bomb), Err(expected));
    }

    #[test]
    fn length_bombs_and_nonsense_are_refused_at_their_first_line() {
        let bad = |kind, text: &str| DecodeError::BadNumber { kind, text: text.to_owned() };
        check_error(
            b"*2147483647\r\n",
            &DecodeError::TooManyElements { elements: 2_147_483_647, elements_max: 5 },
        );
        check_error(b"$-2\r\n", &bad('$', "-2"));
        check_error(b"*-2\r\n", &bad('*', "-2"));
        check_error(
            b"$99999999999\r\n",
            &DecodeError::ReplyTooLarge { bytes: 100_000_000_015, bytes_max: 64 },
        );
        check_error(
            b"$9223372036854775807\r\n",
            &DecodeError::ReplyTooLarge { bytes: 9_223_372_036_854_775_807 + 24, bytes_max: 64 },
        );
        check_error(b"$9223372036854775808\r\n", &bad('$', "9223372036854775808"));
        check_error(b":abc\r\n", &bad(':', "abc"));
        check_error(b":\r\n", &bad(':', ""));
        check_error(b"$\r\n", &bad('$', ""));
        check_error(b"?what\r\n", &DecodeError::UnknownKind { byte: b'?' });
        check_error(b"*1\r\n\r\n", &DecodeError::UnknownKind { byte: b'\r' });
        check_error(b"$2\r\nabcd", &DecodeError::BadTerminator { bytes: 2 });
        // An endless number is not searched for as long as a text line.
        let endless = [b":".to_vec(), vec![b'1'; 1000]].concat();
        assert!(matches!(decode(SMALL, &endless), Err(DecodeError::BadNumber { kind: ':', text })
            if text.len() == REPLY_NUMBER_BYTES_MAX));
    }

    #[test]
    fn a_carriage_return_without_a_line_feed_is_refused_at_the_next_byte() {
        for kind in *b"+-:$*" {
            for after in [b'x', b'\r', 0xf3] {
                let bytes = [kind, b'1', b'\r', after];
                check_error(&bytes, &DecodeError::BareReturn { byte: after });
                assert_eq!(decode(SMALL, &bytes[..3]), Ok(None), "the line feed may still arrive");
            }
        }
        check_error(b"+1234567890\rx", &DecodeError::BareReturn { byte: b'x' });
        check_error(b"+12345678901\rx", &DecodeError::LineTooLong { bytes_max: 10 });
    }

    #[test]
    fn a_broken_stream_stays_broken() {
        let mut decoder = Decoder::default();
        decoder.feed(b"!oops\r\n");
        let first = decoder.next_reply();
        decoder.feed(b"+OK\r\n");
        assert!(first.is_err());
        assert_eq!(decoder.next_reply(), first);
    }

    #[test]
    fn nil_is_written_two_ways_and_both_are_whole_at_once() {
        check_whole(b"$-1\r\n");
        check_whole(b"*-1\r\n");
        check_whole(b"*2\r\n$-1\r\n*-1\r\n");
    }

    #[test]
    fn memory_of_one_large_reply_is_not_kept() {
        let mut decoder = Decoder::default();
        let large = REPLY_BUFFER_KEEP_BYTES * 8;
        decoder.feed(format!("${large}\r\n").as_bytes());
        for _ in 0..8 {
            decoder.feed(&vec![b'x'; REPLY_BUFFER_KEEP_BYTES]);
        }
        decoder.feed(b"\r\n");
        let reply = decoder.next_reply().unwrap().unwrap();
        assert!(decoder.is_empty());
        drop(reply);
        decoder.feed(b"+O");
        assert!(decoder.buffer.capacity() <= REPLY_BUFFER_KEEP_BYTES, "{}", decoder.buffer.capacity());
    }

    #[test]
    fn a_usual_buffer_is_taken_over_again() {
        let mut decoder = Decoder::default();
        let message = [b"$30000\r\n".to_vec(), vec![b'x'; 30_000], b"\r\n".to_vec()].concat();
        let mut addresses = Vec::new();
        for _ in 0..8 {
            decoder.feed(&message);
            addresses.push(decoder.buffer.as_ptr());
            drop(decoder.next_reply().unwrap().unwrap());
        }
        addresses.dedup();
        assert!(addresses.len() <= 2, "the buffer moved {} times", addresses.len());
    }
}
