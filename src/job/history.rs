//! What a payload keeps of a job's failures where its handler asks for it: the last few, each with its time, attempt, class
//! and the start of its message, and the backtrace of the last one. For people: `show JID` prints it.
//!
//! Pure: bytes in, bytes out. Nothing is kept unless asked for, so that otherwise a retry is, member for member, what the
//! gem writes; its servers pass both members on unchanged. Not here: what follows from a failure (`job::retry`).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::job::amend::{FieldValue, amend};
use crate::job::failure::ErrorInfo;
use crate::job::members::member;
use crate::job::retry::Fate;
use crate::job::schema::{FAILURE_BACKTRACE, FAILURE_HISTORY};
use crate::limits::{
    BACKTRACE_BYTES_MAX, HISTORY_CLASS_CHARS_MAX, HISTORY_ENTRY_BYTES_MAX, HISTORY_MESSAGE_CHARS_MAX,
    PAYLOAD_BYTES_MAX,
};

/// What is to be kept; what is not set is left to the next one asked, and in the end nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// How many failures.
    pub failures: Option<usize>,
    /// How many lines of the last one's backtrace.
    pub backtrace_lines: Option<usize>,
}

impl Keep {
    /// This, and where it is silent the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            failures: self.failures.or(other.failures),
            backtrace_lines: self.backtrace_lines.or(other.backtrace_lines),
        }
    }
}

/// A failure that is to be kept.
#[derive(Clone, Copy, Debug)]
pub struct FailedRun<'f> {
    /// When, Unix seconds.
    pub at: f64,
    /// Of which run: 0 for the first.
    pub attempt: u32,
    /// As it is stored.
    pub error: &'f ErrorInfo<'f>,
    /// Where it comes from, if that is known.
    pub backtrace: Option<&'f str>,
}

/// A failure as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptFailure {
    /// When, Unix seconds.
    pub at: f64,
    /// Of which run: 0 for the first.
    pub attempt: u32,
    /// Its class.
    pub class: String,
    /// The start of its message.
    pub message: String,
}

impl Fate {
    /// The same fate with this failure kept in its payload. Bytes that would then be more than a payload may have stay as
    /// they are.
    #[must_use]
    pub fn keeping(self, keep: Keep, failure: &FailedRun<'_>) -> Self {
        match self {
            Self::Retry { at, payload } => Self::Retry { at, payload: kept(payload, keep, failure) },
            Self::Dead { at, payload } => Self::Dead { at, payload: kept(payload, keep, failure) },
            Self::Snooze { .. } | Self::Discard | Self::Forgotten => self,
        }
    }
}

/// The failures that a payload tells of, the last one last; anything else in it is left out.
#[must_use]
pub fn failures(value: &str) -> Vec<KeptFailure> {
    let all: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
    all.into_iter().filter_map(|one| serde_json::from_str(one.get()).ok()).collect()
}

fn kept(payload: Vec<u8>, keep: Keep, failure: &FailedRun<'_>) -> Vec<u8> {
    let history = history(&payload, keep.failures.unwrap_or(0), failure);
    let backtrace = backtrace(&payload, keep.backtrace_lines.unwrap_or(0), failure.backtrace);
    let members = [(FAILURE_HISTORY, &history), (FAILURE_BACKTRACE, &backtrace)];
    let changes: Vec<_> =
        members.iter().filter_map(|(name, json)| Some((*name, FieldValue::Json(json.as_deref()?)))).collect();
    if changes.is_empty() {
        return payload;
    }
    match amend(&payload, &changes) {
        Ok(amended) if amended.len() <= PAYLOAD_BYTES_MAX => amended,
        // Without it the job still runs.
        _ => payload,
    }
}

/// The failures before, as they were written, and this one.
fn history(payload: &[u8], failures_max: usize, failure: &FailedRun<'_>) -> Option<String> {
    let earlier_max = failures_max.checked_sub(1)?;
    let FailedRun { at, attempt, error, .. } = *failure;
    let class = start(&error.class, HISTORY_CLASS_CHARS_MAX).to_owned();
    let message = start(&error.message, HISTORY_MESSAGE_CHARS_MAX).to_owned();
    let last = serde_json::to_string(&KeptFailure { at, attempt, class, message }).ok()?;
    let mut earlier: Vec<&str> = member::<Vec<&RawValue>>(payload, FAILURE_HISTORY)
        .unwrap_or_default()
        .into_iter()
        .map(RawValue::get)
        .filter(|one| one.len() <= HISTORY_ENTRY_BYTES_MAX)
        .collect();
    earlier.drain(..earlier.len().saturating_sub(earlier_max));
    earlier.push(&last);
    Some(format!("[{}]", earlier.join(",")))
}

/// The lines of a backtrace; null if this failure has none and an earlier one had.
fn backtrace(payload: &[u8], lines_max: usize, backtrace: Option<&str>) -> Option<String> {
    if lines_max == 0 {
        return None;
    }
    let Some(text) = backtrace else {
        let stale: Option<&RawValue> = member(payload, FAILURE_BACKTRACE);
        return stale.map(|_| "null".to_owned());
    };
    let text = &text[..text.floor_char_boundary(BACKTRACE_BYTES_MAX)];
    let lines: Vec<&str> = text.lines().take(lines_max).collect();
    serde_json::to_string(&lines).ok()
}

fn start(text: &str, chars_max: usize) -> &str {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep { failures: Some(2), backtrace_lines: Some(2) };

    fn after(payload: &str, keep: Keep, attempt: u32, message: &str, backtrace: Option<&str>) -> String {
        let error = ErrorInfo::new("E", message);
        let failure = FailedRun { at: 100.5 + f64::from(attempt), attempt, error: &error, backtrace };
        let fate = Fate::Dead { at: 1.0, payload: payload.as_bytes().to_vec() }.keeping(keep, &failure);
        let Fate::Dead { payload, .. } = fate else { panic!("it stays what it was") };
        String::from_utf8(payload).unwrap()
    }

    #[test]
    fn nothing_is_kept_unless_asked_for() {
        let raw = r#"{"name":"N","args":[1.0e+21, {}]}"#;
        assert_eq!(after(raw, Keep::default(), 0, "m", Some("0: main")), raw);
        assert_eq!(Keep::default().or(KEEP), KEEP);
        let none = Keep { failures: Some(0), backtrace_lines: Some(0) };
        assert_eq!(after(raw, none.or(KEEP), 0, "m", Some("0: main")), raw);
    }

    #[test]
    fn the_last_failures_are_kept_in_their_order_and_the_rest_of_the_bytes_stays() {
        let raw = r#"{"name":"N","args":[1.0e+21, {}],"x":"\ud800"}"#;
        let first = after(raw, KEEP, 0, "first", Some("0: a\n1: b\n2: c"));
        let one = r#"{"at":100.5,"attempt":0,"class":"E","message":"first"}"#;
        let start = raw.strip_suffix('}').unwrap();
        assert_eq!(
            first,
            format!(r#"{start},"failure_history":[{one}],"failure_backtrace":["0: a","1: b"]}}"#)
        );
        let second = after(&first, KEEP, 1, "second", None);
        let two = r#"{"at":101.5,"attempt":1,"class":"E","message":"second"}"#;
        assert_eq!(second, format!(r#"{start},"failure_history":[{one},{two}],"failure_backtrace":null}}"#));
        let third = after(&second, KEEP, 2, "third", None);
        let messages = |payload: &str| {
            let value: &RawValue = member(payload.as_bytes(), FAILURE_HISTORY).unwrap();
            failures(value.get()).into_iter().map(|one| one.message).collect::<Vec<_>>()
        };
        assert_eq!(messages(&third), ["second", "third"]);
    }

    #[test]
    fn what_others_wrote_there_is_no_obstacle_and_does_not_grow() {
        let long = "x".repeat(HISTORY_ENTRY_BYTES_MAX);
        for (theirs, kept) in
            [("7", ""), ("null", ""), ("[1,\"a\"]", "\"a\","), (&*format!("[\"{long}\"]"), "")]
        {
            let payload = after(&format!(r#"{{"failure_history":{theirs}}}"#), KEEP, 0, "m", None);
            let last = r#"{"at":100.5,"attempt":0,"class":"E","message":"m"}"#;
            assert_eq!(payload, format!(r#"{{"failure_history":[{kept}{last}]}}"#), "{theirs}");
        }
        assert_eq!(failures(r#"[1,{"at":1,"attempt":0,"class":"E","message":"m","more":1}]"#).len(), 1);
    }

    #[test]
    fn class_and_message_are_cut_and_fit_an_entry() {
        let error = ErrorInfo::new("😀".repeat(10_000), "\u{1}".repeat(10_000));
        let failure = FailedRun { at: f64::MAX, attempt: u32::MAX, error: &error, backtrace: None };
        let written = history(b"{}", 1, &failure).unwrap();
        assert!(written.len() <= HISTORY_ENTRY_BYTES_MAX, "{}", written.len());
        let kept = failures(&written);
        assert_eq!(
            (kept[0].class.chars().count(), kept[0].message.chars().count()),
            (HISTORY_CLASS_CHARS_MAX, HISTORY_MESSAGE_CHARS_MAX)
        );
    }

    #[test]
    fn a_payload_that_would_become_too_large_stays_as_it_is() {
        let padding = PAYLOAD_BYTES_MAX - br#"{"x":""}"#.len();
        let largest = format!(r#"{{"x":"{}"}}"#, "x".repeat(padding));
        assert_eq!(largest.len(), PAYLOAD_BYTES_MAX);
        assert!(after(&largest, KEEP, 0, "m", None) == largest);
    }
}
