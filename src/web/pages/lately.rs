//! The charts of the overview: jobs a second, how long they waited, and which queues held how many, over the last thousand
//! seconds, the last hour or the last day.
//!
//! They are drawn from the history, which is kept by the minute and by the hour. The finest are drawn from what pages have
//! seen ([`super::recent`]) where somebody has looked.

use std::collections::BTreeMap;

use super::ask::{AskError, address};
use super::chart::{Chart, Line, SERIES};
use super::desk::{Desk, Slices};
use super::frame::Page;
use super::history::{Range, ended, fine, moment};
use super::link::DeskError;
use super::recent::{Noted, Recent};
use super::words::{Text, number};
use crate::limits::{CHART_QUEUES_MAX, RECENT_GAP_S, RECENT_LOOKS_MAX, RECENT_STEP_S};
use crate::view::history::Span;
use crate::wire::history::{Grain, Slice, Tallied};

/// How far back the overview looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Seconds,
    Hour,
    Day,
}

/// What an address calls each, and what it is called on the page.
const REACHES: [(&str, &str, Reach); 3] =
    [("1000s", "1,000 s", Reach::Seconds), ("1h", "1 h", Reach::Hour), ("24h", "24 h", Reach::Day)];

/// What is known of a stretch of time. What is `None` is not known.
#[derive(Debug, Default)]
struct Stretch<'k> {
    /// Unix seconds of its beginning.
    at: u64,
    /// A second.
    done: Option<f64>,
    failed: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
    /// Jobs in each queue, and in all of them.
    depths: Option<(&'k BTreeMap<Box<str>, u64>, u64)>,
}

impl Reach {
    /// # Errors
    /// [`AskError::Value`].
    pub(super) fn read(ask: &super::Ask) -> Result<Self, AskError> {
        Ok(ask.choice("range", &REACHES.map(|(word, _, reach)| (word, reach)))?.unwrap_or(Self::Hour))
    }

    /// Links to each of them.
    pub(super) fn ranges(self) -> Vec<Range> {
        let range = |(word, said, reach): (&'static str, &'static str, Self)| Range {
            href: address(Page::Overview.href(), &[("range", word)]),
            said,
            is_current: reach == self,
        };
        REACHES.map(range).into()
    }

    /// What of the history is read for it. The finest needs no more than the hour does.
    const fn span(self) -> Span {
        let (grain, since) = match self {
            Self::Seconds | Self::Hour => (Grain::Minute, 3_600),
            Self::Day => (Grain::Hour, 86_400),
        };
        Span { grain, since, queue: None, class: None }
    }
}

/// The charts. Round trips: those of [`Desk::history`].
pub(super) async fn charts(desk: &Desk, reach: Reach, now: f64) -> Result<Vec<Chart>, DeskError> {
    let slices = desk.history(&reach.span()).await?;
    let now = now.max(0.0) as u64;
    let trends = desk.trends();
    Ok(match reach {
        Reach::Seconds => drawn(&seconds(&slices, trends.recent(), now), clock),
        Reach::Hour => drawn(&units(&slices, Grain::Minute, 3_600, now), |at| moment(Grain::Minute, at)),
        Reach::Day => drawn(&units(&slices, Grain::Hour, 86_400, now), |at| moment(Grain::Hour, at)),
    })
}

/// A time of day, to the second.
fn clock(at: u64) -> String {
    format!("{}:{:02}", moment(Grain::Minute, at), at % 60)
}

/// Minutes or hours, as the history has them.
fn units(slices: &Slices, grain: Grain, since: u64, now: u64) -> Vec<Stretch<'_>> {
    // A process adds what it has counted once a minute, so less than that is not whole yet.
    const WHOLE_S: u64 = 60;
    let step = grain.seconds();
    let last = now.saturating_sub(WHOLE_S) / step;
    let first = (now.saturating_sub(since) / step).min(last);
    let unit = |unit: u64| {
        let at = unit * step;
        // The hour that is not over yet.
        let long = now.saturating_sub(at).clamp(WHOLE_S, step);
        slices
            .get(&unit)
            .map_or_else(|| Stretch { at, ..Stretch::default() }, |slice| of_slice(at, long, slice))
    };
    (first..=last).map(unit).collect()
}

fn of_slice(at: u64, long_s: u64, slice: &Slice) -> Stretch<'_> {
    let mut total = Tallied::default();
    slice.rows.values().for_each(|row| total.merge(row));
    let rate = |ways: &[&str]| Some(ended(&total, ways) as f64 / long_s as f64);
    Stretch {
        at,
        done: rate(&["done"]),
        failed: rate(&["retried", "dead", "cancelled"]),
        p50: total.wait.quantile(0.5),
        p99: total.wait.quantile(0.99),
        depths: Some((&slice.depths, slice.depths.values().sum())),
    }
}

/// The last thousand seconds: what was seen, and where nobody looked, the minutes of the history.
fn seconds<'k>(slices: &'k Slices, recent: &'k Recent, now: u64) -> Vec<Stretch<'k>> {
    let last = now / RECENT_STEP_S;
    let first = last.saturating_sub(RECENT_LOOKS_MAX as u64);
    let of_minute = |step: u64| {
        let at = step * RECENT_STEP_S;
        let known = slices.get(&(at / 60)).map(|slice| of_slice(at, 60, slice));
        known.unwrap_or_else(|| Stretch { at, ..Stretch::default() })
    };
    let mut all: Vec<Stretch<'_>> = (first..=last).map(of_minute).collect();
    let mut before: Option<&Noted> = None;
    for noted in recent.looks() {
        let index = |step: u64| usize::try_from(step.checked_sub(first)?).ok();
        if let Some(stretch) = index(noted.step()).and_then(|index| all.get_mut(index)) {
            stretch.depths = Some((&noted.depths, noted.waiting));
        }
        // Between two looks that are near each other jobs ran evenly, as far as is known.
        if let Some(earlier) = before.replace(noted)
            && noted.at - earlier.at <= RECENT_GAP_S as f64
            && noted.at > earlier.at
        {
            let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / (noted.at - earlier.at);
            let ran = rate(noted.processed, earlier.processed);
            let failed = rate(noted.failures, earlier.failures).min(ran);
            for step in earlier.step() + 1..=noted.step() {
                if let Some(stretch) = index(step).and_then(|index| all.get_mut(index)) {
                    (stretch.done, stretch.failed) = (Some(ran - failed), Some(failed));
                }
            }
        }
    }
    all
}

fn drawn(all: &[Stretch<'_>], moment: impl Fn(u64) -> String) -> Vec<Chart> {
    let moments: Vec<String> = all.iter().map(|stretch| moment(stretch.at)).collect();
    let line = |name: &str, class, of: fn(&Stretch<'_>) -> Option<f64>| Line {
        name: name.to_owned(),
        class,
        values: all.iter().map(of).collect(),
    };
    let jobs =
        [line("done", SERIES[0], |stretch| stretch.done), line("failed", "failed", |stretch| stretch.failed)];
    let waits =
        [line("p50", SERIES[0], |stretch| stretch.p50), line("p99", SERIES[1], |stretch| stretch.p99)];
    vec![
        Chart::new("Jobs a second", &moments, &jobs, rate),
        Chart::new("Wait in a process before the start, about", &moments, &waits, fine),
        Chart::new("Jobs that wait, by queue", &moments, &backlog(all), |jobs| number(jobs as u64)),
    ]
}

/// The longest queues, each a line, and one for all others.
fn backlog(all: &[Stretch<'_>]) -> Vec<Line> {
    let mut most: BTreeMap<&str, u64> = BTreeMap::new();
    for (depths, _) in all.iter().filter_map(|stretch| stretch.depths) {
        for (queue, jobs) in depths {
            let known = most.entry(queue).or_default();
            *known = (*known).max(*jobs);
        }
    }
    let mut queues: Vec<(&str, u64)> = most.into_iter().filter(|(_, jobs)| *jobs > 0).collect();
    queues.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
    let has_others = queues.len() > CHART_QUEUES_MAX;
    queues.truncate(CHART_QUEUES_MAX);
    let of_queue = |depths: &BTreeMap<Box<str>, u64>, queue: &str| depths.get(queue).copied().unwrap_or(0);
    let line = |(&(queue, _), class): (&(&str, u64), &&'static str)| Line {
        name: Text::cut(queue, LINE_CHARS_MAX).shown,
        class,
        values: all
            .iter()
            .map(|stretch| stretch.depths.map(|(depths, _)| of_queue(depths, queue) as f64))
            .collect(),
    };
    let mut lines: Vec<Line> = queues.iter().zip(&SERIES).map(line).collect();
    if has_others || lines.is_empty() {
        let rest = |stretch: &Stretch<'_>| {
            let (depths, sum) = stretch.depths?;
            let named: u64 = queues.iter().map(|(queue, _)| of_queue(depths, queue)).sum();
            Some(sum.saturating_sub(named) as f64)
        };
        let name = if lines.is_empty() { "jobs" } else { "others" };
        lines.push(Line { name: name.to_owned(), class: "others", values: all.iter().map(rest).collect() });
    }
    lines
}

/// Characters of a queue's name beside its line.
const LINE_CHARS_MAX: usize = 10;

/// Jobs a second, which may be few.
fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        rate if rate < 0.095 => format!("{rate:.3}"),
        rate => super::words::rate(rate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fleet::Seen;

    /// 24 jobs that were done and 6 that failed, and 100 that waited.
    fn slice() -> Slice {
        let mut slice = Slice::from_bytes(b"\0\0\0\0\0\x01\x04mail\x04Mail\x03\x18\x06\0\0\x01\x0a\x1e");
        slice.depths.insert("mail".into(), 100);
        slice
    }

    #[test]
    fn what_was_seen_is_drawn_and_the_history_where_nobody_looked() {
        let slices: Slices = [(100, slice()), (110, slice())].into();
        let mut recent = Recent::default();
        for (at, processed) in [(6_400.0, 1_000), (6_420.0, 1_040), (6_440.0, 1_100), (6_800.0, 9_000)] {
            recent.note(&Seen::sample(at, 7, processed));
        }
        let all = seconds(&slices, &recent, 6_805);
        let at = |at: u64| all.iter().find(|stretch| stretch.at == at).unwrap();
        let done = |of: u64| at(of).done;
        // The minute 100, by the history, 6,000 s, on the whole of it.
        assert_eq!([6_000, 6_040].map(done), [Some(24.0 / 60.0); 2]);
        assert_eq!(at(6_020).depths.unwrap().1, 100);
        assert_eq!((done(6_060), done(6_400)), (None, None), "nobody looked, and nothing is kept");
        assert_eq!((done(6_420), done(6_440)), (Some(2.0), Some(3.0)));
        assert_eq!((done(6_460), done(6_800)), (None, None), "too long a gap");
        assert_eq!(at(6_800).depths.unwrap().1, 7);
        assert_eq!(all.len(), RECENT_LOOKS_MAX + 1);
        assert_eq!(drawn(&all, clock).len(), 3);
        assert_eq!(clock(6_061), "01:41:01");
    }

    #[test]
    fn the_hour_that_is_not_over_is_not_taken_for_a_whole_one() {
        let slices: Slices = [(1, slice()), (2, slice())].into();
        let all = units(&slices, Grain::Hour, 7_200, 7_800);
        let found: Vec<_> = all.iter().map(|stretch| (stretch.at, stretch.done)).collect();
        assert_eq!(found, [(0, None), (3_600, Some(24.0 / 3_600.0)), (7_200, Some(24.0 / 600.0))]);
        // Its first minute says nothing yet.
        assert_eq!(units(&slices, Grain::Hour, 7_200, 7_230).last().unwrap().at, 3_600);
    }

    #[test]
    fn the_longest_queues_have_lines_and_the_others_share_one() {
        let depths: BTreeMap<Box<str>, u64> =
            (0..9_u64).map(|number| (format!("q{number}").into(), number * 10)).collect();
        let stretch = Stretch { depths: Some((&depths, 1_000)), ..Stretch::default() };
        let lines = backlog(&[stretch, Stretch::default()]);
        let names: Vec<&str> = lines.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["q8", "q7", "q6", "q5", "others"]);
        assert_eq!(lines[4].values, [Some(1_000.0 - 260.0), None]);
        assert_eq!(backlog(&[])[0].name, "jobs");
    }

    #[test]
    fn few_jobs_a_second_are_not_none() {
        assert_eq!([0.0, 0.0124, 0.3, 31.6].map(rate), ["0", "0.012", "0.3", "32"]);
    }
}
