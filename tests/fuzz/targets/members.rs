//! The members of a JSON object by serde_json's reading: keys, and each value's bytes where they lie.
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
    /// The key as it reads. A lone surrogate, which no text can hold, is in it as three bytes.
    pub(crate) key: Vec<u8>,
    /// The value as it is written.
    pub(crate) value: &'d RawValue,
}

impl Member<'_> {
    /// Where the value stands in the text it was read from.
    pub(crate) fn span(&self, data: &[u8]) -> Range<usize> {
        let value = self.value.get();
        let start = value.as_ptr() as usize - data.as_ptr() as usize;
        start..start + value.len()
    }
}

/// The members of the object that `data` is, duplicates included; `None` if it is none, or no UTF-8.
pub(crate) fn members(data: &[u8]) -> Option<Vec<Member<'_>>> {
    let text = std::str::from_utf8(data).ok()?;
    // Read as bytes, a key is not looked through for control characters.
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    serde_json::from_str::<Object<'_>>(text).ok().map(|object| object.0)
}

/// The last member of a name: the one that counts.
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

/// A key as bytes, which hold what no `str` can.
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
