//! One entry of a queue or a set as people and programs see it.
//!
//! Text is shortened and its control characters are escaped: what others put into Redis must not steer the terminal. JSON
//! carries the payload as it is, or bytes that are no job in base64.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use super::filter;
use super::table::{Align, printable};
use crate::{
    job::{BadPayload, Parser, bad, fields, member, member_of_head},
    limits::{PAYLOAD_BYTES_MAX, ROW_TEXT_CHARS_MAX},
    store::entries::{Entry, Place, Set},
    wire::DEFAULT_QUEUE,
};

/// The columns of a place.
pub(super) fn columns(place: &Place) -> &'static [(&'static str, Align)] {
    const QUEUE: &[(&str, Align)] = &[("jid", Align::Left), ("job", Align::Left), ("args", Align::Left)];
    const RETRIES: &[(&str, Align)] = &[
        ("jid", Align::Left),
        ("job", Align::Left),
        ("queue", Align::Left),
        ("retry", Align::Right),
        ("due", Align::Right),
        ("error", Align::Left),
        ("args", Align::Left),
    ];
    const SCHEDULED: &[(&str, Align)] = &[
        ("jid", Align::Left),
        ("job", Align::Left),
        ("queue", Align::Left),
        ("due", Align::Right),
        ("args", Align::Left),
    ];
    const DEAD: &[(&str, Align)] = &[
        ("jid", Align::Left),
        ("job", Align::Left),
        ("queue", Align::Left),
        ("died", Align::Right),
        ("error", Align::Left),
        ("args", Align::Left),
    ];
    match place {
        Place::Queue(_) => QUEUE,
        Place::Set(Set::Retries) => RETRIES,
        Place::Set(Set::Scheduled) => SCHEDULED,
        Place::Set(Set::Dead) => DEAD,
    }
}

/// The row of one entry under [`columns`]. `now` is Unix time in seconds.
pub(super) fn row(place: &Place, parser: &mut Parser, entry: &Entry, now: f64) -> Vec<String> {
    let Some(trouble) = trouble(parser, entry) else {
        return cells(place, entry, now, args_of(&entry.bytes), name_of(&entry.bytes));
    };
    if let Some(buried) = buried_bytes(entry) {
        let mut row = cells(place, entry, now, "[]".to_owned(), None);
        row[1] = format!("{} (about {buried} bytes that are no job)", bad::NAME);
        return row;
    }
    let start = &entry.bytes[..entry.bytes.len().min(4 * ROW_TEXT_CHARS_MAX)];
    let name = name_of(&entry.bytes).map(|name| shortened(&name) + " ").unwrap_or_default();
    let mut row = cells(place, entry, now, shortened(&String::from_utf8_lossy(start)), None);
    // Behind the jid.
    row[1] = format!("{name}(no job: {trouble})");
    row
}

fn cells(place: &Place, entry: &Entry, now: f64, args: String, name: Option<String>) -> Vec<String> {
    let payload = &entry.bytes;
    // Names and jids of others have no bound.
    let text = |text: Option<String>| text.map_or_else(|| "-".to_owned(), |text| shortened(&text));
    let jid = jid_of(payload).unwrap_or_else(|| filter::handle(entry));
    let mut cells = vec![shortened(&jid), text(name)];
    let Place::Set(set) = place else {
        cells.push(args);
        return cells;
    };
    cells.push(shortened(&queue_of(payload)));
    if *set == Set::Retries {
        cells.push(number_of(payload, fields::ATTEMPT) + "/" + &number_of(payload, fields::RETRIES));
    }
    let seconds = entry.score.map_or(0.0, |score| score - now);
    cells.push(moment(seconds));
    if *set != Set::Scheduled {
        cells.push(error_of(payload));
    }
    cells.push(args);
    cells
}

/// What `jobs` and the commands that act on a job call it.
pub(super) fn title(entry: &Entry) -> String {
    let text = |text: &str| printable(&shortened(text));
    match (jid_of(&entry.bytes), name_of(&entry.bytes)) {
        (Some(jid), Some(name)) => format!("{} ({})", text(&jid), text(&name)),
        (Some(jid), None) => text(&jid),
        (None, Some(name)) => format!("{} ({})", filter::handle(entry), text(&name)),
        (None, None) => format!("{} of {} bytes", filter::handle(entry), entry.size),
    }
}

/// Whether it holds bytes that were no job, buried in a well-formed entry.
pub(super) fn holds_buried_bytes(entry: &Entry) -> bool {
    name_of(&entry.bytes).as_deref() == Some(bad::NAME)
        && (!entry.is_whole() || bad::exhume(&entry.bytes).is_some())
}

/// Of an entry that is too large to be read as a whole: how many bytes that were no job it holds, if it does. The base64
/// comes last in it, and is filled up to four characters for each three bytes.
fn buried_bytes(entry: &Entry) -> Option<u64> {
    if entry.is_whole() || !holds_buried_bytes(entry) {
        return None;
    }
    let begin = format!("\"{}\":\"", bad::RAW_BASE64);
    let at = entry.bytes.windows(begin.len()).position(|bytes| bytes == begin.as_bytes())?;
    let around = (at + begin.len() + "\"}".len()) as u64;
    Some(entry.size.saturating_sub(around) / 4 * 3)
}

/// Writes one entry as a JSON object.
pub(super) fn write_json(
    place: &Place,
    parser: &mut Parser,
    entry: &Entry,
    out: &mut dyn Write,
) -> io::Result<()> {
    let queue = match place {
        Place::Queue(queue) => queue.to_string(),
        Place::Set(_) => queue_of(&entry.bytes),
    };
    write!(out, "{{\"queue\":{},\"bytes\":{}", serde_json::to_string(&queue)?, entry.size)?;
    if let Place::Set(_) = place {
        write!(out, ",\"score\":{}", serde_json::to_string(&entry.score)?)?;
    }
    match trouble(parser, entry) {
        None => {
            out.write_all(b",\"job\":")?;
            out.write_all(&entry.bytes)?;
        }
        Some(trouble) => {
            let whole = entry.is_whole();
            let buried = buried_bytes(entry).map(|_| error_of_head(&entry.bytes));
            let why = buried.unwrap_or_else(|| trouble.to_string());
            write!(out, ",\"no_job\":{},\"whole\":{whole}", serde_json::to_string(&why)?)?;
            write!(out, ",\"base64\":\"{}\"", STANDARD.encode(&entry.bytes))?;
        }
    }
    out.write_all(b"}")
}

/// Why an entry is no job, if it is none.
fn trouble(parser: &mut Parser, entry: &Entry) -> Option<BadPayload> {
    if !entry.is_whole() {
        let bytes = usize::try_from(entry.size).unwrap_or(usize::MAX);
        return Some(BadPayload::TooLarge { bytes, max: PAYLOAD_BYTES_MAX });
    }
    parser.parse(&entry.bytes).err()
}

fn jid_of(payload: &[u8]) -> Option<String> {
    filter::jid_of(payload)
}

fn name_of(payload: &[u8]) -> Option<String> {
    member_of_head(payload, fields::NAME)
}

/// Where the poller would put it.
fn queue_of(payload: &[u8]) -> String {
    let named = member_of_head::<String>(payload, fields::QUEUE).filter(|queue| !queue.is_empty());
    named.unwrap_or_else(|| DEFAULT_QUEUE.to_owned())
}

fn number_of(payload: &[u8], name: &str) -> String {
    member::<u64>(payload, name).unwrap_or(0).to_string()
}

fn args_of(payload: &[u8]) -> String {
    let args = member::<Box<RawValue>>(payload, fields::ARGS);
    args.map_or_else(|| "[]".to_owned(), |args| shortened(args.get()))
}

fn error_of(payload: &[u8]) -> String {
    shortened(&error_of_head(payload))
}

fn error_of_head(payload: &[u8]) -> String {
    let class = member_of_head::<String>(payload, fields::ERROR_CLASS).unwrap_or_default();
    match member_of_head::<String>(payload, fields::ERROR_MESSAGE) {
        Some(message) => format!("{class}: {message}"),
        None => class,
    }
}

/// The text, cut at [`ROW_TEXT_CHARS_MAX`] characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(ROW_TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A moment, so many seconds from now: "in 12 s", "3 d ago".
fn moment(seconds: f64) -> String {
    let span = match seconds.abs() {
        span if span < 120.0 => format!("{span:.0} s"),
        span if span < 2.0 * 3_600.0 => format!("{:.0} min", span / 60.0),
        span if span < 48.0 * 3_600.0 => format!("{:.0} h", span / 3_600.0),
        span => format!("{:.0} d", span / 86_400.0),
    };
    if seconds < 0.0 { format!("{span} ago") } else { format!("in {span}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::QueueName;

    const NOW: f64 = 1_795_299_800.0;

    fn entry(payload: &[u8], score: f64) -> Entry {
        Entry { newer: 0, size: payload.len() as u64, score: Some(score), bytes: payload.to_vec().into() }
    }

    fn check(place: &Place, payload: &[u8], score: f64, expected: &[&str]) {
        assert_eq!(row(place, &mut Parser::new(), &entry(payload, score), NOW), expected);
        assert_eq!(columns(place).len(), expected.len());
    }

    #[test]
    fn each_place_shows_what_matters_there() {
        let failed = br#"{"name":"A::B","args":[1,"x"],"retries":5,"jid":"j","error_message":"boom","error_class":"E","attempt":2,"queue":"img"}"#;
        let queue = Place::Queue(QueueName::default());
        check(&queue, failed, 0.0, &["j", "A::B", "[1,\"x\"]"]);
        let row = ["j", "A::B", "img", "2/5", "in 31 s", "E: boom", "[1,\"x\"]"];
        check(&Place::Set(Set::Retries), failed, NOW + 31.0, &row);
        check(
            &Place::Set(Set::Scheduled),
            br#"{"name":"N"}"#,
            NOW + 7_200.0,
            &["entry:be672a4b-12", "N", "default", "in 2 h", "[]"],
        );
        let row = ["j", "A::B", "img", "3 d ago", "E: boom", "[1,\"x\"]"];
        check(&Place::Set(Set::Dead), failed, NOW - 3.0 * 86_400.0, &row);
    }

    #[test]
    fn what_is_no_job_is_shown_as_such() {
        let queue = Place::Queue(QueueName::default());
        let not_utf8 = "(no job: payload is not valid UTF-8 from byte 0 on)";
        check(&queue, b"\xff\x1b[2J", 0.0, &["entry:90cedda1-5", not_utf8, "\u{fffd}\u{1b}[2J"]);
        let no_args = r#"N (no job: "args" is not an array but an object)"#;
        check(
            &queue,
            br#"{"name":"N","args":{}}"#,
            0.0,
            &["entry:642f376e-22", no_args, r#"{"name":"N","args":{}}"#],
        );
    }

    #[test]
    fn a_long_text_is_cut() {
        let args = format!("[\"{}\"]", "é".repeat(100));
        let payload = format!(r#"{{"name":"N","args":{args}}}"#);
        let row = row(
            &Place::Queue(QueueName::default()),
            &mut Parser::new(),
            &entry(payload.as_bytes(), 0.0),
            NOW,
        );
        assert_eq!(row[2].chars().count(), ROW_TEXT_CHARS_MAX + 1);
        assert!(row[2].ends_with('…'));
    }

    #[test]
    fn json_carries_payloads_as_they_are_and_other_bytes_in_base64() {
        let json = |place: &Place, bytes: &[u8]| {
            let mut out = Vec::new();
            write_json(place, &mut Parser::new(), &entry(bytes, 1.5), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let payload = r#"{"name":"N","args":[1.0e+21],"jid":"j","other":12345678901234567890123}"#;
        let expected = format!(r#"{{"queue":"default","bytes":71,"score":1.5,"job":{payload}}}"#);
        assert_eq!(json(&Place::Set(Set::Dead), payload.as_bytes()), expected);
        let queue = Place::Queue(QueueName::new("img").unwrap());
        let expected = r#"{"queue":"img","bytes":2,"no_job":"payload is not valid UTF-8 from byte 0 on","whole":true,"base64":"/wA="}"#;
        assert_eq!(json(&queue, b"\xff\0"), expected);
    }
}
