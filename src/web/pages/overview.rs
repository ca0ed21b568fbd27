//! `/`: whether anything is wrong, and the numbers behind it.

use askama::Template;

use super::answer::{Answer, Visit};
use super::ask::AskError;
use super::chart::Chart;
use super::fleet::Seen;
use super::frame::{Frame, html};
use super::history::Range;
use super::lately::{self, Reach};
use super::queues::{self, Row};
use super::verdict::{Finding, findings};
use super::words::{count, number, rate, span};

/// Queues that are shown here, the longest.
const QUEUES_SHOWN: usize = 10;

#[derive(Template)]
#[template(path = "overview.html", config = "src/web/pages/askama.toml")]
struct Overview {
    frame: Frame,
    /// Empty: nothing is known.
    findings: Vec<Finding>,
    figures: Vec<Figure>,
    queues: Vec<Row>,
    more_queues: usize,
    ranges: Vec<Range>,
    charts: Vec<Chart>,
}

/// One number.
pub(super) struct Figure {
    label: &'static str,
    pub(super) value: String,
    /// What it is of, or how it changes.
    pub(super) note: String,
}

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let reach = Reach::read(&visit.ask)?;
    let known = visit.known().await;
    let frame = visit.frame("Overview", &known);
    let status = known.status();
    let Some(seen) = &known.seen else {
        let (findings, figures, queues) = (Vec::new(), Vec::new(), Vec::new());
        let (ranges, charts) = (Vec::new(), Vec::new());
        return Ok(html(
            status,
            &Overview { frame, findings, figures, queues, more_queues: 0, ranges, charts },
        ));
    };
    let queues: Vec<Row> =
        seen.longest(QUEUES_SHOWN).map(|(name, queue)| queues::row(name, queue, seen, visit)).collect();
    let more_queues = seen.queues.len() - queues.len();
    // Without the past the page is of use as well.
    let charts = match known.trouble {
        None => lately::charts(visit.desk, reach, seen.at).await.unwrap_or_default(),
        Some(_) => Vec::new(),
    };
    let (findings, figures, ranges) = (findings(seen), figures(seen), reach.ranges());
    Ok(html(status, &Overview { frame, findings, figures, queues, more_queues, ranges, charts }))
}

pub(super) fn figures(seen: &Seen) -> Vec<Figure> {
    let counts = &seen.counts;
    let slots: u64 = seen.working().map(|member| member.concurrency).sum();
    let per_second = |of: fn((f64, f64)) -> f64| match seen.rates {
        Some(rates) => format!("{} a second of late", rate(of(rates))),
        None => "the rate is known with the next page".to_owned(),
    };
    let figure = |label, value: u64, note: String| Figure { label, value: number(value), note };
    let drain = seen.drain_s().filter(|_| seen.waiting_jobs > 0);
    vec![
        figure(
            "Waiting",
            seen.waiting_jobs,
            drain.map_or_else(String::new, |seconds| format!("{} of work", span(seconds))),
        ),
        figure("Running", seen.running_jobs(), format!("of {}", count(slots, "slot", "slots"))),
        figure("Processed", counts.processed, per_second(|(processed, _)| processed)),
        figure("Failed", counts.failures, per_second(|(_, failed)| failed)),
        figure("In the retry set", counts.retry_jobs, String::new()),
        figure("In the scheduled set", counts.scheduled_jobs, String::new()),
        figure("In the dead set", counts.dead_jobs, String::new()),
    ]
}
