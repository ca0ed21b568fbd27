//! The frame of one whole RESP3 reply, in the shape RESP2 frames have: a map is the array of its alternating keys and
//! values, a push an array, a null a nil.
//!
//! So everything above sees one kind of value. Not responsible for where a reply ends, nor for what it may cost:
//! [`super::scan`] has checked the bytes.

use redis_protocol::resp2::types::RangeFrame;

/// The frame of `bytes`; `None` if they are not exactly one reply.
///
/// Recurses once for each level of nesting, which the scan has bounded.
pub(super) fn frame(bytes: &[u8]) -> Option<RangeFrame> {
    let mut cursor = Cursor { bytes, at: 0 };
    let frame = cursor.value()?;
    (cursor.at == bytes.len()).then_some(frame)
}

struct Cursor<'a> {
    bytes: &'a [u8],
    /// Where the next value begins.
    at: usize,
}

impl Cursor<'_> {
    fn value(&mut self) -> Option<RangeFrame> {
        let kind = *self.bytes.get(self.at)?;
        let start = self.at + 1;
        let end = start + self.bytes.get(start..)?.windows(2).position(|pair| pair == b"\r\n")?;
        self.at = end + 2;
        let number = || std::str::from_utf8(&self.bytes[start..end]).ok()?.parse::<i64>().ok();
        Some(match kind {
            b'+' => RangeFrame::SimpleString((start, end)),
            b'-' => RangeFrame::Error((start, end)),
            b':' => RangeFrame::Integer(number()?),
            b'_' => RangeFrame::Null,
            b'$' | b'*' if number()? == -1 => RangeFrame::Null,
            b'$' => {
                let (start, end) = (self.at, self.at.checked_add(usize::try_from(number()?).ok()?)?);
                self.at = end + 2;
                // So that a returned range lies within the bytes.
                self.bytes.get(start..self.at)?;
                RangeFrame::BulkString((start, end))
            }
            b'*' | b'>' => self.array(usize::try_from(number()?).ok()?)?,
            b'%' => self.array(usize::try_from(number()?).ok()?.checked_mul(2)?)?,
            _ => return None,
        })
    }

    fn array(&mut self, elements: usize) -> Option<RangeFrame> {
        // Each element takes at least three bytes: no more is reserved than is there.
        let mut frames = Vec::with_capacity(elements.min(self.bytes.len() / 3));
        for _ in 0..elements {
            frames.push(self.value()?);
        }
        Some(RangeFrame::Array(frames))
    }
}

#[cfg(test)]
mod tests {
    use crate::limits::REPLY_DEPTH_MAX;
    use crate::resp::decode::{DecodeError, Decoder};
    use crate::resp::reply::Reply;

    /// What a connection that speaks RESP3 reads, all at once and byte by byte.
    fn read(bytes: &[u8]) -> Result<Option<Reply>, DecodeError> {
        let mut decoder = Decoder::default();
        decoder.speak_resp3();
        decoder.feed(bytes);
        let at_once = decoder.next_reply();
        let mut decoder = Decoder::default();
        decoder.speak_resp3();
        let mut bytewise = Ok(None);
        for byte in bytes {
            decoder.feed(&[*byte]);
            bytewise = decoder.next_reply();
            if !matches!(bytewise, Ok(None)) {
                break;
            }
        }
        assert_eq!(at_once.is_ok(), bytewise.is_ok(), "{at_once:?} | {bytewise:?}");
        if at_once.is_ok() {
            assert_eq!(at_once, bytewise);
        }
        at_once
    }

    fn check(bytes: &[u8], expected: &str) {
        let reply = read(bytes).unwrap().unwrap();
        assert_eq!(format!("{reply:?}"), expected, "{}", bytes.escape_ascii());
        assert_eq!(reply.wire_bytes(), bytes.len());
    }

    /// The answer of Redis 7.0.15 to `HELLO 3`.
    const HELLO: &[u8] = b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:3\r\n\
        $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n";

    #[test]
    fn a_map_is_read_as_its_keys_and_values_in_turn() {
        let reply = read(HELLO).unwrap().unwrap();
        assert!(!reply.is_push());
        let values: Vec<_> = reply.as_array().unwrap().collect();
        assert_eq!(values.len(), 14);
        assert_eq!((values[4].as_bulk().unwrap(), values[5].as_integer().unwrap()), (&b"proto"[..], 3));
        assert_eq!(values[13].as_array().unwrap().len(), 0);
        check(b"%0\r\n", "[]");
        check(b"*1\r\n%1\r\n+a\r\n_\r\n", r#"[[+"a", nil]]"#);
    }

    #[test]
    fn a_push_is_distinguished_from_a_reply() {
        for (bytes, expected) in [
            (&b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\ns\r\n"[..], r#"[$"invalidate", [$"s"]]"#),
            (b">2\r\n$10\r\ninvalidate\r\n_\r\n", r#"[$"invalidate", nil]"#),
        ] {
            check(bytes, expected);
            assert!(read(bytes).unwrap().unwrap().is_push());
        }
    }

    #[test]
    fn the_kinds_of_resp2_are_what_they_were() {
        let all = b"*7\r\n:-7\r\n$2\r\n\xff\0\r\n$-1\r\n*-1\r\n+OK\r\n-ERR no\r\n*1\r\n$0\r\n\r\n";
        check(all, r#"[:-7, $"\xff\x00", nil, nil, +"OK", -"ERR no", [$""]]"#);
        let mut resp2 = Decoder::default();
        resp2.feed(all);
        assert_eq!(read(all), resp2.next_reply());
    }

    #[test]
    fn what_breaks_a_bound_or_is_malformed_is_refused() {
        let bad = |kind, text: &str| DecodeError::BadNumber { kind, text: text.to_owned() };
        assert_eq!(read(b"%-1\r\n"), Err(bad('%', "-1")));
        assert_eq!(read(b">x\r\n"), Err(bad('>', "x")));
        assert_eq!(read(b"_no\r\n"), Err(bad('_', "no")));
        assert!(matches!(read(b"%9223372036854775807\r\n"), Err(DecodeError::TooManyElements { .. })));
        assert!(matches!(
            read(b"%500001\r\n"),
            Err(DecodeError::TooManyElements { elements: 1_000_002, .. })
        ));
        let bomb = b"%1\r\n".repeat(100_000);
        assert_eq!(read(&bomb), Err(DecodeError::TooDeep { depth_max: REPLY_DEPTH_MAX }));
        // Kinds that nothing asks for, and a push within a reply.
        for (bytes, byte) in [(&b",1.5\r\n"[..], b','), (b"#t\r\n", b'#'), (b"*1\r\n>0\r\n", b'>')] {
            assert_eq!(read(bytes), Err(DecodeError::UnknownKind { byte }));
        }
    }

    #[test]
    fn a_connection_that_speaks_resp2_knows_none_of_it() {
        for (bytes, byte) in [(HELLO, b'%'), (b"_\r\n", b'_'), (b">0\r\n", b'>')] {
            let mut decoder = Decoder::default();
            decoder.feed(bytes);
            assert_eq!(decoder.next_reply(), Err(DecodeError::UnknownKind { byte }));
        }
    }
}
