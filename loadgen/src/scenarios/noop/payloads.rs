//! `noop --payload`: what the size of the payloads costs.
//!
//! Each run of the worker comes after one of a client that pops the same jobs, one RPOP each in deep pipelines, and throws
//! them away: what Redis hands out at that moment, on a machine that may have other things to do.

use std::time::Instant;

use jiggler_uring::internal::resp::encode::Requests;
use serde::Serialize;

use super::Options;
use crate::drive::{self, Work};
use crate::error::Error;
use crate::keys;
use crate::null_client::NullClient;
use crate::redis::Client;
use crate::report::Table;
use crate::report::format::{grouped, rounded};
use crate::scenarios::Session;
use crate::scenarios::drain::{Bench, LastColumn, Load, Row};
use crate::scenarios::scene::Scene;
use crate::spread::Spread;

/// All payloads of a run together, at most: they lie in the memory of Redis, and in that of its sockets.
const RUN_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// RPOPs of one window, and bytes of their replies: as deep as pipelines are, and no more than caches hold.
const WINDOW_JOBS_MAX: u64 = 512;
const WINDOW_BYTES_MAX: u64 = 1024 * 1024;

/// What the last column of the table shows.
pub(super) const OF_RPOP: LastColumn =
    LastColumn { title: "of RPOP", format: |ratio| format!("{:.0} %", ratio * 100.0) };

/// What it means.
pub(super) const OF_RPOP_MEANS: &str = "of RPOP: jobs/s by those of a client that pops the same jobs by pipelined RPOPs \
     right before; the median of the runs' ratios";

/// What was measured of one size.
#[derive(Debug, Serialize)]
pub(super) struct Popped {
    payload_bytes: u64,
    jobs: u64,
    /// Of the client, run by run.
    rpop_jobs_per_second: Vec<f64>,
    /// Of the worker by these, run by run.
    ratios: Vec<f64>,
}

/// All sizes, each with all numbers of jobs in flight.
///
/// # Errors
/// A run went wrong, or an interrupt.
pub(super) fn measure(
    scene: &Scene,
    bench: &mut Bench<'_>,
    options: &Options,
    session: &Session,
) -> Result<(Vec<Row>, Vec<Popped>), Error> {
    let (mut rows, mut popped) = (Vec::new(), Vec::new());
    for bytes in &options.payload {
        let work = Work::noop_of_bytes(*bytes);
        let jobs = options.jobs.iter().copied().min().unwrap_or(1).min(RUN_BYTES_MAX / bytes).max(1);
        for concurrency in &options.concurrency {
            let variant = format!(", {} bytes", grouped(*bytes));
            let load = Load {
                work: &work,
                jobs,
                concurrency: *concurrency,
                variant: &variant,
                looks: super::LOOKS,
                variables: &[],
            };
            let (row, of_size) = measure_size(scene, bench, (load, *bytes), options.repeat.runs, session)?;
            rows.extend(row);
            popped.push(of_size);
        }
    }
    Ok((rows, popped))
}

fn measure_size(
    scene: &Scene,
    bench: &mut Bench<'_>,
    (load, bytes): (Load<'_>, u64),
    runs: u64,
    session: &Session,
) -> Result<(Option<Row>, Popped), Error> {
    let mut client = scene.server.client()?;
    let mut popped = Popped {
        payload_bytes: bytes,
        jobs: load.jobs,
        rpop_jobs_per_second: Vec::new(),
        ratios: Vec::new(),
    };
    let mut done = Vec::new();
    for number in 1..=runs {
        let title = format!("{bytes} bytes, run {number} of {runs}");
        session.progress.step(format!("{title}: RPOP"), load.jobs);
        let rate = pop_all(scene, &mut client, (load, bytes), session)?;
        let run = bench.run(load, &title)?;
        popped.rpop_jobs_per_second.push(rate);
        popped.ratios.extend(run.jobs_per_second.map(|ours| ours / rate));
        done.push(run);
    }
    let mut row = Row::of(bench.processor(), load, done);
    if let Some(row) = &mut row {
        row.ratio = Spread::of(popped.ratios.iter().copied()).map(|spread| spread.median);
    }
    Ok((row, popped))
}

/// Jobs a second.
fn pop_all(
    scene: &Scene,
    client: &mut Client,
    (load, bytes): (Load<'_>, u64),
    session: &Session,
) -> Result<f64, Error> {
    client.flush()?;
    drive::enqueue(scene.server.url(), load.work, load.jobs, &session.interrupt, &session.progress)?;
    let mut popper = NullClient::connect(scene.server.url())?;
    let window_jobs = (WINDOW_BYTES_MAX / bytes).clamp(1, WINDOW_JOBS_MAX);
    let mut left = load.jobs;
    let fill = |window: &mut Requests| {
        let count = left.min(window_jobs);
        for _ in 0..count {
            window.command(&[b"RPOP", keys::QUEUE.as_bytes()]);
        }
        left -= count;
    };
    let begin = Instant::now();
    popper.drive(&session.interrupt, fill, |_| {})?;
    let seconds = begin.elapsed().as_secs_f64();
    match client.backlog()?.waiting {
        0 => Ok(load.jobs as f64 / seconds),
        waiting => Err(Error::WrongOutcome(format!("{waiting} jobs were not popped"))),
    }
}

/// What the client reached.
pub(super) fn table(popped: &[Popped]) -> Table {
    let cells = popped.iter().filter_map(|size| {
        let rate = Spread::of(size.rpop_jobs_per_second.iter().copied())?.median;
        Some(vec![grouped(size.payload_bytes), grouped(size.jobs), rounded(rate)])
    });
    Table::new(&["Payload bytes", "Jobs", "RPOP jobs/s"], cells.collect())
}
