//! `jiggler-uring history`: what became of jobs, as a table with a bar for each minute, hour or day.
//!
//! Round trips: one for each hundred hours or days, one for each eight hours of minutes.

use std::io::Write;

use ::time::OffsetDateTime;

use super::{
    database::Database,
    error::Error,
    format::{Format, write_json},
    table::{self, Align},
};
use crate::{
    net::blocking::BlockingConnection,
    resp::Requests,
    store::server,
    time::unix_now,
    view::history::{History, SliceView, Span},
};

/// Signs of the longest bar.
const BAR: u64 = 24;

/// Reads the past and writes it.
///
/// # Errors
/// [`Error::Connect`], [`Error::Output`].
pub(crate) fn history(db: &Database, span: &Span, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    if db.keys.is_cluster() {
        writeln!(out, "no history is kept in a Redis Cluster")?;
        return Ok(());
    }
    let shown = read(db, span)?;
    match format {
        Format::Json => write_json(&shown, out),
        Format::Text => write_text(&shown, out),
    }
}

fn read(db: &Database, span: &Span) -> Result<History, Error> {
    let mut conn = BlockingConnection::connect(&db.url)?;
    let mut requests = Requests::new();
    server::ask_clock(&mut requests);
    // A server that does not tell this user is asked by the clock of this host.
    let told = server::clock(&conn.call_one(&requests)?).map(|clock| clock.as_secs_f64());
    let mut reading = span.reading(db.keys, told.unwrap_or_else(|_| unix_now()));
    loop {
        requests.clear();
        if !reading.write(&mut requests) {
            return Ok(History::of(span, &reading.finish().0));
        }
        reading.accept(&conn.call(&requests)?)?;
    }
}

const COLUMNS: &[(&str, Align)] = &[
    ("UTC", Align::Left),
    ("done", Align::Right),
    ("failed", Align::Right),
    ("dead", Align::Right),
    ("other", Align::Right),
    ("run p50", Align::Right),
    ("p95", Align::Right),
    ("waited p95", Align::Right),
    ("depth", Align::Right),
    ("", Align::Left),
];

fn write_text(shown: &History, out: &mut dyn Write) -> Result<(), Error> {
    if shown.slices.is_empty() {
        writeln!(out, "nothing is known of that time")?;
        return Ok(());
    }
    let most = shown.slices.iter().map(jobs).max().unwrap_or(0).max(1);
    let rows: Vec<Vec<String>> = shown.slices.iter().map(|slice| row(shown.by, slice, most)).collect();
    table::write(out, COLUMNS, &rows)?;
    Ok(())
}

/// How many jobs ran.
fn jobs(slice: &SliceView) -> u64 {
    slice.total.outcomes.values().sum()
}

fn row(by: &str, slice: &SliceView, most: u64) -> Vec<String> {
    let total = &slice.total;
    let done = total.count(&["done"]);
    let (failed, dead) = (total.count(&["retried"]), total.count(&["dead", "cancelled"]));
    // At least one sign for a job.
    let bar = (jobs(slice) * BAR).div_ceil(most) as usize;
    vec![
        date(by, slice.at),
        done.to_string(),
        failed.to_string(),
        dead.to_string(),
        (jobs(slice) - done - failed - dead).to_string(),
        time(total.run.p50),
        time(total.run.p95),
        time(total.wait.p95),
        slice.depths.values().sum::<u64>().to_string(),
        "█".repeat(bar),
    ]
}

fn date(by: &str, at: u64) -> String {
    let date = i64::try_from(at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let Some(date) = date else { return at.to_string() };
    let (year, month, day) = date.to_calendar_date();
    let day = format!("{year}-{:02}-{day:02}", u8::from(month));
    if by == "day" { day } else { format!("{day} {:02}:{:02}", date.hour(), date.minute()) }
}

/// A time with two digits that mean anything.
fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".to_owned(),
        Some(s) if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        Some(s) if s < 1.0 => format!("{:.0} ms", s * 1e3),
        Some(s) if s < 120.0 => format!("{s:.1} s"),
        Some(s) => format!("{:.0} min", s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::database;
    use crate::own_redis::OwnRedis;
    use crate::stats::{LiveRow, Outcome};
    use crate::store::history::keep;
    use crate::view::filter::NamePattern;
    use crate::wire::history::{Grain, Slice, Tallied};
    use crate::wire::keys::JIGGLER;

    fn hour(done: u64, dead: u64) -> Slice {
        let live = LiveRow::default();
        for _ in 0..done {
            live.count(Outcome::Done);
            live.ran(std::time::Duration::from_millis(12));
        }
        (0..dead).for_each(|_| live.count(Outcome::Dead));
        let mut slice = Slice::default();
        slice.add("img", "Report::Daily", &Tallied::of(&live.copy()));
        slice.note_depth("img", 5);
        slice
    }

    #[test]
    fn each_hour_is_a_line_with_a_bar() {
        let redis = OwnRedis::start();
        let span = |queue: Option<&str>, class: Option<&str>| Span {
            grain: Grain::Hour,
            since: 86_400,
            queue: queue.map(str::to_owned),
            class: class.map(NamePattern::parse),
        };
        let show = |span: &Span, format| {
            let mut out = Vec::new();
            history(&database(&redis), span, format, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(&span(None, None), Format::Text), "nothing is known of that time\n");
        let now = unix_now() as u64 / 3_600;
        let mut requests = Requests::new();
        keep(JIGGLER, Grain::Hour, now - 3, &hour(24, 0), &mut requests);
        keep(JIGGLER, Grain::Hour, now - 2, &hour(10, 2), &mut requests);
        keep(JIGGLER, Grain::Hour, now - 30, &hour(99, 0), &mut requests);
        redis.connect().call(&requests).unwrap();
        let text = show(&span(None, None), Format::Text);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("  24       0     0") && lines[1].ends_with(&"█".repeat(24)), "{text}");
        assert!(
            lines[2].contains("  10       0     2") && lines[2].ends_with(&format!(" {}", "█".repeat(12)))
        );
        assert!(lines[2].contains(" ms"), "{text}");
        for (queue, class, expected) in
            [(Some("img"), Some("Report::*"), 2), (Some("mail"), None, 0), (None, Some("Other"), 0)]
        {
            let json = show(&span(queue, class), Format::Json);
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["slices"].as_array().unwrap().len(), expected, "{queue:?} {class:?}");
        }
        let json: serde_json::Value = serde_json::from_str(&show(&span(None, None), Format::Json)).unwrap();
        assert_eq!(json["by"], "hour");
        let slice = &json["slices"][1];
        assert_eq!(slice["at"], (now - 2) * 3_600);
        assert_eq!(slice["rows"][0]["class"], "Report::Daily");
        assert_eq!(slice["total"]["outcomes"], serde_json::json!({"done": 10, "dead": 2}));
        assert_eq!(slice["rows"][0]["run"]["buckets"], serde_json::json!([[0.015625, 10]]));
        assert_eq!(slice["depths"]["img"], 5);
    }
}
