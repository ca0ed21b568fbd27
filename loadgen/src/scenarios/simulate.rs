//! `loadgen simulate`: how the slots of a fleet are shared among queues, in virtual time: one queue is flooded, and the jobs
//! of others must start all the same. No Redis and no worker are started.

mod fleet;
mod load;

use clap::{Args, ValueEnum};
use jiggler_uring::internal::Rule as Balance;
use serde::Serialize;

use self::fleet::{Fleet, Shown};
use self::load::{Kind, Load};
use super::Session;
use crate::cli;
use crate::error::Error;
use crate::machine::Machine;
use crate::report::figure::{Better, Figure};
use crate::report::format::{grouped, seconds};
use crate::report::plot::{Axis, Line, Plot, Scale};
use crate::report::{Outcome, Table};

const SHARDS_MAX: u64 = 1_024;
const QUEUES_MAX: u64 = 1_000;

const DEFINITIONS: [&str; 4] = [
    "virtual time: the balancer and the spread over shards are the engine's; strict serves queues in their order, weighted \
     lets them take turns in jobs; a shard takes a job at once",
    "busy: 100 jobs of 0.1 s a second in each of its queues; slow: 2 of 10 s; quiet: 1 of 50 ms; flooded: 60,000 of 0.2 s \
     within 2 s, after 10 s, in a queue that comes before most others",
    "target: adaptive, with a target of 1 s for busy and quiet queues",
    "p50, p99, max: from coming to starting; a job that was not started has waited to the end. Fairness: Jain's index over \
     all queues of which part of their work was begun",
];

const HEADER: [&str; 8] = ["Rule", "Queues", "Jobs", "Not started", "p50", "p99", "max", "Fairness"];

/// How slots are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// By the order of the queues
    Strict,
    /// By weights, all equal
    Weighted,
    /// As many to each queue
    Even,
    /// By the work that waits
    Adaptive,
    /// The same, with a target for queues that are to start soon
    Target,
}

impl Rule {
    pub(crate) const ALL: [Self; 5] =
        [Self::Strict, Self::Weighted, Self::Even, Self::Adaptive, Self::Target];

    const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Weighted => "weighted",
            Self::Even => "even",
            Self::Adaptive => "adaptive",
            Self::Target => "target",
        }
    }

    /// The engine's, if it has a balancer.
    const fn balance(self) -> Option<Balance> {
        match self {
            Self::Strict | Self::Weighted => None,
            Self::Even => Some(Balance::Even),
            Self::Adaptive | Self::Target => Some(Balance::Adaptive),
        }
    }
}

/// Options of `simulate`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Rules to compare
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Rule::ALL)]
    rules: Vec<Rule>,
    /// Shards of the fleet
    #[arg(long, default_value = "64", value_name = "N", value_parser = shards)]
    shards: u64,
    /// Slots of each shard
    #[arg(short, long, default_value = "10", value_name = "N", value_parser = cli::concurrency)]
    concurrency: u64,
    /// Queues
    #[arg(long, default_value = "50", value_name = "N", value_parser = queues)]
    queues: u64,
    /// Seconds of virtual time
    #[arg(short, long, default_value = "120", value_name = "N", value_parser = cli::seconds)]
    seconds: u64,
    /// Decides when jobs come
    #[arg(long, default_value = "1", value_name = "N")]
    seed: u64,
}

fn shards(text: &str) -> Result<u64, String> {
    cli::bounded(text, SHARDS_MAX)
}

fn queues(text: &str) -> Result<u64, String> {
    cli::bounded(text, QUEUES_MAX)
}

#[derive(Debug, Serialize)]
struct Row {
    rule: Rule,
    fairness: f64,
    kinds: Vec<KindRow>,
}

#[derive(Debug, Serialize)]
struct KindRow {
    queues: &'static str,
    jobs: u64,
    not_started: u64,
    p50_s: f64,
    p99_s: f64,
    max_s: f64,
}

/// The whole scenario.
///
/// # Errors
/// An interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for rule in &options.rules {
        session.progress.step(format!("{}, virtual time", rule.name()), options.seconds);
        let load = Load::new(options.seed, options.queues as usize);
        let (shards, slots) = (options.shards as usize, options.concurrency as usize);
        let fleet = Fleet::new(*rule, shards, slots, load, options.seconds)?;
        let shown = fleet.run(|second| {
            session.progress.set(second);
            session.interrupt.check()
        })?;
        lines.push(line(*rule, &shown));
        rows.push(Row::of(*rule, &shown));
    }
    let mut outcome =
        Outcome::new("simulate", "Slots by queue, in virtual time", Machine::alone(), options, &rows)?
            .defined_by(&DEFINITIONS);
    outcome.tables.push(Table::new(&HEADER, rows.iter().flat_map(Row::cells).collect()));
    outcome.figures = rows.iter().flat_map(Row::figures).collect();
    outcome.plots.push(Plot {
        name: "simulate".to_owned(),
        title: "Longest wait of quiet queues' jobs".to_owned(),
        x: Axis { title: "second", scale: Scale::FromZero },
        y: Axis { title: "seconds", scale: Scale::Logarithmic },
        lines,
    });
    Ok(outcome)
}

/// The longest wait in each second, of the jobs of quiet queues.
fn line(rule: Rule, shown: &Shown) -> Line {
    // What started at once is drawn at the bottom.
    const AT_ONCE_S: f64 = 0.001;
    let quiet = &shown.waits[Kind::Quiet.number()].by_second;
    let points = quiet.iter().enumerate().map(|(second, wait)| (second as f64, wait.max(AT_ONCE_S)));
    Line { name: rule.name().to_owned(), points: points.collect() }
}

impl Row {
    fn of(rule: Rule, shown: &Shown) -> Self {
        let kinds = shown.waits.iter().map(|waits| KindRow {
            queues: waits.kind.name(),
            jobs: waits.started.len() + waits.left,
            not_started: waits.left,
            p50_s: waits.percentile_s(50.0),
            p99_s: waits.percentile_s(99.0),
            max_s: (waits.started.max().max(waits.left_longest_us)) as f64 / 1e6,
        });
        Self { rule, fairness: shown.fairness, kinds: kinds.collect() }
    }

    fn cells(&self) -> impl Iterator<Item = Vec<String>> {
        self.kinds.iter().map(|kind| {
            vec![
                self.rule.name().to_owned(),
                kind.queues.to_owned(),
                grouped(kind.jobs),
                grouped(kind.not_started),
                seconds(kind.p50_s),
                seconds(kind.p99_s),
                seconds(kind.max_s),
                format!("{:.3}", self.fairness),
            ]
        })
    }

    fn figures(&self) -> impl Iterator<Item = Figure> {
        self.kinds.iter().filter_map(|kind| {
            let row = format!("{}, {} queues", self.rule.name(), kind.queues);
            Figure::new(&row, "p99 s to start", Better::Lower, [kind.p99_s])
        })
    }
}
