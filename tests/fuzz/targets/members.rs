//! The members of a JSON object as serde_json reads them: keys, and each value's bytes in place.
//!
//! A second opinion that shares no line with the engine's own scanner.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One member of an object.
#[derive(Clone, Debug)]
pub(crate) struct Member<'d> {
    /// The key as read. A lone surrogate, which no text can hold, takes three bytes of it.
    pub(crate) key: Vec<u8>,
    /// The value as written.
    pub(crate) value: &'d RawValue,
}

impl Member<'_> {
    /// The value's position in the text it was read from.
    pub(crate) fn span(&self, data: &[u8]) -> Range<usize> {
        let value = self.value.get();
        let start = value.as_ptr() as usize - data.as_ptr() as usize;
        start..start + value.len()
    }
}

/// The members of the object that `data` is, including duplicates; `None` if it is not one, or not UTF-8.
pub(crate) fn members(data: &[u8]) -> Option<Vec<Member<'_>>> {
    let text = std::str::from_utf8(data).ok()?;
    // Read as bytes, a key is not checked for control characters.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    serde_json::from_str::<Object<'_>>(text).ok().map(|object| object.0)
}

/// The last member with a name: the one that counts.
pub(crate) fn last<'m, 'd>(members: &'m [Member<'d>], name: &str) -> Option<&'m Member<'d>> {
    members.iter().rfind(|member| member.key == name.as_bytes())
}

struct Object<'d>(Vec<Member<'d>>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            members.push(Member { key, value: map.next_value()? });
        }
        Ok(Object(members))
    }
}

/// A key as bytes, which may hold what no `str` can.
struct Key(Vec<u8>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(KeyBytes)
    }
}

struct KeyBytes;

impl Visitor<'_> for KeyBytes {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Key, E> {
        Ok(Key(bytes.to_vec()))
    }
}
