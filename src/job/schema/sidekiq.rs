//! The members of a job payload, spelt as the gem `sidekiq` 6 to 8 spells them, and ours beside them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use miniz_oxide::deflate::compress_to_vec_zlib;
use serde_json::value::RawValue;

use super::{Envelope, MemberNames, PushText};
use crate::job::amend::{FieldValue, amend, write_value};
use crate::job::members::member;
use crate::limits::{STORED_BACKTRACE_BYTES_MAX, STORED_BACKTRACE_LINES_MAX};

const CLASS: &str = "class";
const ARGS: &str = "args";
const RETRY: &str = "retry";
const JID: &str = "jid";
const FAILED_AT: &str = "failed_at";
const RETRY_COUNT: &str = "retry_count";
pub(super) const CREATED_AT: &str = "created_at";
const ENQUEUED_AT: &str = "enqueued_at";
const RETRY_FOR: &str = "retry_for";
const DEAD: &str = "dead";
const BACKTRACE: &str = "backtrace";

/// The name of the ActiveJob that a payload wraps.
const WRAPPED: &str = "wrapped";

/// Its arguments, in the only argument of the payload.
pub(super) const WRAPPED_ARGS: &str = "arguments";

/// Where a failure comes from: the lines, as a JSON array, deflated, in base64.
pub(super) const BACKTRACE_TEXT: &str = "error_backtrace";

/// That of Ruby's `Zlib::Deflate.deflate`.
const DEFLATE_LEVEL: u8 = 6;

/// Retries where neither payload nor class names a number, and where a payload says `true`.
pub(super) const RETRIES: u32 = 25;

/// The class of the error of a job whose class nobody here knows, as Ruby has it.
pub(super) const UNKNOWN_CLASS: &str = "NameError";

/// As good as without an end: ten years.
pub(super) const LEFT_FOR: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

pub(super) const NAMES: MemberNames = MemberNames {
    name: CLASS,
    args: ARGS,
    retries: RETRY,
    jid: JID,
    first_failed_at: FAILED_AT,
    error_message: "error_message",
    error_class: "error_class",
    // Sidekiq knows only the score. Ours, where a job waits without having failed.
    retry_at: "retry_at",
    // From 0: the number of the last retry that was planned, less one.
    attempt: RETRY_COUNT,
    queue: "queue",
    retried_at: "retried_at",
    traceparent: "traceparent",
    retry_queue: "retry_queue",
    left_since: "left_since",
    left_until: "left_until",
    enqueued_at: ENQUEUED_AT,
};

pub(super) const WRITTEN: PushText = PushText {
    name: "{\"class\":",
    args: ",\"args\":",
    retries: ",\"retry\":",
    jid: ",\"jid\":",
    queue: ",\"queue\":",
    traceparent: ",\"traceparent\":",
    retry_queue: ",\"retry_queue\":",
};

/// What a push writes where a job leaves the number of its retries to the worker.
pub(super) const OPEN_RETRIES: &str = ",\"retry\":true";

const CREATED_AT_WRITTEN: &[u8] = b",\"created_at\":";
const ENQUEUED_AT_WRITTEN: &[u8] = b",\"enqueued_at\":";

/// The members that a producer cannot choose freely, beside those of the other dialect.
pub(super) const RESERVED: [&str; 8] =
    [CLASS, RETRY, FAILED_AT, RETRY_COUNT, CREATED_AT, ENQUEUED_AT, BACKTRACE_TEXT, "raw_base64"];

/// The unit of a payload's times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds, always with a decimal point: as Sidekiq up to 7 writes them, and as every version reads them.
    #[default]
    Seconds,
    /// Whole milliseconds: as Sidekiq 8 writes them.
    Milliseconds,
}

/// A whole number from here on is milliseconds; as seconds it would be the year 5138.
const MILLISECONDS_MIN: f64 = 1e11;

impl TimeUnit {
    /// That of the times a payload has; `None` if it has none.
    pub(super) fn of_payload(raw: &[u8]) -> Option<Self> {
        let unit = |name| Some(read_time(member::<&RawValue>(raw, name)?.get())?.1);
        unit(ENQUEUED_AT).or_else(|| unit(CREATED_AT))
    }

    /// A time, given in Unix seconds.
    pub(super) const fn time(self, seconds: f64) -> FieldValue<'static> {
        match self {
            Self::Seconds => FieldValue::Float(seconds),
            // Rounded. The cast saturates: a time before 1970 is 0.
            Self::Milliseconds => FieldValue::Count((seconds * 1e3 + 0.5) as u64),
        }
    }
}

/// The payload with its count of retries lowered by one, which may be below 0 then; `None` if it has none.
pub(super) fn with_one_retry_less(raw: &[u8]) -> Option<Vec<u8>> {
    let count = member::<i64>(raw, RETRY_COUNT)?.saturating_sub(1).to_string();
    amend(raw, &[(RETRY_COUNT, FieldValue::Json(&count))]).ok()
}

/// Reads a time: Unix seconds, and the unit in which it is written.
fn read_time(text: &str) -> Option<(f64, TimeUnit)> {
    let value: f64 = text.parse().ok()?;
    let is_whole = !text.contains(['.', 'e', 'E']);
    if is_whole && value >= MILLISECONDS_MIN {
        return Some((value / 1e3, TimeUnit::Milliseconds));
    }
    Some((value, TimeUnit::Seconds))
}

/// See [`super::Schema::time_of`].
pub(super) fn time_of(payload: &[u8], name: &str) -> Option<f64> {
    Some(read_time(member::<&RawValue>(payload, name)?.get())?.0)
}

/// See [`Envelope::slot`].
pub(super) fn slot<'e, V>(envelope: &'e mut Envelope<V>, key: &str) -> Option<&'e mut Option<V>> {
    Some(match key {
        CLASS => &mut envelope.name,
        ARGS => &mut envelope.args,
        RETRY => &mut envelope.retries,
        JID => &mut envelope.jid,
        RETRY_COUNT => &mut envelope.attempt,
        FAILED_AT => &mut envelope.first_failed_at,
        WRAPPED => &mut envelope.rare().wrapped,
        // Batches of Sidekiq Pro; locks of Sidekiq Enterprise, and of sidekiq-unique-jobs from 7 on and before.
        "bid" => &mut envelope.rare().for_ruby[0],
        "unique_for" => &mut envelope.rare().for_ruby[1],
        "lock_digest" => &mut envelope.rare().for_ruby[2],
        "unique_digest" => &mut envelope.rare().for_ruby[3],
        "encrypt" => &mut envelope.rare().for_ruby[4],
        _ => return None,
    })
}

/// See [`super::Schema::write_push_times`].
pub(super) fn write_push_times(now: FieldValue<'_>, is_later: bool, payload: &mut Vec<u8>) {
    payload.extend_from_slice(CREATED_AT_WRITTEN);
    write_value(payload, now);
    if !is_later {
        payload.extend_from_slice(ENQUEUED_AT_WRITTEN);
        write_value(payload, now);
    }
}

/// With c retries before this one: c⁴ + 15 s, and up to 10 s × (c + 1) more.
pub(super) fn pause(attempt: u32) -> (Duration, Option<Duration>) {
    let count = u64::from(attempt.saturating_sub(1));
    let seconds = count.saturating_pow(4).saturating_add(15);
    (Duration::from_secs(seconds), Some(Duration::from_secs(10 * (count + 1))))
}

/// How many seconds after its first failure a job is retried, if its payload says so and wants retries at all.
pub(super) fn retry_for(raw: &[u8]) -> Option<f64> {
    member(raw, RETRY_FOR).filter(|_| member(raw, RETRY) != Some(false))
}

/// See [`super::Schema::is_in_time`].
pub(super) fn is_in_time(raw: &[u8], now: f64) -> bool {
    let Some(retry_for) = retry_for(raw) else { return true };
    now < time_of(raw, FAILED_AT).unwrap_or(now) + retry_for
}

/// `"retry":false` and `"dead":false`.
pub(super) fn is_forgotten(raw: &[u8]) -> bool {
    [RETRY, DEAD].into_iter().any(|name| member(raw, name) == Some(false))
}

/// See [`super::Schema::backtrace`]: all lines, or as many as the payload asks for.
pub(super) fn backtrace(raw: &[u8], backtrace: &str) -> Option<String> {
    let asked = match member::<serde_json::Value>(raw, BACKTRACE)? {
        serde_json::Value::Bool(true) => STORED_BACKTRACE_LINES_MAX,
        serde_json::Value::Number(lines) => usize::try_from(lines.as_u64()?).ok()?,
        _ => return None,
    };
    let mut bytes = 0;
    let lines = backtrace.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines
        .take(asked.min(STORED_BACKTRACE_LINES_MAX))
        .take_while(|line| {
            bytes += line.len();
            bytes <= STORED_BACKTRACE_BYTES_MAX
        })
        .collect();
    let json = serde_json::to_vec(&lines).ok().filter(|_| !lines.is_empty())?;
    Some(STANDARD.encode(compress_to_vec_zlib(&json, DEFLATE_LEVEL)))
}

#[cfg(test)]
mod tests {
    use miniz_oxide::inflate::decompress_to_vec_zlib;

    use super::*;

    #[test]
    fn what_is_written_before_a_time_spells_the_name_of_its_member() {
        for (written, member) in [(CREATED_AT_WRITTEN, CREATED_AT), (ENQUEUED_AT_WRITTEN, ENQUEUED_AT)] {
            assert_eq!(written, format!(",\"{member}\":").as_bytes());
        }
    }

    #[test]
    fn a_payload_shows_the_unit_of_its_times() {
        let check = |raw: &str, unit, created_at| {
            assert_eq!(TimeUnit::of_payload(raw.as_bytes()), unit, "{raw}");
            assert_eq!(time_of(raw.as_bytes(), CREATED_AT), created_at, "{raw}");
        };
        check(r#"{"created_at":1795299820.9858954}"#, Some(TimeUnit::Seconds), Some(1_795_299_820.985_895_4));
        check(r#"{"created_at":1795299831824}"#, Some(TimeUnit::Milliseconds), Some(1_795_299_831.824));
        check(r#"{"created_at":1795299831}"#, Some(TimeUnit::Seconds), Some(1_795_299_831.0));
        check(r#"{"created_at":1.5,"enqueued_at":1795299831824}"#, Some(TimeUnit::Milliseconds), Some(1.5));
        check(r#"{"created_at":"x"}"#, None, None);
        check("{}", None, None);
        assert_eq!(TimeUnit::Milliseconds.time(1.999_6), FieldValue::Count(2_000));
        assert_eq!(TimeUnit::Seconds.time(2.0), FieldValue::Float(2.0));
    }

    #[test]
    fn pauses_grow_as_in_sidekiq() {
        let pauses: Vec<_> = (1..=4).map(|attempt| pause(attempt).0.as_secs()).collect();
        assert_eq!(pauses, [15, 16, 31, 96]);
        assert_eq!(pause(3).1, Some(Duration::from_secs(30)));
    }

    #[test]
    fn a_backtrace_has_the_lines_that_are_asked_for() {
        let text = "  a\n\n b\n c\n";
        let lines = |raw: &str| {
            let stream = STANDARD.decode(backtrace(raw.as_bytes(), text)?).unwrap();
            let lines: Vec<String> =
                serde_json::from_slice(&decompress_to_vec_zlib(&stream).unwrap()).unwrap();
            Some(lines.join(","))
        };
        assert_eq!(lines(r#"{"backtrace":true}"#).as_deref(), Some("a,b,c"));
        assert_eq!(lines(r#"{"backtrace":2}"#).as_deref(), Some("a,b"));
        for raw in [r#"{"backtrace":0}"#, r#"{"backtrace":false}"#, r#"{"backtrace":"x"}"#, "{}"] {
            assert_eq!(lines(raw), None, "{raw}");
        }
    }

    #[test]
    fn what_is_not_kept_says_so() {
        for (raw, forgotten) in [
            (r#"{"retry":false}"#, true),
            (r#"{"retry":3,"dead":false}"#, true),
            (r#"{"retry":0}"#, false),
            (r#"{"retry":null,"dead":null}"#, false),
            ("{}", false),
        ] {
            assert_eq!(is_forgotten(raw.as_bytes()), forgotten, "{raw}");
        }
        let raw = br#"{"retry_for":60,"failed_at":1000.0}"#;
        assert!(is_in_time(raw, 1_059.0) && !is_in_time(raw, 1_060.0));
        assert!(is_in_time(br#"{"retry_for":60}"#, 1e9));
        assert_eq!(retry_for(br#"{"retry":false,"retry_for":60}"#), None);
    }
}
