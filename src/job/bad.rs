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

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::ids;
use crate::job::amend::{FieldValue, write_text, write_value};
use crate::job::failure::{CLASS_BAD_PAYLOAD, ErrorInfo};
use crate::job::fields;
use crate::job::parse::BadPayload;

/// The class name of the entry. No handler may be registered under it, so that a retry from a page finds none.
pub const NAME: &str = "InvalidPayload";

/// The member that holds the exact bytes in base64.
pub const RAW_BASE64: &str = "raw_base64";

/// Makes the dead entry for bytes that are not a job. `queue` is where they were, `now` the Unix time in seconds. Its job
/// id is new, so that the same bytes buried twice stay two entries.
#[must_use]
pub fn bury_unparsable(raw: &[u8], reason: &BadPayload, queue: &str, now: f64) -> Vec<u8> {
    let message = reason.to_string();
    let error = ErrorInfo::new(CLASS_BAD_PAYLOAD, message);
    let mut entry = Vec::with_capacity(raw.len() * 4 / 3 + 512);
    entry.extend_from_slice(b"{\"name\":");
    write_text(&mut entry, NAME);
    entry.extend_from_slice(b",\"args\":[]");
    let jid = ids::jid();
    let members = [
        (fields::RETRIES, FieldValue::Count(0)),
        (fields::JID, FieldValue::Text(jid.as_str())),
        (fields::STARTED_AT, FieldValue::Float(now)),
        (fields::ERROR_MESSAGE, FieldValue::Text(error.stored_message())),
        (fields::ERROR_CLASS, FieldValue::Text(&error.class)),
        (fields::QUEUE, FieldValue::Text(queue)),
    ];
    for (name, value) in members {
        entry.push(b',');
        write_text(&mut entry, name);
        entry.push(b':');
        write_value(&mut entry, value);
    }
    entry.push(b',');
    write_text(&mut entry, RAW_BASE64);
    entry.extend_from_slice(b":\"");
    entry.extend_from_slice(STANDARD.encode(raw).as_bytes());
    entry.extend_from_slice(b"\"}");
    entry
}

/// The exact bytes that [`bury_unparsable`] put into a dead entry; `None` when the entry belongs to another job.
#[must_use]
pub fn exhume(entry: &[u8]) -> Option<Vec<u8>> {
    let buried: Buried<'_> = serde_json::from_slice(entry).ok()?;
    (buried.name == NAME).then(|| STANDARD.decode(buried.raw_base64).ok())?
}

/// The members of a dead entry that show whether it holds buried bytes.
#[derive(Deserialize)]
struct Buried<'e> {
    name: &'e str,
    raw_base64: &'e str,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::job::parse::Parser;

    #[test]
    fn the_entry_is_a_dead_job_the_gems_page_can_show() {
        let reason = Parser::new().parse(b"this is not json").unwrap_err();
        let entry = bury_unparsable(b"this is not json", &reason, "default", 1_795_299_980.5);
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
        let mut parser = Parser::new();
        assert_eq!(parser.parse(&entry).unwrap().name, NAME);
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
            assert_eq!(exhume(entry.as_bytes()), None, "{entry}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back_exactly(
            raw in prop::collection::vec(any::<u8>(), 0..300),
            queue in "[a-z]{1,8}",
            now in 0.0..4e9,
        ) {
            let mut parser = Parser::new();
            let Err(reason) = parser.parse(&raw) else { return Ok(()) };
            let entry = bury_unparsable(&raw, &reason, &queue, now);
            prop_assert_eq!(exhume(&entry), Some(raw));
            let read: Value = serde_json::from_slice(&entry).unwrap();
            prop_assert_eq!(read["queue"].as_str(), Some(queue.as_str()));
        }
    }
}
