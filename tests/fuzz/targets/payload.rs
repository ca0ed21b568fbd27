//! The payload parser: it accepts as a job, and reads in it, what serde_json does, on the fast path and on the slow
//! one.
//!
//! Covers reading, not writing into payloads (`amend`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

use jiggler_uring::internal::job::parse::{FirstFailure, History, Parsed};
use jiggler_uring::internal::job::{Args, BadPayload, Parser};
use jiggler_uring::internal::limits::{PAYLOAD_DEPTH_MAX, RETRIES_MAX};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::members::{Member, last, members};

/// Checks one payload.
pub fn run(data: &[u8]) {
    let mut parser = Parser::default();
    let read = parser.parse(data).map(|job| Read::of(&job));
    if let Cow::Owned(text) = String::from_utf8_lossy(data) {
        return check_no_utf8(read, &text);
    }
    match (&read, Expected::of(data)) {
        (Ok(read), Some(expected)) => {
            assert_eq!(read, &expected.read);
            check_args(&mut parser, data, &expected.elements);
            // The same job with something in it that simd-json cannot hold takes the slow path.
            for unholdable in [r#","zz":"\ud800"}"#, r#","zz":[-1e999]}"#] {
                let body = data.trim_ascii_end();
                let slow = [&body[..body.len() - 1], unholdable.as_bytes()].concat();
                let slow_read = parser.parse(&slow).map(|job| Read::of(&job));
                assert_eq!(slow_read.as_ref(), Ok(read), "the slow path reads another job");
                check_args(&mut parser, &slow, &expected.elements);
                compare_types(&mut parser, data, &slow);
            }
        }
        (Err(bad), None) => assert!(!bad.to_string().is_empty()),
        (Ok(read), None) => panic!("accepted as a job: {read:?}"),
        (Err(bad), Some(expected)) => panic!("refused: {bad}; it is {expected:?}"),
    }
    // A parser that has met anything at all continues like a new one.
    let plain = parser.parse(br#"{"name":"N","args":[1],"jid":"j"}"#).unwrap();
    assert_eq!((plain.name, plain.jid, plain.args.len()), ("N", Some("j"), 1));
}

/// Bytes that are not UTF-8 are the job that they are with replacement characters in their place, except that no text of the
/// envelope can hold them. `text` is that job.
fn check_no_utf8(read: Result<Read, BadPayload>, text: &str) {
    match (read, Expected::of(text.as_bytes())) {
        (Ok(read), Some(Expected { read: expected, .. })) => {
            assert!(read.jid.is_none() || read.jid == expected.jid, "{read:?} is not {expected:?}");
            assert_eq!(Read { jid: None, ..read }, Read { jid: None, ..expected });
        }
        (Err(bad), Some(expected)) => {
            assert!(matches!(bad, BadPayload::NameNotAString { .. }), "refused: {bad}; it is {expected:?}");
            assert!(expected.read.name.contains(char::REPLACEMENT_CHARACTER));
        }
        (Err(bad), None) => assert!(!bad.to_string().is_empty()),
        (Ok(read), None) => panic!("taken for a job: {read:?}"),
    }
}

/// The result of a parse, except for the arguments' values.
#[derive(Debug, PartialEq)]
struct Read {
    name: String,
    jid: Option<String>,
    history: History,
    args: usize,
}

impl Read {
    fn of(job: &Parsed<'_>) -> Self {
        Self {
            name: job.name.to_owned(),
            jid: job.jid.map(str::to_owned),
            history: job.history,
            args: job.args.len(),
        }
    }
}

/// What a payload means as serde_json reads it.
#[derive(Debug)]
struct Expected<'d> {
    read: Read,
    elements: Vec<&'d RawValue>,
}

impl<'d> Expected<'d> {
    /// `None` if it is not a job.
    fn of(data: &'d [u8]) -> Option<Self> {
        let members = members(data)?;
        if depth(data) > PAYLOAD_DEPTH_MAX {
            return None;
        }
        let text =
            |name| last(&members, name).and_then(|member| serde_json::from_str(member.value.get()).ok());
        let name = text("name")?;
        let elements: Vec<&RawValue> = match last(&members, "args").map(|member| member.value.get()) {
            None | Some("null") => Vec::new(),
            Some(array) => serde_json::from_str(array).ok()?,
        };
        let first_failure = match last(&members, "started_at").map(|member| member.value.get()) {
            None | Some("null" | "false") => FirstFailure::Unknown,
            Some(_) => FirstFailure::Recorded,
        };
        let history = History {
            retries: count(last(&members, "retries")),
            attempt: count(last(&members, "attempt")),
            first_failure,
        };
        let read = Read { name, jid: text("jid"), history, args: elements.len() };
        Some(Self { read, elements })
    }
}

/// Ruby's `to_i`, between 0 and the bound.
fn count(member: Option<&Member<'_>>) -> u32 {
    let Some(member) = member else { return 0 };
    let whole = match serde_json::from_str(member.value.get()) {
        Ok(Value::String(text)) => {
            let text = text.trim_start();
            let text = text.strip_prefix('+').unwrap_or(text);
            let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0.0)
        }
        // A number that no float holds is beyond the bound, however it is read.
        _ => member.value.get().parse().unwrap_or(0.0),
    };
    f64::clamp(whole, 0.0, f64::from(RETRIES_MAX)) as u32
}

/// The deepest nesting in valid JSON.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => depth += 1,
            (false, b']' | b'}') => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Each argument is, byte for byte and by value, the element in its place.
fn check_args(parser: &mut Parser, payload: &[u8], elements: &[&RawValue]) {
    let mut job = parser.parse(payload).unwrap();
    for (index, element) in elements.iter().enumerate() {
        assert_eq!(job.args.left(), elements.len() - index);
        assert!(index == 0 || job.args.finish().is_err());
        let raw: &RawValue = job.args.take().unwrap();
        assert_eq!(raw.get(), element.get());
    }
    assert!(job.args.finish().is_ok());
    assert_eq!(job.args.take::<Option<Value>>(), Ok(None));
    assert!(job.args.take::<u64>().is_err());
    drop(job);
    let mut job = parser.parse(payload).unwrap();
    for element in elements {
        // What the parser took is not too deep for any stack.
        let mut reader = serde_json::Deserializer::from_str(element.get());
        reader.disable_recursion_limit();
        match (job.args.take::<Value>(), Value::deserialize(&mut reader)) {
            (Ok(got), Ok(wanted)) => assert!(alike(&got, &wanted), "{got} is not {wanted}"),
            (Err(error), Err(_)) => assert!(!error.to_string().is_empty()),
            (got, wanted) => panic!("{got:?} instead of {wanted:?}"),
        }
    }
}

/// Equal, or a whole number and a float of the same value.
fn alike(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| alike(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| alike(value, other)))
        }
        _ => left == right,
    }
}

/// A shape that handlers accept.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    A,
    B(u8),
    C { x: i8 },
}

/// All arguments of a job as one.
#[derive(Debug, Deserialize, PartialEq)]
struct Order {
    id: i64,
    text: Option<String>,
    #[serde(default)]
    count: u8,
}

/// Whatever type a handler wants, both paths yield it or both refuse it. Left out is the difference that `job::args`
/// documents: `-0` fits an integer only on the fast path.
fn compare_types(parser: &mut Parser, fast: &[u8], slow: &[u8]) {
    if fast.windows(2).any(|pair| pair == b"-0") {
        return;
    }
    compare(parser, fast, slow, all::<u64>);
    compare(parser, fast, slow, all::<i64>);
    compare(parser, fast, slow, all::<u8>);
    compare(parser, fast, slow, all::<u128>);
    compare(parser, fast, slow, all::<f64>);
    compare(parser, fast, slow, all::<bool>);
    compare(parser, fast, slow, all::<char>);
    compare(parser, fast, slow, all::<String>);
    compare(parser, fast, slow, all::<Option<i32>>);
    compare(parser, fast, slow, all::<Vec<Option<u16>>>);
    compare(parser, fast, slow, all::<(u8, String)>);
    compare(parser, fast, slow, all::<BTreeMap<String, i64>>);
    compare(parser, fast, slow, all::<BTreeMap<u8, f64>>);
    compare(parser, fast, slow, all::<Kind>);
    compare(parser, fast, slow, all::<()>);
    compare(parser, fast, slow, |args| vec![args.deserialize::<Vec<f64>>().ok()]);
    compare(parser, fast, slow, |args| vec![args.deserialize::<(i64, String)>().ok()]);
    compare(parser, fast, slow, |args| vec![args.deserialize::<Order>().ok()]);
    compare(parser, fast, slow, |args| vec![args.take::<Kind>().ok().zip(args.take_rest::<f64>().ok())]);
}

fn all<T: DeserializeOwned>(args: &mut Args<'_>) -> Vec<Option<T>> {
    (0..args.len()).map(|_| args.take().ok()).collect()
}

#[track_caller]
fn compare<T: PartialEq + Debug>(
    parser: &mut Parser,
    fast: &[u8],
    slow: &[u8],
    read: impl Fn(&mut Args<'_>) -> Vec<Option<T>>,
) {
    let on_tape = read(&mut parser.parse(fast).unwrap().args);
    let from_bytes = read(&mut parser.parse(slow).unwrap().args);
    assert_eq!(on_tape, from_bytes, "the fast and the slow path differ");
}
