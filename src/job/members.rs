//! One member of a payload, for callers that need more than the envelope.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Visitor};

use crate::job::scan;

/// The member of this name, decoded; `None` if it is absent or not a `T`. Of duplicates the last counts. Each call scans
/// the payload.
#[must_use]
pub fn member<'p, T: Deserialize<'p>>(payload: &'p [u8], name: &str) -> Option<T> {
    let members = scan::members(payload).ok()?;
    let last = members.into_iter().rfind(|member| scan::key_is(&payload[member.key.clone()], name))?;
    serde_json::from_slice(payload.get(last.value)?).ok()
}

/// Like [`member`], but for bytes that may be cut off or broken: it reads as far as they can be read. For display.
#[must_use]
pub fn member_of_head<T: DeserializeOwned>(head: &[u8], name: &str) -> Option<T> {
    let members = scan::members_of_head(head);
    let last = members.into_iter().rfind(|member| scan::key_is(&head[member.key.clone()], name))?;
    serde_json::from_slice(head.get(last.value)?).ok()
}

/// The text of a member as bytes, which hold what no `String` can: bytes that are no UTF-8, lone surrogates. As far as
/// [`member_of_head`] reads.
#[must_use]
pub fn text_of_head(head: &[u8], name: &str) -> Option<Vec<u8>> {
    member_of_head::<TextBytes>(head, name).map(|text| text.0)
}

/// All members in their order, names decoded and values as JSON text, as far as [`member_of_head`] reads. For display: what
/// is not UTF-8 is replaced.
#[must_use]
pub fn members_of_head(head: &[u8]) -> Vec<(String, String)> {
    let text =
        |range: Range<usize>| String::from_utf8_lossy(head.get(range).unwrap_or_default()).into_owned();
    let pair = |member: scan::Member| {
        let key = text(member.key);
        (serde_json::from_str(&key).unwrap_or(key), text(member.value))
    };
    scan::members_of_head(head).into_iter().map(pair).collect()
}

struct TextBytes(Vec<u8>);

impl<'de> Deserialize<'de> for TextBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = TextBytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<TextBytes, E> {
        Ok(TextBytes(bytes.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_place_where_it_breaks_is_read() {
        let whole = r#"{"name":"N","args":[],"jid":"j","raw_base64":"AAAA"}"#.as_bytes();
        for cut in [whole.len(), whole.len() - 4, whole.len() - 8] {
            assert_eq!(member_of_head::<String>(&whole[..cut], "jid").as_deref(), Some("j"), "{cut}");
        }
        assert_eq!(member_of_head::<String>(&whole[..28], "jid"), None);
        assert_eq!(member_of_head::<String>(b"no json", "jid"), None);
    }

    #[test]
    fn all_members_are_listed_in_their_order() {
        let payload = b"{\"b\":[1, 2],\"t\\u0065nant\":\"\xff\",\"cut\":\"of";
        let expected = [("b", "[1, 2]"), ("tenant", "\"\u{fffd}\"")];
        assert_eq!(members_of_head(payload), expected.map(|(name, json)| (name.to_owned(), json.to_owned())));
    }

    #[test]
    fn a_text_that_no_string_can_hold_is_read_as_bytes() {
        let payload = b"{\"a\":\"x\xff\\n\",\"b\":\"\\ud800\",\"c\":7,\"d\":[\"x\"]}";
        assert_eq!(text_of_head(payload, "a").as_deref(), Some(b"x\xff\n".as_slice()));
        assert_eq!(text_of_head(payload, "b").map(|text| text.len()), Some(3));
        assert_eq!((text_of_head(payload, "c"), text_of_head(payload, "d")), (None, None));
        assert_eq!(member_of_head::<String>(payload, "a"), None);
    }

    #[test]
    fn the_last_member_of_a_name_is_read_as_it_is_asked_for() {
        let payload = r#"{"a":1,"t\u0065nant":"acme","a":[2, "x"]}"#.as_bytes();
        assert_eq!(member::<String>(payload, "tenant").as_deref(), Some("acme"));
        assert_eq!(member::<(u8, String)>(payload, "a"), Some((2, "x".to_owned())));
        assert_eq!(member::<u8>(payload, "a"), None, "another type");
        assert_eq!(member::<u8>(payload, "b"), None, "not there");
        assert_eq!(member::<u8>(b"", "a"), None);
        assert_eq!(member::<u8>(b"[1]", "a"), None);
    }
}
