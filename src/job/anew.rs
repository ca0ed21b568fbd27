//! A job as a new one: the same members, without what its runs have left in them.
//!
//! Pure: bytes in, bytes out. Values stay as they stand, but for the id, the times of the push, and arguments that somebody
//! has changed. Not for a retry, which stays the same job (`job::retry`).

use super::amend::{AmendError, FieldValue, write_text, write_value};
use super::scan;
use super::schema::Schema;

/// The payload under a new id, with these arguments, the text of a JSON array, or with its own.
///
/// # Errors
/// [`AmendError`] when `raw` is not a JSON object.
pub fn anew(
    schema: Schema,
    raw: &[u8],
    jid: &str,
    args: Option<&str>,
    now: f64,
) -> Result<Vec<u8>, AmendError> {
    let members = scan::members(raw).map_err(|unexpected| AmendError { offset: unexpected.offset })?;
    let (names, schema) = (schema.names(), schema.of_payload(raw));
    let left_by_runs = schema.left_by_runs();
    let mut payload = Vec::with_capacity(raw.len() + args.map_or(0, str::len) + 128);
    let mut has_jid = false;
    payload.push(b'{');
    for member in members {
        let key = &raw[member.key];
        let is = |name: &str| scan::key_is(key, name);
        if left_by_runs.iter().any(|name| is(name)) {
            continue;
        }
        if payload.len() > 1 {
            payload.push(b',');
        }
        payload.extend_from_slice(key);
        payload.push(b':');
        if is(names.jid) {
            has_jid = true;
            write_text(&mut payload, jid);
        } else if let Some(args) = args.filter(|_| is(names.args)) {
            write_value(&mut payload, FieldValue::Json(args));
        } else if is(names.enqueued_at) {
            write_value(&mut payload, schema.time(now));
        } else {
            payload.extend_from_slice(&raw[member.value]);
        }
    }
    if !has_jid {
        payload.extend_from_slice(if payload.len() > 1 { b"," } else { b"" });
        write_text(&mut payload, names.jid);
        payload.push(b':');
        write_text(&mut payload, jid);
    }
    schema.write_push_times(false, || now, &mut payload);
    payload.push(b'}');
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Dialect;

    fn check(schema: Schema, raw: &str, args: Option<&str>, expected: &str) {
        let found = anew(schema, raw.as_bytes(), "new", args, 7.5).unwrap();
        assert_eq!(String::from_utf8(found).unwrap(), expected);
    }

    #[test]
    fn a_new_job_has_all_of_the_old_one_but_what_its_runs_have_left() {
        let dead = r#"{"name":"N", "args":[1.0e+21,{"a": 9223372036854775808}],"jid":"old","retries":3,"tenant":"acme","started_at":1.5,"error_class":"E","error_message":"m","retry_at":9.5,"attempt":3,"queue":"q","retried_at":2.5,"left_since":1.0,"left_until":9.5,"failure_history":[],"failure_backtrace":[]}"#;
        let same = r#"{"name":"N","args":[1.0e+21,{"a": 9223372036854775808}],"jid":"new","retries":3,"tenant":"acme","queue":"q"}"#;
        check(Schema::Jiggler, dead, None, same);
        check(
            Schema::Jiggler,
            dead,
            Some("[2]"),
            &same.replace(r#"[1.0e+21,{"a": 9223372036854775808}]"#, "[2]"),
        );
        check(
            Schema::Jiggler,
            r#"{"name":"N","enqueued_at":1.5}"#,
            None,
            r#"{"name":"N","enqueued_at":7.5,"jid":"new"}"#,
        );
        check(Schema::Jiggler, "{}", None, r#"{"jid":"new"}"#);
        assert!(anew(Schema::Jiggler, b"[1]", "new", None, 7.5).is_err());
    }

    #[test]
    fn beside_sidekiq_it_is_pushed_now_in_the_unit_of_the_old_one() {
        let dead = r#"{"class":"N","args":[1],"jid":"old","retry":true,"queue":"q","created_at":1795299831824,"enqueued_at":1795299831824,"error_message":"m","error_class":"E","failed_at":1795299831824,"retry_count":2,"retried_at":1795299831824,"error_backtrace":"x"}"#;
        check(
            Schema::of(Dialect::Sidekiq),
            dead,
            Some("[2]"),
            r#"{"class":"N","args":[2],"jid":"new","retry":true,"queue":"q","created_at":7500,"enqueued_at":7500}"#,
        );
    }
}
