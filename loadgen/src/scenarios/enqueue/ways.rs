//! The ways to push: each client of the library as a program would use it.

use std::iter;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::ValueEnum;
use jiggler_uring::client::outbox::OutboxOptions;
use jiggler_uring::client::{self, Client, ClientPool, NewJob, Outbox, TokioClient};
use jiggler_uring::internal::net::blocking::BlockingOptions;
use jiggler_uring::internal::resp::url::{Endpoint, RedisUrl};
use serde::Serialize;
use tokio::runtime::{self, Runtime};
use tokio::task::JoinSet;

use super::Options;
use crate::error::Error;
use crate::redis_server::RedisServer;
use crate::scenarios::Session;

/// Single enqueues between two checks for an interrupt and updates of the progress bar.
const SINGLE_CHUNK: u64 = 500;

/// Jobs of one bulk call: the interrupt is checked between calls.
const BULK_CHUNK: u64 = 100_000;

/// How jobs are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    /// One connection, one job per call.
    Single,
    /// One connection, the same job repeatedly.
    Bulk,
    /// One connection, each job created separately.
    BulkDistinct,
    /// Threads that share a pool of connections.
    Pool,
    /// Tasks that share one connection.
    Tokio,
    /// One task, in bulk.
    TokioBulk,
    /// Threads that share an outbox, with Redis up.
    Outbox,
    /// The same with Redis away: everything goes to the journal.
    OutboxJournal,
}

impl Way {
    pub(super) const ALL: [Self; 8] = [
        Self::Single,
        Self::Bulk,
        Self::BulkDistinct,
        Self::Pool,
        Self::Tokio,
        Self::TokioBulk,
        Self::Outbox,
        Self::OutboxJournal,
    ];

    pub(super) fn is_bulk(self) -> bool {
        matches!(self, Self::Bulk | Self::BulkDistinct | Self::TokioBulk)
    }

    /// Whether the jobs end up in Redis.
    pub(super) fn reaches_redis(self) -> bool {
        self != Self::OutboxJournal
    }

    pub(super) fn title(self, options: &Options) -> String {
        let Options { threads, tasks, .. } = options;
        match self {
            Self::Single => "single".to_owned(),
            Self::Bulk => "bulk".to_owned(),
            Self::BulkDistinct => "bulk, each its own".to_owned(),
            Self::Pool => format!("pool, {threads} threads"),
            Self::Tokio => format!("tokio, {tasks} tasks"),
            Self::TokioBulk => "tokio, bulk".to_owned(),
            Self::Outbox => format!("outbox, {threads} threads"),
            Self::OutboxJournal => format!("outbox, {threads} threads, Redis away"),
        }
    }
}

/// A producer that has connected.
pub(super) enum Producer {
    Client(Box<Client>),
    Pool(ClientPool),
    Tokio(Runtime, TokioClient),
    Outbox(Outbox),
}

impl Producer {
    /// # Errors
    /// It cannot connect, or cannot create a file or thread.
    pub(super) fn open(way: Way, server: &RedisServer) -> Result<Self, Error> {
        let url = server.url();
        Ok(match way {
            Way::Single | Way::Bulk | Way::BulkDistinct => {
                Self::Client(Box::new(Client::connect_with(url, BlockingOptions::default())?))
            }
            Way::Pool => Self::Pool(ClientPool::connect(&url.to_string())?),
            Way::Tokio | Way::TokioBulk => {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| Error::system("starting a tokio runtime", error))?;
                let client = runtime.block_on(TokioClient::connect(&url.to_string()))?;
                Self::Tokio(runtime, client)
            }
            Way::Outbox => Self::outbox(server, url)?,
            Way::OutboxJournal => {
                let nowhere = server.directory().join("nobody-listens.sock");
                Self::outbox(server, &RedisUrl::new(Endpoint::Unix(nowhere)))?
            }
        })
    }

    fn outbox(server: &RedisServer, url: &RedisUrl) -> Result<Self, Error> {
        // One file each: what one run keeps is no business of the next.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("outbox-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let options = OutboxOptions::default();
        Ok(Self::Outbox(Outbox::open_with(server.directory().join(name), url, options)?))
    }

    /// # Errors
    /// A push failed, or an interrupt.
    pub(super) fn push(
        &mut self,
        way: Way,
        jobs: u64,
        options: &Options,
        session: &Session,
    ) -> Result<(), Error> {
        let job = NewJob::new("Noop", &())?;
        match self {
            Self::Client(client) if way == Way::Single => in_chunks(jobs, SINGLE_CHUNK, session, |_, _| {
                client.enqueue(&job)?;
                Ok(1)
            }),
            Self::Client(client) if way == Way::BulkDistinct => {
                in_chunks(jobs, BULK_CHUNK, session, |from, to| {
                    let made = (from..to).map(|id| NewJob::new("ResizeImage", &(id, "thumbnail")));
                    Ok(client.enqueue_bulk(made.collect::<Result<Vec<_>, _>>()?)?)
                })
            }
            Self::Client(client) => in_chunks(jobs, BULK_CHUNK, session, |from, to| {
                Ok(client.enqueue_bulk(copies(&job, to - from))?)
            }),
            Self::Tokio(runtime, client) if way == Way::TokioBulk => {
                in_chunks(jobs, BULK_CHUNK, session, |from, to| {
                    Ok(runtime.block_on(client.enqueue_bulk(copies(&job, to - from)))?)
                })
            }
            Self::Tokio(runtime, client) => {
                runtime.block_on(by_tasks(client, &job, jobs, options.tasks, session))
            }
            Self::Pool(pool) => by_threads(jobs, options.threads, session, || pool.enqueue(&job).map(drop)),
            Self::Outbox(outbox) => {
                by_threads(jobs, options.threads, session, || outbox.enqueue(&job).map(drop))
            }
        }
    }

    /// How many jobs it still keeps itself.
    pub(super) fn kept(&self) -> u64 {
        match self {
            Self::Outbox(outbox) => outbox.status().jobs,
            _ => 0,
        }
    }
}

fn copies(job: &NewJob, count: u64) -> impl Iterator<Item = &NewJob> {
    iter::repeat_n(job, usize::try_from(count).unwrap_or(usize::MAX))
}

/// Checks for an interrupt every `chunk` jobs; `push` gets the numbers of the jobs that are left of these, and returns
/// how many it pushed.
fn in_chunks(
    jobs: u64,
    chunk: u64,
    session: &Session,
    mut push: impl FnMut(u64, u64) -> Result<u64, Error>,
) -> Result<(), Error> {
    let (mut done, mut looked) = (0, 0);
    while done < jobs {
        if done >= looked {
            session.interrupt.check()?;
            session.progress.set(done);
            looked = done + chunk;
        }
        done += push(done, looked.min(jobs))?;
    }
    Ok(())
}

/// Each of `threads` takes its share.
fn by_threads(
    jobs: u64,
    threads: u64,
    session: &Session,
    push: impl Fn() -> Result<(), client::Error> + Sync,
) -> Result<(), Error> {
    let (push, taken) = (&push, &AtomicU64::new(0));
    let share = move || -> Result<(), Error> {
        loop {
            let number = taken.fetch_add(1, Ordering::Relaxed);
            if number >= jobs {
                return Ok(());
            }
            if number.is_multiple_of(SINGLE_CHUNK) {
                session.interrupt.check()?;
                session.progress.set(number);
            }
            push()?;
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
        let died = |_| Error::WrongOutcome("a producer's thread died".to_owned());
        threads.into_iter().try_for_each(|thread| thread.join().map_err(died)?)
    })
}

/// The same for tasks on one thread.
async fn by_tasks(
    client: &TokioClient,
    job: &NewJob,
    jobs: u64,
    tasks: u64,
    session: &Session,
) -> Result<(), Error> {
    let mut set = JoinSet::new();
    for task in 0..tasks {
        let (client, job, interrupt) = (client.clone(), job.clone(), session.interrupt.clone());
        let share = (task..jobs).step_by(usize::try_from(tasks).unwrap_or(usize::MAX));
        set.spawn(async move {
            for number in share {
                if number.is_multiple_of(SINGLE_CHUNK) {
                    interrupt.check()?;
                }
                client.enqueue(&job).await?;
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(ended) = set.join_next().await {
        ended.map_err(|_| Error::WrongOutcome("a producer's task died".to_owned()))??;
    }
    Ok(())
}
