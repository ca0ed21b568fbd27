//! Deserialises straight from the nodes of a parsed tape into Rust types, with errors that say what was wanted and what was
//! found.
//!
//! simd-json's own deserialiser wants to own the tape and says only "expected unsigned"; this one borrows nodes, leaves
//! every type check to the type's visitor, and never puts an argument's text into an error.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use simd_json::{Node, StaticNode};

use crate::job::forward::forward_sequences;
use crate::job::nodes::object::{Entries, Variant};
use crate::job::refusal::{Absent, Refusal};

mod object;

/// How many nodes a value takes, itself included.
pub(crate) fn span(node: &Node<'_>) -> usize {
    match node {
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
        Node::String(_) | Node::Static(_) => 1,
    }
}

/// What a value is, in words.
pub(crate) fn kind(node: &Node<'_>) -> &'static str {
    match node {
        Node::String(_) => "a string",
        Node::Object { .. } => "an object",
        Node::Array { .. } => "an array",
        Node::Static(StaticNode::Null) => "null",
        Node::Static(StaticNode::Bool(_)) => "a boolean",
        Node::Static(_) => "a number",
    }
}

/// Deserialises the value whose nodes come first in `nodes`.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a, 'de> {
    nodes: &'a [Node<'de>],
    missing: Missing,
}

/// What a tuple longer than its array gets for the missing elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Nothing: an array that is too short is an error. Arrays within arguments.
    Refused,
    /// An absent value, which only an `Option` can hold, or the type's own default. The arguments themselves.
    Absent,
}

impl<'a, 'de> Value<'a, 'de> {
    pub(crate) fn new(nodes: &'a [Node<'de>]) -> Self {
        Self { nodes, missing: Missing::Refused }
    }

    /// The array of a job's arguments: read as a tuple, where missing trailing elements are absent optional ones.
    pub(crate) fn arguments(nodes: &'a [Node<'de>]) -> Self {
        Self { nodes, missing: Missing::Absent }
    }

    fn first(self) -> Result<Node<'de>, Refusal> {
        self.nodes.first().copied().ok_or_else(|| de::Error::custom("nothing left to read"))
    }

    fn rest(self) -> &'a [Node<'de>] {
        self.nodes.get(1..).unwrap_or_default()
    }

    fn sequence<V: Visitor<'de>>(self, len: usize, wanted: usize, visitor: V) -> Result<V::Value, Refusal> {
        let absent = match self.missing {
            Missing::Absent => wanted.saturating_sub(len),
            Missing::Refused => 0,
        };
        let mut elements = Elements { nodes: self.rest(), index: 0, left: len, absent, missing: None };
        let value = match visitor.visit_seq(&mut elements) {
            Ok(value) => value,
            Err(refusal) => return Err(elements.missing.unwrap_or(refusal)),
        };
        match elements.left {
            0 => Ok(value),
            left if self.missing == Missing::Absent => Err(Refusal::surplus(len - left)),
            left => Err(de::Error::custom(format_args!(
                "expected an array of {} elements, got one of {len}",
                len - left
            ))),
        }
    }

    fn tuple<V: Visitor<'de>>(self, wanted: usize, visitor: V) -> Result<V::Value, Refusal> {
        match self.first()? {
            Node::Array { len, .. } => self.sequence(len, wanted, visitor),
            _ => self.deserialize_any(visitor),
        }
    }
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.first()? {
            Node::String(text) => visitor.visit_borrowed_str(text),
            Node::Static(StaticNode::Null) => visitor.visit_unit(),
            Node::Static(StaticNode::Bool(value)) => visitor.visit_bool(value),
            Node::Static(StaticNode::I64(value)) => visitor.visit_i64(value),
            Node::Static(StaticNode::U64(value)) => visitor.visit_u64(value),
            Node::Static(StaticNode::F64(value)) => visitor.visit_f64(value),
            Node::Array { len, .. } => self.sequence(len, len, visitor),
            Node::Object { len, .. } => visitor.visit_map(Entries { nodes: self.rest(), left: len }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.first()? {
            Node::Static(StaticNode::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.missing {
            Missing::Refused => visitor.visit_newtype_struct(self),
            Missing::Absent => self.tuple(1, visitor),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match (self.missing, self.first()?) {
            (Missing::Absent, Node::Array { len: 0, .. }) => visitor.visit_unit(),
            (Missing::Absent, Node::Array { .. }) => Err(Refusal::surplus(0)),
            _ => self.deserialize_any(visitor),
        }
    }

    forward_sequences!(tuple);

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match (self.first()?, self.nodes.get(1)) {
            (Node::String(variant), _) => visitor.visit_enum(BorrowedStrDeserializer::new(variant)),
            (Node::Object { len: 1, .. }, Some(Node::String(variant))) => {
                visitor.visit_enum(Variant { variant, content: Self::new(&self.nodes[2..]) })
            }
            (Node::Object { .. }, _) => {
                Err(de::Error::invalid_value(Unexpected::Map, &"an object with one member"))
            }
            _ => Err(de::Error::custom(format_args!("expected an enum, got {}", kind(&self.first()?)))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq map identifier
    }
}

/// The elements of an array, followed by the absent ones of a tuple that wants more.
struct Elements<'a, 'de> {
    nodes: &'a [Node<'de>],
    index: usize,
    left: usize,
    absent: usize,
    /// Why the last absent one was refused.
    missing: Option<Refusal>,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let index = self.index;
        self.index += 1;
        let element = if self.left > 0 {
            self.left -= 1;
            let (element, rest) = split(self.nodes);
            self.nodes = rest;
            seed.deserialize(element)
        } else if self.absent > 0 {
            self.absent -= 1;
            match seed.deserialize(Absent) {
                Ok(value) => Ok(value),
                // The type may have a default for it; if not, this is why it was refused.
                Err(refusal) => {
                    self.missing = Some(refusal.at(index));
                    return Ok(None);
                }
            }
        } else {
            return Ok(None);
        };
        // The outermost array is left last, so its index is the one that remains.
        element.map(Some).map_err(|refusal| refusal.at(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left + self.absent)
    }
}

fn split<'a, 'de>(nodes: &'a [Node<'de>]) -> (Value<'a, 'de>, &'a [Node<'de>]) {
    let end = nodes.first().map_or(0, span).min(nodes.len());
    let (value, rest) = nodes.split_at(end);
    (Value::new(value), rest)
}
