//! Deserialises straight from the nodes of a parsed tape into Rust types, with errors that say what was wanted and
//! what was there.
//!
//! simd-json's own deserialiser wants to own the tape and says only "expected unsigned"; this one borrows nodes,
//! leaves every type check to the type's visitor, and never puts an argument's text into an error.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use simd_json::{Node, StaticNode};

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

/// Why a value could not be read as the wanted type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The reason, fit to follow "argument 2: ".
    pub(crate) text: String,
    /// Index of the outermost array element in which it happened.
    pub(crate) index: Option<usize>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { text: message.to_string(), index: None }
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, got {}", Described(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("expected one of `{}`, got a string", expected.join("`, `")))
    }
}

/// Numbers and booleans are shown, texts only named: they may be long or private.
struct Described<'u>(Unexpected<'u>);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Bool(value) => write!(f, "{value}"),
            Unexpected::Unsigned(value) => write!(f, "{value}"),
            Unexpected::Signed(value) => write!(f, "{value}"),
            Unexpected::Float(value) => write!(f, "{value:?}"),
            Unexpected::Str(_) => f.write_str("a string"),
            Unexpected::Unit | Unexpected::Option => f.write_str("null"),
            Unexpected::Seq => f.write_str("an array"),
            Unexpected::Map => f.write_str("an object"),
            other => write!(f, "{other}"),
        }
    }
}

/// Deserialises the value whose nodes stand first in `nodes`.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a, 'de> {
    nodes: &'a [Node<'de>],
    missing: Missing,
}

/// What a tuple longer than its array gets for the elements that are not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Nothing: too short an array is an error.
    Refused,
    /// An absent value, which only an `Option` can hold.
    Absent,
}

impl<'a, 'de> Value<'a, 'de> {
    pub(crate) fn new(nodes: &'a [Node<'de>]) -> Self {
        Self { nodes, missing: Missing::Refused }
    }

    /// The array of a job's arguments: read as a tuple, missing trailing elements are absent optional ones.
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
        let mut elements = Elements { nodes: self.rest(), index: 0, left: len, absent };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.left {
            0 => Ok(value),
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
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.tuple(len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.tuple(fields.len(), visitor)
    }

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
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq map
        identifier
    }
}

/// The elements of an array, and behind them the absent ones of a tuple that wants more.
struct Elements<'a, 'de> {
    nodes: &'a [Node<'de>],
    index: usize,
    left: usize,
    absent: usize,
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
            seed.deserialize(Absent)
        } else {
            return Ok(None);
        };
        // The outermost array is left last, so its index is the one that stays.
        element.map(Some).map_err(|refusal| Refusal { index: Some(index), ..refusal })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left + self.absent)
    }
}

/// The members of an object.
struct Entries<'a, 'de> {
    nodes: &'a [Node<'de>],
    left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_, 'de> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let Some((Node::String(key), rest)) = self.nodes.split_first() else {
            return Err(de::Error::custom("an object without a key"));
        };
        self.nodes = rest;
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let (value, rest) = split(self.nodes);
        self.nodes = rest;
        seed.deserialize(value)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

fn split<'a, 'de>(nodes: &'a [Node<'de>]) -> (Value<'a, 'de>, &'a [Node<'de>]) {
    let end = nodes.first().map_or(0, span).min(nodes.len());
    let (value, rest) = nodes.split_at(end);
    (Value::new(value), rest)
}

/// A member's key: text, which maps with numbers as keys read as numbers.
struct Key<'de>(&'de str);

macro_rules! number_keys {
    ($($method:ident $visit:ident $number:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            match self.0.parse::<$number>() {
                Ok(number) => visitor.$visit(number),
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    number_keys! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_i128 visit_i128 i128,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
        deserialize_u128 visit_u128 u128,
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// An enum written as an object with one member: the variant's name and its content.
struct Variant<'a, 'de> {
    variant: &'de str,
    content: Value<'a, 'de>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a, 'de> {
    type Error = Refusal;
    type Variant = Value<'a, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Value<'a, 'de>), Refusal> {
        let name: StrDeserializer<'_, Refusal> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self.content))
    }
}

impl<'de> VariantAccess<'de> for Value<'_, 'de> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        serde::Deserialize::deserialize(self)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_struct("", fields, visitor)
    }
}

/// An argument that is not there: `None` for an `Option`, an error for everything else.
#[derive(Clone, Copy)]
pub(crate) struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        Err(de::Error::invalid_type(Unexpected::Other("nothing"), &visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
