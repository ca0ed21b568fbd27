//! Why an argument does not fit a type, in words that never hold the argument's text.
//!
//! Responsible for the wording, and for missing arguments. Not for which argument it is (`job::args`).

use std::fmt;

use serde::de::{self, Deserializer, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

/// Why a value could not be read as the wanted type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The reason, fit to follow "argument 2: ".
    pub(crate) text: String,
    /// Index of the outermost array element in which it happened.
    pub(crate) index: Option<usize>,
    /// Set if there are more arguments than fields: the number of fields.
    pub(crate) surplus: Option<usize>,
}

impl Refusal {
    /// There are more arguments than the `fields` for them.
    pub(crate) fn surplus(fields: usize) -> Self {
        Self { surplus: Some(fields), ..de::Error::custom("too many arguments") }
    }

    /// The same, seen from the array around the element at this index.
    pub(crate) fn at(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { text: message.to_string(), index: None, surplus: None }
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

/// Numbers and booleans are shown, text is only named: it may be long or private.
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

/// A missing argument: `None` for an `Option`, an error for everything else.
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
