//! One whole reply, and typed access to it.
//!
//! Not responsible for reading it off the wire: see [`super::decode`].

use std::{fmt, slice};

use bytes::Bytes;
use redis_protocol::resp2::types::RangeFrame;

use super::{error::Error, redis_error::ErrorReply};
use crate::limits::DEBUG_BYTES_MAX;

/// A whole reply: its bytes and where each value is in them.
///
/// Owns its bytes as a share of the buffer they were read into, so it is cheap to create and pins that buffer.
#[derive(Clone)]
pub struct Reply {
    bytes: Bytes,
    /// Invariant: ranges within `bytes`.
    frame: RangeFrame,
}

impl Reply {
    /// `frame` must have been decoded from exactly `bytes`.
    pub(super) fn new(bytes: Bytes, frame: RangeFrame) -> Self {
        Self { bytes, frame }
    }

    /// The value of the reply, borrowed.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        Value::of(&self.bytes, &self.frame)
    }

    /// Keeps a part of this reply (a payload, say) without copying it. The part pins the buffer it was read into,
    /// which may be a few hundred kilobytes: what is kept for long should be copied instead.
    ///
    /// # Panics
    /// If `part` was not borrowed from this reply.
    #[must_use]
    pub fn slice(&self, part: &[u8]) -> Bytes {
        self.bytes.slice_ref(part)
    }

    /// Whether it is a RESP3 push: it answers no command. Its value is an array.
    #[must_use]
    pub fn is_push(&self) -> bool {
        self.bytes.first() == Some(&b'>')
    }

    /// How many bytes the reply took on the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// [`Value::as_integer`] of the whole reply.
    ///
    /// # Errors
    /// See there.
    pub fn as_integer(&self) -> Result<i64, Error> {
        self.value().as_integer()
    }

    /// [`Value::as_bulk`] of the whole reply.
    ///
    /// # Errors
    /// See there.
    pub fn as_bulk(&self) -> Result<&[u8], Error> {
        self.value().as_bulk()
    }

    /// [`Value::as_nil_or_bulk`] of the whole reply.
    ///
    /// # Errors
    /// See there.
    pub fn as_nil_or_bulk(&self) -> Result<Option<&[u8]>, Error> {
        self.value().as_nil_or_bulk()
    }

    /// [`Value::as_array`] of the whole reply.
    ///
    /// # Errors
    /// See there.
    pub fn as_array(&self) -> Result<Elements<'_>, Error> {
        self.value().as_array()
    }

    /// [`Value::as_ok`] of the whole reply.
    ///
    /// # Errors
    /// See there.
    pub fn as_ok(&self) -> Result<(), Error> {
        self.value().as_ok()
    }

    /// The reply itself, unless it is an error.
    ///
    /// # Errors
    /// [`Error::Redis`] if Redis answered with an error.
    pub fn into_result(self) -> Result<Self, Error> {
        match self.value() {
            Value::Error(error) => Err(Error::Redis(error.to_owned())),
            _ => Ok(self),
        }
    }
}

impl PartialEq for Reply {
    /// Two replies are equal if their bytes are: the frame follows from them.
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Reply {}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

/// The value of a reply, or of one of its elements.
#[derive(Clone)]
pub enum Value<'a> {
    /// No value: `$-1` or `*-1`; `_` in RESP3.
    Nil,
    /// A status such as `OK`.
    Simple(&'a [u8]),
    /// Redis refused; an element may be an error even though the reply around it is not.
    Error(ErrorReply<'a>),
    /// A signed number.
    Integer(i64),
    /// A binary-safe string.
    Bulk(&'a [u8]),
    /// A list of values; a RESP3 map is a list of alternating keys and values.
    Array(Elements<'a>),
}

impl<'a> Value<'a> {
    fn of(bytes: &'a [u8], frame: &'a RangeFrame) -> Self {
        match frame {
            RangeFrame::Null => Self::Nil,
            RangeFrame::SimpleString(range) => Self::Simple(&bytes[range.0..range.1]),
            RangeFrame::Error(range) => Self::Error(ErrorReply::new(&bytes[range.0..range.1])),
            RangeFrame::Integer(number) => Self::Integer(*number),
            RangeFrame::BulkString(range) => Self::Bulk(&bytes[range.0..range.1]),
            RangeFrame::Array(frames) => Self::Array(Elements { bytes, frames: frames.iter() }),
        }
    }

    /// The number.
    ///
    /// # Errors
    /// [`Error::Redis`] if the value is an error, [`Error::Unexpected`] if it is anything else.
    pub fn as_integer(&self) -> Result<i64, Error> {
        match self {
            Self::Integer(number) => Ok(*number),
            other => Err(other.instead_of("an integer")),
        }
    }

    /// The bytes of the string.
    ///
    /// # Errors
    /// [`Error::Redis`] if the value is an error, [`Error::Unexpected`] if it is anything else, including nil.
    pub fn as_bulk(&self) -> Result<&'a [u8], Error> {
        match self {
            Self::Bulk(bytes) => Ok(bytes),
            other => Err(other.instead_of("a bulk string")),
        }
    }

    /// The bytes of the string, or `None` for nil.
    ///
    /// # Errors
    /// [`Error::Redis`] if the value is an error, [`Error::Unexpected`] if it is anything else.
    pub fn as_nil_or_bulk(&self) -> Result<Option<&'a [u8]>, Error> {
        match self {
            Self::Nil => Ok(None),
            Self::Bulk(bytes) => Ok(Some(bytes)),
            other => Err(other.instead_of("a bulk string or nil")),
        }
    }

    /// The elements of the array.
    ///
    /// # Errors
    /// [`Error::Redis`] if the value is an error, [`Error::Unexpected`] if it is anything else, including nil.
    pub fn as_array(&self) -> Result<Elements<'a>, Error> {
        match self {
            Self::Array(elements) => Ok(elements.clone()),
            other => Err(other.instead_of("an array")),
        }
    }

    /// Checks that the value is the status `OK`.
    ///
    /// # Errors
    /// [`Error::Redis`] if the value is an error, [`Error::Unexpected`] if it is anything else.
    pub fn as_ok(&self) -> Result<(), Error> {
        match self {
            Self::Simple(b"OK") => Ok(()),
            other => Err(other.instead_of("the status OK")),
        }
    }

    /// The error for a value found where `expected` should be: Redis's own if the value is an error.
    #[must_use]
    pub fn instead_of(&self, expected: &'static str) -> Error {
        match self {
            Self::Error(error) => Error::Redis(error.to_owned()),
            // Kind and size only: a payload does not belong in an error message.
            Self::Nil => Error::Unexpected { expected, got: "nil".to_owned() },
            Self::Simple(text) => {
                let shown = &text[..text.len().min(DEBUG_BYTES_MAX)];
                Error::Unexpected { expected, got: format!("the status {}", shown.escape_ascii()) }
            }
            Self::Integer(number) => Error::Unexpected { expected, got: format!("the integer {number}") },
            Self::Bulk(bytes) => {
                Error::Unexpected { expected, got: format!("a bulk string of {} bytes", bytes.len()) }
            }
            Self::Array(elements) => {
                Error::Unexpected { expected, got: format!("an array of {} elements", elements.len()) }
            }
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |f: &mut fmt::Formatter<'_>, mark: char, bytes: &[u8]| {
            let shown = &bytes[..bytes.len().min(DEBUG_BYTES_MAX)];
            let cut = if shown.len() < bytes.len() { "…" } else { "" };
            write!(f, "{mark}\"{}{cut}\"", shown.escape_ascii())
        };
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Simple(text) => quoted(f, '+', text),
            Self::Error(error) => quoted(f, '-', error.line()),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(bytes) => quoted(f, '$', bytes),
            Self::Array(elements) => f.debug_list().entries(elements.clone()).finish(),
        }
    }
}

/// The elements of an array, in order.
#[derive(Clone)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    frames: slice::Iter<'a, RangeFrame>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.frames.next().map(|frame| Value::of(self.bytes, frame))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.frames.size_hint()
    }
}

impl ExactSizeIterator for Elements<'_> {}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::decode::Decoder;

    fn reply(bytes: &[u8]) -> Reply {
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        decoder.next_reply().unwrap().unwrap()
    }

    #[test]
    fn accessors_name_what_they_wanted_and_got() {
        let cases: &[(&[u8], &str)] = &[
            (b"$5\r\nhello\r\n", "redis answered a bulk string of 5 bytes instead of an integer"),
            (b"$-1\r\n", "redis answered nil instead of an integer"),
            (b"+QUEUED\r\n", "redis answered the status QUEUED instead of an integer"),
            (b"*2\r\n:1\r\n:2\r\n", "redis answered an array of 2 elements instead of an integer"),
            (b"-WRONGTYPE Operation\r\n", "redis answered WRONGTYPE Operation"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(reply(bytes).as_integer().unwrap_err().to_string(), *expected);
        }
        assert_eq!(
            reply(b":7\r\n").as_bulk().unwrap_err().to_string(),
            "redis answered the integer 7 instead of a bulk string"
        );
    }

    #[test]
    fn accessors_give_the_value_of_their_kind() {
        assert_eq!(reply(b":-7\r\n").as_integer().unwrap(), -7);
        assert_eq!(reply(b"$2\r\n\xff\0\r\n").as_bulk().unwrap(), b"\xff\0");
        assert_eq!(reply(b"$-1\r\n").as_nil_or_bulk().unwrap(), None);
        assert_eq!(reply(b"$0\r\n\r\n").as_nil_or_bulk().unwrap(), Some(&b""[..]));
        reply(b"+OK\r\n").as_ok().unwrap();
        assert!(reply(b"+QUEUED\r\n").as_ok().is_err());
        assert!(reply(b"-ERR no\r\n").into_result().is_err());
    }

    #[test]
    fn elements_know_how_many_are_left() {
        let reply = reply(b"*3\r\n:1\r\n*1\r\n$1\r\na\r\n-ERR inner\r\n");
        let mut elements = reply.as_array().unwrap();
        assert_eq!(elements.len(), 3);
        assert_eq!(elements.next().unwrap().as_integer().unwrap(), 1);
        assert_eq!(elements.next().unwrap().as_array().unwrap().next().unwrap().as_bulk().unwrap(), b"a");
        assert_eq!(elements.len(), 1);
        assert!(matches!(elements.next(), Some(Value::Error(_))));
        assert!(elements.next().is_none());
        assert_eq!(format!("{reply:?}"), r#"[:1, [$"a"], -"ERR inner"]"#);
    }

    #[test]
    fn a_part_is_kept_without_a_copy() {
        let reply = reply(b"*2\r\n$3\r\nabc\r\n$2\r\nde\r\n");
        let part = reply.as_array().unwrap().nth(1).unwrap().as_bulk().unwrap();
        let address = part.as_ptr();
        let kept = reply.slice(part);
        drop(reply);
        assert_eq!((kept.as_ptr(), &kept[..]), (address, &b"de"[..]));
    }

    #[test]
    fn debug_shows_a_bounded_part_of_a_payload() {
        let reply = reply(format!("$1000\r\n{}\r\n", "x".repeat(1000)).as_bytes());
        assert!(format!("{reply:?}").len() < 2 * DEBUG_BYTES_MAX);
    }
}
