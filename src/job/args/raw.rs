//! Arguments from the bytes of the payload, for what the parser's tape cannot hold or for types that read only from bytes.
//!
//! serde_json decodes each element; the array as a whole means what it means on the tape (`job::nodes`).

use std::borrow::Cow;
use std::ops::Range;

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use crate::job::forward::forward_sequences;
use crate::job::refusal::{Absent, Refusal};
use crate::job::scan;

/// Longest piece of an argument that is quoted in an error, in bytes: enough to recognise a number.
const QUOTED_BYTES_MAX: usize = 40;

/// The elements of an argument array in a payload that is valid JSON.
pub(super) struct RawArray<'a, 'de> {
    pub(super) payload: &'de [u8],
    /// Their positions in `payload`.
    pub(super) elements: &'a [Range<usize>],
}

impl<'de> RawArray<'_, 'de> {
    fn sequence<V: Visitor<'de>>(self, wanted: usize, visitor: V) -> Result<V::Value, Refusal> {
        let len = self.elements.len();
        let mut elements = Elements { array: self, next: 0, wanted, missing: None };
        match visitor.visit_seq(&mut elements) {
            Ok(_) if elements.next < len => Err(Refusal::surplus(elements.next)),
            Ok(value) => Ok(value),
            Err(refusal) => Err(elements.missing.unwrap_or(refusal)),
        }
    }
}

impl<'de> Deserializer<'de> for RawArray<'_, 'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.sequence(0, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.elements.is_empty() { visitor.visit_unit() } else { Err(Refusal::surplus(0)) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.sequence(1, visitor)
    }

    forward_sequences!(sequence);

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq map enum identifier
        ignored_any
    }
}

struct Elements<'a, 'de> {
    array: RawArray<'a, 'de>,
    next: usize,
    /// How many the type has room for.
    wanted: usize,
    missing: Option<Refusal>,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let index = self.next;
        let at = |refusal: Refusal| refusal.at(index);
        if let Some(span) = self.array.elements.get(index) {
            self.next += 1;
            let json: &'de [u8] = self.array.payload.get(span.clone()).unwrap_or_default();
            let value = seed.deserialize(&mut reader(json));
            return value.map(Some).map_err(|error| at(describe(json, &error, None)));
        }
        if index >= self.wanted {
            return Ok(None);
        }
        self.next += 1;
        match seed.deserialize(Absent) {
            Ok(value) => Ok(Some(value)),
            // The type may have a default for it; if not, this is why it was refused.
            Err(refusal) => {
                self.missing = Some(at(refusal));
                Ok(None)
            }
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.array.elements.len().saturating_sub(self.next))
    }
}

/// Decodes one argument.
pub(super) fn element<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, Refusal> {
    decode(json).map_err(|error| describe(json, &error, T::deserialize(Absent).err()))
}

pub(super) fn decode<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, serde_json::Error> {
    let mut reader = reader(json);
    let value = T::deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// Reads values as deep as a payload may be: its depth was checked as a whole.
fn reader(json: &[u8]) -> serde_json::Deserializer<serde_json::de::SliceRead<'_>> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    reader.disable_recursion_limit();
    reader
}

/// Puts serde_json's refusal of `json` into the words of [`Refusal`], without quoting text. `absent` is how the type
/// refuses an absent value.
fn describe(json: &[u8], error: &serde_json::Error, absent: Option<Refusal>) -> Refusal {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    let got = got(json);
    let scalar = !matches!(scan::first_byte(json), Some(b'[' | b'{'));
    de::Error::custom(match (text.rsplit_once(", expected "), absent) {
        (Some((_, expected)), _) => format!("expected {expected}, got {got}"),
        // For a number or text that nothing can hold, only the type itself knows what it wanted.
        (None, Some(absent)) if scalar => {
            absent.text.replace(", got nothing", &format!(", got {got} ({text})"))
        }
        _ => format!("{text}, got {got}"),
    })
}

/// What a piece of valid JSON is, in words; numbers are quoted.
pub(crate) fn got(json: &[u8]) -> Cow<'static, str> {
    match scan::first_byte(json) {
        Some(b'"') => "a string".into(),
        Some(b'{') => "an object".into(),
        Some(b'[') => "an array".into(),
        Some(b'n') => "null".into(),
        Some(b't' | b'f') => "a boolean".into(),
        _ => {
            let text = String::from_utf8_lossy(json.trim_ascii());
            match text.char_indices().nth(QUOTED_BYTES_MAX) {
                Some((end, _)) => format!("{}…", &text[..end]).into(),
                None => text.into_owned().into(),
            }
        }
    }
}
