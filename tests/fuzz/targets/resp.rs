//! The RESP decoder and pipeline: any bytes, however split, are judged alike, never panic and never pile up.
//!
//! A reference decoder of a few lines, which sees all bytes at once and shares nothing with the real one, determines
//! which replies there are. Not here: how commands handle replies (`replies`).

use std::mem::discriminant;

use jiggler_uring::internal::resp::decode::{DecodeError, Decoder, Protocol};
use jiggler_uring::internal::resp::{Error, Pipeline, Reply, ReplyLimits, Requests, Value};

/// Beyond this nothing new can happen, and feeding byte by byte would take too long.
const BYTES_MAX: usize = 16 * 1024;

/// So tight that a fuzzer finds every bound.
const SMALL: ReplyLimits = ReplyLimits { bytes_max: 96, depth_max: 3, elements_max: 6, line_bytes_max: 24 };

/// Checks one stream of bytes.
pub fn run(data: &[u8]) {
    let data = &data[..data.len().min(BYTES_MAX)];
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        for limits in [ReplyLimits::default(), SMALL] {
            check(Spoken { limits, protocol }, data);
        }
        check_pipeline(protocol, data);
    }
}

/// What a connection accepts as a reply.
#[derive(Clone, Copy)]
struct Spoken {
    limits: ReplyLimits,
    protocol: Protocol,
}

fn check(spoken: Spoken, data: &[u8]) {
    let whole = decode(spoken, data, &[]);
    check_reference(spoken, data, &whole);
    let every_byte: Vec<usize> = (1..data.len()).collect();
    for cuts in [every_byte, cuts_of(data)] {
        let split = decode(spoken, data, &cuts);
        assert_eq!(whole.replies, split.replies, "the replies depend on how the bytes were split");
        let kinds = [&whole.error, &split.error].map(|error| error.as_ref().map(discriminant));
        assert_eq!(kinds[0], kinds[1], "{:?} as a whole, {:?} when split", whole.error, split.error);
    }
}

/// What became of a stream.
struct Decoded {
    replies: Vec<Reply>,
    error: Option<DecodeError>,
}

fn decode(spoken: Spoken, data: &[u8], cuts: &[usize]) -> Decoded {
    let bytes_max = spoken.limits.bytes_max;
    let mut decoder = Decoder::new(spoken.limits);
    if spoken.protocol == Protocol::Resp3 {
        decoder.speak_resp3();
    }
    let mut replies: Vec<Reply> = Vec::new();
    let (mut from, mut used) = (0, 0);
    for to in cuts.iter().copied().chain([data.len()]) {
        decoder.feed(&data[from..to]);
        from = to;
        loop {
            match decoder.next_reply() {
                Ok(Some(reply)) => {
                    used += reply.wire_bytes();
                    look_at(&reply);
                    replies.push(reply);
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    assert!(
                        !matches!(error, DecodeError::Refused { .. }),
                        "scanner and decoder differ: {error}"
                    );
                    decoder.feed(b"+OK\r\n");
                    assert_eq!(decoder.next_reply().as_ref(), Err(&error), "a broken stream stays broken");
                    return Decoded { replies, error: Some(error) };
                }
            }
        }
        let held = to - used;
        assert!(held <= bytes_max, "{held} bytes are held for an unfinished reply");
        assert_eq!(decoder.is_empty(), held == 0);
    }
    Decoded { replies, error: None }
}

/// Visits every range of a reply.
fn look_at(reply: &Reply) {
    assert!(!format!("{reply:?}").is_empty());
    let typed = [
        reply.as_integer().is_ok(),
        reply.as_bulk().is_ok(),
        reply.as_array().is_ok(),
        matches!(reply.value(), Value::Nil | Value::Simple(_) | Value::Error(_)),
    ];
    assert_eq!(typed.iter().filter(|fits| **fits).count(), 1, "a reply has one type: {reply:?}");
    if let Ok(bytes) = reply.as_bulk() {
        assert_eq!(&reply.slice(bytes)[..], bytes);
    }
    let is_error = matches!(reply.value(), Value::Error(_));
    assert_eq!(reply.clone().into_result().is_err(), is_error);
}

/// A few cuts that depend only on the bytes, so that a case is a file and nothing else.
fn cuts_of(data: &[u8]) -> Vec<usize> {
    let mut state = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut cuts: Vec<usize> = (0..6)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % (data.len() + 1)
        })
        .collect();
    cuts.sort_unstable();
    cuts
}

/// A reply as the reference sees it.
#[derive(Debug, PartialEq)]
enum Tree<'d> {
    Nil,
    Simple(&'d [u8]),
    Error(&'d [u8]),
    Integer(i64),
    Bulk(&'d [u8]),
    Array(Vec<Tree<'d>>),
}

/// Why the reference stops.
enum Stop {
    /// The bytes end within a reply.
    Short,
    /// They are not a reply, or one beyond the limits.
    Bad,
}

/// Reads one reply that begins at `at`.
struct Reference<'d> {
    data: &'d [u8],
    at: usize,
    spoken: Spoken,
    elements: usize,
}

impl<'d> Reference<'d> {
    fn value(&mut self, depth: usize) -> Result<Tree<'d>, Stop> {
        let kind = *self.data.get(self.at).ok_or(Stop::Short)?;
        let known = match kind {
            b'_' | b'%' => self.spoken.protocol == Protocol::Resp3,
            b'>' => self.spoken.protocol == Protocol::Resp3 && depth == 0,
            kind => b"+-:$*".contains(&kind),
        };
        if !known {
            return Err(Stop::Bad);
        }
        let rest = &self.data[self.at + 1..];
        let line_end = rest.iter().position(|byte| *byte == b'\r').ok_or(Stop::Short)?;
        if *rest.get(line_end + 1).ok_or(Stop::Short)? != b'\n' {
            return Err(Stop::Bad);
        }
        let line = &rest[..line_end];
        self.at += 1 + line_end + 2;
        let bytes_max = if b"+-".contains(&kind) { self.spoken.limits.line_bytes_max } else { 20 };
        if line.len() > bytes_max {
            return Err(Stop::Bad);
        }
        let number =
            || std::str::from_utf8(line).ok().and_then(|line| line.parse::<i64>().ok()).ok_or(Stop::Bad);
        let elements = |number: i64| usize::try_from(number).map_err(|_| Stop::Bad);
        match kind {
            b'+' => Ok(Tree::Simple(line)),
            b'-' => Ok(Tree::Error(line)),
            b':' => Ok(Tree::Integer(number()?)),
            b'_' if line.is_empty() => Ok(Tree::Nil),
            b'_' => Err(Stop::Bad),
            b'%' => self.array(elements(number()?)?.saturating_mul(2), depth),
            b'>' => self.array(elements(number()?)?, depth),
            b'$' => match number()? {
                -1 => Ok(Tree::Nil),
                bytes => self.bulk(elements(bytes)?),
            },
            _ => match number()? {
                -1 => Ok(Tree::Nil),
                count => self.array(elements(count)?, depth),
            },
        }
    }

    fn bulk(&mut self, bytes: usize) -> Result<Tree<'d>, Stop> {
        if bytes > self.spoken.limits.bytes_max {
            return Err(Stop::Bad);
        }
        let all = self.data.get(self.at..self.at + bytes + 2).ok_or(Stop::Short)?;
        self.at += bytes + 2;
        all.strip_suffix(b"\r\n").map(Tree::Bulk).ok_or(Stop::Bad)
    }

    fn array(&mut self, elements: usize, depth: usize) -> Result<Tree<'d>, Stop> {
        self.elements = self.elements.saturating_add(elements);
        if depth == self.spoken.limits.depth_max || self.elements > self.spoken.limits.elements_max {
            return Err(Stop::Bad);
        }
        (0..elements).map(|_| self.value(depth + 1)).collect::<Result<_, _>>().map(Tree::Array)
    }
}

fn check_reference(spoken: Spoken, data: &[u8], decoded: &Decoded) {
    let mut replies = decoded.replies.iter();
    let mut at = 0;
    loop {
        let mut reference = Reference { data, at, spoken, elements: 0 };
        let result = reference.value(0);
        let bytes = reference.at - at;
        let result = if bytes > spoken.limits.bytes_max { Err(Stop::Bad) } else { result };
        match (result, replies.next()) {
            (Ok(tree), Some(reply)) => {
                assert_eq!(tree_of(&reply.value()), tree);
                assert_eq!(reply.wire_bytes(), bytes);
                at = reference.at;
            }
            (Err(Stop::Short), None) => {
                // An endless line, or an announced length, may exceed the limit before all of it is there.
                let early = |error: &DecodeError| {
                    matches!(
                        error,
                        DecodeError::LineTooLong { .. }
                            | DecodeError::ReplyTooLarge { .. }
                            | DecodeError::BadNumber { .. }
                    )
                };
                assert!(decoded.error.as_ref().is_none_or(early), "not wrong yet: {:?}", decoded.error);
                return;
            }
            (Err(Stop::Bad), None) => {
                assert!(decoded.error.is_some(), "waits for the rest of something already wrong");
                return;
            }
            (Ok(tree), None) => panic!("{tree:?} was not found: {:?}", decoded.error),
            (Err(_), Some(reply)) => panic!("{reply:?} was found where there is no reply"),
        }
    }
}

fn tree_of<'d>(value: &Value<'d>) -> Tree<'d> {
    match value {
        Value::Nil => Tree::Nil,
        Value::Simple(text) => Tree::Simple(text),
        Value::Error(error) => Tree::Error(error.line()),
        Value::Integer(number) => Tree::Integer(*number),
        Value::Bulk(bytes) => Tree::Bulk(bytes),
        Value::Array(elements) => Tree::Array(elements.clone().map(|value| tree_of(&value)).collect()),
    }
}

/// A pipeline returns as many replies as were asked for, and lets no surplus go unnoticed.
fn check_pipeline(protocol: Protocol, data: &[u8]) {
    let asked = data.len() % 4;
    let mut requests = Requests::new();
    (0..asked).for_each(|_| requests.command(&[b"PING"]));
    let mut pipeline = Pipeline::default();
    pipeline.push(&requests).unwrap();
    if protocol == Protocol::Resp3 {
        pipeline.speak_resp3();
    }
    let mut given = 0;
    for byte in data {
        pipeline.feed(&[*byte]);
        loop {
            match pipeline.next_reply() {
                Ok(Some(reply)) => {
                    assert!(!reply.is_push());
                    given += 1;
                }
                Ok(None) => break,
                Err(Error::Unrequested) => {
                    assert_eq!((given, pipeline.pending()), (asked, 0));
                    return;
                }
                Err(Error::Decode(_)) => return,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(given + pipeline.pending(), asked);
        assert!(protocol == Protocol::Resp3 || pipeline.take_pushes() == 0);
    }
}
