//! Which bytes are a job, and what is read from them. No bytes at all may make the parser panic, and it accepts as JSON
//! what serde_json accepts as JSON.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::*;
use crate::limits::{PARSER_KEEP_NODES, RETRIES_MAX};

fn bad(payload: impl AsRef<[u8]>) -> BadPayload {
    Parser::default().parse(payload.as_ref()).map(|parsed| format!("{parsed:?}")).unwrap_err()
}

fn history(members: &str) -> History {
    let payload = format!(r#"{{"name":"N",{members}}}"#);
    Parser::default().parse(payload.as_bytes()).unwrap().history
}

fn nested(levels: usize, innermost: &str) -> String {
    format!(r#"{{"name":"N","args":{}{innermost}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1))
}

#[test]
fn a_payload_of_the_gem_is_read_whole() {
    let mut parser = Parser::default();
    let payload =
        br#"{"name":"Billing::ChargeJob","args":[{"amount":5},7],"retries":10,"jid":"961ab722f4feb021"}"#;
    let mut parsed = parser.parse(payload).unwrap();
    assert_eq!(parsed.name, "Billing::ChargeJob");
    assert_eq!(parsed.jid, Some("961ab722f4feb021"));
    assert_eq!(parsed.history, History { retries: 10, attempt: 0, first_failure: FirstFailure::Unknown });
    assert_eq!(parsed.args.len(), 2);
    assert_eq!(parsed.args.take::<serde_json::Value>().unwrap(), serde_json::json!({"amount": 5}));
    assert_eq!(parsed.args.take::<u64>().unwrap(), 7);
    drop(parsed);
    let second =
        parser.parse(br#"{"name":"B","attempt":2,"queue":"q","started_at":1.5,"retries":3}"#).unwrap();
    assert_eq!((second.name, second.jid, second.args.len()), ("B", None, 0));
    assert_eq!(second.history, History { retries: 3, attempt: 2, first_failure: FirstFailure::Recorded });
}

#[test]
fn the_payload_itself_stays_as_it_came() {
    let payload = br#"{"name":"a\nb","args":["\u00e9\t"]}"#.to_vec();
    let before = payload.clone();
    let mut parser = Parser::default();
    let mut parsed = parser.parse(&payload).unwrap();
    assert_eq!(parsed.name, "a\nb");
    assert_eq!(parsed.args.take::<&str>().unwrap(), "é\t");
    drop(parsed);
    assert_eq!(payload, before);
}

#[test]
fn of_duplicate_members_the_last_counts() {
    let mut parser = Parser::default();
    let payload = br#"{"name":1,"args":"x","name":"A","args":[1],"retries":9,"n\u0061me":"B","args":[1,2],"retries":4}"#;
    let parsed = parser.parse(payload).unwrap();
    assert_eq!((parsed.name, parsed.args.len(), parsed.history.retries), ("B", 2, 4));
}

#[test]
fn counts_are_read_as_ruby_reads_them() {
    for (value, expected) in [
        ("0", 0),
        ("3", 3),
        ("\"3\"", 3),
        ("\" 12abc\"", 12),
        ("\"-2\"", 0),
        ("2.5", 2),
        ("-7", 0),
        ("-0.5", 0),
        ("null", 0),
        ("true", 0),
        ("[]", 0),
        ("{}", 0),
        ("999", 999),
        ("1000", RETRIES_MAX),
        ("1001", RETRIES_MAX),
        ("99999999999999999999999999", RETRIES_MAX),
        ("1.0e+21", RETRIES_MAX),
        ("1e400", RETRIES_MAX),
        ("-1e400", 0),
        ("\"99999999999999999999999999\"", RETRIES_MAX),
    ] {
        assert_eq!(history(&format!(r#""retries":{value}"#)).retries, expected, "{value}");
        assert_eq!(history(&format!(r#""attempt":{value}"#)).attempt, expected, "{value}");
        // The same the slow way, which the lone surrogate forces.
        assert_eq!(history(&format!(r#""x":"\ud800","retries":{value}"#)).retries, expected, "{value}");
    }
}

#[test]
fn the_time_of_the_first_failure_is_known_unless_null_or_false() {
    for (value, expected) in [
        ("1795299903.7", FirstFailure::Recorded),
        ("0", FirstFailure::Recorded),
        ("null", FirstFailure::Unknown),
        ("false", FirstFailure::Unknown),
    ] {
        assert_eq!(history(&format!(r#""started_at":{value}"#)).first_failure, expected, "{value}");
        assert_eq!(history(&format!(r#""x":1e400,"started_at":{value}"#)).first_failure, expected, "{value}");
    }
}

#[test]
fn members_of_the_wrong_kind_that_do_not_matter_are_taken_as_absent() {
    let mut parser = Parser::default();
    for payload in [r#"{"name":"N","jid":7,"queue":null}"#, r#"{"name":"N","jid":7,"queue":null,"x":1e400}"#]
    {
        let parsed = parser.parse(payload.as_bytes()).unwrap();
        assert_eq!((parsed.jid, parsed.args.len()), (None, 0));
    }
}

#[test]
fn arguments_that_are_missing_or_null_are_none_at_all() {
    let mut parser = Parser::default();
    for payload in [r#"{"name":"N"}"#, r#"{"name":"N","args":null}"#, r#"{"name":"N","args":[]}"#] {
        for payload in [payload.to_owned(), payload.replace("\"N\"", "\"N\",\"x\":1e400")] {
            let parsed = parser.parse(payload.as_bytes()).unwrap();
            assert!(parsed.args.is_empty(), "{payload}");
            assert_eq!(parsed.args.finish(), Ok(()));
        }
    }
}

#[test]
fn bytes_that_are_no_job_say_why() {
    assert!(matches!(bad(""), BadPayload::NotJson { .. }));
    assert!(matches!(bad("  \n"), BadPayload::NotJson { .. }));
    assert!(matches!(bad("this is not json"), BadPayload::NotJson { .. }));
    assert!(matches!(bad("\u{feff}{\"name\":\"N\"}"), BadPayload::NotJson { .. }));
    assert!(matches!(bad("{\"name\":\"N\"}\0"), BadPayload::NotJson { .. }));
    assert!(matches!(bad("{\"name\":\"N\0\"}"), BadPayload::NotJson { .. }));
    assert!(matches!(bad(r#"{"name":"N"}{"name":"N"}"#), BadPayload::NotJson { .. }));
    for args in [
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "[1,]",
        "[,1]",
        "[1 /* one */]",
        "[01]",
        "[.5]",
        "[1.]",
        "[+1]",
        "['a']",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[tru]",
        "[1e]",
        "{a:1}",
        "[\"\n\"]",
    ] {
        assert!(
            matches!(bad(format!(r#"{{"name":"N","args":{args}}}"#)), BadPayload::NotJson { .. }),
            "{args}"
        );
    }
    assert_eq!(bad(b"{\"name\":\xff}"), BadPayload::NotUtf8 { offset: 8 });
    assert_eq!(
        bad(b"{\"name\":\"N\xff\"}"),
        BadPayload::NameNotAString { member: "name", got: "one that is no UTF-8".into() }
    );
    for (payload, got) in [("[]", "an array"), ("\"x\"", "a string"), ("null", "null"), ("true", "a boolean")]
    {
        assert_eq!(bad(payload), BadPayload::NotAnObject { got: got.into() });
    }
    assert!(matches!(bad("17"), BadPayload::NotAnObject { .. }));
    assert_eq!(bad("[1e400]"), BadPayload::NotAnObject { got: "an array".into() });
    for slow in ["", r#","x":1e400"#] {
        assert_eq!(bad(format!(r#"{{"args":[]{slow}}}"#)), BadPayload::NoName { member: "name" });
        assert!(matches!(bad(format!(r#"{{"name":7{slow}}}"#)), BadPayload::NameNotAString { .. }));
        assert_eq!(
            bad(format!(r#"{{"name":null{slow}}}"#)),
            BadPayload::NameNotAString { member: "name", got: "null".into() }
        );
        for (args, got) in [("{}", "an object"), ("\"x\"", "a string"), ("false", "a boolean")] {
            assert_eq!(
                bad(format!(r#"{{"name":"N","args":{args}{slow}}}"#)),
                BadPayload::ArgsNotAnArray { member: "args", got: got.into() }
            );
        }
    }
    assert_eq!(bad("{}"), BadPayload::NoName { member: "name" });
    assert!(matches!(bad(r#"{"name":"\ud800"}"#), BadPayload::NameNotAString { .. }));
}

#[test]
fn white_space_around_a_payload_is_json() {
    let mut parser = Parser::default();
    let payload = b" \t\r\n{ \"name\" : \"N\" , \"args\" : [ 1 , 2 ] } \n";
    assert_eq!(parser.parse(payload).unwrap().args.len(), 2);
}

#[test]
fn size_is_bounded_at_the_limit() {
    let mut parser = Parser::default();
    let filler = PAYLOAD_BYTES_MAX - r#"{"name":"N","args":[""]}"#.len();
    for (more, fits) in [(0, true), (1, false)] {
        let payload = format!(r#"{{"name":"N","args":["{}"]}}"#, "x".repeat(filler + more));
        let parsed = parser.parse(payload.as_bytes());
        assert_eq!(parsed.is_ok(), fits);
        if !fits {
            let reason = BadPayload::TooLarge { bytes: PAYLOAD_BYTES_MAX + 1, max: PAYLOAD_BYTES_MAX };
            assert_eq!(parsed.unwrap_err(), reason);
        }
    }
}

#[test]
fn buffers_of_a_large_payload_are_given_back() {
    let small = br#"{"name":"N","args":[1,2,3]}"#;
    let large = format!(r#"{{"name":"N","args":[{}0]}}"#, "1,".repeat(PARSER_KEEP_BYTES));
    let mut parser = Parser::default();
    for release in
        [|parser: &mut Parser| parser.release_excess(), |parser: &mut Parser| drop(parser.parse(b"{}"))]
    {
        assert_eq!(parser.parse(large.as_bytes()).unwrap().args.len(), PARSER_KEEP_BYTES + 1);
        assert!(parser.tape.0.capacity() <= PARSER_KEEP_NODES);
        assert!(parser.scratch.capacity() > PARSER_KEEP_BYTES);
        release(&mut parser);
        assert!(parser.scratch.capacity() <= PARSER_KEEP_BYTES);
        parser.parse(small).unwrap();
        let kept = (parser.scratch.as_ptr(), parser.tape.0.as_ptr());
        parser.parse(small).unwrap();
        assert_eq!(kept, (parser.scratch.as_ptr(), parser.tape.0.as_ptr()), "small ones are kept");
    }
}

#[test]
fn depth_is_bounded_at_the_limit_whatever_stands_innermost() {
    let mut parser = Parser::default();
    for innermost in ["", "1", "1e400", "\"\\ud800\""] {
        for levels in [PAYLOAD_DEPTH_MAX - 1, PAYLOAD_DEPTH_MAX] {
            parser.parse(nested(levels, innermost).as_bytes()).unwrap();
        }
        let too_deep = nested(PAYLOAD_DEPTH_MAX + 1, innermost);
        assert_eq!(bad(too_deep), BadPayload::TooDeep { max: PAYLOAD_DEPTH_MAX }, "{innermost}");
    }
}

#[test]
fn depth_bombs_do_not_exhaust_the_stack() {
    let open = "[".repeat(1_000_000);
    assert!(matches!(bad(&open), BadPayload::NotJson { .. }));
    assert!(matches!(bad("{\"a\":".repeat(1_000_000)), BadPayload::NotJson { .. }));
    let closed = open + &"]".repeat(1_000_000);
    assert_eq!(bad(closed), BadPayload::TooDeep { max: PAYLOAD_DEPTH_MAX });
    let in_job = nested(1_000_000, "1");
    assert_eq!(bad(in_job), BadPayload::TooDeep { max: PAYLOAD_DEPTH_MAX });
}

#[test]
fn numbers_of_any_size_are_json() {
    let digits = "9".repeat(400);
    let mut parser = Parser::default();
    for number in
        ["1180591620717411303424", "-1180591620717411303424", "1.0e+21", "1e400", "-1e400", "1e-400", &digits]
    {
        let payload = format!(r#"{{"name":"N","args":[1,{number},"x"],"retries":1}}"#);
        let mut parsed = parser.parse(payload.as_bytes()).unwrap();
        assert_eq!((parsed.name, parsed.history.retries, parsed.args.len()), ("N", 1, 3));
        assert_eq!(parsed.args.take::<u8>().unwrap(), 1);
        let error = parsed.args.take::<u64>().unwrap_err();
        assert!(error.to_string().starts_with("argument 2: expected u64, got "), "{error}");
        assert_eq!(parsed.args.take::<&str>().unwrap(), "x");
    }
}

#[test]
fn an_exact_number_can_be_had_by_a_type_that_holds_it() {
    let mut parser = Parser::default();
    let payload =
        br#"{"name":"N","args":[1180591620717411303424,[1.0e+21],-170141183460469231731687303715884105728]}"#;
    let mut parsed = parser.parse(payload).unwrap();
    assert_eq!(parsed.args.take::<u128>().unwrap(), 1_180_591_620_717_411_303_424);
    assert_eq!(parsed.args.take::<&RawValue>().unwrap().get(), "[1.0e+21]");
    assert_eq!(parsed.args.take::<i128>().unwrap(), i128::MIN);
}

#[test]
fn a_lone_surrogate_is_an_argument_no_text_can_hold() {
    let mut parser = Parser::default();
    for escape in [r"\ud800", r"\udc00", r"\ud800\ud800", r"a\ud83d!"] {
        let payload = format!(r#"{{"name":"N","args":[1,"{escape}"],"jid":"{escape}"}}"#);
        let mut parsed = parser.parse(payload.as_bytes()).unwrap();
        assert_eq!((parsed.jid, parsed.args.take::<u8>().unwrap()), (None, 1));
        let error = parsed.args.take::<String>().unwrap_err();
        assert!(error.to_string().starts_with("argument 2: "), "{error}");
    }
    let paired = br#"{"name":"\ud83d\ude00","args":[]}"#;
    assert_eq!(parser.parse(paired).unwrap().name, "😀");
}

/// JSON text of all kinds, sometimes not quite JSON.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "null|true|false|NaN|tru",
        "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,4})?",
        "-?[0-9.eE+-]{1,8}",
        any::<f64>().prop_map(|value| format!("{value:e}")),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<u64>().prop_map(|value| value.to_string()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"(\\\\(u[0-9a-fA-F]{4}|[nrtbf\"/\\\\])|[ -!#-\\[\\]-~é✓😀]){0,12}\"",
        "\"(\\\\u[dD][89a-fA-F][0-9a-f]{2}){1,3}\"",
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let key = prop_oneof![Just("name".to_owned()), Just("args".to_owned()), "[a-z]{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key, inner), 0..5).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
                format!("{{{}}}", members.join(" ,"))
            }),
        ]
    })
}

fn is_json(bytes: &[u8]) -> bool {
    // What is no UTF-8 may stand in texts alone, where the replacement character may, too.
    serde_json::from_str::<IgnoredAny>(&String::from_utf8_lossy(bytes)).is_ok()
}

fn agrees_with_serde_json(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut parser = Parser::default();
    let parsed = parser.parse(bytes);
    let refused = matches!(parsed, Err(BadPayload::NotJson { .. } | BadPayload::NotUtf8 { .. }));
    prop_assert_eq!(refused, !is_json(bytes), "{:?}: {:?}", String::from_utf8_lossy(bytes), parsed);
    Ok(())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        agrees_with_serde_json(&bytes)?;
    }

    #[test]
    fn what_is_json_is_what_serde_json_takes(text in json()) {
        agrees_with_serde_json(text.as_bytes())?;
    }

    #[test]
    fn mutated_payloads_never_panic(
        value in json(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 0..4),
    ) {
        let mut bytes = format!(r#"{{"name":"Näme\n","args":[{value},1],"retries":2,"jid":"ab"}}"#).into_bytes();
        for (place, byte, edit) in edits {
            if bytes.is_empty() {
                break;
            }
            let place = place.index(bytes.len());
            match edit {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                2 => { bytes.remove(place); }
                _ => bytes.truncate(place.max(1)),
            }
        }
        agrees_with_serde_json(&bytes)?;
    }

    #[test]
    fn arguments_read_as_serde_json_reads_them(values in prop::collection::vec(json(), 0..4)) {
        let values: Vec<_> =
            values.into_iter().map(|value| if is_json(value.as_bytes()) { value } else { "null".into() }).collect();
        let args = format!("[{}]", values.join(","));
        let payload = format!(r#"{{"args":[0],"name":"N","args":{args},"jid":"x"}}"#);
        let mut parser = Parser::default();
        let mut parsed = parser.parse(payload.as_bytes()).unwrap();
        prop_assert_eq!(parsed.args.len(), values.len());
        for value in &values {
            let ours = parsed.args.take::<serde_json::Value>();
            match serde_json::from_str::<serde_json::Value>(value) {
                // serde_json takes the integer -0 for a float.
                Ok(theirs) if !value.contains("-0") => prop_assert_eq!(ours.unwrap(), theirs),
                Ok(_) => prop_assert!(ours.is_ok()),
                Err(_) => prop_assert!(ours.is_err(), "{}", value),
            }
        }
    }

    #[test]
    fn floats_are_read_exactly(text in "-?[1-9][0-9]{0,24}\\.[0-9]{1,24}(e[+-]?[0-9]{1,3})?") {
        let payload = format!(r#"{{"name":"N","args":[{text}]}}"#);
        let mut parser = Parser::default();
        let read = parser.parse(payload.as_bytes()).unwrap().args.take::<f64>();
        let exact: f64 = text.parse().unwrap();
        match read {
            Ok(value) => prop_assert_eq!(value.to_bits(), exact.to_bits()),
            Err(_) => prop_assert!(exact.is_infinite(), "{}", text),
        }
    }
}
