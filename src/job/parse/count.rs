//! `retries` and `attempt`, whatever a foreign producer wrote there: read as Ruby's `to_i` reads it.
//!
//! Floats lose their fraction, text counts as far as it is a number, null is 0. Anything without a `to_i` (which ends the
//! gem's run in an error) is 0 too, and so is anything negative. No count exceeds [`RETRIES_MAX`].

use simd_json::{Node, StaticNode};

use crate::limits::RETRIES_MAX;

/// A count on the tape.
pub(super) fn from_node(node: Option<&Node<'_>>) -> u32 {
    match node {
        Some(Node::Static(StaticNode::U64(value))) => bounded(*value),
        Some(Node::Static(StaticNode::F64(value))) => whole(*value),
        Some(Node::String(text)) => leading_number(text),
        _ => 0,
    }
}

/// A count from the bytes of its value.
pub(super) fn from_bytes(value: &[u8]) -> u32 {
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
