//! What serde calls tuples, tuple structs and structs: all are read as sequences of a known length.

/// Reads them with the method of this name, which takes the length and the visitor.
macro_rules! forward_sequences {
    ($read:ident) => {
        fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refusal> {
            self.$read(len, visitor)
        }

        fn deserialize_tuple_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            len: usize,
            visitor: V,
        ) -> Result<V::Value, Refusal> {
            self.$read(len, visitor)
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Refusal> {
            self.$read(fields.len(), visitor)
        }
    };
}

pub(super) use forward_sequences;
