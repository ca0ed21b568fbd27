//! `loadgen noop`: no-op jobs through the real worker, one row per number of cores, jobs and concurrency.
//!
//! For comparison with the rates: what the null client reaches with the same commands on the same Redis.

mod payloads;

use std::path::PathBuf;

use clap::Args;
use jiggler_uring::internal::limits::PAYLOAD_BYTES_MAX;
use serde::Serialize;

use self::payloads::Popped;
use super::Session;
use super::drain::{self, Bench, LastColumn, Load, Row};
use super::limit::{self, LimitRow, Plan};
use super::peers::{self, Peer, Peers};
use super::repeat::RepeatOptions;
use super::scene::{self, Scene};
use crate::cli::{self, DistanceOptions, Mode, RedisOptions};
use crate::commands::Design;
use crate::drive::Work;
use crate::error::Error;
use crate::machine::Machine;
use crate::published;
use crate::report::Outcome;
use crate::worker::Program;

/// Batch sizes of the null client that the worker's rate is compared with; the best of them counts.
const LIMIT_BATCHES: [u64; 3] = [10, 100, 500];

/// Jobs per run of the null client.
const LIMIT_JOBS: u64 = 500_000;

/// The end of a run is seen to one twentieth: more checks would cost the worker, which uses all of its CPU.
const LOOKS: u32 = 20;

const OF_LIMIT: &str = "of limit: jobs/s divided by the best rate of the null client";

const LAST_COLUMN: LastColumn =
    LastColumn { title: "of limit", format: |ratio| format!("{:.0} %", ratio * 100.0) };

const SHARED: &str = "cores: a worker with as many shards as there are CPUs, or more, shares them with Redis, which otherwise has \
     its own";

const OURS_BY_THIS: LastColumn =
    LastColumn { title: "ours by this", format: |ratio| format!("{ratio:.1} ×") };

const OURS_BY_THIS_MEANS: &str = "peers: their own queue filled by their own client, jobs/s from the first job to the \
     last by their own marks, CPU and commands from the first job on; ours by this: the best median of the first table \
     by the peer's";

/// Options of `noop`.
#[derive(Debug, Clone, Args, Serialize)]
pub(crate) struct Options {
    /// Jobs in flight per worker process, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "5,10,50,100")]
    #[arg(value_name = "N,N", value_parser = cli::concurrency)]
    concurrency: Vec<u64>,
    /// Jobs per run, one row each
    #[arg(short, long, value_delimiter = ',', default_value = "100_000,1_000_000")]
    #[arg(value_name = "N,N", value_parser = cli::jobs)]
    jobs: Vec<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    repeat: RepeatOptions,
    /// Bytes of each payload, one row each, compared with a client that pops the same jobs: as many jobs as `--jobs`
    /// names first, or as have 512 MB
    #[arg(long, value_delimiter = ',', value_name = "BYTES,BYTES", value_parser = payload)]
    payload: Vec<u64>,
    /// Omit the null client, and with it the ratio
    #[arg(long)]
    no_limit: bool,
    /// Also run other engines, all or those named: sidekiq, rusty-sidekiq, apalis-redis, bullmq, dramatiq
    #[arg(long, value_enum, value_delimiter = ',', num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "sidekiq,rusty-sidekiq,apalis-redis,bullmq,dramatiq")]
    #[arg(value_name = "PEER,PEER", hide_possible_values = true)]
    peers: Vec<Peer>,
    /// Most jobs in one run of a peer; each peer has its own number, which takes a few seconds
    #[arg(long, default_value = "1_000_000", value_name = "N", value_parser = cli::jobs)]
    peer_jobs: u64,
    /// Shards of the worker, one row each
    #[arg(long, value_delimiter = ',', default_value = "1", value_name = "N,N", value_parser = cli::cores)]
    cores: Vec<u64>,
    /// Delivery mode of the worker
    #[arg(long, value_enum, default_value = "at-least-once")]
    mode: Mode,
    /// Program to measure [default: target/release/jiggler-uring, which cargo rebuilds when it is out of date]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    #[command(flatten)]
    distance: DistanceOptions,
    #[command(flatten)]
    redis: RedisOptions,
}

#[derive(Debug, Default, Serialize)]
struct Results {
    limit: Vec<LimitRow>,
    rows: Vec<Row>,
    payloads: Vec<Popped>,
    peers: Peers,
}

/// Bytes of a payload.
fn payload(text: &str) -> Result<u64, String> {
    cli::bounded(text, PAYLOAD_BYTES_MAX as u64)
}

/// The whole scenario.
///
/// # Errors
/// Redis or the worker cannot be started, a run failed, or an interrupt.
pub(crate) fn run(options: &Options, session: &Session) -> Result<Outcome, Error> {
    let (mut results, machine) = measure_all(options, session)?;
    let by_size = !options.payload.is_empty();
    let best = results.limit.iter().map(|row| row.jobs_per_second.median).max_by(f64::total_cmp);
    for row in results.rows.iter_mut().filter(|_| !by_size) {
        row.ratio = row.jobs_per_second.zip(best).map(|(rate, best)| rate.median / best);
    }
    compare_with_peers(&results.rows, &mut results.peers.rows);
    let mut outcome = Outcome::new("noop", "No-op jobs", machine, options, &results)?
        .defined_by(&drain::DEFINITIONS)
        .defined_by(&[if by_size { payloads::OF_RPOP_MEANS } else { OF_LIMIT }]);
    if by_size {
        outcome.tables.push(drain::table(&results.rows, &[], Some(payloads::OF_RPOP)));
        outcome.tables.push(payloads::table(&results.payloads));
    } else {
        outcome.tables.push(drain::table(&results.rows, &published::NOOP, Some(LAST_COLUMN)));
    }
    if !results.limit.is_empty() {
        outcome.tables.push(limit::table(&results.limit));
    }
    if !results.peers.rows.is_empty() {
        outcome.tables.push(drain::table(&results.peers.rows, &[], Some(OURS_BY_THIS)));
        outcome.definitions.push(OURS_BY_THIS_MEANS.to_owned());
    }
    outcome.sources.extend(results.peers.notes.iter().cloned());
    outcome.remark = options.repeat.remark();
    outcome.sources.push(published::SOURCE.to_owned());
    outcome.figures.extend(results.limit.iter().flat_map(LimitRow::figures));
    outcome.figures.extend(results.rows.iter().flat_map(|row| row.figures("")));
    outcome.figures.extend(results.peers.rows.iter().flat_map(|row| row.figures("peer ")));
    outcome.plots.push(drain::plot("noop", "No-op jobs", &results.rows, &published::NOOP));
    if options.distance.delay.is_some() {
        outcome.definitions.push(scene::AWAY.to_owned());
    }
    if options.cores.len() > 1 {
        outcome.definitions.push(SHARED.to_owned());
        outcome.plots.push(drain::plot_by_cores("noop-cores", "No-op jobs by cores", &results.rows));
    }
    Ok(outcome)
}

/// Everything on a separate Redis for each number of cores, since its placement depends on that.
fn measure_all(options: &Options, session: &Session) -> Result<(Results, Machine), Error> {
    let program = Program::stock(options.binary.as_deref())?;
    let (mut results, mut described) = (Results::default(), None);
    for cores in &options.cores {
        let scene = Scene::set(program.clone(), *cores, &options.redis, session)?.at(options.distance)?;
        // Null client and peers do not depend on the worker's cores: they run once, with the first.
        let first = described.is_none();
        if first && !options.no_limit && options.payload.is_empty() {
            results.limit = measure_limit(&scene, options, session)?;
        }
        let mut bench = Bench::new(&scene, options.mode, session)?;
        if options.payload.is_empty() {
            results.rows.extend(measure(&mut bench, options)?);
        } else {
            let (rows, popped) = payloads::measure(&scene, &mut bench, options, session)?;
            results.rows.extend(rows);
            results.payloads.extend(popped);
        }
        if first {
            let sizes = (options.repeat.runs, options.peer_jobs);
            results.peers = peers::measure(&options.peers, &scene.server, sizes, session)?;
        }
        described = described.or(Some(scene.end()?));
    }
    let machine = described.ok_or_else(|| Error::WrongOutcome("no number of cores".to_owned()))?;
    Ok((results, machine))
}

/// Sets for each peer the ratio of our best rate to its own.
fn compare_with_peers(ours: &[Row], peers: &mut [Row]) {
    let rates = ours.iter().filter_map(|row| row.jobs_per_second);
    let best = rates.map(|rate| rate.median).max_by(f64::total_cmp);
    for peer in peers {
        peer.ratio = best.zip(peer.jobs_per_second).map(|(ours, theirs)| ours / theirs.median);
    }
}

fn measure_limit(scene: &Scene, options: &Options, session: &Session) -> Result<Vec<LimitRow>, Error> {
    let design = match options.mode {
        Mode::AtLeastOnce => Design::AtLeastOnce,
        Mode::AtMostOnce => Design::AtMostOnce,
    };
    let plan =
        Plan { designs: &[design], batches: &LIMIT_BATCHES, jobs: LIMIT_JOBS, runs: options.repeat.runs };
    limit::measure(&scene.server, (scene.worker_url(), options.distance.delay), plan, session)
}

fn measure(bench: &mut Bench<'_>, options: &Options) -> Result<Vec<Row>, Error> {
    let work = Work::noop();
    let mut rows = Vec::new();
    for jobs in &options.jobs {
        for concurrency in &options.concurrency {
            let load = Load {
                work: &work,
                jobs: *jobs,
                concurrency: *concurrency,
                variant: "",
                looks: LOOKS,
                variables: &[],
            };
            rows.extend(drain::measure(bench, load, options.repeat.runs)?);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};
    use crate::scenarios::Scenario;

    #[test]
    fn the_defaults_are_the_published_table() {
        let Some(Command::Measure(Scenario::Noop(options))) = Cli::parse_from(["loadgen", "noop"]).command
        else {
            panic!("not noop");
        };
        assert_eq!(options.concurrency, [5, 10, 50, 100]);
        assert_eq!(options.jobs, [100_000, 1_000_000]);
        assert_eq!((options.repeat.runs, options.cores), (3, vec![1]));
    }
}
