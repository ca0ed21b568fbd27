//! One entry of a queue or a set as a row of text.
//!
//! Text is shortened here and escaped by the table: what others put into Redis must not control the terminal.

use super::table::Align;
use crate::view::span::moment;
use crate::{
    job::bad,
    limits::ROW_TEXT_CHARS_MAX,
    store::entries::{Place, Set},
    view::entry::{JobEntry, shortened},
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
pub(super) fn row(place: &Place, job: &JobEntry<'_>, now: f64) -> Vec<String> {
    let Some(trouble) = job.trouble() else {
        return cells(place, job, now, shortened(&job.args()), job.name());
    };
    if let Some(buried) = job.buried_bytes() {
        let mut row = cells(place, job, now, "[]".to_owned(), None);
        row[1] = format!("{} (about {buried} bytes that are not a job)", bad::NAME);
        return row;
    }
    let start = &job.bytes()[..job.bytes().len().min(4 * ROW_TEXT_CHARS_MAX)];
    let name = job.name().map(|name| shortened(&name) + " ").unwrap_or_default();
    let mut row = cells(place, job, now, shortened(&String::from_utf8_lossy(start)), None);
    // After the jid.
    row[1] = format!("{name}(no job: {trouble})");
    row
}

fn cells(place: &Place, job: &JobEntry<'_>, now: f64, args: String, name: Option<String>) -> Vec<String> {
    // Names and jids chosen by others have no bound.
    let name = name.map_or_else(|| "-".to_owned(), |name| shortened(&name));
    let mut cells = vec![shortened(&job.id()), name];
    let Place::Set(set) = place else {
        cells.push(args);
        return cells;
    };
    cells.push(shortened(&job.queue()));
    if *set == Set::Retries {
        let of = job.own_retries().map_or_else(|| "-".to_owned(), |retries| retries.to_string());
        cells.push(format!("{}/{of}", job.attempt()));
    }
    cells.push(moment(job.score().map_or(0.0, |score| score - now)));
    if *set != Set::Scheduled {
        cells.push(shortened(&job.error()));
    }
    cells.push(args);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Parser;
    use crate::store::entries::Entry;
    use crate::wire::QueueName;

    const NOW: f64 = 1_795_299_800.0;

    fn entry(payload: &[u8], score: f64) -> Entry {
        Entry { newer: 0, size: payload.len() as u64, score: Some(score), bytes: payload.to_vec().into() }
    }

    fn check(place: &Place, payload: &[u8], score: f64, expected: &[&str]) {
        let entry = entry(payload, score);
        assert_eq!(row(place, &JobEntry::new(place, &entry, &mut Parser::default()), NOW), expected);
        assert_eq!(columns(place).len(), expected.len());
    }

    #[test]
    fn each_place_shows_what_matters_there() {
        let failed = br#"{"name":"A::B","args":[1,"x"],"retries":5,"jid":"j","error_message":"boom","error_class":"E","attempt":2,"queue":"img"}"#;
        let queue = Place::Queue(QueueName::default().into());
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
    fn what_is_not_a_job_is_shown_as_such() {
        let queue = Place::Queue(QueueName::default().into());
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
        let (place, entry) = (Place::Queue(QueueName::default().into()), entry(payload.as_bytes(), 0.0));
        let row = row(&place, &JobEntry::new(&place, &entry, &mut Parser::default()), NOW);
        assert_eq!(row[2].chars().count(), ROW_TEXT_CHARS_MAX + 1);
        assert!(row[2].ends_with('…'));
    }
}
