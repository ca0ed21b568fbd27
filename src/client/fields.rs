//! Serialises a struct as the JSON array of its fields: a serde serializer on top of serde_json's.
//!
//! Responsible for the outermost value only; serde_json handles what the fields hold.

use std::fmt::Display;
use std::io;

use serde::ser::{Error as _, Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};
use serde_json::Error;
use serde_json::ser::Formatter;

/// Serialises structs, tuples and sequences as an array, and nothing else.
pub(super) struct FieldsInOrder<'a, W, F>(pub(super) &'a mut serde_json::Serializer<W, F>);

type Inner<'a, W, F> = &'a mut serde_json::Serializer<W, F>;

fn refused<T>(got: impl Display) -> Result<T, Error> {
    Err(Error::custom(format_args!("a job must be a struct whose fields are its arguments, not {got}")))
}

macro_rules! refuse {
    ($($method:ident $what:literal $value:ty;)*) => { $(
        fn $method(self, _: $value) -> Result<(), Error> {
            refused($what)
        }
    )* };
}

impl<'a, W: io::Write, F: Formatter> Serializer for FieldsInOrder<'a, W, F> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = <Inner<'a, W, F> as Serializer>::SerializeSeq;
    type SerializeTuple = <Inner<'a, W, F> as Serializer>::SerializeTuple;
    type SerializeTupleStruct = <Inner<'a, W, F> as Serializer>::SerializeTupleStruct;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Fields<'a, W, F>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a, W, F>, Error> {
        // Without a stated length: skipped fields may become nulls after all.
        Ok(Fields { array: self.0.serialize_seq(None)?, skipped: 0 })
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        SerializeSeq::end(self.0.serialize_seq(Some(0))?)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut array = self.0.serialize_seq(Some(1))?;
        array.serialize_element(value)?;
        SerializeSeq::end(array)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, Error> {
        self.0.serialize_seq(len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, Error> {
        self.0.serialize_tuple(len)
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        self.0.serialize_tuple_struct(name, len)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        refused("a map; a flattened struct has no order either")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Error> {
        refused("an enum")
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        refused("an enum")
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        refused("an enum")
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        refused("an enum")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<(), Error> {
        refused("an option")
    }

    fn serialize_none(self) -> Result<(), Error> {
        refused("an option")
    }

    fn serialize_unit(self) -> Result<(), Error> {
        refused("()")
    }

    refuse! {
        serialize_bool "a boolean" bool;
        serialize_i8 "a number" i8;
        serialize_i16 "a number" i16;
        serialize_i32 "a number" i32;
        serialize_i64 "a number" i64;
        serialize_u8 "a number" u8;
        serialize_u16 "a number" u16;
        serialize_u32 "a number" u32;
        serialize_u64 "a number" u64;
        serialize_f32 "a number" f32;
        serialize_f64 "a number" f64;
        serialize_char "text" char;
        serialize_str "text" &str;
        serialize_bytes "bytes" &[u8];
    }
}

/// The fields of a struct on their way into an array.
pub(super) struct Fields<'a, W: io::Write, F: Formatter> {
    array: <Inner<'a, W, F> as Serializer>::SerializeSeq,
    /// Skipped fields with no later field so far.
    skipped: usize,
}

impl<W: io::Write, F: Formatter> SerializeStruct for Fields<'_, W, F> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Error> {
        // Positions matter, so fields skipped before this one become null.
        for _ in 0..std::mem::take(&mut self.skipped) {
            self.array.serialize_element(&())?;
        }
        self.array.serialize_element(value)
    }

    fn skip_field(&mut self, _: &'static str) -> Result<(), Error> {
        self.skipped += 1;
        Ok(())
    }

    fn end(self) -> Result<(), Error> {
        SerializeSeq::end(self.array)
    }
}
