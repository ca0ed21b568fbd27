//! `jiggler-uring queues [--json] [--look]`: the queues, how many jobs wait in each, and how many processes serve it.
//!
//! As JSON one object is written: `queues`, a list of `name`, `jobs`, `processes`, and for a paused one `paused` (`at`,
//! `by`, `why`, `until`); and `paused_classes`, if there are any. A name is written as commands take it
//! ([`ListName`]); in JSON one that is UTF-8 stays as it is.

use std::io::Write;

use super::{
    database::Database,
    error::Error,
    format::{Format, write_json},
    nodes::{self, Lookup},
    pause::write_classes,
    table::{self, Align},
};
use crate::view::why::told;
use crate::{
    store::survey::Scope,
    view::count::count,
    view::queue::{Queue, Queues},
    wire::ListName,
};

/// Shows the queues. Round trips as for `summary`.
///
/// # Errors
/// [`Error::Connect`], [`Error::Survey`], [`Error::Output`].
pub(crate) fn queues(
    db: &Database,
    lookup: Lookup,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let summary = nodes::survey_by(db, Scope::Everything, lookup)?;
    let shown = Queues::of(&summary);
    let queues = &shown.queues;
    if format == Format::Json {
        write_json(&shown, out)?;
    } else if queues.is_empty() {
        writeln!(out, "no jobs wait in any queue, and no process serves one")?;
    } else {
        let mut columns = vec![("queue", Align::Left), ("jobs", Align::Right), ("served by", Align::Right)];
        let mut rows: Vec<Vec<String>> = queues.iter().map(row).collect();
        if queues.iter().any(|queue| queue.slots.is_some()) {
            columns.push(("slots", Align::Right));
            for (row, queue) in rows.iter_mut().zip(queues) {
                row.push(queue.slots.map_or_else(String::new, |slots| slots.to_string()));
            }
        }
        if queues.iter().any(|queue| queue.paused.is_some()) {
            columns.push(("paused", Align::Left));
            for (row, queue) in rows.iter_mut().zip(queues) {
                row.push(queue.paused.map_or_else(String::new, |pause| told(pause, summary.at)));
            }
        }
        table::write(out, &columns, &rows)?;
    }
    if format == Format::Text {
        write_classes(&summary.paused, summary.at, out)?;
    }
    Ok(())
}

fn row(queue: &Queue<'_>) -> Vec<String> {
    let served = match queue.processes {
        0 => "nobody".to_owned(),
        some => count(some, "process", "processes"),
    };
    vec![ListName::shown(queue.name), queue.jobs.to_string(), served]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        acts::{action::Action, look::Query, prune::What},
        admin::{
            Confirmation,
            act::{Act, Target, act},
            jobs::jobs,
            prune::prune,
            test_database::database,
        },
        own_redis::OwnRedis,
        store::entries::{Order, Place},
        view::filter::Filter,
    };

    #[test]
    fn waiting_jobs_and_who_serves_them_are_side_by_side() {
        let redis = OwnRedis::start();
        let show = |format| {
            let mut out = Vec::new();
            queues(&database(&redis), Lookup::Register, format, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(Format::Text), "no jobs wait in any queue, and no process serves one\n");
        assert_eq!(show(Format::Json), "{\"queues\":[]}\n");
        redis.run(&[b"LPUSH", b"jiggler:list:lonely", b"a", b"b"]);
        redis.run(&[b"LPUSH", b"jiggler:list:img", b"a"]);
        redis.run(&[b"LPUSH", b"jiggler:list:img:in_progress:aaaaaaaaaaaa", b"x"]);
        for uuid in ["aaaaaaaaaaaa", "bbbbbbbbbbbb"] {
            let key = format!("jiggler:svr:{uuid}:3:25:img,0,empty,1:1:1795299901:8066:vm");
            redis.run(&[b"SET", key.as_bytes(), b"{}"]);
        }
        assert_eq!(
            show(Format::Text),
            "queue   jobs    served by\nempty      0  2 processes\nimg        1  2 processes\nlonely     2       nobody\n"
        );
        let json: serde_json::Value = serde_json::from_str(&show(Format::Json)).unwrap();
        assert_eq!(json["queues"][2], serde_json::json!({"name": "lonely", "jobs": 2, "processes": 0}));
    }

    #[test]
    fn whatever_is_listed_is_reached_by_the_name_it_is_listed_under() {
        let redis = OwnRedis::start();
        let db = database(&redis);
        let names: [&[u8]; 12] = [
            b"a:b",
            b"a,b",
            b" a",
            b"a ",
            b"a\x00\n",
            b"",
            b"x_in_progress",
            b"{a}",
            b"a\xff",
            b"escaped:a",
            b"\\x41",
            "\u{202e}a".as_bytes(),
        ];
        for name in names {
            let key = [b"jiggler:list:", name].concat();
            for jid in ["one", "two"] {
                redis.run(&[b"LPUSH", &key, format!(r#"{{"name":"N","jid":"{jid}"}}"#).as_bytes()]);
            }
            let shown = |format| {
                let mut out = Vec::new();
                queues(&db, Lookup::Register, format, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            };
            let json: serde_json::Value = serde_json::from_str(&shown(Format::Json)).unwrap();
            let exact = json["queues"][0]["name"].as_str().unwrap();
            let text = shown(Format::Text);
            let cell = text.lines().nth(1).unwrap().split("  ").next().unwrap();
            for listed in [exact, cell] {
                assert_eq!(listed.parse::<ListName>().unwrap().as_bytes(), name, "{listed:?}");
            }
            let place = Place::Queue(cell.parse().unwrap());
            let look = |out: &mut Vec<u8>| {
                let (filter, order) = (Filter::default(), Order::Newest);
                let (place, older, groups) = (place.clone(), None, false);
                let query =
                    Query { place, filter, skip: 0, limit: 25, examine_max: 100, order, older, groups };
                jobs(&db, &query, Format::Text, out)
            };
            let delete = |out: &mut Vec<u8>| {
                let target = Target::Job { jid: "one".to_owned(), places: vec![place.clone()] };
                act(&db, &Act { action: Action::Delete, target, confirmation: Confirmation::Given }, out)
            };
            let said = |run: &dyn Fn(&mut Vec<u8>) -> Result<(), Error>| {
                let mut out = Vec::new();
                run(&mut out).unwrap();
                String::from_utf8(out).unwrap()
            };
            assert!(said(&look).ends_with(&format!("1 to 2 of 2 in queue {cell}, newest first\n")), "{cell}");
            assert_eq!(said(&delete), format!("deleted job one (N) from queue {cell}\n"));
            let what = What::Queue(cell.parse().unwrap());
            let pruned = said(&|out| prune(&db, &what, Confirmation::Given, out));
            assert_eq!(pruned, format!("deleted 1 job of queue {cell}\n"));
            assert!(redis.strings(&[b"KEYS", b"*"]).is_empty());
        }
    }
}
