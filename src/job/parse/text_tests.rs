//! Texts that are not UTF-8, and the deepest payloads: which types read them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use super::*;

/// A type that wants the bytes of a text, as `serde_bytes::ByteBuf`.
#[derive(Debug, PartialEq)]
struct TextBytes(Vec<u8>);

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = TextBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_str<E>(self, text: &str) -> Result<TextBytes, E> {
                Ok(TextBytes(text.as_bytes().to_vec()))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<TextBytes, E> {
                Ok(TextBytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

#[test]
fn texts_that_are_no_utf8_are_arguments_no_string_can_hold_and_can_be_had_as_bytes() {
    let mut parser = Parser::default();
    let payload =
        b"{\"x\xff\":\"\xfe\",\"name\":\"N\",\"args\":[1,\"a\xff\\n\",[\"\xc3\"],\"ok\"],\"jid\":\"j\xff\",\
        \"retries\":3,\"queue\":\"\xff\",\"error_message\":\"\xff\"}";
    let mut parsed = parser.parse(payload).unwrap();
    assert_eq!((parsed.name, parsed.jid, parsed.history.retries, parsed.args.len()), ("N", None, 3, 4));
    assert_eq!(parsed.args.take::<u8>().unwrap(), 1);
    let error = parsed.args.take::<String>().unwrap_err().to_string();
    assert!(error.starts_with("argument 2: ") && error.contains("got a string"), "{error}");
    assert!(parsed.args.take::<Vec<String>>().is_err());
    assert_eq!(parsed.args.take::<TextBytes>().unwrap(), TextBytes(b"ok".to_vec()));
    drop(parsed);
    let mut parsed = parser.parse(payload).unwrap();
    assert_eq!(parsed.args.take::<u8>().unwrap(), 1);
    assert_eq!(parsed.args.take::<TextBytes>().unwrap(), TextBytes(b"a\xff\n".to_vec()));
    drop(parsed);
    let mut on_tape = parser.parse(br#"{"name":"N","args":["a\n"]}"#).unwrap();
    assert_eq!(on_tape.args.take::<TextBytes>().unwrap(), TextBytes(b"a\n".to_vec()), "the fast way alike");
}

#[test]
fn the_deepest_value_is_decoded_both_ways_on_the_smallest_of_our_stacks() {
    let levels = PAYLOAD_DEPTH_MAX - 2;
    // The second is a number that sends the payload the slow way.
    for other in ["1", "1e400"] {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        let payload = format!(r#"{{"name":"N","args":[{open}1{close}],"x":{other}}}"#);
        let decode = move || {
            let mut parser = Parser::default();
            let mut parsed = parser.parse(payload.as_bytes()).unwrap();
            let mut value = parsed.args.take::<serde_json::Value>().unwrap();
            let mut found = 0;
            while let Some(inner) = value.as_array_mut().and_then(Vec::pop) {
                (value, found) = (inner, found + 1);
            }
            found
        };
        let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(decode).unwrap();
        assert_eq!(small.join().unwrap(), levels);
    }
}
