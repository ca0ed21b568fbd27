//! `retries` and `attempt`, whatever a foreign producer wrote there: read as Ruby's `to_i` reads it.
//!
//! Floats lose their fraction, text counts as far as it is a number, null is 0. Anything without a `to_i` (which ends the
//! gem's run in an error) is 0 too, and so is anything negative. No count exceeds [`RETRIES_MAX`].
//!
//! Sidekiq reads `true`, and all that is no whole number, as the usual number of retries, and counts attempts from 0.

use simd_json::{Node, StaticNode};

use crate::job::schema::Schema;
use crate::limits::RETRIES_MAX;

/// The number of retries on the tape.
pub(super) fn retries(schema: Schema, node: Option<&Node<'_>>) -> u32 {
    let is_other = || {
        matches!(
            node,
            Some(
                Node::Static(StaticNode::Bool(true) | StaticNode::F64(_))
                    | Node::String(_)
                    | Node::Object { .. }
                    | Node::Array { .. }
            )
        )
    };
    match schema.retries_if_no_number() {
        Some(usual) if is_other() => usual,
        _ => from_node(node),
    }
}

/// The number of the attempt on the tape.
pub(super) fn attempt(schema: Schema, node: Option<&Node<'_>>) -> u32 {
    match node {
        None | Some(Node::Static(StaticNode::Null | StaticNode::Bool(false) | StaticNode::I64(_))) => 0,
        node => from_node(node).saturating_add(schema.attempts_before_count()),
    }
}

/// The number of retries from the bytes of its value.
pub(super) fn retries_of_bytes(schema: Schema, value: &[u8]) -> u32 {
    let is_whole = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    match schema.retries_if_no_number() {
        Some(usual) if !is_whole && !matches!(value, b"null" | b"false") => usual,
        _ => from_bytes(value),
    }
}

/// The number of the attempt from the bytes of its value.
pub(super) fn attempt_of_bytes(schema: Schema, value: &[u8]) -> u32 {
    match value {
        b"null" | b"false" | [b'-', ..] => 0,
        value => from_bytes(value).saturating_add(schema.attempts_before_count()),
    }
}

/// A count on the tape.
fn from_node(node: Option<&Node<'_>>) -> u32 {
    match node {
        Some(Node::Static(StaticNode::U64(value))) => bounded(*value),
        Some(Node::Static(StaticNode::F64(value))) => whole(*value),
        Some(Node::String(text)) => leading_number(text),
        _ => 0,
    }
}

/// A count from the bytes of its value.
fn from_bytes(value: &[u8]) -> u32 {
    match serde_json::from_slice::<String>(value) {
        Ok(text) => leading_number(&text),
        Err(_) => std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).map_or(0, whole),
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
