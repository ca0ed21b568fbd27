//! The slow way: a second opinion on bytes that simd-json refused.
//!
//! Responsible for saying why bytes are not a job, and for reading those that are one all the same. Not for speed.

use std::ops::Range;

use serde::de::IgnoredAny;

use crate::job::args::{self, Args};
use crate::job::parse::{BadPayload, FirstFailure, History, Parsed, Texts, count, wrapped};
use crate::job::scan;
use crate::job::schema::{Envelope, Schema};
use crate::limits::PAYLOAD_DEPTH_MAX;

/// Decides what bytes are that simd-json refused: not a job, for a reason it does not distinguish, or JSON with something in
/// it that it cannot hold (`1e400`, `"\ud800"`, a text that is not UTF-8), which is a problem of an argument and not of the
/// payload.
#[cold]
pub(super) fn second_opinion<'p>(
    schema: Schema,
    payload: &'p [u8],
    texts: &'p mut Texts,
) -> Result<Parsed<'p>, BadPayload> {
    // Ignoring a value does not recurse, so no depth of nesting can exhaust the stack; nor does it check the bytes of
    // texts.
    serde_json::from_slice::<IgnoredAny>(payload).map_err(|error| no_json(payload, &error))?;
    if scan::depth(payload) > PAYLOAD_DEPTH_MAX {
        return Err(BadPayload::TooDeep { max: PAYLOAD_DEPTH_MAX });
    }
    if scan::first_byte(payload) != Some(b'{') {
        return Err(BadPayload::NotAnObject { got: args::got(payload).into_owned() });
    }
    let (names, envelope) = (schema.names(), read_spans(schema, payload)?);
    let value = |span: &Option<Range<usize>>| span.as_ref().and_then(|span| payload.get(span.clone()));
    let decoded = |span| value(span).and_then(|value| serde_json::from_slice::<String>(value).ok());

    texts.jid = decoded(&envelope.jid);
    texts.name = match value(&envelope.name) {
        None => return Err(BadPayload::NoName { member: names.name }),
        Some(name) => decoded(&envelope.name).ok_or_else(|| BadPayload::NameNotAString {
            member: names.name,
            got: match name.first() {
                Some(b'"') if std::str::from_utf8(name).is_err() => "one that is no UTF-8".into(),
                Some(b'"') => "one with a lone surrogate".into(),
                _ => args::got(name).into_owned(),
            },
        })?,
    };
    let elements = match value(&envelope.args) {
        None | Some(b"null") => Vec::new(),
        Some(array @ [b'[', ..]) => scan::elements(array).map_err(unscannable)?,
        Some(other) => {
            return Err(BadPayload::ArgsNotAnArray {
                member: names.args,
                got: args::got(other).into_owned(),
            });
        }
    };
    let start = envelope.args.as_ref().map_or(0, |span| span.start);
    let mut elements = elements.into_iter().map(|span| span.start + start..span.end + start).collect();
    let rare = envelope.rare.as_deref();
    if let Some(name) = rare.and_then(|rare| decoded(&rare.wrapped))
        && let Some(inner) = wrapped::arguments(schema, payload)
    {
        (texts.name, elements) = (name, inner);
    }
    Ok(Parsed {
        name: &texts.name,
        jid: texts.jid.as_deref(),
        history: History {
            retries: value(&envelope.retries).map_or(0, |value| count::retries_of_bytes(schema, value)),
            attempt: value(&envelope.attempt).map_or(0, |value| count::attempt_of_bytes(schema, value)),
            first_failure: match value(&envelope.first_failed_at) {
                None | Some(b"null" | b"false") => FirstFailure::Unknown,
                Some(_) => FirstFailure::Recorded,
            },
        },
        is_for_ruby: rare.is_some_and(|rare| {
            rare.for_ruby.iter().any(|span| !matches!(value(span), None | Some(b"null" | b"false")))
        }),
        args: Args::raw(payload, elements),
    })
}

fn no_json(payload: &[u8], error: &serde_json::Error) -> BadPayload {
    match std::str::from_utf8(payload) {
        Ok(_) => BadPayload::NotJson { detail: error.to_string() },
        Err(error) => BadPayload::NotUtf8 { offset: error.valid_up_to() },
    }
}

fn read_spans(schema: Schema, payload: &[u8]) -> Result<Envelope<Range<usize>>, BadPayload> {
    let mut envelope = Envelope::EMPTY;
    for member in scan::members(payload).map_err(unscannable)? {
        // A key that no text can hold is not one of ours.
        let Ok(key) = serde_json::from_slice::<String>(&payload[member.key]) else { continue };
        if let Some(slot) = envelope.slot(schema, &key) {
            *slot = Some(member.value);
        }
    }
    Ok(envelope)
}

/// The scan follows a parser that found the text valid, so this is a last resort, not the usual path.
fn unscannable(error: scan::Unexpected) -> BadPayload {
    BadPayload::NotJson { detail: error.to_string() }
}
