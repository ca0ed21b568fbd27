//! What one shard knows: its batches, how far each job is, and what its next turn will report.
//!
//! The knowledge of a real shard, without its executor: jobs "run" when a step says so. A tenure is the oracle's
//! number for one stay of one job in one in-flight list.

use std::rc::Rc;

use bytes::Bytes;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::Requests;
use jiggler_uring::internal::store::flight::Known;
use jiggler_uring::internal::store::scripts::{self, Script, Scripts};
use jiggler_uring::internal::store::turn::{
    BatchName, Destination, Move, QueueKeys, Settlement, TurnContext,
};
use jiggler_uring::internal::wire::Keyspace;

use super::ops::Outcome;
use super::world::Mutation;

/// Position in the oracle's list of tenures.
pub(crate) type Tenure = usize;

pub(crate) struct Shard {
    pub(crate) context: TurnContext,
    pub(crate) live: Vec<Batch>,
    pub(crate) report: Report,
    next_number: u64,
}

/// Jobs that came together. A batch from the wait list is one of its jobs.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) queue: usize,
    pub(crate) name: BatchName,
    pub(crate) jobs: Vec<Job>,
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) tenure: Tenure,
    pub(crate) raw: Bytes,
    pub(crate) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    /// Unstarted or running.
    Open,
    /// It succeeded; nothing reports that yet.
    Owed,
    /// The report, or one that was executed, says how it ended.
    Reported,
}

/// A settlement, and which tenures it ends and how.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) settlement: Settlement,
    pub(crate) ends: Vec<End>,
}

#[derive(Debug, Clone)]
pub(crate) enum End {
    Acked(Tenure),
    Moved(Tenure, Destination, Vec<u8>),
}

impl End {
    pub(crate) fn tenure(&self) -> Tenure {
        match self {
            Self::Acked(tenure) | Self::Moved(tenure, ..) => *tenure,
        }
    }
}

/// What the shard knows of one batch, for Redis and for the oracle.
pub(crate) struct Knowledge {
    pub(crate) known: Known,
    pub(crate) keep: Vec<Tenure>,
    pub(crate) settled: Vec<Tenure>,
}

impl Shard {
    pub(crate) fn new(keys: Keyspace, number: usize, queues: &[String]) -> Self {
        let uuid = format!("{number:012x}");
        let queues: Rc<[QueueKeys]> =
            queues.iter().map(|name| QueueKeys::new(keys, name, &uuid, number % 2)).collect();
        let context = TurnContext {
            queues,
            keep_in_flight: true,
            dead_jobs_max: 10_000.into(),
            dead_timeout_s: 1e9.into(),
            looks_at_each: false.into(),
        };
        Self { context, live: Vec::new(), report: Report::default(), next_number: 1 }
    }

    pub(crate) fn queue(&self, at: usize) -> &QueueKeys {
        &self.context.queues[at]
    }

    pub(crate) fn home(&self) -> &QueueKeys {
        &self.context.queues[0]
    }

    pub(crate) fn key(&self, queue: usize, name: BatchName) -> String {
        String::from_utf8(self.queue(queue).batch(name)).unwrap()
    }

    pub(crate) fn fresh_number(&mut self) -> u64 {
        // Real shards draw batches and tasks from the same numbers, so there are gaps.
        self.next_number += 3;
        self.next_number
    }

    /// The highest number issued.
    pub(crate) fn last_number(&self) -> u64 {
        self.next_number
    }

    pub(crate) fn take_in(&mut self, queue: usize, name: BatchName, jobs: Vec<(Tenure, Bytes)>) {
        let jobs: Vec<Job> =
            jobs.into_iter().map(|(tenure, raw)| Job { tenure, raw, state: State::Open }).collect();
        if !jobs.is_empty() {
            self.live.push(Batch { queue, name, jobs });
        }
    }

    /// Ends open jobs as `outcomes` say, one after the other; jobs beyond them keep running.
    pub(crate) fn run(&mut self, outcomes: &[Outcome]) {
        let mut outcomes = outcomes.iter();
        for batch in &mut self.live {
            for job in batch.jobs.iter_mut().filter(|job| job.state == State::Open) {
                match outcomes.next() {
                    None => return,
                    Some(Outcome::GoesOn) => {}
                    Some(Outcome::Succeeds) => {
                        self.report.settlement.processed += 1;
                        job.state = State::Owed;
                    }
                    Some(outcome) => {
                        let to =
                            if *outcome == Outcome::Dies { Destination::Dead } else { Destination::Retries };
                        self.report.fail(batch.queue, batch.name, job, to);
                    }
                }
            }
        }
    }

    /// Puts the acks that are due into the report: of completed batches, and of single jobs if `stragglers`.
    pub(crate) fn close(&mut self, stragglers: bool) {
        for mut batch in std::mem::take(&mut self.live) {
            let through = batch.jobs.iter().all(|job| job.state != State::Open);
            let single = batch.name == BatchName::Wait || (stragglers && !through);
            for job in batch.jobs.iter_mut().filter(|job| job.state == State::Owed && (single || through)) {
                job.state = State::Reported;
                self.report.ends.push(End::Acked(job.tenure));
                if single {
                    self.report.settlement.singles.push((batch.queue, batch.name, job.raw.clone()));
                }
            }
            match batch.name {
                BatchName::Turn(number) if through => {
                    self.report.settlement.wholes.push((batch.queue, number));
                }
                BatchName::Wait if through => {}
                _ => self.live.push(batch),
            }
        }
    }

    /// Forgets the open jobs, which are to be handed back.
    pub(crate) fn give_up(&mut self) {
        for batch in &mut self.live {
            batch.jobs.retain(|job| job.state != State::Open);
        }
    }

    /// What the shard knows of a batch list. A job whose end is reported stays in its list until the report arrives.
    pub(crate) fn knowledge(&self, queue: usize, name: BatchName, tenures: &[Stay]) -> Knowledge {
        let mut knowledge = Knowledge { known: Known::default(), keep: Vec::new(), settled: Vec::new() };
        for batch in self.live.iter().filter(|batch| (batch.queue, batch.name) == (queue, name)) {
            for job in &batch.jobs {
                match job.state {
                    State::Open => knowledge.keep(job.tenure, job.raw.clone()),
                    State::Owed => {
                        knowledge.known.settled.push(job.raw.clone());
                        knowledge.settled.push(job.tenure);
                    }
                    State::Reported => {}
                }
            }
        }
        let key = self.key(queue, name);
        for end in &self.report.ends {
            let stay = &tenures[end.tenure()];
            if stay.key == key {
                knowledge.keep(end.tenure(), stay.raw.clone());
            }
        }
        knowledge
    }

    /// The batches it knows, each once.
    pub(crate) fn batches(&self) -> Vec<(usize, BatchName)> {
        let mut batches: Vec<_> = self.live.iter().map(|batch| (batch.queue, batch.name)).collect();
        batches.dedup();
        batches
    }

    /// Whether it knows the batch, even if only as one to be removed.
    pub(crate) fn knows(&self, queue: usize, number: u64) -> bool {
        self.batches().contains(&(queue, BatchName::Turn(number)))
            || self.report.settlement.wholes.contains(&(queue, number))
    }

    /// Redis has dropped what was named as settled: those acks are done.
    pub(crate) fn dropped(&mut self, settled: &[Tenure]) {
        for job in self.live.iter_mut().flat_map(|batch| &mut batch.jobs) {
            if settled.contains(&job.tenure) {
                job.state = State::Reported;
            }
        }
    }
}

impl Report {
    fn fail(&mut self, queue: usize, name: BatchName, job: &mut Job, to: Destination) {
        self.settlement.processed += 1;
        self.settlement.failed += 1;
        // A real one carries the error and the time; what matters here is that no two are equal.
        let payload =
            [&job.raw[..job.raw.len().min(64)], format!(" failed #{}", job.tenure).as_bytes()].concat();
        job.state = State::Reported;
        self.ends.push(End::Moved(job.tenure, to, payload.clone()));
        let (from, raw) = ((queue, name), job.raw.clone());
        self.settlement.moves.push(Move { from, raw, to, score: 1e9, payload });
    }

    /// Puts a report that was not executed ahead of what has accumulated since.
    pub(crate) fn again(&mut self, mut unsent: Self) {
        let since = std::mem::take(self);
        unsent.settlement.processed += since.settlement.processed;
        unsent.settlement.failed += since.settlement.failed;
        unsent.settlement.moves.extend(since.settlement.moves);
        unsent.settlement.singles.extend(since.settlement.singles);
        unsent.settlement.wholes.extend(since.settlement.wholes);
        unsent.ends.extend(since.ends);
        *self = unsent;
    }
}

impl Knowledge {
    fn keep(&mut self, tenure: Tenure, raw: Bytes) {
        self.keep.push(tenure);
        self.known.keep.push(raw);
    }
}

/// One stay of one job in one in-flight list.
#[derive(Debug, Clone)]
pub(crate) struct Stay {
    /// The list.
    pub(crate) key: String,
    pub(crate) payload: usize,
    pub(crate) raw: Bytes,
    /// Whether it was acked, moved to a set, or handed back.
    pub(crate) ended: bool,
}

/// The scripts as a server knows them, one of them perhaps changed.
pub(crate) fn loaded(keys: Keyspace, conn: &mut BlockingConnection, mutation: Option<Mutation>) -> Scripts {
    let (realm, mut requests) = (keys.shared_realm(), Requests::new());
    if mutation.is_none() {
        scripts::load(&realm, &mut requests);
        return Scripts::read(realm, &conn.call(&requests).unwrap()).unwrap();
    }
    for script in Script::ALL {
        let mut source = script.source().to_owned();
        if let Some((mutated, text, by)) = mutation
            && mutated == script
        {
            assert!(source.contains(text), "the script no longer contains {text}");
            source = source.replace(text, by);
        }
        requests.command(&[b"SCRIPT", b"LOAD", source.as_bytes()]);
    }
    Scripts::read(realm, &conn.call(&requests).unwrap()).unwrap()
}
