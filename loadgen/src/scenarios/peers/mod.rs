//! Other engines, run for real on the same Redis and CPU: the list of them, and their rows.
//!
//! Each peer is a small program in `loadgen/peers` that fills its queue, runs no-op jobs at its best setting, and
//! prints when the first started and the last ended. What it needs is built in or downloaded into the target directory.

mod bench;
mod prepare;

use clap::ValueEnum;
use serde::Serialize;

use self::prepare::Ready;
use super::Session;
use super::drain::{Load, Row};
use super::scene::Processor;
use crate::drive::Work;
use crate::error::Error;
use crate::redis_server::RedisServer;

/// A peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    /// Ruby.
    Sidekiq,
    /// Rust, tokio.
    RustySidekiq,
    /// Rust, tokio.
    ApalisRedis,
    /// Node.
    Bullmq,
    /// Python.
    Dramatiq,
}

/// How a peer is run: the setting found to be best for no-op jobs.
#[derive(Debug, Clone, Copy)]
struct Setting {
    name: &'static str,
    /// Threads, fibers or jobs in flight.
    concurrency: u64,
    /// Jobs per run: a few seconds' worth.
    jobs: u64,
    /// For the notes below the table.
    words: &'static str,
}

impl Peer {
    fn setting(self) -> Setting {
        match self {
            Self::Sidekiq => Setting {
                name: "Sidekiq",
                concurrency: 10,
                jobs: 50_000,
                words: "one process of 10 threads, BasicFetch, its launcher without Rails, log level ERROR",
            },
            Self::RustySidekiq => Setting {
                name: "rusty-sidekiq 0.13.2",
                concurrency: 20,
                jobs: 300_000,
                words: "20 workers; release build with fat LTO; later versions take four times the commands",
            },
            Self::ApalisRedis => Setting {
                name: "apalis-redis 1.0",
                concurrency: 100,
                jobs: 200_000,
                words: "2 workers that fetch batches of 100, no leases of single jobs, results and events not kept, no \
                        time-out of replies; release build with fat LTO; due jobs were made active beforehand, since its \
                        fetch fails beyond about 8,000",
            },
            Self::Bullmq => Setting {
                name: "BullMQ 6.7.0",
                concurrency: 50,
                jobs: 50_000,
                words: "one Worker with concurrency 50, jobs removed when done",
            },
            Self::Dramatiq => Setting {
                name: "dramatiq 2.2.1",
                concurrency: 8,
                jobs: 15_000,
                words: "one Worker of 8 threads in one process, default middleware",
            },
        }
    }
}

/// What became of the requested peers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Peers {
    /// One for each that could be run.
    pub(super) rows: Vec<Row>,
    /// Settings, and what the others lack.
    pub(super) notes: Vec<String>,
}

/// Runs the peers one after the other, each at its own setting with at most `jobs_max` jobs.
///
/// # Errors
/// Redis does not answer, or an interrupt. A peer whose runtime is missing, or that fails, becomes a note.
pub(super) fn measure(
    peers: &[Peer],
    server: &RedisServer,
    (runs, jobs_max): (u64, u64),
    session: &Session,
) -> Result<Peers, Error> {
    let mut measured = Peers::default();
    for peer in peers {
        let setting = peer.setting();
        session.progress.step(format!("{}: preparing", setting.name), 1);
        let ready = match prepare::prepare(*peer) {
            Ok(ready) => ready,
            Err(missing) => {
                let note = format!("{}: left out: {missing}", setting.name);
                session.progress.clear();
                eprintln!("loadgen: {note}");
                measured.notes.push(note);
                continue;
            }
        };
        session.interrupt.check()?;
        let Ready { title, .. } = &ready;
        measured.notes.push(format!("{title}: {}; on the same CPUs as ours", setting.words));
        let jobs = setting.jobs.min(jobs_max);
        let mut done = Vec::new();
        for number in 1..=runs {
            let what = format!("{title}, run {number} of {runs}");
            match bench::run(&ready, setting.concurrency, jobs, server, &what, session) {
                Ok(run) => done.push(run),
                Err(error @ (Error::PeerFailed { .. } | Error::PeerStalled { .. })) => {
                    let note = format!("{title}: run {number} failed and does not count: {error}");
                    session.progress.clear();
                    eprintln!("loadgen: {note}");
                    measured.notes.push(note.lines().next().unwrap_or_default().to_owned());
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let processor = Processor { title: title.clone(), key: setting.name.to_owned() };
        let work = Work::noop();
        let load = Load {
            work: &work,
            jobs,
            concurrency: setting.concurrency,
            variant: "",
            looks: 1,
            variables: &[],
        };
        measured.rows.extend(Row::of((processor, 1), load, done));
    }
    Ok(measured)
}
