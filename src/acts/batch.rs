//! One batch of jobs of a place that are acted on, and what became of them.
//!
//! They are acted on in one script, if they are still there. An entry that holds buried bytes is retried as these bytes. In
//! a cluster a job to be retried in a queue other than its set's is copied there and then removed, in two steps: no script
//! reaches both. An interruption in between leaves it in both, to run twice rather than never.

use std::collections::BTreeMap;

use super::{
    action::Action,
    scene::Scene,
    size,
    steps::{Error, Steps, To},
};
use crate::{
    job::{
        failure::{CLASS_KILLED, ErrorInfo},
        retry,
    },
    limits::RETRIED_QUEUES_MAX,
    resp::{self, RedisErrorKind, Reply, Requests},
    store::{
        enqueue::{self, Push, When},
        entries::{Entry, Place, Set},
        operate::{self, Condemned, Requeued},
        scripts::Scripts,
    },
    view::entry,
    wire::QueueName,
};

/// What became of a batch, or of several.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Acted on.
    pub(crate) done: u64,
    /// No longer there.
    pub(crate) gone: u64,
    /// Not retried: the key of their queue is not a list, or no worker may be given that queue.
    pub(crate) held: u64,
    /// Of a job that is held: the key of its queue.
    pub(crate) held_by: Option<String>,
    /// Jobs retried, by the key of their queue; those of further queues are in none of them.
    ///
    /// Invariant: at most [`RETRIED_QUEUES_MAX`].
    pub(crate) queues: BTreeMap<String, u64>,
    /// Dead entries that were trimmed.
    pub(crate) trimmed: u64,
}

/// Jobs that are acted on together.
#[derive(Debug)]
pub(super) struct Batch {
    action: Action,
    place: Place,
    /// That of the place.
    scene: Scene,
    jobs: Vec<Entry>,
    stage: Stage,
    outcome: Outcome,
}

/// ```text
/// Room ─► Act ─► Carry: push, remove, push … ─► Over
/// ```
#[derive(Debug)]
enum Stage {
    /// Asks how many entries the dead set has.
    Room,
    Act,
    /// The job with this number is copied to another queue and then removed, if it is held for that reason.
    Carry {
        became: Vec<Requeued>,
        at: usize,
        is_pushed: bool,
    },
    Over,
}

impl Batch {
    pub(super) fn new(action: Action, place: Place, scene: Scene, jobs: Vec<Entry>) -> Self {
        let stage = match (&action, &place) {
            // A job that waits in a queue runs, or is deleted: there is no other way out of the queue.
            (Action::Retry(_) | Action::Kill(..), Place::Queue(_)) => Stage::Over,
            _ if action.needs_room() => Stage::Room,
            _ => Stage::Act,
        };
        Self { action, place, scene, jobs, stage, outcome: Outcome::default() }
    }

    /// What became of the jobs, once that is known.
    pub(super) const fn outcome(&self) -> Option<&Outcome> {
        match self.stage {
            Stage::Over => Some(&self.outcome),
            Stage::Room | Stage::Act | Stage::Carry { .. } => None,
        }
    }

    fn write_act(&self, scripts: &Scripts, requests: &mut Requests) {
        let jobs: Vec<&Entry> = self.jobs.iter().collect();
        match (&self.action, &self.place) {
            (Action::Retry(queue), Place::Set(set)) => {
                let revive = |job| entry::retried(job, self.scene.schema, *set, queue.as_ref());
                let revived: Vec<_> = self.jobs.iter().map(revive).collect();
                operate::requeue(scripts, *set, &revived, requests);
            }
            (Action::Kill(caps, _), Place::Set(set)) => {
                let caps = (!self.action.needs_room()).then_some(*caps);
                let condemned: Vec<Condemned<'_>> =
                    jobs.iter().map(|entry| condemned(entry, *set, &self.scene)).collect();
                operate::kill(scripts, *set, &condemned, caps, requests);
            }
            // Anything but a deletion of a queue's jobs is over from the start.
            (_, place) => operate::delete(scripts, place, &jobs, requests),
        }
    }

    fn read_act(&mut self, reply: &Reply) -> Result<(), Error> {
        self.stage = Stage::Over;
        match self.action {
            Action::Retry(_) => {
                let became = operate::read_requeued(reply)?;
                self.carry_from(became, 0);
            }
            Action::Kill(..) => {
                let killed = operate::read_killed(reply)?;
                self.outcome = Outcome { trimmed: killed.trimmed, ..Outcome::of_flags(&killed.moved) };
            }
            Action::Delete => self.outcome = Outcome::of_flags(&operate::read_deleted(reply)?),
        }
        Ok(())
    }

    /// Moves on to the next job to be carried, from this number on.
    fn carry_from(&mut self, became: Vec<Requeued>, from: usize) {
        let next = became.iter().zip(&self.jobs).skip(from).position(|(became, job)| {
            matches!(became, Requeued::Held(key) if job.is_whole() && self.queue_elsewhere(key).is_some())
        });
        match next {
            Some(offset) => self.stage = Stage::Carry { became, at: from + offset, is_pushed: false },
            None => {
                self.stage = Stage::Over;
                self.outcome = Outcome::of(became);
            }
        }
    }

    /// The queue of a key, if it is in another realm than the place.
    fn queue_elsewhere(&self, key: &str) -> Option<QueueName> {
        let own = self.scene.realm.queue()?;
        let name = self.scene.realm.keys().queue_name(key).filter(|name| *name != own)?;
        QueueName::new(name).ok()
    }

    /// Where to carry the job with this number.
    fn destination(&self, became: &[Requeued], at: usize) -> Option<QueueName> {
        match &became[at] {
            Requeued::Held(key) | Requeued::Moved(key) => self.queue_elsewhere(key),
            Requeued::Gone | Requeued::Unservable(_) => None,
        }
    }

    fn read_carry(
        &mut self,
        mut became: Vec<Requeued>,
        at: usize,
        is_pushed: bool,
        reply: &Reply,
    ) -> Result<(), Error> {
        if is_pushed {
            operate::read_deleted(reply)?;
            if let Requeued::Held(key) = &became[at] {
                became[at] = Requeued::Moved(key.clone());
            }
            self.carry_from(became, at + 1);
            return Ok(());
        }
        match enqueue::pushed(reply) {
            Ok(_) => self.stage = Stage::Carry { became, at, is_pushed: true },
            // It stays where it is, as on a single server.
            Err(resp::Error::Redis(error)) if error.kind() == RedisErrorKind::WrongType => {
                self.carry_from(became, at + 1);
            }
            Err(cause) => return Err(cause.into()),
        }
        Ok(())
    }
}

impl Steps for Batch {
    fn next(&self, scripts: &Scripts, requests: &mut Requests) -> Option<To> {
        match &self.stage {
            Stage::Over => return None,
            Stage::Room => size::write(&Place::Set(Set::Dead), scripts, requests),
            Stage::Act => self.write_act(scripts, requests),
            Stage::Carry { at, is_pushed: true, .. } => {
                operate::delete(scripts, &self.place, &[&self.jobs[*at]], requests);
            }
            Stage::Carry { became, at, is_pushed: false } => {
                let queue = self.destination(became, *at)?;
                let push = Push { keys: self.scene.realm.keys(), queue: &queue, when: When::Now };
                let job = entry::revived(&self.jobs[*at], self.scene.schema, None);
                push.one(job.exact.as_deref().unwrap_or(&job.entry.bytes), requests);
                return Some(To::Queue(queue));
            }
        }
        Some(To::Here)
    }

    fn read(&mut self, reply: &Reply) -> Result<(), Error> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Over => Ok(()),
            Stage::Room => {
                self.action.check_room(size::read(reply)?, self.jobs.len() as u64)?;
                self.stage = Stage::Act;
                Ok(())
            }
            Stage::Act => self.read_act(reply),
            Stage::Carry { became, at, is_pushed } => self.read_carry(became, at, is_pushed, reply),
        }
    }

    fn what(&self) -> String {
        let place = &self.place;
        match &self.stage {
            Stage::Room => size::what(&Place::Set(Set::Dead)),
            Stage::Act | Stage::Over => format!("{} jobs of {place}", self.action.verb()),
            Stage::Carry { became, at, is_pushed } => {
                let queue = self.destination(became, *at).map(|queue| queue.to_string()).unwrap_or_default();
                if *is_pushed {
                    format!("remove what is in {queue} from {place}")
                } else {
                    format!("push to queue {queue}")
                }
            }
        }
    }
}

/// Adds the reason for its death, unless it has one or is too large to be read as a whole.
fn condemned<'e>(entry: &'e Entry, set: Set, scene: &Scene) -> Condemned<'e> {
    let error = ErrorInfo::new(CLASS_KILLED, format!("killed by an operator while in {set}"));
    let killed = || retry::killed(scene.schema, &entry.bytes, &error, scene.now);
    let dead = if entry.is_whole() { killed() } else { None };
    Condemned { entry, dead }
}

impl Outcome {
    /// The outcome for jobs, each of which was either still there, and so moved, or not.
    fn of_flags(moved: &[bool]) -> Self {
        let done = moved.iter().filter(|moved| **moved).count() as u64;
        Self { done, gone: moved.len() as u64 - done, ..Self::default() }
    }

    fn of(requeued: Vec<Requeued>) -> Self {
        let mut outcome = Self::default();
        for job in requeued {
            match job {
                Requeued::Moved(key) => {
                    outcome.done += 1;
                    outcome.count(&key, 1);
                }
                Requeued::Gone => outcome.gone += 1,
                Requeued::Held(key) | Requeued::Unservable(key) => {
                    outcome.held += 1;
                    outcome.held_by = Some(key);
                }
            }
        }
        outcome
    }

    fn count(&mut self, key: &str, jobs: u64) {
        if let Some(count) = self.queues.get_mut(key) {
            *count += jobs;
        } else if self.queues.len() < RETRIED_QUEUES_MAX {
            self.queues.insert(key.to_owned(), jobs);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.gone += other.gone;
        self.trimmed += other.trimmed;
        self.held += other.held;
        if other.held_by.is_some() {
            self.held_by.clone_from(&other.held_by);
        }
        for (key, jobs) in &other.queues {
            self.count(key, *jobs);
        }
    }
}
