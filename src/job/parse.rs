//! Reads a job payload: simd-json in place on a scratch copy, every buffer reused from job to job.
//!
//! Responsible for which bytes are a job and for its envelope. Not for what becomes of bytes that are none
//! (`job::bad`), nor for handlers. The payload itself is never changed: acknowledging and retrying need its bytes.
//!
//! What is tolerated, because foreign producers write it and the gem runs it: unknown members, missing `retries`,
//! `jid` and `args`, duplicate members (the last counts), a `retries` or `attempt` of another type (read as Ruby's
//! `to_i` reads it), a `jid` or `queue` that is no text (taken as absent), white space anywhere JSON allows it,
//! numbers of any size, lone surrogate escapes outside `name`. A byte order mark is not JSON, nor are NaN, comments
//! or trailing commas.
//!
//! Sketch: a payload of 90 bytes costs one copy and two passes (structure, tape of some 15 nodes), no allocation.

use std::mem;
use std::ops::Range;

use serde::de::IgnoredAny;
use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape, fill_tape_padded};

use crate::job::args::{self, Args};
use crate::job::{fields, nodes, scan};
use crate::limits::{PARSER_KEEP_BYTES, PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX, RETRIES_MAX};

/// Why bytes are no job. No retry heals it: they belong into the dead set, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPayload {
    /// More bytes than a handler may be given.
    #[error("payload of {bytes} bytes is larger than the {max} that are allowed")]
    TooLarge {
        /// Size of the payload.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Bytes that are no UTF-8.
    #[error("payload is not valid UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// The first byte that fits no character.
        offset: usize,
    },
    /// Text that is no JSON.
    #[error("payload is not JSON: {detail}")]
    NotJson {
        /// What the parser met, and where.
        detail: String,
    },
    /// Arrays and objects nested deeper than a handler may be given.
    #[error("payload nests deeper than the {max} levels that are allowed")]
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
    /// An object without `name`.
    #[error("payload has no \"name\"")]
    NoName,
    /// A `name` that is no text.
    #[error("\"name\" is not a string but {got}")]
    NameNotAString {
        /// What it is.
        got: String,
    },
    /// An `args` that is neither an array nor null nor absent.
    #[error("\"args\" is not an array but {got}")]
    ArgsNotAnArray {
        /// What it is.
        got: String,
    },
}

/// What a payload says about the failures behind it: all that a failure's consequences depend on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How many retries follow the first failure: missing or null is 0, at most
    /// [`RETRIES_MAX`].
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
    /// Job id, where there is one.
    pub jid: Option<&'p str>,
    /// The queue its retries go to, where one is written: a job that never failed has none.
    pub queue: Option<&'p str>,
    /// Retries and attempts.
    pub history: History,
    /// Positional arguments.
    pub args: Args<'p>,
}

/// Parses payloads one after the other, reusing its buffers.
pub struct Parser {
    /// Copy of the payload, behind it the padding simd-json reads over. Strings are unescaped in place here.
    scratch: Vec<u8>,
    buffers: Buffers,
    /// Invariant: empty between two jobs.
    tape: Tape<'static>,
    texts: Texts,
}

/// Texts of a payload that simd-json refused, decoded.
#[derive(Default)]
struct Texts {
    name: String,
    jid: Option<String>,
    queue: Option<String>,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser with empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            scratch: Vec::new(),
            buffers: Buffers::with_max_depth(0, PAYLOAD_DEPTH_MAX),
            tape: Tape(Vec::new()),
            texts: Texts::default(),
        }
    }

    /// Parses one payload.
    ///
    /// # Errors
    ///
    /// [`BadPayload`] when the bytes are no job.
    pub fn parse<'p>(&'p mut self, payload: &'p [u8]) -> Result<Parsed<'p>, BadPayload> {
        let bytes = payload.len();
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(BadPayload::TooLarge { bytes, max: PAYLOAD_BYTES_MAX });
        }
        if self.scratch.capacity() > PARSER_KEEP_BYTES && bytes < PARSER_KEEP_BYTES / 2 {
            *self = Self::new();
        }
        let Self { scratch, buffers, tape: home, texts } = self;
        scratch.clear();
        scratch.extend_from_slice(payload);
        scratch.resize(bytes + INPUT_PADDING, b' ');
        let mut tape = mem::replace(home, Tape(Vec::new())).reset();
        if fill_tape_padded(scratch, bytes, buffers, &mut tape).is_ok() {
            from_tape(payload, tape, home)
        } else {
            *home = tape.reset();
            second_opinion(payload, texts)
        }
    }
}

/// The members that matter, as they were met: a later one of the same key replaces an earlier one.
struct Envelope<V> {
    name: Option<V>,
    jid: Option<V>,
    queue: Option<V>,
    retries: Option<V>,
    attempt: Option<V>,
    started_at: Option<V>,
    args: Option<V>,
}

impl<V> Envelope<V> {
    const EMPTY: Self = Self {
        name: None,
        jid: None,
        queue: None,
        retries: None,
        attempt: None,
        started_at: None,
        args: None,
    };

    fn slot(&mut self, key: &str) -> Option<&mut Option<V>> {
        Some(match key {
            fields::NAME => &mut self.name,
            fields::ARGS => &mut self.args,
            fields::RETRIES => &mut self.retries,
            fields::JID => &mut self.jid,
            fields::QUEUE => &mut self.queue,
            fields::ATTEMPT => &mut self.attempt,
            fields::STARTED_AT => &mut self.started_at,
            _ => return None,
        })
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The fast way: simd-json's tape
// ---------------------------------------------------------------------------------------------------------------

fn from_tape<'p>(
    payload: &'p [u8],
    tape: Tape<'p>,
    home: &'p mut Tape<'static>,
) -> Result<Parsed<'p>, BadPayload> {
    match read_tape(&tape.0) {
        Ok((name, envelope)) => {
            let node = |at: Option<usize>| at.and_then(|at| tape.0.get(at));
            let text = |at| match node(at) {
                Some(Node::String(text)) => Some(*text),
                _ => None,
            };
            let (jid, queue) = (text(envelope.jid), text(envelope.queue));
            let history = History {
                retries: count(node(envelope.retries)),
                attempt: count(node(envelope.attempt)),
                first_failure: match node(envelope.started_at) {
                    None | Some(Node::Static(StaticNode::Null | StaticNode::Bool(false))) => {
                        FirstFailure::Unknown
                    }
                    Some(_) => FirstFailure::Recorded,
                },
            };
            Ok(Parsed { name, jid, queue, history, args: Args::on_tape(payload, tape, home, envelope.args) })
        }
        Err(bad) => {
            *home = tape.reset();
            Err(bad)
        }
    }
}

/// Finds the members on the tape: the name, and where the others' nodes stand.
fn read_tape<'p>(tape: &[Node<'p>]) -> Result<(&'p str, Envelope<usize>), BadPayload> {
    let members = match tape.first() {
        Some(Node::Object { len, .. }) => *len,
        Some(other) => return Err(BadPayload::NotAnObject { got: nodes::kind(other).into() }),
        None => return Err(BadPayload::NotJson { detail: "nothing in it".into() }),
    };
    let mut envelope = Envelope::EMPTY;
    let mut at = 1;
    for _ in 0..members {
        let (Some(Node::String(key)), Some(value)) = (tape.get(at), tape.get(at + 1)) else { break };
        if let Some(slot) = envelope.slot(key) {
            *slot = Some(at + 1);
        }
        at += 1 + nodes::span(value);
    }
    let name = match envelope.name.and_then(|at| tape.get(at)) {
        Some(Node::String(name)) => *name,
        Some(other) => return Err(BadPayload::NameNotAString { got: nodes::kind(other).into() }),
        None => return Err(BadPayload::NoName),
    };
    match envelope.args.and_then(|at| tape.get(at)) {
        // `perform(*nil)` is a call without arguments in Ruby.
        None | Some(Node::Static(StaticNode::Null)) => envelope.args = None,
        Some(Node::Array { .. }) => {}
        Some(other) => return Err(BadPayload::ArgsNotAnArray { got: nodes::kind(other).into() }),
    }
    Ok((name, envelope))
}

/// A count as Ruby's `to_i` reads it: floats lose their fraction, text counts as far as it is a number, null is 0.
/// What has no `to_i` (which ends the gem's run in an error) is 0 too, as is what is negative.
fn count(node: Option<&Node<'_>>) -> u32 {
    match node {
        Some(Node::Static(StaticNode::U64(value))) => bounded(*value),
        Some(Node::Static(StaticNode::F64(value))) => whole(*value),
        Some(Node::String(text)) => leading_number(text),
        _ => 0,
    }
}

fn bounded(value: u64) -> u32 {
    u32::try_from(value).map_or(RETRIES_MAX, |value| value.min(RETRIES_MAX))
}

/// The whole part of a float, within bounds.
fn whole(value: f64) -> u32 {
    if value >= f64::from(RETRIES_MAX) {
        return RETRIES_MAX;
    }
    // The cast saturates: below 0 and NaN become 0.
    value as u32
}

fn leading_number(text: &str) -> u32 {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    match &text[..end] {
        "" => 0,
        digits => digits.parse().map_or(RETRIES_MAX, bounded),
    }
}

// ---------------------------------------------------------------------------------------------------------------
// The slow way: a second opinion on what simd-json refused
// ---------------------------------------------------------------------------------------------------------------

/// Decides what bytes are that simd-json refused: no job, for a reason it does not tell apart, or legal JSON with
/// something in it that it cannot hold (`1e400`, `"\ud800"`), which is an argument's trouble and not the payload's.
#[cold]
fn second_opinion<'p>(payload: &'p [u8], texts: &'p mut Texts) -> Result<Parsed<'p>, BadPayload> {
    let text =
        std::str::from_utf8(payload).map_err(|error| BadPayload::NotUtf8 { offset: error.valid_up_to() })?;
    // Ignoring a value does not recurse, so no depth of nesting can exhaust the stack.
    serde_json::from_str::<IgnoredAny>(text)
        .map_err(|error| BadPayload::NotJson { detail: error.to_string() })?;
    if scan::depth(payload) > PAYLOAD_DEPTH_MAX {
        return Err(BadPayload::TooDeep { max: PAYLOAD_DEPTH_MAX });
    }
    if scan::first_byte(payload) != Some(b'{') {
        return Err(BadPayload::NotAnObject { got: args::got(payload).into_owned() });
    }
    let envelope = read_spans(payload)?;
    let value = |span: &Option<Range<usize>>| span.as_ref().and_then(|span| payload.get(span.clone()));
    let decoded = |span| value(span).and_then(|value| serde_json::from_slice::<String>(value).ok());

    texts.jid = decoded(&envelope.jid);
    texts.queue = decoded(&envelope.queue);
    texts.name = match value(&envelope.name) {
        None => return Err(BadPayload::NoName),
        Some(name) => decoded(&envelope.name).ok_or_else(|| BadPayload::NameNotAString {
            got: match name.first() {
                Some(b'"') => "one with a lone surrogate".into(),
                _ => args::got(name).into_owned(),
            },
        })?,
    };
    let (array, elements) = match value(&envelope.args) {
        None | Some(b"null") => (None, Vec::new()),
        Some(array @ [b'[', ..]) => (envelope.args.clone(), scan::elements(array).map_err(unscannable)?),
        Some(other) => return Err(BadPayload::ArgsNotAnArray { got: args::got(other).into_owned() }),
    };
    let start = array.as_ref().map_or(0, |span| span.start);
    let elements = elements.into_iter().map(|span| span.start + start..span.end + start).collect();
    Ok(Parsed {
        name: &texts.name,
        jid: texts.jid.as_deref(),
        queue: texts.queue.as_deref(),
        history: History {
            retries: value(&envelope.retries).map_or(0, raw_count),
            attempt: value(&envelope.attempt).map_or(0, raw_count),
            first_failure: match value(&envelope.started_at) {
                None | Some(b"null" | b"false") => FirstFailure::Unknown,
                Some(_) => FirstFailure::Recorded,
            },
        },
        args: Args::raw(payload, array, elements),
    })
}

fn read_spans(payload: &[u8]) -> Result<Envelope<Range<usize>>, BadPayload> {
    let mut envelope = Envelope::EMPTY;
    for member in scan::members(payload).map_err(unscannable)? {
        // A key that no text can hold is none of ours.
        let Ok(key) = serde_json::from_slice::<String>(&payload[member.key]) else { continue };
        if let Some(slot) = envelope.slot(&key) {
            *slot = Some(member.value);
        }
    }
    Ok(envelope)
}

/// The scan follows a parser that found the text valid, so this is a last line, not a usual one.
fn unscannable(error: scan::Unexpected) -> BadPayload {
    BadPayload::NotJson { detail: error.to_string() }
}

/// As [`count`], from a value's bytes.
fn raw_count(value: &[u8]) -> u32 {
    match serde_json::from_slice::<String>(value) {
        Ok(text) => leading_number(&text),
        Err(_) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).map_or(0, whole),
    }
}

#[cfg(test)]
mod tests;
