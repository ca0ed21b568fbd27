//! Writing into payloads: amended, retried and buried ones keep every byte that should not change.
//!
//! The first byte of a case chooses what happens to the job, the rest is its payload. Not here: reading (`payload`).

use std::time::Duration;

use jiggler_uring::internal::job::amend::{FieldValue, amend};
use jiggler_uring::internal::job::bad::{bury_unparsable, exhume};
use jiggler_uring::internal::job::parse::{FirstFailure, History};
use jiggler_uring::internal::job::retry::{gem_delay, next_attempt, with_default_retries};
use jiggler_uring::internal::job::{
    BadPayload, Course, ErrorInfo, FailureTimes, Fate, Parser, Plan, Schema, decide,
};
use jiggler_uring::internal::limits::RETRIES_MAX;
use serde_json::Value;

use super::members::{Member, last, members};

/// When everything happens, Unix seconds.
const NOW: f64 = 1_795_299_980.25;

/// Checks one payload.
pub fn run(data: &[u8]) {
    let Some((choice, payload)) = data.split_first() else { return };
    check_amend(*choice, payload);
    let mut parser = Parser::default();
    match parser.parse(payload).map(|job| job.history) {
        Ok(history) => check_fate(*choice, payload, history),
        Err(bad) => check_burial(payload, &bad),
    }
}

/// Texts of all kinds, including a piece of the payload.
fn text(choice: u8, payload: &[u8]) -> String {
    match choice % 4 {
        0 => String::new(),
        1 => "\"\\\n\r\t\u{0}\u{1f}\u{7f}é✓😀\u{2028}".to_owned(),
        2 => "queue".to_owned(),
        _ => String::from_utf8_lossy(&payload[payload.len() / 2..]).into_owned(),
    }
}

fn check_amend(choice: u8, payload: &[u8]) {
    let text = text(choice, payload);
    let all = [
        ("queue", FieldValue::Text(&text)),
        ("attempt", FieldValue::Count(u64::MAX)),
        ("retry_at", FieldValue::Float(NOW)),
        ("", FieldValue::Float(f64::NAN)),
    ];
    let fields = &all[..usize::from(choice >> 2) % 5];
    let amended = amend(payload, fields);
    let Some(before) = members(payload) else {
        // Bytes that only look like an object may be amended; they never were a job, and nothing in them is lost.
        if let (Ok(amended), true) = (amended, fields.is_empty()) {
            assert_eq!(amended, payload);
        }
        return;
    };
    let amended = amended.expect("an object can be amended");
    assert_eq!(amended, spliced(payload, &before, fields), "not what was to change, or more than that");
    let after = members(&amended).expect("an object stays an object");
    for (name, value) in fields {
        let member = last(&after, name).expect("the member is there now");
        let read: Value = serde_json::from_str(member.value.get()).unwrap();
        match value {
            FieldValue::Text(text) => assert_eq!(read.as_str(), Some(*text)),
            FieldValue::Count(count) => assert_eq!(read.as_u64(), Some(*count)),
            FieldValue::Float(float) => assert_eq!(read.as_f64(), float.is_finite().then_some(*float)),
            FieldValue::Json(json) => assert_eq!(member.value.get(), *json),
        }
    }
}

/// The payload with each field's members replaced in place, and the others appended after the last value.
fn spliced(payload: &[u8], before: &[Member<'_>], fields: &[(&str, FieldValue<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut copied = 0;
    for member in before {
        if let Some((_, value)) = fields.iter().find(|(name, _)| member.key == name.as_bytes()) {
            let span = member.span(payload);
            out.extend_from_slice(&payload[copied..span.start]);
            out.extend(written(*value));
            copied = span.end;
        }
    }
    let end = match before.last() {
        Some(last) => last.span(payload).end,
        None => payload.iter().position(|byte| *byte == b'{').unwrap() + 1,
    };
    out.extend_from_slice(&payload[copied..end]);
    let mut comma = !before.is_empty();
    for (name, value) in fields.iter().filter(|(name, _)| last(before, name).is_none()) {
        out.extend(if comma { "," } else { "" }.bytes());
        comma = true;
        out.extend(format!("{}:", serde_json::to_string(name).unwrap()).bytes());
        out.extend(written(*value));
    }
    out.extend_from_slice(&payload[end..]);
    out
}

fn written(value: FieldValue<'_>) -> Vec<u8> {
    match value {
        // serde_json escapes what the gem escapes, and writes everything else raw.
        FieldValue::Text(text) => serde_json::to_vec(text).unwrap(),
        FieldValue::Count(count) => count.to_string().into_bytes(),
        FieldValue::Float(float) if float.is_finite() => float.to_string().into_bytes(),
        FieldValue::Float(_) => b"null".to_vec(),
        FieldValue::Json(json) => json.as_bytes().to_vec(),
    }
}

fn check_fate(choice: u8, payload: &[u8], history: History) {
    let after = gem_delay(next_attempt(history));
    let course = match choice % 5 {
        0 => Course::Retry { after },
        1 => Course::Retry { after: Duration::ZERO },
        2 => Course::Die,
        3 => Course::Snooze { after: Duration::from_millis(1_500) },
        _ => Course::Discard,
    };
    let history = with_default_retries(Schema::Jiggler, payload, history, u32::from(choice) % 3);
    let text = text(choice, payload);
    let plan = Plan { schema: Schema::Jiggler, queue: "own", retry_queue: "again", course, backtrace: None };
    let error = ErrorInfo::new("E", &text);
    let fate = decide(payload, history, &plan, &error, FailureTimes::at(NOW)).expect("a job can be settled");
    let left = next_attempt(history) <= history.retries;
    let (stored, queue) = match (&fate, course) {
        (Fate::Discard, Course::Discard) => return,
        (Fate::Snooze { payload, .. }, Course::Snooze { .. }) => (payload, Some("own")),
        (Fate::Retry { payload, .. }, Course::Retry { .. }) if left => (payload, Some("again")),
        (Fate::Dead { payload, .. }, Course::Die) => (payload, Some("own")),
        (Fate::Dead { payload, .. }, Course::Retry { .. }) if !left => (payload, Some("own")),
        (fate, course) => panic!("{course:?} became {fate:?}"),
    };
    check_stored(payload, history, &fate, stored, queue);
}

/// A stored job runs again unchanged.
fn check_stored(payload: &[u8], history: History, fate: &Fate, stored: &[u8], queue: Option<&str>) {
    let (mut parser, mut stored_parser) = (Parser::default(), Parser::default());
    let (job, again) = (parser.parse(payload).unwrap(), stored_parser.parse(stored).unwrap());
    assert_eq!((job.name, job.jid, job.args.len()), (again.name, again.jid, again.args.len()));
    let attempt = match fate {
        Fate::Retry { .. } => next_attempt(history).min(RETRIES_MAX),
        _ => history.attempt,
    };
    assert_eq!((again.history.retries, again.history.attempt), (job.history.retries, attempt));
    let failed = !matches!(fate, Fate::Snooze { .. });
    let recorded = failed || history.first_failure == FirstFailure::Recorded;
    assert_eq!(again.history.first_failure == FirstFailure::Recorded, recorded);
    let readable = std::str::from_utf8(payload).is_ok();
    let (old, new) = (in_utf8(payload, readable), in_utf8(stored, readable));
    let (before, after) = (members(&old).unwrap(), members(&new).unwrap());
    let text = |members: &[Member<'_>]| {
        last(members, "queue").and_then(|member| serde_json::from_str::<String>(member.value.get()).ok())
    };
    assert_eq!(text(&after), queue.map(str::to_owned).or(text(&before)));
    for name in ["args", "name", "jid", "retries", "other"] {
        let was = last(&before, name).map(|member| &payload[member.span(&old)]);
        let is = last(&after, name).map(|member| &stored[member.span(&new)]);
        assert_eq!(was, is, "{name} has changed");
    }
}

/// The same text for a reader that wants UTF-8: byte for byte, if the payload is not, what is not ASCII is another letter.
fn in_utf8(json: &[u8], readable: bool) -> Vec<u8> {
    json.iter().map(|&byte| if readable || byte.is_ascii() { byte } else { b'~' }).collect()
}

/// Bytes that are not a job come back exactly, from an entry that is one.
fn check_burial(payload: &[u8], bad: &BadPayload) {
    let entry = bury_unparsable(Schema::Jiggler, payload, bad, "q", NOW);
    let mut parser = Parser::default();
    let buried = parser.parse(&entry).expect("the entry is a job");
    assert_eq!(buried.history.retries, 0);
    let read: Value = serde_json::from_slice(&entry).unwrap();
    assert_eq!(read["queue"], "q");
    assert_eq!(exhume(Schema::Jiggler, &entry).as_deref(), Some(payload));
}
