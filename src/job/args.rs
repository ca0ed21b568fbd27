//! A job's positional arguments, decoded one by one (or all at once) straight from the parsed payload.
//!
//! Responsible for turning JSON into a handler's Rust types and for errors that name the argument. Not for handlers
//! or their arity. Two sources give the same answers: the tape of a payload that simd-json took (no allocation but
//! what the types themselves hold), and the raw bytes, where serde_json decides what the tape cannot hold: integers
//! beyond 64 bits, raw JSON.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::ops::Range;

use serde::Deserialize;
use simd_json::{Node, Tape};

use crate::job::nodes::{self, Absent, Refusal, Value};
use crate::job::{fields, scan};

/// Longest piece of an argument that is quoted in an error, in bytes: enough to recognise a number.
const QUOTED_BYTES_MAX: usize = 40;

/// Why arguments do not fit a handler. No retry heals it: the payload or the handler has to change.
///
/// Arguments are counted from 1, as people do; texts among them are never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// An argument is of another type than the handler takes.
    #[error("argument {position}: {reason}")]
    Mismatch {
        /// Which argument, from 1.
        position: usize,
        /// What was expected and what was got.
        reason: String,
    },
    /// The job has fewer arguments than the handler must have.
    #[error("argument {position} is missing: {reason}, the job has {got} arguments")]
    Missing {
        /// Which argument, from 1.
        position: usize,
        /// What was expected.
        reason: String,
        /// How many there are.
        got: usize,
    },
    /// The job has more arguments than the handler takes.
    #[error("too many arguments: expected at most {max}, got {got}")]
    TooMany {
        /// How many the handler takes.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// The arguments as a whole do not fit the type they were asked for as.
    #[error("arguments: {reason}")]
    Shape {
        /// What was expected and what was got.
        reason: String,
    },
}

/// The arguments of one parsed job. Decoded from the first to the last by [`Args::take`], or at once by
/// [`Args::deserialize`].
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
        array: Option<Range<usize>>,
        elements: Vec<Range<usize>>,
    },
}

/// Arguments on the parser's tape, which goes back to the parser when they are dropped.
struct OnTape<'p> {
    payload: &'p [u8],
    tape: Tape<'p>,
    home: &'p mut Tape<'static>,
    /// Where the array's own node stands; `None` when the payload has no arguments.
    array: Option<usize>,
    /// Where the next argument's first node stands.
    next: usize,
}

impl Drop for OnTape<'_> {
    fn drop(&mut self) {
        *self.home = mem::replace(&mut self.tape, Tape(Vec::new())).reset();
    }
}

impl<'p> Args<'p> {
    /// Arguments on a tape; `array` is where their array's node stands. The emptied tape returns to `home`.
    pub(crate) fn on_tape(
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
        Self { source: Source::Tape(OnTape { payload, tape, home, array, next }), len, taken: 0 }
    }

    /// Arguments as spans of a payload that is valid JSON.
    pub(crate) fn raw(payload: &'p [u8], array: Option<Range<usize>>, elements: Vec<Range<usize>>) -> Self {
        let len = elements.len();
        Self { source: Source::Raw { payload, array, elements }, len, taken: 0 }
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

    /// Decodes the next argument. One that is not there is `None` for an `Option`.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] when it is of another type, [`ArgsError::Missing`] when it is not there and `T` is no
    /// `Option`.
    pub fn take<T: Deserialize<'p>>(&mut self) -> Result<T, ArgsError> {
        let index = self.taken;
        self.taken += 1;
        if index >= self.len {
            return T::deserialize(Absent).map_err(|refusal| self.missing(index, refusal));
        }
        match &mut self.source {
            Source::Tape(args) => {
                let nodes = args.tape.0.get(args.next..).unwrap_or_default();
                args.next += nodes.first().map_or(0, nodes::span);
                match T::deserialize(Value::new(nodes)) {
                    Ok(value) => Ok(value),
                    Err(refusal) => raw_argument(args.payload, index).ok_or(mismatch(index, refusal)),
                }
            }
            Source::Raw { payload, elements, .. } => {
                let element =
                    elements.get(index).and_then(|span| payload.get(span.clone())).unwrap_or_default();
                serde_json::from_slice(element)
                    .map_err(|error| mismatch(index, describe::<T>(element, &error)))
            }
        }
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

    /// Decodes all arguments at once into a tuple, a struct of as many fields, a `Vec` or another type that reads
    /// from an array. Missing trailing elements of a tuple are `None` for an `Option`.
    ///
    /// # Errors
    ///
    /// [`ArgsError::Mismatch`] when an argument is of another type, [`ArgsError::Missing`] when it is not there,
    /// [`ArgsError::Shape`] when the array as a whole does not fit.
    pub fn deserialize<T: Deserialize<'p>>(&mut self) -> Result<T, ArgsError> {
        self.taken = self.len;
        match &self.source {
            Source::Tape(args) => {
                const NONE: [Node<'static>; 1] = [Node::Array { len: 0, count: 0 }];
                let nodes = args.array.and_then(|at| args.tape.0.get(at..)).unwrap_or(&NONE);
                match T::deserialize(Value::arguments(nodes)) {
                    Ok(value) => Ok(value),
                    Err(refusal) => match raw_arguments(args.payload) {
                        Some(value) => Ok(value),
                        None => Err(self.refused(refusal)),
                    },
                }
            }
            Source::Raw { payload, array, .. } => {
                let text: &'p [u8] =
                    array.as_ref().and_then(|span| payload.get(span.clone())).unwrap_or(b"[]");
                serde_json::from_slice(text)
                    .map_err(|error| ArgsError::Shape { reason: describe::<T>(text, &error).text })
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> ArgsError {
        match refusal.index {
            Some(index) if index >= self.len => self.missing(index, refusal),
            Some(index) => mismatch(index, refusal),
            None => ArgsError::Shape { reason: refusal.text },
        }
    }

    fn missing(&self, index: usize, refusal: Refusal) -> ArgsError {
        ArgsError::Missing { position: index + 1, reason: refusal.text, got: self.len }
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

/// The span of the argument array in a payload that is valid JSON: of several, the last, as in every hash.
pub(crate) fn array_span(payload: &[u8]) -> Option<Range<usize>> {
    let members = scan::members(payload).ok()?;
    let last =
        members.into_iter().rfind(|member| scan::key_is(&payload[member.key.clone()], fields::ARGS))?;
    (payload.get(last.value.start) == Some(&b'[')).then_some(last.value)
}

/// A second opinion on an argument the tape refused: a type such as `u128` or `RawValue` reads only from the bytes.
#[cold]
fn raw_argument<'p, T: Deserialize<'p>>(payload: &'p [u8], index: usize) -> Option<T> {
    let array = payload.get(array_span(payload)?)?;
    let element = scan::elements(array).ok()?.into_iter().nth(index)?;
    serde_json::from_slice(array.get(element)?).ok()
}

/// As [`raw_argument`], for all arguments at once.
#[cold]
fn raw_arguments<'p, T: Deserialize<'p>>(payload: &'p [u8]) -> Option<T> {
    serde_json::from_slice(payload.get(array_span(payload)?)?).ok()
}

/// Puts serde_json's refusal of `json` into the words [`Refusal`] has, without quoting texts.
fn describe<'p, T: Deserialize<'p>>(json: &[u8], error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    let got = got(json);
    let text = match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}, got {got}"),
        // Of a number or text that nothing can hold, only the type itself knows what it wanted.
        None if !matches!(scan::first_byte(json), Some(b'[' | b'{')) => match T::deserialize(Absent) {
            Err(refusal) => refusal.text.replace(", got nothing", &format!(", got {got} ({text})")),
            Ok(_) => format!("{text}, got {got}"),
        },
        None => format!("{text}, got {got}"),
    };
    Refusal { text, index: None }
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

#[cfg(test)]
mod tests;
