//! Changes members of a payload and keeps every other byte unchanged.
//!
//! Responsible for replacing values in place and for appending new members where Ruby's hash would put them: at the end.
//! Not for which members change (`job::retry`). Arguments are never decoded on the way, so integers of any size, `1.0e+21`,
//! unknown members and their order survive.

use crate::job::scan::{self, Member};
use crate::time::RubyFloat;

/// A new value of a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'v> {
    /// Text, written as the gem writes it: non-ASCII raw, control characters escaped.
    Text(&'v str),
    /// A finite float, in Ruby's form. A non-finite one is not JSON and is written as null.
    Float(f64),
    /// A whole number.
    Count(u64),
    /// The text of any JSON value, written as it is.
    Json(&'v str),
}

/// Why a payload could not be changed: it is not a JSON object. Only bytes that `job::parse` refuses cause it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload is not a JSON object: unexpected end or character at byte {offset}")]
pub struct AmendError {
    /// The byte at which reading stopped.
    pub offset: usize,
}

/// Sets members of the JSON object `raw` and returns the new bytes.
///
/// An existing member gets its new value in place; if duplicated, every copy does, so that readers that take the first and
/// readers that take the last agree. A missing member is appended, in the order of `fields`.
///
/// # Errors
///
/// [`AmendError`] when `raw` is not a JSON object.
pub fn amend(raw: &[u8], fields: &[(&str, FieldValue<'_>)]) -> Result<Vec<u8>, AmendError> {
    let members = scan::members(raw).map_err(|unexpected| AmendError { offset: unexpected.offset })?;
    let mut amended = Vec::with_capacity(raw.len() + room(fields));
    let mut copied = 0;
    let mut written = vec![false; fields.len()];
    for member in &members {
        let Some(place) = fields.iter().position(|(name, _)| scan::key_is(&raw[member.key.clone()], name))
        else {
            continue;
        };
        amended.extend_from_slice(&raw[copied..member.value.start]);
        write_value(&mut amended, fields[place].1);
        copied = member.value.end;
        written[place] = true;
    }
    let end = end_of_members(raw, &members);
    amended.extend_from_slice(&raw[copied..end]);
    let mut first = members.is_empty();
    for ((name, value), written) in fields.iter().zip(written) {
        if !written {
            if !first {
                amended.push(b',');
            }
            first = false;
            write_text(&mut amended, name);
            amended.push(b':');
            write_value(&mut amended, *value);
        }
    }
    amended.extend_from_slice(&raw[end..]);
    Ok(amended)
}

/// Where the next member goes: after the last value, or after the opening brace.
fn end_of_members(raw: &[u8], members: &[Member]) -> usize {
    match members.last() {
        Some(last) => last.value.end,
        None => raw.iter().position(|byte| *byte == b'{').map_or(raw.len(), |brace| brace + 1),
    }
}

/// Roughly how many bytes the fields will take: quotes, colon, comma, a number's 24 digits, a few escapes.
fn room(fields: &[(&str, FieldValue<'_>)]) -> usize {
    let text = |value: &FieldValue<'_>| match value {
        FieldValue::Text(text) | FieldValue::Json(text) => text.len(),
        FieldValue::Float(_) | FieldValue::Count(_) => 0,
    };
    fields.iter().map(|(name, value)| name.len() + text(value) + 32).sum()
}

/// Writes a value as JSON.
pub(crate) fn write_value(out: &mut Vec<u8>, value: FieldValue<'_>) {
    match value {
        FieldValue::Text(text) => write_text(out, text),
        FieldValue::Float(float) if float.is_finite() => out.extend(RubyFloat(float).to_string().bytes()),
        FieldValue::Float(_) => out.extend_from_slice(b"null"),
        FieldValue::Count(count) => out.extend(count.to_string().bytes()),
        FieldValue::Json(json) => out.extend_from_slice(json.as_bytes()),
    }
}

/// Writes text as a JSON string in the gem's dialect: only quotes, backslashes and control characters are escaped.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            0x00..0x20 => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend(format!("{byte:04x}").bytes());
        }
        copied = at + 1;
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn check(raw: &str, fields: &[(&str, FieldValue<'_>)], expected: &str) {
        let amended = amend(raw.as_bytes(), fields).unwrap();
        assert_eq!(String::from_utf8(amended).unwrap(), expected);
    }

    #[test]
    fn members_are_replaced_in_place_and_appended_in_order() {
        check(
            r#"{"name":"N","attempt":1,"x":[1.0e+21]}"#,
            &[
                ("attempt", FieldValue::Count(2)),
                ("queue", FieldValue::Text("q")),
                ("retry_at", FieldValue::Float(16.0)),
            ],
            r#"{"name":"N","attempt":2,"x":[1.0e+21],"queue":"q","retry_at":16.0}"#,
        );
        check("{}", &[("a", FieldValue::Count(1)), ("b", FieldValue::Count(2))], r#"{"a":1,"b":2}"#);
        check(" { } ", &[("a", FieldValue::Count(1))], r#" {"a":1 } "#);
        check(
            "{ \"a\" : 1 , \"b\" : 2 } ",
            &[("a", FieldValue::Text("x")), ("c", FieldValue::Count(3))],
            r#"{ "a" : "x" , "b" : 2,"c":3 } "#,
        );
    }

    #[test]
    fn every_duplicate_gets_the_new_value() {
        check(
            r#"{"a":1,"b":0,"a":2,"\u0061":3}"#,
            &[("a", FieldValue::Count(9))],
            r#"{"a":9,"b":0,"a":9,"\u0061":9}"#,
        );
    }

    #[test]
    fn only_members_of_the_outermost_object_are_changed() {
        let fields = [("a", FieldValue::Count(2))];
        check(
            r#"{"args":[{"a":1}],"o":{"a":1},"s":"\"a\":1"}"#,
            &fields,
            r#"{"args":[{"a":1}],"o":{"a":1},"s":"\"a\":1","a":2}"#,
        );
    }

    #[test]
    fn text_is_written_in_the_gems_dialect() {
        let mut out = Vec::new();
        write_text(&mut out, "é ✓ 😀 \u{2028} line\nbreak \"q\" \\ / <b>& \u{1}\u{8}\u{c}\r\t\u{7f}\0");
        let expected =
            "\"é ✓ 😀 \u{2028} line\\nbreak \\\"q\\\" \\\\ / <b>& \\u0001\\b\\f\\r\\t\u{7f}\\u0000\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for raw in ["", "[]", "1", "{", "{\"a\":1", "{\"a\":1}}", "{\"a\"}", "{\"a\":1,}"] {
            assert!(amend(raw.as_bytes(), &[("a", FieldValue::Count(1))]).is_err(), "{raw}");
        }
    }

    /// An object whose members and spacing vary, as text, with the raw text of each member's value.
    fn object() -> impl Strategy<Value = (String, Vec<(String, String)>)> {
        let value = prop_oneof![
            Just("1180591620717411303424".to_owned()),
            Just("1.0e+21".to_owned()),
            Just("[ 1, {\"a\": \"}\"} ]".to_owned()),
            Just("{\"a\":[],\"b\":{}}".to_owned()),
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            Just("null".to_owned()),
        ];
        let key = prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "[c-g]{1,3}"];
        let space = "[ \n\t\r]{0,2}";
        (prop::collection::vec((key, value), 0..6), space).prop_map(|(members, space)| {
            let texts: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{space}\"{key}\"{space}:{space}{value}{space}"))
                .collect();
            (format!("{space}{{{}{space}}}{space}", texts.join(",")), members)
        })
    }

    proptest! {
        #[test]
        fn untouched_members_keep_their_bytes((raw, before) in object(), text in any::<String>(), count in any::<u64>()) {
            let fields = [("a", FieldValue::Text(&text)), ("z", FieldValue::Count(count))];
            let amended = amend(raw.as_bytes(), &fields).unwrap();
            let members = scan::members(&amended).unwrap();
            let after: Vec<(String, String)> = members
                .into_iter()
                .map(|Member { key, value }| {
                    (
                        serde_json::from_slice(&amended[key]).unwrap(),
                        String::from_utf8(amended[value].to_vec()).unwrap(),
                    )
                })
                .collect();
            let new_text = serde_json::to_string(&text).unwrap();
            let mut expected = before.clone();
            for (_, value) in expected.iter_mut().filter(|(key, _)| key == "a") {
                value.clone_from(&new_text);
            }
            if !before.iter().any(|(key, _)| key == "a") {
                expected.push(("a".into(), new_text));
            }
            expected.push(("z".into(), count.to_string()));
            prop_assert_eq!(&after, &expected);
            let read: Value = serde_json::from_slice(&amended).unwrap();
            prop_assert_eq!(read["a"].as_str(), Some(text.as_str()));
        }

        #[test]
        fn nothing_to_change_changes_nothing((raw, _) in object()) {
            prop_assert_eq!(amend(raw.as_bytes(), &[]).unwrap(), raw.as_bytes());
        }

        #[test]
        fn arbitrary_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(amended) = amend(&raw, &[]) {
                prop_assert_eq!(amended, raw);
            }
        }
    }
}
