//! Looking at the whole state without changing it: set sizes, counters, queues, processes.
//!
//! What the gem's `Jiggler.summary` shows, but to the end: its SCAN stops at the first empty page, so beside other
//! keys it misses processes and queues. Not responsible for how it is shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::{
    limits::{INSPECT_HEARTBEATS_PER_CALL, INSPECT_KEYS_MAX, INSPECT_QUEUES_PER_CALL, SCAN_PAGE_KEYS},
    resp::{self, encode::Requests, reply::Reply},
    wire::{
        figures::Figures,
        keys::{self, Poller},
        realm::{Realm, RealmKey},
    },
};
use add::{at, counter, keys_of_realms, size};
use scan::{Scan, write_scan};

mod add;
mod scan;

/// The state could not be read. [`resp::Error::may_heal`] of the cause says whether to try again.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectError {
    /// Redis refused or answered nonsense for one key or pattern.
    #[error("read {what}: {cause}")]
    Reply {
        /// The key or pattern.
        what: String,
        /// What was wrong.
        cause: resp::Error,
    },
    /// Fewer or more replies were given than commands written: a fault of the caller.
    #[error("{replies} replies were given for {commands} commands")]
    WrongReplies {
        /// Commands written last.
        commands: usize,
        /// Replies given.
        replies: usize,
    },
    /// More keys than any real deployment has.
    #[error("more than {INSPECT_KEYS_MAX} keys match {pattern}; this does not look like a jiggler database")]
    TooManyKeys {
        /// The pattern.
        pattern: String,
    },
}

/// The state at one moment, or nearly: it is read in several round trips, and jobs move meanwhile.
#[derive(Debug, Default)]
pub struct Summary {
    /// Entries in the retry set.
    pub retry_jobs: u64,
    /// Entries in the dead set.
    pub dead_jobs: u64,
    /// Entries in the scheduled set.
    pub scheduled_jobs: u64,
    /// The counter of failed jobs.
    pub failures: u64,
    /// The counter of jobs that ran.
    pub processed: u64,
    /// Waiting jobs by queue name.
    pub queues: BTreeMap<String, u64>,
    /// Living processes, by their whole heartbeat key.
    pub processes: BTreeMap<String, Process>,
    /// Keys that look like heartbeats and are none, so that whoever wrote them is found.
    pub unreadable_keys: BTreeSet<String>,
    /// Queues of a cluster that have sets or counters, with jobs or without.
    pub realms: BTreeSet<String>,
}

/// One living process, from its heartbeat key and the heartbeat under it.
#[derive(Debug)]
pub struct Process {
    /// 12 hex digits.
    pub uuid: String,
    /// Jobs it runs at once.
    pub concurrency: u64,
    /// Seconds it waits for its jobs when it stops.
    pub timeout_s: u64,
    /// The queues as the key has them: joined by commas, priorities interleaved if it has any.
    pub queues: String,
    /// Whether it moves due jobs.
    pub poller: Poller,
    /// Unix time of its start, in seconds.
    pub started_at: u64,
    /// Process id on its host.
    pub pid: u32,
    /// May contain colons.
    pub hostname: String,
    /// What it last said of itself; `None` if that is no JSON object.
    pub heartbeat: Option<Heartbeat>,
    /// What one of ours says beyond that; `None` for a Ruby server.
    pub figures: Option<Figures>,
}

/// The value of a heartbeat key. Each field is the JSON text as it was written, so that numbers of any size and the
/// order of members survive.
#[derive(Debug, Deserialize)]
pub struct Heartbeat {
    /// Unix time of the heartbeat in seconds.
    pub heartbeat: Option<Box<RawValue>>,
    /// Resident memory in kB.
    pub rss: Option<Box<RawValue>>,
    /// Running jobs by worker id.
    pub current_jobs: Option<Box<RawValue>>,
}

/// Reads a [`Summary`] over any connection: send what [`Self::write`] appends, hand the replies to [`Self::accept`],
/// until `write` has nothing more.
///
/// Round trips: one for sets and counters and the first pages of both SCANs, one for each further page of
/// [`SCAN_PAGE_KEYS`] keys of the whole database, then one for each [`INSPECT_HEARTBEATS_PER_CALL`] processes (heartbeats
/// and figures) or [`INSPECT_QUEUES_PER_CALL`] queues. Nothing is atomic between them.
#[derive(Debug, Default)]
pub struct Inspection {
    step: Step,
    /// Whether it is one node of a cluster: it has the sets and counters of some realms, and no command may name keys of two
    /// slots.
    of_node: bool,
    /// What each command written last asks for, in order.
    asked: Vec<Asked>,
    heartbeats_left: Vec<Vec<u8>>,
    queues_left: Vec<Vec<u8>>,
    counts_left: Vec<(Vec<u8>, RealmKey)>,
    summary: Summary,
}

#[derive(Debug, Default)]
enum Step {
    #[default]
    Start,
    Scan {
        processes: Scan,
        lists: Scan,
        /// Of a node.
        realms: Scan,
    },
    Values,
}

#[derive(Debug)]
enum Asked {
    RetryJobs,
    DeadJobs,
    ScheduledJobs,
    Failures,
    Processed,
    ProcessKeys,
    ListKeys,
    RealmKeys,
    Heartbeat(Vec<u8>),
    FiguresOf(String),
    Count(Vec<u8>, RealmKey),
    Heartbeats(Vec<Vec<u8>>),
    /// By the processes' heartbeat keys.
    Figures(Vec<String>),
    QueueLength(Vec<u8>),
}

impl Inspection {
    /// An inspection of one node of a cluster: what it has is to be added up ([`Summary::add`]).
    #[must_use]
    pub fn of_node() -> Self {
        Self { of_node: true, ..Self::default() }
    }

    /// Appends the next commands; `false` if there are none and [`Self::finish`] may be called.
    pub fn write(&mut self, requests: &mut Requests) -> bool {
        self.asked.clear();
        match &mut self.step {
            Step::Start => {
                if !self.of_node {
                    self.write_counts(requests);
                }
                let realms = if self.of_node { Scan::default() } else { Scan::OVER };
                self.step = Step::Scan { processes: Scan::default(), lists: Scan::default(), realms };
                self.write_scans(requests);
            }
            Step::Scan { processes, lists, realms }
                if [&*processes, &*lists, &*realms].iter().all(|scan| scan.cursor.is_none()) =>
            {
                let counted = |key: Vec<u8>| {
                    let what = keys_of_realms(&key)?;
                    Some((key, what))
                };
                self.counts_left = std::mem::take(&mut realms.keys).into_iter().filter_map(counted).collect();
                self.heartbeats_left = std::mem::take(&mut processes.keys).into_iter().collect();
                self.queues_left = std::mem::take(&mut lists.keys).into_iter().collect();
                self.step = Step::Values;
                self.write_values(requests);
            }
            Step::Scan { .. } => self.write_scans(requests),
            Step::Values => self.write_values(requests),
        }
        !self.asked.is_empty()
    }

    /// Takes the replies to what [`Self::write`] appended last, all of them, in order.
    ///
    /// # Errors
    /// [`InspectError`]; the inspection must be begun anew.
    pub fn accept(&mut self, replies: &[Reply]) -> Result<(), InspectError> {
        let asked = std::mem::take(&mut self.asked);
        if asked.len() != replies.len() {
            return Err(InspectError::WrongReplies { commands: asked.len(), replies: replies.len() });
        }
        asked.into_iter().zip(replies).try_for_each(|(asked, reply)| self.accept_one(asked, reply))
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Summary {
        self.summary
    }

    fn write_counts(&mut self, requests: &mut Requests) {
        let sets = [
            (keys::RETRIES, Asked::RetryJobs),
            (keys::DEAD, Asked::DeadJobs),
            (keys::SCHEDULED, Asked::ScheduledJobs),
        ];
        for (key, asked) in sets {
            requests.command(&[b"ZCARD", key.as_bytes()]);
            self.asked.push(asked);
        }
        for (key, asked) in [(keys::FAILURES, Asked::Failures), (keys::PROCESSED, Asked::Processed)] {
            requests.command(&[b"GET", key.as_bytes()]);
            self.asked.push(asked);
        }
    }

    fn write_scans(&mut self, requests: &mut Requests) {
        let Step::Scan { processes, lists, realms } = &self.step else { return };
        // TYPE: a key of another type under the gem's prefixes must not make the whole look fail.
        if let Some(cursor) = &processes.cursor {
            write_scan(requests, cursor, keys::SERVER_PREFIX, "string");
            self.asked.push(Asked::ProcessKeys);
        }
        if let Some(cursor) = &lists.cursor {
            write_scan(requests, cursor, keys::LIST_PREFIX, "list");
            self.asked.push(Asked::ListKeys);
        }
        if let Some(cursor) = &realms.cursor {
            let mut command = requests.begin(6);
            command.arg(b"SCAN").arg(cursor).arg(b"MATCH").arg(keys::IN_FLIGHT_PATTERN.as_bytes());
            command.arg(b"COUNT").arg_u64(SCAN_PAGE_KEYS);
            self.asked.push(Asked::RealmKeys);
        }
    }

    fn write_values(&mut self, requests: &mut Requests) {
        let from = self.heartbeats_left.len().saturating_sub(INSPECT_HEARTBEATS_PER_CALL);
        let page = self.heartbeats_left.split_off(from);
        if self.of_node {
            page.into_iter().for_each(|key| self.write_process(key, requests));
        } else if !page.is_empty() {
            write_mget(requests, &page);
            let text = |key: &Vec<u8>| String::from_utf8(key.clone()).ok();
            let mut processes: Vec<String> = page.iter().filter_map(text).collect();
            processes.retain(|key| keys::parse_heartbeat(key).is_some());
            self.asked.push(Asked::Heartbeats(page));
            if !processes.is_empty() {
                let uuids = processes.iter().filter_map(|key| Some(keys::parse_heartbeat(key)?.uuid));
                write_mget(requests, &uuids.map(keys::process).collect::<Vec<_>>());
                self.asked.push(Asked::Figures(processes));
            }
        }
        let from = self.queues_left.len().saturating_sub(INSPECT_QUEUES_PER_CALL);
        for key in self.queues_left.split_off(from) {
            requests.command(&[b"LLEN", &key]);
            self.asked.push(Asked::QueueLength(key));
        }
        let from = self.counts_left.len().saturating_sub(INSPECT_QUEUES_PER_CALL);
        for (key, what) in self.counts_left.split_off(from) {
            let is_counter = matches!(what, RealmKey::Processed | RealmKey::Failures);
            requests.command(&[if is_counter { b"GET" } else { b"ZCARD" }, &key]);
            self.asked.push(Asked::Count(key, what));
        }
    }

    /// One process of a node: a command for each key.
    fn write_process(&mut self, key: Vec<u8>, requests: &mut Requests) {
        requests.command(&[b"GET", &key]);
        let text = String::from_utf8(key.clone()).ok();
        self.asked.push(Asked::Heartbeat(key));
        if let Some(text) = text
            && let Some(parts) = keys::parse_heartbeat(&text)
        {
            requests.command(&[b"GET", Realm::figures(&text, parts.uuid, true).as_bytes()]);
            self.asked.push(Asked::FiguresOf(text));
        }
    }

    fn accept_one(&mut self, asked: Asked, reply: &Reply) -> Result<(), InspectError> {
        let summary = &mut self.summary;
        match asked {
            Asked::RetryJobs => summary.retry_jobs = size(keys::RETRIES, reply)?,
            Asked::DeadJobs => summary.dead_jobs = size(keys::DEAD, reply)?,
            Asked::ScheduledJobs => summary.scheduled_jobs = size(keys::SCHEDULED, reply)?,
            Asked::Failures => summary.failures = counter(keys::FAILURES, reply)?,
            Asked::Processed => summary.processed = counter(keys::PROCESSED, reply)?,
            Asked::ProcessKeys => {
                if let Step::Scan { processes, .. } = &mut self.step {
                    processes.accept(keys::SERVER_PREFIX, reply)?;
                }
            }
            Asked::ListKeys => {
                if let Step::Scan { lists, .. } = &mut self.step {
                    lists.accept(keys::LIST_PREFIX, reply)?;
                }
            }
            Asked::RealmKeys => {
                if let Step::Scan { realms, .. } = &mut self.step {
                    realms.accept(keys::IN_FLIGHT_PATTERN, reply)?;
                    realms.keys.retain(|key| keys_of_realms(key).is_some());
                }
            }
            Asked::Heartbeat(key) => summary.add_process(&key, &reply.value())?,
            Asked::FiguresOf(key) => summary.add_figures(&key, &reply.value()),
            Asked::Count(key, what) => summary.add_count(&String::from_utf8_lossy(&key), what, reply)?,
            Asked::Heartbeats(page) => {
                let values = reply.as_array().map_err(at(keys::SERVER_PREFIX))?;
                page.iter().zip(values).try_for_each(|(key, value)| summary.add_process(key, &value))?;
            }
            Asked::Figures(processes) => {
                let values = reply.as_array().map_err(at(keys::PROCESS_PREFIX))?;
                processes.iter().zip(values).for_each(|(key, value)| summary.add_figures(key, &value));
            }
            Asked::QueueLength(key) => summary.add_queue(&key, reply)?,
        }
        Ok(())
    }
}

fn write_mget<K: AsRef<[u8]>>(requests: &mut Requests, keys: &[K]) {
    let mut command = requests.begin(1 + keys.len());
    command.arg(b"MGET");
    keys.iter().for_each(|key| {
        command.arg(key.as_ref());
    });
}

#[cfg(test)]
mod tests;
