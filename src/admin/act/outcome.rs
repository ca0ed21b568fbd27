//! One script call of an act, and what became of the jobs in it.

use super::{Action, Excess};
use crate::{
    admin::{Error, session::Session},
    job::{
        failure::{CLASS_KILLED, ErrorInfo},
        retry,
    },
    store::{
        entries::{Entry, Place, Set},
        operate::{self, Condemned, Requeued},
    },
    time::unix_now,
};

/// What became of a batch.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Acted on.
    pub(super) done: u64,
    /// No longer there.
    pub(super) gone: u64,
    /// Not retried: the key of their queue is no list.
    pub(super) held: u64,
    /// The key of a queue: of the last job retried, or of one that is held.
    pub(super) queue: Option<String>,
    /// Dead entries trimmed away.
    pub(super) trimmed: u64,
}

/// What became of all jobs that were meant.
#[derive(Debug, Default)]
pub(super) struct Swept {
    pub(super) outcome: Outcome,
    /// Entries that hold bytes that are no job, so that they were not retried.
    pub(super) unfit: u64,
}

/// One script call.
pub(super) fn apply(
    session: &mut Session,
    action: Action,
    place: &Place,
    jobs: &[&Entry],
) -> Result<Outcome, Error> {
    let what = || format!("{} jobs of {place}", action.verb());
    let moved = |moved: Vec<bool>, trimmed| {
        let done = moved.iter().filter(|moved| **moved).count() as u64;
        Outcome { done, gone: moved.len() as u64 - done, trimmed, ..Outcome::default() }
    };
    match (action, place) {
        (Action::Retry, Place::Set(set)) => {
            let write = |scripts: &_, requests: &mut _| operate::requeue(scripts, *set, jobs, requests);
            let requeued = session.call(&what, write, operate::read_requeued)?;
            let carried =
                requeued.into_iter().zip(jobs).map(|(became, job)| carry(session, *set, job, became));
            Ok(Outcome::of(carried.collect::<Result<_, _>>()?))
        }
        (Action::Kill(caps, excess), Place::Set(set)) => {
            let caps = (excess == Excess::Trim).then_some(caps);
            let now = unix_now();
            let condemned: Vec<Condemned<'_>> =
                jobs.iter().map(|entry| condemned(entry, *set, now)).collect();
            let write =
                |scripts: &_, requests: &mut _| operate::kill(scripts, *set, &condemned, caps, requests);
            let killed = session.call(&what, write, operate::read_killed)?;
            Ok(moved(killed.moved, killed.trimmed))
        }
        (Action::Delete, place) => {
            let write = |scripts: &_, requests: &mut _| operate::delete(scripts, place, jobs, requests);
            Ok(moved(session.call(&what, write, operate::read_deleted)?, 0))
        }
        // What waits in a queue runs, or is deleted: there is no other way out of it.
        (Action::Retry | Action::Kill(..), Place::Queue(_)) => Ok(Outcome::default()),
    }
}

/// A job that names a queue of another realm, in a cluster: no script reaches both, so it is copied there and then removed
/// here. Whoever ends in between leaves it in both, to run twice rather than never.
fn carry(session: &mut Session, set: Set, job: &Entry, became: Requeued) -> Result<Requeued, Error> {
    let Requeued::Held(key) = became else { return Ok(became) };
    let Some(queue) = session.queue_elsewhere(&key).filter(|_| job.is_whole()) else {
        return Ok(Requeued::Held(key));
    };
    if !session.push_elsewhere(&queue, &job.bytes)? {
        return Ok(Requeued::Held(key));
    }
    let place = Place::Set(set);
    let write = |scripts: &_, requests: &mut _| operate::delete(scripts, &place, &[job], requests);
    session.call(&|| format!("remove what is in {queue} from {set}"), write, operate::read_deleted)?;
    Ok(Requeued::Moved(key))
}

/// With the reason that it has none of, unless it is too large to be seen whole.
fn condemned(entry: &Entry, set: Set, now: f64) -> Condemned<'_> {
    let error = ErrorInfo::new(CLASS_KILLED, format!("killed by an operator while it lay in {set}"));
    let dead = if entry.is_whole() { retry::killed(&entry.bytes, &error, now) } else { None };
    Condemned { entry, dead }
}

impl Outcome {
    pub(super) fn of(requeued: Vec<Requeued>) -> Self {
        let mut outcome = Self::default();
        for job in requeued {
            match job {
                Requeued::Moved(key) => {
                    outcome.done += 1;
                    if outcome.held == 0 {
                        outcome.queue = Some(key);
                    }
                }
                Requeued::Gone => outcome.gone += 1,
                Requeued::Held(key) => {
                    outcome.held += 1;
                    outcome.queue = Some(key);
                }
            }
        }
        outcome
    }

    pub(super) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.gone += other.gone;
        self.trimmed += other.trimmed;
        if self.held == 0 || other.held > 0 {
            self.queue = other.queue;
        }
        self.held += other.held;
    }
}
