//! Reads a job payload: simd-json in place on a scratch copy, every buffer reused from job to job.
//!
//! Responsible for deciding which bytes are a job and for its envelope. Not for what becomes of other bytes (`job::bad`),
//! nor for handlers. The payload itself is never changed: acknowledging and retrying need its bytes.
//!
//! What is tolerated, because foreign producers write it and the gem runs it: unknown members, missing `retries`, `jid` and
//! `args`, duplicate members (the last counts), a `retries` or `attempt` of another type (read as Ruby's `to_i` reads it),
//! a `jid` that is not text (taken as absent), white space anywhere JSON allows it, numbers of any size, lone surrogate
//! escapes and bytes that are not UTF-8 in any text but `name`: such a `jid` is taken as absent, such an argument is refused
//! by `String` (`job::args`) and is available as bytes. A byte order mark is not JSON, nor are NaN, comments or trailing
//! commas.
//!
//! Sketch: a payload of 90 bytes costs one copy and two passes (structure, tape of about 15 nodes), no allocation.

use std::mem;

use simd_json::{Buffers, INPUT_PADDING, Tape, fill_tape_padded};

use crate::job::args::{self, Args};
use crate::job::schema::Schema;
use crate::limits::{PARSER_KEEP_BYTES, PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX};

mod count;
mod second_opinion;
mod tape;
mod wrapped;

/// Why bytes are not a job. Retrying does not help: they belong in the dead set, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPayload {
    /// More bytes than a handler may be given.
    #[error("payload of {bytes} bytes is larger than the {max} allowed")]
    TooLarge {
        /// Size of the payload.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The bytes are not JSON, because they are not UTF-8. Texts need not be.
    #[error("payload is not valid UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// The first byte that does not fit into a character.
        offset: usize,
    },
    /// The text is not JSON.
    #[error("payload is not JSON: {detail}")]
    NotJson {
        /// What the parser found, and where.
        detail: String,
    },
    /// Arrays and objects nested deeper than a handler may be given.
    #[error("payload nests deeper than the {max} levels allowed")]
    TooDeep {
        /// The bound; the payload's own object is the first level.
        max: usize,
    },
    /// JSON of another kind.
    #[error("payload is not an object but {got}")]
    NotAnObject {
        /// What it is.
        got: String,
    },
    /// An object without a name.
    #[error("payload has no {member:?}")]
    NoName {
        /// Where it would be.
        member: &'static str,
    },
    /// A name that is not text.
    #[error("{member:?} is not a string but {got}")]
    NameNotAString {
        /// Where it is.
        member: &'static str,
        /// What it is.
        got: String,
    },
    /// A `queue` that no worker may be given. Only a job of a set is refused for it: of one that lies in a queue, it is not
    /// read.
    #[error("no worker may be given the queue that the payload names: {detail}")]
    UnservableQueue {
        /// Which rule the name breaks.
        detail: String,
    },
    /// Arguments that are neither an array nor null nor absent.
    #[error("{member:?} is not an array but {got}")]
    ArgsNotAnArray {
        /// Where they are.
        member: &'static str,
        /// What it is.
        got: String,
    },
}

/// What a payload says about its previous failures: all that the consequences of another depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How many retries follow the first failure: missing or null is 0, at most
    /// [`crate::limits::RETRIES_MAX`].
    pub retries: u32,
    /// Which retry this run is: 0 for the first run.
    pub attempt: u32,
    /// Whether the time of the first failure (`started_at`) is known.
    pub first_failure: FirstFailure,
}

/// Whether a payload knows the time of its first failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstFailure {
    /// `started_at` is absent, null or false, which Ruby's `||=` overwrites.
    #[default]
    Unknown,
    /// `started_at` is there and stays.
    Recorded,
}

/// A parsed job. It borrows the parser: one at a time.
#[derive(Debug)]
#[non_exhaustive]
pub struct Parsed<'p> {
    /// Class name: the name a handler is registered under.
    pub name: &'p str,
    /// Job id, if there is one.
    pub jid: Option<&'p str>,
    /// Retries and attempts.
    pub history: History,
    /// It has state that only Ruby code can act on.
    pub is_for_ruby: bool,
    /// Positional arguments.
    pub args: Args<'p>,
}

/// Parses payloads one after the other, reusing its buffers.
pub struct Parser {
    /// Copy of the payload, followed by the padding simd-json reads over. Strings are unescaped in place here.
    scratch: Vec<u8>,
    buffers: Buffers,
    /// Invariant: empty between two jobs.
    tape: Tape<'static>,
    texts: Texts,
    schema: Schema,
}

/// Texts of a payload that simd-json refused, decoded.
#[derive(Default)]
struct Texts {
    name: String,
    jid: Option<String>,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new(Schema::default())
    }
}

impl Parser {
    /// A parser with empty buffers, for payloads that are written so.
    #[must_use]
    pub fn new(schema: Schema) -> Self {
        Self {
            scratch: Vec::new(),
            buffers: Buffers::with_max_depth(0, PAYLOAD_DEPTH_MAX),
            tape: Tape(Vec::new()),
            texts: Texts::default(),
            schema,
        }
    }

    /// How the payloads are written that it reads.
    #[must_use]
    pub const fn schema(&self) -> Schema {
        self.schema
    }

    /// Parses one payload.
    ///
    /// # Errors
    ///
    /// [`BadPayload`] when the bytes are not a job.
    pub fn parse<'p>(&'p mut self, payload: &'p [u8]) -> Result<Parsed<'p>, BadPayload> {
        let bytes = payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(BadPayload::TooLarge { bytes, max: PAYLOAD_BYTES_MAX });
        }
        if bytes <= PARSER_KEEP_BYTES {
            self.release_excess();
        }
        let Self { scratch, buffers, tape: home, texts, schema } = self;
        scratch.clear();
        scratch.extend_from_slice(payload);
        scratch.resize(bytes + INPUT_PADDING, b' ');
        let mut tape = mem::replace(home, Tape(Vec::new())).reset();
        if fill_tape_padded(scratch, bytes, buffers, &mut tape).is_ok() {
            tape::from_tape(*schema, payload, tape, home)
        } else {
            args::give_back(home, tape);
            second_opinion::second_opinion(*schema, payload, texts)
        }
    }

    /// Releases the buffers that a payload of more than [`PARSER_KEEP_BYTES`] has left behind. Parsing a smaller payload
    /// does it too; a shard that goes idle should not keep them until then.
    pub fn release_excess(&mut self) {
        if self.scratch.capacity() > PARSER_KEEP_BYTES + 2 * INPUT_PADDING {
            *self = Self::new(self.schema);
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;
