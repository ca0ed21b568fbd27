//! `/history`: what became of jobs, how long they ran and how many waited, over an hour to a year; `/classes`: the same by
//! class; `/history.csv`: all of it, for a spreadsheet.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::rc::Rc;

use ::time::OffsetDateTime;
use askama::Template;
use http::StatusCode;
use http::header::{self, HeaderValue};

use super::answer::{Answer, Visit};
use super::ask::{AskError, address};
use super::chart::{Chart, Line};
use super::desk::Slices;
use super::frame::{Frame, Page, html, sent};
use super::words::{Text, count, number, span};
use crate::limits::{PAGE_CLASSES_MAX, PAGE_ROWS_MAX};
use crate::view::history::Span;
use crate::wire::history::{Grain, Tallied};

#[derive(Template)]
#[template(path = "history.html", config = "src/web/pages/askama.toml")]
struct HistoryPage {
    frame: Frame,
    ranges: Vec<Range>,
    charts: Vec<Chart>,
    csv: String,
}

#[derive(Template)]
#[template(path = "classes.html", config = "src/web/pages/askama.toml")]
struct ClassesPage {
    frame: Frame,
    ranges: Vec<Range>,
    rows: Vec<Row>,
    /// Empty: all are shown.
    left_out: String,
}

/// A link to the same page over another time.
pub(super) struct Range {
    pub(super) href: String,
    pub(super) said: &'static str,
    pub(super) is_current: bool,
}

/// One class, in one queue.
struct Row {
    class: Text,
    queue: Text,
    done: String,
    failed: String,
    dead: String,
    /// How many of its runs failed.
    share: String,
    p50: String,
    p95: String,
    p99: String,
    bars: Vec<Bar>,
}

/// One bucket of run times.
struct Bar {
    until: String,
    count: String,
    /// Of a hundred.
    width: u64,
}

/// How far back: the word, what it is called, and seconds.
const RANGES: [(&str, &str, u64); 7] = [
    ("1h", "1 h", 3_600),
    ("24h", "24 h", 86_400),
    ("72h", "72 h", 259_200),
    ("7d", "7 d", 604_800),
    ("30d", "30 d", 2_592_000),
    ("90d", "90 d", 7_776_000),
    ("365d", "365 d", 31_536_000),
];

/// What an address asks for.
struct Asked {
    word: &'static str,
    span: Span,
}

impl Asked {
    fn read(visit: &Visit<'_>) -> Result<Self, AskError> {
        let words = RANGES.map(|(word, _, seconds)| (word, (word, seconds)));
        let (word, since) = visit.ask.choice("range", &words)?.unwrap_or(("24h", 86_400));
        let grain = match since {
            ..=3_600 => Grain::Minute,
            3_601..=259_200 => Grain::Hour,
            _ => Grain::Day,
        };
        Ok(Self { word, span: Span { grain, since, queue: None, class: None } })
    }

    fn ranges(&self, page: Page) -> Vec<Range> {
        let range = |(word, said, _): (&'static str, &'static str, u64)| Range {
            href: address(page.path(), &[("range", word)]),
            said,
            is_current: word == self.word,
        };
        RANGES.map(range).into()
    }
}

/// The page of the past.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let asked = Asked::read(visit)?;
    let (frame, status, slices) = read(visit, "History", &asked).await;
    let charts = slices.map(|(now, slices)| charts(&asked.span, now, &slices)).unwrap_or_default();
    let ranges = asked.ranges(Page::History);
    let csv = address(Page::HistoryCsv.path(), &[("range", asked.word)]);
    Ok(html(status, &HistoryPage { frame, ranges, charts, csv }))
}

/// The page of classes.
pub(super) async fn classes(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let asked = Asked::read(visit)?;
    let (frame, status, slices) = read(visit, "Classes", &asked).await;
    let mut sum: BTreeMap<(Box<str>, Box<str>), Tallied> = BTreeMap::new();
    for slice in slices.iter().flat_map(|(_, slices)| slices.values()) {
        for ((queue, class), row) in &slice.rows {
            if sum.len() < PAGE_CLASSES_MAX || sum.contains_key(&(class.clone(), queue.clone())) {
                sum.entry((class.clone(), queue.clone())).or_default().merge(row);
            }
        }
    }
    let mut all: Vec<_> = sum.into_iter().collect();
    let runs = |row: &Tallied| row.outcomes().map(|(_, count)| count).sum::<u64>();
    all.sort_by_key(|(_, row)| std::cmp::Reverse(runs(row)));
    let left_out = match all.len().saturating_sub(PAGE_ROWS_MAX * 4) {
        0 => String::new(),
        many => format!(
            "{} not shown.",
            count(many as u64, "class with fewer jobs is", "classes with fewer jobs are")
        ),
    };
    let rows =
        all.iter().take(PAGE_ROWS_MAX * 4).map(|((class, queue), sum)| row(class, queue, sum)).collect();
    let ranges = asked.ranges(Page::Classes);
    Ok(html(status, &ClassesPage { frame, ranges, rows, left_out }))
}

async fn read(
    visit: &Visit<'_>,
    title: &str,
    asked: &Asked,
) -> (Frame, StatusCode, Option<(f64, Rc<Slices>)>) {
    let known = visit.known().await;
    let frame = visit.frame(title, &known);
    let (Some(seen), None) = (&known.seen, &known.trouble) else { return (frame, known.status(), None) };
    match visit.desk.history(&asked.span).await {
        Ok(slices) => (frame, StatusCode::OK, Some((seen.at, slices))),
        Err(trouble) => (frame.in_trouble(&trouble, visit.desk), StatusCode::SERVICE_UNAVAILABLE, None),
    }
}

/// How many runs ended in one of these ways.
pub(super) fn ended(row: &Tallied, ways: &[&str]) -> u64 {
    row.outcomes().filter(|(way, _)| ways.contains(way)).map(|(_, count)| count).sum()
}

fn row(class: &str, queue: &str, sum: &Tallied) -> Row {
    let (done, failed, dead) =
        (ended(sum, &["done"]), ended(sum, &["retried"]), ended(sum, &["dead", "cancelled"]));
    let runs = done + failed + dead;
    let time = |part| match at_most(sum, part) {
        None => "–".to_owned(),
        Some(time) if time.is_finite() => format!("≤ {}", fine(time)),
        Some(_) => "> 2 h".to_owned(),
    };
    let most = sum.run.buckets().map(|(_, count)| count).max().unwrap_or(0).max(1);
    let bar = |(until, count): (f64, u64)| Bar {
        until: if until.is_finite() { format!("up to {}", fine(until)) } else { "longer".to_owned() },
        count: number(count),
        width: (count * 100).div_ceil(most),
    };
    Row {
        class: Text::cell(class),
        queue: Text::cell(queue),
        done: number(done),
        failed: number(failed),
        dead: number(dead),
        share: match runs {
            0 => "–".to_owned(),
            runs => format!("{:.1} %", (failed + dead) as f64 / runs as f64 * 100.0),
        },
        p50: time(0.5),
        p95: time(0.95),
        p99: time(0.99),
        bars: sum.run.buckets().map(bar).collect(),
    }
}

/// The run time that this part of the runs did not exceed, as far as that is known: the bound of its bucket, or what its
/// longest runs took together, shared among them; infinite: longer than all bounds. `None`: nothing ran.
fn at_most(sum: &Tallied, part: f64) -> Option<f64> {
    let count = sum.run.count();
    let rank = ((count as f64 * part).ceil() as u64).max(1);
    let mut reached = 0;
    let bucket = sum.run.buckets().find(|(_, count)| {
        reached += count;
        reached >= rank
    });
    // Each process cuts its sum to 1/1024 s, which makes no difference to a long one.
    let sum_s = sum.run_seconds();
    let shared = (sum_s + 0.01) / (count.saturating_sub(rank) + 1) as f64;
    bucket.map(|(bound, _)| if sum_s > 1.0 { bound.min(shared) } else { bound })
}

/// A time of a bucket, which may be microseconds.
pub(super) fn fine(seconds: f64) -> String {
    match seconds {
        0.0 => "0 s".to_owned(),
        seconds if seconds < 9.5e-4 => format!("{:.0} µs", seconds * 1e6),
        seconds => span(seconds),
    }
}

fn charts(over: &Span, now: f64, slices: &Slices) -> Vec<Chart> {
    let step = over.grain.seconds();
    let last = now.max(0.0) as u64 / step;
    let first = last.saturating_sub(over.since / step);
    let units: Vec<u64> = (first..=last).collect();
    let moments: Vec<String> = units.iter().map(|unit| moment(over.grain, unit * step)).collect();
    let totals: Vec<Option<Tallied>> = units
        .iter()
        .map(|unit| {
            let mut total = Tallied::default();
            slices.get(unit)?.rows.values().for_each(|row| total.merge(row));
            Some(total)
        })
        .collect();
    let line = |name: &str, class, of: &dyn Fn(&Tallied) -> Option<f64>| Line {
        name: String::from(name),
        class,
        values: totals.iter().map(|total| total.as_ref().and_then(of)).collect(),
    };
    let counted = |ways: &'static [&'static str]| move |row: &Tallied| Some(ended(row, ways) as f64);
    let jobs = [
        line("done", "s0", &counted(&["done"])),
        line("failed", "failed", &counted(&["retried", "dead", "cancelled"])),
    ];
    let times =
        [line("p50", "s0", &|row| row.run.quantile(0.5)), line("p99", "s1", &|row| row.run.quantile(0.99))];
    let waits =
        [line("p50", "s0", &|row| row.wait.quantile(0.5)), line("p99", "s1", &|row| row.wait.quantile(0.99))];
    let depth = |unit: &u64| Some(slices.get(unit)?.depths.values().sum::<u64>() as f64);
    let backlog = [Line { name: "jobs".to_owned(), class: "s0", values: units.iter().map(depth).collect() }];
    let by = over.grain.as_str();
    vec![
        Chart::new(&format!("Jobs each {by}"), &moments, &jobs, |jobs| number(jobs as u64)),
        Chart::new("Most jobs that waited", &moments, &backlog, |jobs| number(jobs as u64)),
        Chart::new("Run time, about", &moments, &times, fine),
        Chart::new("Wait in a process before the start, about", &moments, &waits, fine),
    ]
}

pub(super) fn moment(grain: Grain, at: u64) -> String {
    let date = i64::try_from(at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
    let Some(date) = date else { return at.to_string() };
    let day = format!("{}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day());
    match grain {
        Grain::Minute => format!("{:02}:{:02}", date.hour(), date.minute()),
        Grain::Hour => format!("{} {:02}:00", &day[5..], date.hour()),
        Grain::Day => day,
    }
}

const COLUMNS: [&str; 8] =
    ["done", "retried", "dead", "discarded", "snoozed", "cancelled", "left", "malformed"];

/// All of it, a line for each slice, queue and class.
pub(super) async fn csv(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let asked = Asked::read(visit)?;
    let known = visit.known().await;
    let slices = match known.trouble {
        None => visit.desk.history(&asked.span).await,
        Some(trouble) => Err(trouble),
    };
    let slices = match slices {
        Ok(slices) => slices,
        Err(_) => {
            let said = "Redis does not answer: try again.";
            return Ok(visit.refuse(StatusCode::SERVICE_UNAVAILABLE, "Not read", said));
        }
    };
    let mut text = format!("utc,queue,class,{},run_seconds,run_p50,run_p95,run_p99\r\n", COLUMNS.join(","));
    for (unit, slice) in &*slices {
        let at = unit * asked.span.grain.seconds();
        let date = i64::try_from(at).ok().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok());
        let format = &::time::format_description::well_known::Rfc3339;
        let date = date.and_then(|date| date.format(format).ok()).unwrap_or_default();
        for ((queue, class), row) in &slice.rows {
            // Writing to a string does not fail.
            let _ = write!(text, "{date},{},{}", cell(queue), cell(class));
            for way in COLUMNS {
                let _ = write!(text, ",{}", ended(row, &[way]));
            }
            let _ = write!(text, ",{:.3}", row.run_seconds());
            for part in [0.5, 0.95, 0.99] {
                let time = row.run.quantile(part).map(|time| format!("{time:.6}"));
                let _ = write!(text, ",{}", time.unwrap_or_default());
            }
            text.push_str("\r\n");
        }
    }
    let mut answer = sent(StatusCode::OK, "text/csv; charset=utf-8", text.into());
    let name = HeaderValue::from_static("attachment; filename=\"jobs.csv\"");
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(answer)
}

/// A name in quotes. A spreadsheet would take one that begins so for a formula.
fn cell(name: &str) -> String {
    let is_formula = name.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if is_formula { "'" } else { "" }, name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::history::Slice;

    #[test]
    fn cells_of_a_spreadsheet_are_no_formulas() {
        assert_eq!([cell("Mail"), cell("=1+1"), cell("a\"b,c")], ["\"Mail\"", "\"'=1+1\"", "\"a\"\"b,c\""]);
    }

    #[test]
    fn percentiles_are_never_above_the_longest_run() {
        // One queue and class, `done` jobs, so many in one bucket, and the sum of their run times in 1/1024 s.
        let tallied = |done: u8, bucket: u8, sum: [u8; 2]| {
            let mut bytes = b"\0\0\0\0\0\x01\x01q\x01C\x01".to_vec();
            bytes.extend([done, 1, bucket, done, sum[0] | 0x80, sum[1], 0]);
            Slice::from_bytes(&bytes).rows.into_values().next().unwrap()
        };
        // 24 of up to 16 ms, as their bucket is called, whatever they took.
        let short = tallied(24, 10, [0, 2]);
        assert_eq!([0.5, 0.99].map(|part| at_most(&short, part)), [Some(0.015625); 2]);
        // One of 10 s is no longer than it was, though its bucket ends at 16 s.
        let one = at_most(&tallied(1, 20, [0, 80]), 0.99).unwrap();
        assert!((10.0..10.05).contains(&one), "{one}");
        assert_eq!(at_most(&Tallied::default(), 0.5), None);
    }

    #[test]
    fn moments_are_said_as_finely_as_their_slices() {
        let at = 1_795_299_903;
        assert_eq!(
            [Grain::Minute, Grain::Hour, Grain::Day].map(|grain| moment(grain, at)),
            ["22:25", "11-21 22:00", "2026-11-21"]
        );
    }
}
