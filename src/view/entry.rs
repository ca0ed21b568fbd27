//! One entry of a queue or a set as people and programs see it.
//!
//! Its content is read when it is asked for: a page of large payloads is shown without reading each of them several times.
//! As JSON it carries the payload unchanged, or, if it is not a job, its bytes in base64.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::value::RawValue;

use crate::{
    foreign::Foreign,
    job::{
        BadPayload, FAILURE_HISTORY, MemberNames, Parser, RAW_BASE64, Schema, bad, history::failures, member,
        member_of_head, members_of_head, text_of_head,
    },
    limits::{ENTRY_HEAD_BYTES, PAYLOAD_BYTES_MAX, ROW_TEXT_CHARS_MAX},
    store::entries::{Entry, Place, Set},
    store::operate::Revived,
    view::redacted::{self, Layout},
    wire::{DEFAULT_QUEUE, QueueName},
};

/// An entry of a place.
#[derive(Debug)]
pub(crate) struct JobEntry<'e> {
    place: &'e Place,
    entry: &'e Entry,
    /// Why it is not a job; `None` if it is one.
    trouble: Option<BadPayload>,
    schema: Schema,
}

impl<'e> JobEntry<'e> {
    pub(crate) fn new(place: &'e Place, entry: &'e Entry, parser: &mut Parser) -> Self {
        let trouble = if entry.is_whole() {
            parser.parse(&entry.bytes).err()
        } else {
            let bytes = usize::try_from(entry.size).unwrap_or(usize::MAX);
            Some(BadPayload::TooLarge { bytes, max: PAYLOAD_BYTES_MAX })
        };
        Self { place, entry, trouble, schema: parser.schema() }
    }

    /// The names of its members.
    pub(crate) const fn names(&self) -> &'static MemberNames {
        self.schema.names()
    }

    /// Why it is not a job; `None` if it is one.
    pub(crate) const fn trouble(&self) -> Option<&BadPayload> {
        self.trouble.as_ref()
    }

    /// Its bytes, or the first of them if it is larger than a job may be.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.entry.bytes
    }

    /// How `jobs` names it, and how the commands that act on a job find it: by its jid, or by a handle if it has no jid.
    pub(crate) fn id(&self) -> String {
        id(self.entry, self.schema)
    }

    pub(crate) fn name(&self) -> Option<String> {
        name_of(&self.entry.bytes, self.schema)
    }

    /// Where it is, or where the poller would put it.
    pub(crate) fn queue(&self) -> String {
        match self.place {
            Place::Queue(queue) => queue.exact().into_owned(),
            Place::Set(_) => queue_of(&self.entry.bytes, self.schema),
        }
    }

    /// In a set: when it is due, or died. Unix seconds.
    pub(crate) const fn score(&self) -> Option<f64> {
        self.entry.score
    }

    /// Failed attempts so far.
    pub(crate) fn attempt(&self) -> u64 {
        member(&self.entry.bytes, self.names().attempt).unwrap_or(0)
    }

    pub(crate) fn retries(&self) -> u64 {
        member(&self.entry.bytes, self.names().retries).unwrap_or(0)
    }

    /// Retries as its payload names them. `None`: it names none, or fewer than it has had, so those of the worker that runs
    /// it count, which nothing here knows.
    pub(crate) fn own_retries(&self) -> Option<u64> {
        let named: Option<u64> = member(&self.entry.bytes, self.names().retries);
        named.filter(|retries| *retries >= self.attempt())
    }

    /// The text of its arguments.
    pub(crate) fn args(&self) -> String {
        let text = String::from_utf8_lossy(&self.entry.bytes);
        let args = member::<Box<RawValue>>(text.as_bytes(), self.names().args);
        args.map_or_else(|| "[]".to_owned(), |args| args.get().to_owned())
    }

    /// The member of this name as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text_of(&self.entry.bytes, name)
    }

    /// The member of this name as a number; a time in Unix seconds, in whatever unit it is written.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let bytes = &self.entry.bytes;
        self.schema.time_of(bytes, name).or_else(|| member_of_head(bytes, name))
    }

    /// Whether it says that it failed. One that was snoozed, or left to others, before it ever failed waits in the retry
    /// set, too.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "only pages ask"))]
    pub(crate) fn has_failed(&self) -> bool {
        let names = self.names();
        [names.error_class, names.error_message].iter().any(|name| self.text(name).is_some())
    }

    /// When it failed last, as far as it says; Unix seconds. A payload that keeps its failures says it exactly. Otherwise
    /// the last time that was noted counts, and for a job that died with no retry left that of its death: the gem notes no
    /// other for the failure that ends a job.
    pub(crate) fn last_failed(&self) -> Option<f64> {
        let kept = member_of_head::<Box<RawValue>>(&self.entry.bytes, FAILURE_HISTORY);
        if let Some(last) = kept.and_then(|json| failures(json.get()).pop()) {
            return Some(last.at);
        }
        let names = self.names();
        let noted = self.number(names.retried_at).or_else(|| self.number(names.first_failed_at))?;
        let is_used_up = !self.schema.notes_last_failure()
            && *self.place == Place::Set(Set::Dead)
            && self.attempt() >= self.retries();
        Some(self.score().filter(|_| is_used_up).map_or(noted, |died| died.max(noted)))
    }

    /// All members as they stand in it, names and JSON, as far as its bytes can be read.
    pub(crate) fn members(&self) -> Vec<(String, String)> {
        members_of_head(&self.entry.bytes)
    }

    /// How many bytes it has.
    pub(crate) const fn size(&self) -> u64 {
        self.entry.size
    }

    /// Why it failed last: class and message.
    pub(crate) fn error(&self) -> String {
        error_of(&self.entry.bytes, self.schema)
    }

    /// For an entry that is larger than a job may be: about how many bytes that were not a job it holds, if it does. The
    /// base64 comes last in it, padded to four characters for each three bytes.
    pub(crate) fn buried_bytes(&self) -> Option<u64> {
        if self.trouble.is_none() || !holds_buried_bytes(self.entry, self.schema) {
            return None;
        }
        let begin = format!("\"{}\":\"", RAW_BASE64);
        let at = self.entry.bytes.windows(begin.len()).position(|bytes| bytes == begin.as_bytes())?;
        let around = (at + begin.len() + "\"}".len()) as u64;
        Some(self.entry.size.saturating_sub(around) / 4 * 3)
    }

    /// Writes it as a JSON object, piece by piece: a payload may be large, and stays unchanged.
    pub(crate) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_json_of(Carried::All, out)
    }

    /// The same for readers over the network: with values that are hidden by the names of their members
    /// ([`redacted`]), and without payloads of more than this many bytes.
    #[cfg(feature = "web")]
    pub(crate) fn write_public_json(&self, bytes_max: usize, out: &mut dyn Write) -> io::Result<()> {
        self.write_json_of(Carried::Public { bytes_max }, out)
    }

    fn write_json_of(&self, carried: Carried, out: &mut dyn Write) -> io::Result<()> {
        let Self { place, entry, .. } = self;
        write!(out, "{{\"queue\":{},\"bytes\":{}", serde_json::to_string(&self.queue())?, entry.size)?;
        if let Place::Set(_) = place {
            write!(out, ",\"score\":{}", serde_json::to_string(&entry.score)?)?;
        }
        match &self.trouble {
            None => {
                let text = String::from_utf8_lossy(&entry.bytes);
                let Some((job, is_exact)) = carried.json(&text) else {
                    return write!(out, ",\"job\":null,\"left_out\":{}}}", carried.why(entry.size)?);
                };
                write!(out, ",\"job\":{job}")?;
                // JSON is UTF-8. Anything else has its exact bytes beside it.
                if let Cow::Owned(_) = text
                    && is_exact
                {
                    write!(out, ",\"base64\":\"{}\"", STANDARD.encode(&entry.bytes))?;
                }
            }
            Some(trouble) => {
                let whole = entry.is_whole();
                let buried = self.buried_bytes().map(|_| self.error());
                let why = buried.unwrap_or_else(|| trouble.to_string());
                write!(out, ",\"no_job\":{},\"whole\":{whole}", serde_json::to_string(&why)?)?;
                if carried.bytes(&entry.bytes, entry.size) {
                    write!(out, ",\"base64\":\"{}\"", STANDARD.encode(&entry.bytes))?;
                } else {
                    write!(out, ",\"base64\":null,\"left_out\":{}", carried.why(entry.size)?)?;
                }
            }
        }
        out.write_all(b"}")
    }
}

/// How much of a payload its JSON carries.
#[derive(Debug, Clone, Copy)]
enum Carried {
    /// All of it, unchanged.
    All,
    /// What may be shown to everybody who may read, if it is no larger than this.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "only a server shows it"))]
    Public { bytes_max: usize },
}

impl Carried {
    /// The payload of a job as it is written, and whether it is unchanged; `None`: it is left out.
    fn json(self, text: &str) -> Option<(Cow<'_, str>, bool)> {
        match self {
            Self::All => Some((text.into(), true)),
            Self::Public { bytes_max } if text.len() > bytes_max => None,
            Self::Public { .. } => {
                let shown = redacted::json(text, Layout::Raw, usize::MAX);
                Some((shown.text.into(), shown.hidden == 0))
            }
        }
    }

    /// Whether bytes that are no job are written.
    fn bytes(self, bytes: &[u8], size: u64) -> bool {
        match self {
            Self::All => true,
            Self::Public { bytes_max } => {
                size <= bytes_max as u64 && !redacted::is_secret(&String::from_utf8_lossy(bytes))
            }
        }
    }

    /// Why they were not, as JSON.
    fn why(self, size: u64) -> serde_json::Result<String> {
        serde_json::to_string(&match self {
            Self::Public { bytes_max } if size > bytes_max as u64 => {
                format!(
                    "it has {size} bytes, at most {bytes_max} are shown here; `jiggler-uring show --json` prints all"
                )
            }
            _ => "it may hold a secret; `jiggler-uring show --json` prints all".to_owned(),
        })
    }
}

/// What a [`handle`] begins with.
const HANDLE: &str = "entry:";

/// What an entry is called.
pub(crate) fn id(entry: &Entry, schema: Schema) -> String {
    jid_of(&entry.bytes, schema).unwrap_or_else(|| handle(entry))
}

/// Whether that is the handle of this entry.
pub(crate) fn is_handle_of(text: &str, entry: &Entry) -> bool {
    text.starts_with(HANDLE) && text == handle(entry)
}

/// The entry in one line, for people: what it is called, and its name.
pub(crate) fn title(entry: &Entry, schema: Schema) -> String {
    let text = |text: &str| Foreign::cell(&shortened(text)).to_string();
    match (jid_of(&entry.bytes, schema), name_of(&entry.bytes, schema)) {
        (Some(jid), Some(name)) => format!("{} ({})", text(&jid), text(&name)),
        (Some(jid), None) => text(&jid),
        (None, Some(name)) => format!("{} ({})", handle(entry), text(&name)),
        (None, None) => format!("{} of {} bytes", handle(entry), entry.size),
    }
}

/// Whether it holds bytes that were not a job, buried in a well-formed entry.
pub(crate) fn holds_buried_bytes(entry: &Entry, schema: Schema) -> bool {
    name_of(&entry.bytes, schema).as_deref() == Some(bad::NAME)
        && (!entry.is_whole() || bad::exhume(schema, &entry.bytes).is_some())
}

/// Whether it holds buried bytes that are not to be had from here: it was too large to be read as a whole, so they are more
/// than any worker runs.
pub(crate) fn holds_too_much(entry: &Entry, schema: Schema) -> bool {
    !entry.is_whole() && holds_buried_bytes(entry, schema)
}

/// The entry as it is retried: the bytes that were buried in it, if it holds such, and the queue `to` which it goes; without
/// one, the queue it names.
///
/// Bytes that were buried because no worker may be given the queue they name keep that queue: the operator who retries them
/// must say where they are to go.
pub(crate) fn revived<'e>(entry: &'e Entry, schema: Schema, to: Option<&QueueName>) -> Revived<'e> {
    let is_burial = entry.is_whole() && name_of(&entry.bytes, schema).as_deref() == Some(bad::NAME);
    let exact = if is_burial { bad::exhume(schema, &entry.bytes) } else { None };
    if let Some(to) = to {
        return Revived { entry, queue: Some(to.as_str().as_bytes().to_vec()), exact };
    }
    let named = exact.as_deref().map(|exact| queue_named_by(exact, schema));
    let named = named.filter(|name| !name.is_empty() && !may_be_given(name));
    let queue = named.or_else(|| entry.is_whole().then(|| queue_named_by(&entry.bytes, schema)));
    Revived { entry, queue, exact }
}

/// The same for an entry of this set, whose last failure does not count if that is the gem's rule. One that was read in part
/// is retried as it is.
pub(crate) fn retried<'e>(entry: &'e Entry, schema: Schema, set: Set, to: Option<&QueueName>) -> Revived<'e> {
    let revived = revived(entry, schema, to);
    if revived.exact.is_some() || !entry.is_whole() || set == Set::Scheduled {
        return revived;
    }
    Revived { exact: schema.retried_by_hand(&entry.bytes), ..revived }
}

/// The name of the queue that a payload names, which may have bytes that are no UTF-8; empty if it names none.
fn queue_named_by(payload: &[u8], schema: Schema) -> Vec<u8> {
    let name = schema.names().queue;
    match member_of_head::<String>(payload, name) {
        Some(queue) => queue.into_bytes(),
        // A lone surrogate calls none.
        None if std::str::from_utf8(payload).is_ok() => Vec::new(),
        None => text_of_head(payload, name).unwrap_or_default(),
    }
}

/// Whether a worker may be given a queue of this name.
fn may_be_given(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| QueueName::new(name).is_ok())
}

/// The jid of a payload. Other producers push numbers: their digits serve as the jid.
pub(crate) fn jid_of(payload: &[u8], schema: Schema) -> Option<String> {
    let jid = member_of_head::<Box<RawValue>>(payload, schema.names().jid)?;
    let is_number = jid.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    if is_number { Some(jid.get().to_owned()) } else { serde_json::from_str(jid.get()).ok() }
}

/// The text, cut at [`ROW_TEXT_CHARS_MAX`] characters.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(ROW_TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What an entry without a jid is called: its bytes, as far as they are shown, and its size.
fn handle(entry: &Entry) -> String {
    let head = &entry.bytes[..entry.bytes.len().min(ENTRY_HEAD_BYTES)];
    format!("{HANDLE}{:08x}-{}", crc32fast::hash(head), entry.size)
}

fn name_of(payload: &[u8], schema: Schema) -> Option<String> {
    text_of(payload, schema.names().name)
}

/// A text for people: what no string can hold is replaced.
pub(crate) fn text_of(payload: &[u8], name: &str) -> Option<String> {
    text_of_head(payload, name).map(|text| String::from_utf8_lossy(&text).into_owned())
}

/// Where the poller would put it.
pub(super) fn queue_of(payload: &[u8], schema: Schema) -> String {
    let named = text_of(payload, schema.names().queue).filter(|queue| !queue.is_empty());
    named.unwrap_or_else(|| DEFAULT_QUEUE.to_owned())
}

pub(crate) fn error_of(payload: &[u8], schema: Schema) -> String {
    let names = schema.names();
    let class = text_of(payload, names.error_class).unwrap_or_default();
    match text_of(payload, names.error_message) {
        Some(message) => format!("{class}: {message}"),
        None => class,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(payload: &[u8], score: f64) -> Entry {
        Entry { newer: 0, size: payload.len() as u64, score: Some(score), bytes: payload.to_vec().into() }
    }

    #[test]
    fn the_last_failure_of_a_job_is_the_last_that_is_known() {
        let check = |place: Place, members: &str, expected: Option<f64>| {
            let payload = format!(r#"{{"name":"N","jid":"j"{members}}}"#);
            let (entry, mut parser) = (entry(payload.as_bytes(), 90.0), Parser::default());
            let job = JobEntry::new(&place, &entry, &mut parser);
            assert_eq!(job.last_failed(), expected, "{payload} in {place}");
            assert_eq!(job.has_failed(), expected.is_some(), "{payload}");
        };
        let (dead, retries) = (Place::Set(Set::Dead), Place::Set(Set::Retries));
        let failed = r#","started_at":50.0,"error_class":"E","retries":2"#;
        // Left to others, or snoozed: its score is when it runs again.
        check(retries.clone(), r#","retry_at":90.0,"left_since":1.0,"left_until":90.0"#, None);
        check(retries.clone(), &format!(r#"{failed},"attempt":1"#), Some(50.0));
        check(retries.clone(), &format!(r#"{failed},"attempt":2,"retried_at":60.0"#), Some(60.0));
        // What `retried_at` names is the failure before the one of which it died.
        check(dead.clone(), &format!(r#"{failed},"attempt":2,"retried_at":60.0"#), Some(90.0));
        check(dead.clone(), r#","started_at":90.0,"error_class":"E""#, Some(90.0));
        // It was killed by hand, with retries left: its death says nothing about a failure.
        check(dead.clone(), &format!(r#"{failed},"attempt":1"#), Some(50.0));
        let one = |at: f64| format!(r#"{{"at":{at},"attempt":1,"class":"E","message":"m"}}"#);
        let kept = format!(r#","failure_history":[{},{}]"#, one(55.0), one(75.5));
        check(dead, &format!(r#"{failed},"attempt":1{kept}"#), Some(75.5));
        // Sidekiq 8 writes milliseconds.
        let payload = br#"{"class":"N","jid":"j","failed_at":1796200000250,"error_class":"E"}"#;
        let (entry, place) = (entry(payload, 1.8e9), Place::Set(Set::Dead));
        let mut parser = Parser::new(Schema::of(crate::wire::Dialect::Sidekiq));
        assert_eq!(JobEntry::new(&place, &entry, &mut parser).last_failed(), Some(1_796_200_000.25));
    }

    #[test]
    fn retries_that_a_payload_does_not_give_are_those_of_its_worker() {
        let check = |members: &str, expected: Option<u64>| {
            let payload = format!(r#"{{"name":"N","jid":"j"{members}}}"#);
            let (entry, mut parser) = (entry(payload.as_bytes(), 90.0), Parser::default());
            let place = Place::Set(Set::Retries);
            assert_eq!(JobEntry::new(&place, &entry, &mut parser).own_retries(), expected, "{payload}");
        };
        check(r#","retries":2,"attempt":2"#, Some(2));
        check(r#","retries":0"#, Some(0));
        check(r#","retries":0,"attempt":2"#, None);
        check(r#","attempt":1"#, None);
    }

    #[test]
    fn json_carries_payloads_as_they_are_and_other_bytes_in_base64() {
        let json = |place: &Place, bytes: &[u8]| {
            let mut out = Vec::new();
            JobEntry::new(place, &entry(bytes, 1.5), &mut Parser::default()).write_json(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let payload = r#"{"name":"N","args":[1.0e+21],"jid":"j","other":12345678901234567890123}"#;
        let expected = format!(r#"{{"queue":"default","bytes":71,"score":1.5,"job":{payload}}}"#);
        assert_eq!(json(&Place::Set(Set::Dead), payload.as_bytes()), expected);
        let queue = Place::Queue("img".parse().unwrap());
        let expected = r#"{"queue":"img","bytes":2,"no_job":"payload is not valid UTF-8 from byte 0 on","whole":true,"base64":"/wA="}"#;
        assert_eq!(json(&queue, b"\xff\0"), expected);
        let expected = format!(
            r#"{{"queue":"img","bytes":25,"job":{{"name":"N","args":["{}"]}},"base64":"{}"}}"#,
            '\u{fffd}',
            STANDARD.encode(b"{\"name\":\"N\",\"args\":[\"\xff\"]}")
        );
        assert_eq!(json(&queue, b"{\"name\":\"N\",\"args\":[\"\xff\"]}"), expected);
    }

    #[cfg(feature = "web")]
    #[test]
    fn over_the_network_secrets_are_hidden_and_large_payloads_left_out() {
        let json = |bytes: &[u8]| {
            let (mut out, place) = (Vec::new(), Place::Queue("q".parse().unwrap()));
            let entry = entry(bytes, 0.0);
            JobEntry::new(&place, &entry, &mut Parser::default()).write_public_json(60, &mut out).unwrap();
            serde_json::from_slice::<serde_json::Value>(&out).unwrap()
        };
        let shown = json(br#"{"name":"N","args":[{"api_key":"abc","n":1}]}"#);
        assert_eq!(shown["job"].to_string(), r#"{"args":[{"api_key":"[hidden]","n":1}],"name":"N"}"#);
        assert_eq!(
            json(b"{\"name\":\"N\",\"args\":[\"\xff\"]}")["base64"],
            "eyJuYW1lIjoiTiIsImFyZ3MiOlsi/yJdfQ=="
        );
        let shown = json(b"{\"name\":\"N\",\"args\":[{\"token\":\"\xff\"}]}");
        assert!(shown["job"]["args"][0]["token"] == "[hidden]" && shown["base64"].is_null(), "{shown}");
        let shown = json(format!(r#"{{"name":"N","args":["{}"]}}"#, "x".repeat(50)).as_bytes());
        assert!(
            shown["job"].is_null() && shown["left_out"].to_string().contains("74 bytes, at most 60"),
            "{shown}"
        );
        assert_eq!(json(b"\xff\0")["base64"], "/wA=");
        let shown = json(b"password=abc");
        assert!(shown["base64"].is_null() && shown["left_out"].to_string().contains("a secret"), "{shown}");
    }

    #[test]
    fn an_entry_is_shown_and_retried_whatever_bytes_its_texts_have() {
        let payload = b"{\"name\":\"N\xff\",\"args\":[\"\xfe\"],\"queue\":\"q\xff\",\"error_class\":\"E\",\"error_message\":\"m\xff\",\"jid\":\"\xff\"}";
        let shown = entry(payload, 1.0);
        let place = Place::Set(Set::Dead);
        let job = JobEntry::new(&place, &shown, &mut Parser::default());
        assert_eq!(job.name().as_deref(), Some("N\u{fffd}"));
        assert_eq!(
            (job.args(), job.error(), job.queue()),
            ("[\"\u{fffd}\"]".into(), "E: m\u{fffd}".into(), "q\u{fffd}".into())
        );
        assert!(job.id().starts_with(HANDLE));
        assert_eq!(revived(&shown, Schema::Jiggler, None).queue.as_deref(), Some(b"q\xff".as_slice()));
        let reason = BadPayload::NotJson { detail: "x".to_owned() };
        let shown = entry(&bad::bury_unparsable(Schema::Jiggler, b"\xff\0", &reason, "img", 1.0), 1.0);
        let Revived { queue, exact, .. } = revived(&shown, Schema::Jiggler, None);
        assert_eq!(
            (queue.as_deref(), exact.as_deref()),
            (Some(b"img".as_slice()), Some(b"\xff\0".as_slice()))
        );
    }

    #[test]
    fn a_retry_by_hand_does_not_count_the_failure_before_where_sidekiq_counts() {
        let sidekiq = Schema::of(crate::wire::Dialect::Sidekiq);
        let again = |schema, set, payload: &str| {
            let shown = entry(payload.as_bytes(), 1.0);
            let exact = retried(&shown, schema, set, None).exact?;
            Some(String::from_utf8(exact).unwrap())
        };
        let failed = r#"{"class":"C","args":[{"retry_count":7}],"retry_count":0,"error_class":"E"}"#;
        let expected = failed.replace(r#""retry_count":0"#, r#""retry_count":-1"#);
        for set in [Set::Retries, Set::Dead] {
            assert_eq!(again(sidekiq, set, failed), Some(expected.clone()));
        }
        assert_eq!(again(sidekiq, Set::Scheduled, failed), None);
        assert_eq!(again(Schema::Jiggler, Set::Dead, failed), None);
        assert_eq!(again(sidekiq, Set::Dead, r#"{"class":"C","args":[],"retry_count":"x"}"#), None);
    }

    #[test]
    fn what_was_buried_for_its_queue_goes_only_where_it_is_sent() {
        let reason = BadPayload::UnservableQueue { detail: "x".to_owned() };
        let buried = |payload: &[u8]| {
            entry(&bad::bury_unparsable(Schema::Jiggler, payload, &reason, "default", 1.0), 1.0)
        };
        for (payload, queue) in [
            (br#"{"name":"N","queue":"a:b"}"#.as_slice(), b"a:b".as_slice()),
            (b"{\"name\":\"N\",\"queue\":\"q\xff\"}", b"q\xff"),
            (br#"{"name":7,"queue":"img"}"#, b"default"),
            (br#"{"name":7}"#, b"default"),
        ] {
            let entry = buried(payload);
            assert_eq!(revived(&entry, Schema::Jiggler, None).queue.as_deref(), Some(queue));
            let to = QueueName::new("live").unwrap();
            let Revived { queue, exact, .. } = revived(&entry, Schema::Jiggler, Some(&to));
            assert_eq!((queue.as_deref(), exact.as_deref()), (Some(b"live".as_slice()), Some(payload)));
        }
    }
}
