//! A job's positional arguments, decoded one by one (or all at once) straight from the parsed payload.
//!
//! Responsible for turning JSON into a handler's Rust types and for errors that name the argument. Not for handlers or
//! their arity. Two sources give the same answers: the tape of a payload that simd-json accepted (no allocation beyond what
//! the types themselves hold), and the raw bytes, where serde_json decides about what the tape cannot hold: integers beyond
//! 64 bits, raw JSON, texts with lone surrogates or with bytes that are not UTF-8. A `String` refuses such a text like a
//! number; a type that reads bytes (`serde_bytes::ByteBuf`) gets it as it came.
//!
//! Known weakness: the two differ for a number written `-0`, which is an integer on the tape and a float to serde_json, so
//! an integer type refuses it in a payload that simd-json could not accept. Ruby writes no such integer.

use std::fmt;
use std::mem;
use std::ops::Range;

use serde::Deserialize;
use simd_json::{Node, Tape};

use crate::job::nodes::{self, Value};
use crate::job::refusal::{Absent, Refusal};
use crate::job::scan;
use crate::job::schema::Schema;
use crate::limits::PARSER_KEEP_NODES;

mod error;
mod raw;

pub use error::ArgsError;
pub(crate) use raw::got;

use raw::RawArray;

/// The arguments of one parsed job. Decoded from first to last by [`Args::take`], or at once by [`Args::deserialize`].
pub struct Args<'p> {
    source: Source<'p>,
    /// How many there are.
    len: usize,
    /// How many were taken.
    taken: usize,
}

enum Source<'p> {
    Tape(OnTape<'p>),
    /// The span of each argument in `payload`.
    Raw {
        payload: &'p [u8],
        elements: Vec<Range<usize>>,
    },
}

/// Arguments on the parser's tape, which goes back to the parser when they are dropped.
struct OnTape<'p> {
    schema: Schema,
    payload: &'p [u8],
    tape: Tape<'p>,
    home: &'p mut Tape<'static>,
    /// Where the array's own node is; `None` when the payload has no arguments.
    array: Option<usize>,
    /// Where the next argument's first node is.
    next: usize,
}

impl Drop for OnTape<'_> {
    fn drop(&mut self) {
        give_back(self.home, mem::replace(&mut self.tape, Tape(Vec::new())));
    }
}

/// Returns a tape to its parser, unless a huge payload has made it larger than is worth keeping.
pub(crate) fn give_back(home: &mut Tape<'static>, tape: Tape<'_>) {
    if tape.0.capacity() <= PARSER_KEEP_NODES {
        *home = tape.reset();
    }
}

impl<'p> Args<'p> {
    /// Arguments on a tape; `array` is the position of their array's node. The emptied tape returns to `home`.
    pub(crate) fn on_tape(
        schema: Schema,
        payload: &'p [u8],
        tape: Tape<'p>,
        home: &'p mut Tape<'static>,
        array: Option<usize>,
    ) -> Self {
        let len = match array.and_then(|at| tape.0.get(at)) {
            Some(Node::Array { len, .. }) => *len,
            _ => 0,
        };
        let next = array.map_or(0, |at| at + 1);
        Self { source: Source::Tape(OnTape { schema, payload, tape, home, array, next }), len, taken: 0 }
    }

    /// Arguments as spans of a payload that is valid JSON.
    pub(crate) fn raw(payload: &'p [u8], elements: Vec<Range<usize>>) -> Self {
        let len = elements.len();
        Self { source: Source::Raw { payload, elements }, len, taken: 0 }
    }

    /// How many arguments the job has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the job has no arguments.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many arguments have not been taken yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.len.saturating_sub(self.taken)
    }

    /// Decodes the next argument. A missing one is `None` for an `Option`.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] when it is of another type, [`ArgsError::Missing`] when it is missing and `T` is not an
    /// `Option`.
    pub fn take<T: Deserialize<'p>>(&mut self) -> Result<T, ArgsError> {
        let index = self.taken;
        self.taken += 1;
        if index >= self.len {
            return T::deserialize(Absent).map_err(|refusal| self.missing(index, &refusal));
        }
        match &mut self.source {
            Source::Tape(args) => {
                let nodes = args.tape.0.get(args.next..).unwrap_or_default();
                args.next += nodes.first().map_or(0, nodes::span);
                match T::deserialize(Value::new(nodes)) {
                    Ok(value) => Ok(value),
                    Err(refusal) => {
                        raw_argument(args.schema, args.payload, index).ok_or(mismatch(index, refusal))
                    }
                }
            }
            Source::Raw { payload, elements } => {
                let json = elements.get(index).and_then(|span| payload.get(span.clone())).unwrap_or_default();
                raw::element(json).map_err(|refusal| mismatch(index, refusal))
            }
        }
    }

    /// Decodes all arguments that have not been taken yet, each as a `T`; there may be none.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] for the first that is of another type.
    pub fn take_rest<T: Deserialize<'p>>(&mut self) -> Result<Vec<T>, ArgsError> {
        // Grown as they decode: a payload of a megabyte must not reserve room for a million large elements at once.
        let mut rest = Vec::new();
        while self.left() > 0 {
            rest.push(self.take()?);
        }
        Ok(rest)
    }

    /// Checks that no argument is left over.
    ///
    /// # Errors
    ///
    /// [`ArgsError::TooMany`] when the job has more arguments than were taken.
    pub fn finish(&self) -> Result<(), ArgsError> {
        if self.len > self.taken {
            Err(ArgsError::TooMany { max: self.taken, got: self.len })
        } else {
            Ok(())
        }
    }

    /// Decodes all arguments at once into the fields, in order, of a struct or tuple, or into a `Vec` or another type that
    /// reads from an array. Missing trailing fields are `None` for an `Option`, or what `#[serde(default)]` says. A newtype
    /// struct has one field, a unit struct none; an array of one element is never taken for that element.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] when an argument is of another type, [`ArgsError::Missing`] when it is missing,
    /// [`ArgsError::TooMany`] when there is no field for it, [`ArgsError::Shape`] when the array as a whole does not fit.
    pub fn deserialize<T: Deserialize<'p>>(&mut self) -> Result<T, ArgsError> {
        self.taken = self.len;
        let result = match &self.source {
            Source::Tape(args) => {
                const NONE: [Node<'static>; 1] = [Node::Array { len: 0, count: 0 }];
                let nodes = args.array.and_then(|at| args.tape.0.get(at..)).unwrap_or(&NONE);
                T::deserialize(Value::arguments(nodes))
                    .or_else(|refusal| raw_arguments(args.schema, args.payload).ok_or(refusal))
            }
            Source::Raw { payload, elements } => T::deserialize(RawArray { payload, elements }),
        };
        result.map_err(|refusal| self.refused(refusal))
    }

    fn refused(&self, refusal: Refusal) -> ArgsError {
        match (refusal.surplus, refusal.index) {
            (Some(max), _) => ArgsError::TooMany { max, got: self.len },
            (None, Some(index)) if index >= self.len => self.missing(index, &refusal),
            (None, Some(index)) => mismatch(index, refusal),
            (None, None) => ArgsError::Shape { reason: refusal.text },
        }
    }

    fn missing(&self, index: usize, refusal: &Refusal) -> ArgsError {
        let reason = refusal.text.replace(", got nothing", "");
        ArgsError::Missing { position: index + 1, reason, got: self.len }
    }
}

impl fmt::Debug for Args<'_> {
    /// Only the number of arguments: their content may be long or private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Args").field("len", &self.len).field("taken", &self.taken).finish_non_exhaustive()
    }
}

fn mismatch(index: usize, refusal: Refusal) -> ArgsError {
    ArgsError::Mismatch { position: index + 1, reason: refusal.text }
}

/// The span of the argument array in a payload that is valid JSON: if there are several, the last, as in every hash.
pub(crate) fn array_span(schema: Schema, payload: &[u8]) -> Option<Range<usize>> {
    let members = scan::members(payload).ok()?;
    let name = schema.names().args;
    let last = members.into_iter().rfind(|member| scan::key_is(&payload[member.key.clone()], name))?;
    (payload.get(last.value.start) == Some(&b'[')).then_some(last.value)
}

/// A second opinion on an argument that the tape refused: a type such as `u128` or `RawValue` reads only from the bytes.
#[cold]
fn raw_argument<'p, T: Deserialize<'p>>(schema: Schema, payload: &'p [u8], index: usize) -> Option<T> {
    let array = payload.get(array_span(schema, payload)?)?;
    let element = scan::elements(array).ok()?.into_iter().nth(index)?;
    raw::decode(array.get(element)?).ok()
}

/// Like [`raw_argument`], for all arguments at once.
#[cold]
fn raw_arguments<'p, T: Deserialize<'p>>(schema: Schema, payload: &'p [u8]) -> Option<T> {
    let array = array_span(schema, payload)?;
    let elements = scan::elements(payload.get(array.clone())?).ok()?;
    let elements: Vec<_> =
        elements.into_iter().map(|span| span.start + array.start..span.end + array.start).collect();
    T::deserialize(RawArray { payload, elements: &elements }).ok()
}

#[cfg(test)]
mod tests;
