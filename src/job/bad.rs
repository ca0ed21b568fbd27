//! Bytes that are not a job, wrapped into a dead entry the gem's page can show, and unwrapped from it again.
//!
//! Responsible for the form of that entry. Not for what makes bytes bad (`job::parse`).
//!
//! The entry is a job payload of class [`NAME`] without arguments; in addition to the members of every dead job it carries
//! `raw_base64`, the exact bytes in standard base64 with padding:
//!
//! ```json
//! {"name":"InvalidPayload","args":[],"retries":0,"jid":"…","started_at":1.5,"error_message":"payload is not JSON: …",
//!  "error_class":"JigglerUring::BadPayload","queue":"default","raw_base64":"…"}
//! ```
//!
//! What is too large for one entry is in several, of which each says by `part` and `parts` which one it is.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use crate::job::amend::{FieldValue, write_text, write_value};
use crate::job::failure::{CLASS_BAD_PAYLOAD, ErrorInfo};
use crate::job::members::member;
use crate::job::parse::BadPayload;
use crate::job::schema::{Failure, PART, RAW_BASE64, Schema};

/// The class name of the entry. No handler may be registered under it, so that a retry from a page finds none.
pub const NAME: &str = "InvalidPayload";

/// Makes the dead entry for bytes that are not a job. `queue` is where they were, `now` the Unix time in seconds. Its job
/// id is new, so that the same bytes buried twice stay two entries.
#[must_use]
pub fn bury_unparsable(schema: Schema, raw: &[u8], reason: &BadPayload, queue: &str, now: f64) -> Vec<u8> {
    bury_part(schema, raw, (1, 1), &reason.to_string(), queue, now)
}

/// As [`bury_unparsable`], in as many entries as it takes for none to hold more than `part_bytes_max` of the bytes: their
/// base64 may exceed the largest string of Redis. In order they are the exact bytes.
#[must_use]
pub fn bury_in_parts(
    schema: Schema,
    raw: &[u8],
    reason: &BadPayload,
    queue: &str,
    now: f64,
    part_bytes_max: usize,
) -> Vec<Vec<u8>> {
    let parts = raw.len().div_ceil(part_bytes_max).max(1);
    if parts == 1 {
        return vec![bury_unparsable(schema, raw, reason, queue, now)];
    }
    let chunks = raw.chunks(raw.len().div_ceil(parts)).enumerate();
    chunks
        .map(|(at, chunk)| {
            let message = format!("{reason}; part {} of {parts} of its bytes", at + 1);
            bury_part(schema, chunk, (at + 1, parts), &message, queue, now)
        })
        .collect()
}

fn bury_part(
    schema: Schema,
    raw: &[u8],
    (part, parts): (usize, usize),
    message: &str,
    queue: &str,
    now: f64,
) -> Vec<u8> {
    let (names, written) = (schema.names(), schema.written());
    let error = ErrorInfo::new(CLASS_BAD_PAYLOAD, message);
    let mut entry = Vec::with_capacity(raw.len() * 4 / 3 + 512);
    entry.extend_from_slice(written.name.as_bytes());
    write_text(&mut entry, NAME);
    entry.extend_from_slice(written.args.as_bytes());
    entry.extend_from_slice(b"[]");
    let jid = schema.new_jid();
    let mut members =
        vec![(names.retries, FieldValue::Count(0)), (names.jid, FieldValue::Text(jid.as_str()))];
    members.extend(schema.failure(Failure { error: &error, first_at: Some(now), backtrace: None }));
    members.push((names.queue, FieldValue::Text(queue)));
    if parts > 1 {
        members
            .extend([(PART[0], FieldValue::Count(part as u64)), (PART[1], FieldValue::Count(parts as u64))]);
    }
    for (name, value) in &members {
        entry.push(b',');
        write_text(&mut entry, name);
        entry.push(b':');
        write_value(&mut entry, *value);
    }
    entry.push(b',');
    write_text(&mut entry, RAW_BASE64);
    entry.extend_from_slice(b":\"");
    entry.extend_from_slice(STANDARD.encode(raw).as_bytes());
    entry.extend_from_slice(b"\"}");
    entry
}

/// The exact bytes that [`bury_unparsable`] put into a dead entry; `None` when the entry belongs to another job, or has only
/// a part of them.
#[must_use]
pub fn exhume(schema: Schema, entry: &[u8]) -> Option<Vec<u8>> {
    if member::<&str>(entry, schema.names().name)? != NAME || member::<IgnoredAny>(entry, PART[1]).is_some() {
        return None;
    }
    STANDARD.decode(member::<&str>(entry, RAW_BASE64)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::job::parse::Parser;

    #[test]
    fn the_entry_is_a_dead_job_the_gems_page_can_show() {
        let reason = Parser::default().parse(b"this is not json").unwrap_err();
        let entry =
            bury_unparsable(Schema::Jiggler, b"this is not json", &reason, "default", 1_795_299_980.5);
        let read: Value = serde_json::from_slice(&entry).unwrap();
        assert_eq!(read["name"], "InvalidPayload");
        assert_eq!(read["args"], serde_json::json!([]));
        assert_eq!(read["retries"], 0);
        assert_eq!(read["jid"].as_str().unwrap().len(), 16);
        assert_eq!(read["started_at"], 1_795_299_980.5);
        assert!(read["error_message"].as_str().unwrap().starts_with("payload is not JSON: "));
        assert_eq!(read["error_class"], "JigglerUring::BadPayload");
        assert_eq!(read["queue"], "default");
        assert_eq!(read["raw_base64"], "dGhpcyBpcyBub3QganNvbg==");
        assert_eq!(read.as_object().unwrap().len(), 9);
        let mut parser = Parser::default();
        assert_eq!(parser.parse(&entry).unwrap().name, NAME);
    }

    #[test]
    fn what_one_entry_cannot_hold_is_in_several_that_make_up_the_exact_bytes() {
        let raw: Vec<u8> = (0..=254).collect();
        let reason = BadPayload::TooLarge { bytes: raw.len(), max: 9 };
        for (part_bytes_max, parts) in [(255, 1), (254, 2), (128, 2), (100, 3), (1, 255)] {
            let entries = bury_in_parts(Schema::Jiggler, &raw, &reason, "q", 1.5, part_bytes_max);
            assert_eq!(entries.len(), parts, "{part_bytes_max}");
            let mut found = Vec::new();
            for (at, entry) in entries.iter().enumerate() {
                let read: Value = serde_json::from_slice(entry).unwrap();
                let part = STANDARD.decode(read["raw_base64"].as_str().unwrap()).unwrap();
                assert!(part.len() <= part_bytes_max);
                found.extend(part);
                let expected = (parts > 1).then_some((at as u64 + 1, parts as u64));
                assert_eq!(read["part"].as_u64().zip(read["parts"].as_u64()), expected);
                assert_eq!(
                    exhume(Schema::Jiggler, entry).is_some(),
                    parts == 1,
                    "a part is not taken for all"
                );
            }
            assert_eq!(found, raw);
        }
        assert_eq!(bury_in_parts(Schema::Jiggler, b"", &reason, "q", 1.5, 9).len(), 1);
    }

    #[test]
    fn other_jobs_hold_no_buried_bytes() {
        for entry in [
            r#"{"name":"N","args":[]}"#,
            r#"{"name":"N","raw_base64":"AA=="}"#,
            "[]",
            "",
            r#"{"name":"InvalidPayload","raw_base64":"?"}"#,
        ] {
            assert_eq!(exhume(Schema::Jiggler, entry.as_bytes()), None, "{entry}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back_exactly(
            raw in prop::collection::vec(any::<u8>(), 0..300),
            queue in "[a-z]{1,8}",
            now in 0.0..4e9,
        ) {
            let mut parser = Parser::default();
            let Err(reason) = parser.parse(&raw) else { return Ok(()) };
            let entry = bury_unparsable(Schema::Jiggler, &raw, &reason, &queue, now);
            prop_assert_eq!(exhume(Schema::Jiggler, &entry), Some(raw));
            let read: Value = serde_json::from_slice(&entry).unwrap();
            prop_assert_eq!(read["queue"].as_str(), Some(queue.as_str()));
        }
    }
}
