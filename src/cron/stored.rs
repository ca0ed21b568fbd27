//! An entry as it is stored: JSON, in which what is usual is left out.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{CatchUp, Origin, Overlap};

/// The members of an entry.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) schedule: String,
    #[serde(default = "utc")]
    pub(super) zone: String,
    pub(super) job: String,
    #[serde(default = "no_args")]
    pub(super) args: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retries: Option<u32>,
    #[serde(default = "last", skip_serializing_if = "is_last")]
    pub(super) catch_up: String,
    #[serde(default, skip_serializing_if = "is_allowed")]
    pub(super) overlap: Overlap,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) jitter_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) tick_argument: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) paused: bool,
    #[serde(default)]
    pub(super) origin: Origin,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn no_args() -> Box<RawValue> {
    // Valid JSON.
    RawValue::from_string("[]".to_owned()).unwrap_or_default()
}

fn last() -> String {
    CatchUp::Last.to_string()
}

fn is_last(text: &str) -> bool {
    text == "last"
}

fn is_allowed(overlap: &Overlap) -> bool {
    *overlap == Overlap::Allow
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_false(switch: &bool) -> bool {
    !*switch
}
