//! Doing what a form has asked for, over a connection of its own, step by step; then noting it in the audit log and in the
//! log of this process.
//!
//! Each step is one bounded call, as on the command line (`acts`). What was done until somebody stops it, or until Redis
//! goes away, is done, and is said and noted.

use std::rc::Rc;

use super::deed::{Deed, Verb};
use super::fleet::Seen;
use super::link::{DeskError, Link, Patience, Source};
use super::tasks::{Report, Task, Tasks};
use super::words::{Text, count};
use crate::acts::action::{Action, Excess};
use crate::acts::look::Query;
use crate::acts::pause::{PauseChange, PauseError, Pausing};
use crate::acts::pick::{End, Pick};
use crate::acts::prune::{Found, Prune};
use crate::acts::sweep::{Mission, Sweep};
use crate::acts::{self, Outcome, Scene, Size, Steps};
use crate::foreign::Foreign;
use crate::limits::{
    DEAD_JOBS_MAX, DEAD_TIMEOUT, PAGE_EXAMINED_MAX, RETRIED_QUEUES_NAMED_MAX, TASK_REDIS_WAIT,
};
use crate::store::entries::{Place, Set};
use crate::store::operate::DeadSetCaps;
use crate::store::{audit, cancel};
use crate::wire::audit::AuditEntry;

mod again;
mod periodic;
mod steer;

/// What is to be done, and all that is needed for it.
pub(super) struct Work {
    pub(super) source: Source,
    pub(super) deed: Deed,
    /// Why, for a pause.
    pub(super) why: Option<String>,
    /// The fleet as the form found it.
    pub(super) seen: Rc<Seen>,
    pub(super) task: Rc<Task>,
    pub(super) tasks: Rc<Tasks>,
}

/// Why a step was not made.
enum Broken {
    Redis(DeskError),
    /// For the user to read.
    Refused(String),
}

impl<E: Into<DeskError>> From<E> for Broken {
    fn from(error: E) -> Self {
        match error.into() {
            DeskError::Act(acts::Error::DeadSetFull(full)) => Self::Refused(format!(
                "The dead set has {} and keeps {}, so {} more would push the oldest out; nothing more was moved. Raise \
                 max_dead_jobs of the workers, or use `jiggler-uring kill --trim`.",
                count(full.entries, "entry", "entries"),
                full.jobs_max,
                count(full.jobs, "job", "jobs"),
            )),
            error => Self::Redis(error),
        }
    }
}

fn patience() -> Patience {
    Patience::of(TASK_REDIS_WAIT)
}

impl Work {
    /// Does it, once it is its turn.
    pub(super) async fn carry_out(self) {
        let mut report = Report::default();
        match self.tasks.turn().await {
            Err(_) => report.failed = Some("Too much is under way here; ask again later.".to_owned()),
            Ok(_turn) if self.task.is_stopped() => report.is_stopped = true,
            Ok(_turn) => {
                if let Err(broken) = self.run(&mut report).await {
                    report.failed = Some(match broken {
                        Broken::Redis(error) => format!("{}.", Foreign::text(&error.to_string())),
                        Broken::Refused(said) => said,
                    });
                }
                if let Err(error) = self.note(outcome(&report), &report).await {
                    tracing::warn!(%error, "web: the audit log cannot be written");
                    report.said.push("The audit log could not be written: see the log.".to_owned());
                }
            }
        }
        let (who, order, outcome) = (&*self.task.who, &*self.task.order, outcome(&report));
        tracing::info!(who, order, outcome, done = report.done, "web: acted");
        self.task.end(report);
    }

    /// Adds an entry to the audit log: a round trip over a new connection, for the one before may be gone.
    async fn note(&self, outcome: &str, report: &Report) -> Result<(), DeskError> {
        let patience = patience();
        let mut link = Link::open(&self.source, &patience).await?;
        let said: Vec<&str> = report.said.iter().chain(&report.failed).map(String::as_str).collect();
        let entry = AuditEntry {
            at: self.now(),
            who: self.task.who.clone(),
            order: self.task.order.clone(),
            outcome: outcome.to_owned(),
            done: report.done,
            said: said.join(" "),
        };
        let keys = self.source.keys;
        let replies = link.call(&patience, |requests| audit::add(keys, &entry, requests)).await?;
        Ok(audit::added(&replies)?)
    }

    /// Unix time by the clock of Redis.
    fn now(&self) -> f64 {
        self.seen.at + self.seen.read_at.elapsed().as_secs_f64()
    }

    async fn run(&self, report: &mut Report) -> Result<(), Broken> {
        if self.deed.is_large() {
            // What cannot be noted is not done.
            self.note("began", report).await?;
            tracing::info!(who = &*self.task.who, order = &*self.task.order, "web: begins to act");
        }
        let mut link = Link::open(&self.source, &patience()).await?;
        match &self.deed {
            Deed::Job { verb, places, id } => self.one(&mut link, *verb, places, id, report).await,
            Deed::All { verb, set, wanted } => {
                let place = Place::Set(*set);
                let query = wanted.query(&place, 0, usize::MAX, PAGE_EXAMINED_MAX).until(self.now());
                self.all(&mut link, *verb, *set, query, report).await
            }
            Deed::Pause(what) => {
                let (by, why) = (self.task.who.clone(), self.why.clone());
                let change = PauseChange::Pause { what: what.clone(), by, why, until: None };
                self.pause(&mut link, change, report).await
            }
            Deed::Resume(what) => self.pause(&mut link, PauseChange::Resume(what.clone()), report).await,
            Deed::Clear(queue) => self.clear(&mut link, Place::Queue(queue.clone()), report).await,
            Deed::Steer { uuid, request } => steer::steer(self, &mut link, uuid, *request, report).await,
            Deed::Cancel { jid } => self.cancel(&mut link, jid, report).await,
            Deed::Again { set, id, near, args, removes } => {
                let (set, near, removes) = (*set, *near, *removes);
                let wish = again::Wish { set, id, near, args: args.as_deref(), removes };
                again::again(self, &mut link, wish, report).await
            }
            Deed::Periodic { edit, name } => periodic::change(self, &mut link, edit, name, report).await,
        }
    }

    fn scene(&self) -> Scene {
        let Source { keys, schema, .. } = self.source;
        Scene { realm: Rc::new(keys.shared_realm()), schema, now: self.now() }
    }

    fn action(&self, verb: Verb) -> Action {
        // Of workers that do not say.
        const CAPS: DeadSetCaps = DeadSetCaps { jobs_max: DEAD_JOBS_MAX, timeout_s: DEAD_TIMEOUT.as_secs() };
        match verb {
            Verb::Retry => Action::Retry(None),
            Verb::Kill => Action::Kill(self.seen.dead_caps.unwrap_or(CAPS), Excess::Refuse),
            Verb::Delete => Action::Delete,
        }
    }

    /// Makes a step unless somebody has stopped it; `false`: there is no more to do.
    async fn step(
        &self,
        link: &mut Link,
        steps: &mut impl Steps,
        report: &mut Report,
    ) -> Result<bool, Broken> {
        if self.task.is_stopped() {
            report.is_stopped = true;
            return Ok(false);
        }
        Ok(link.step(steps, &patience()).await?)
    }

    async fn size(&self, link: &mut Link, place: &Place, report: &mut Report) -> Result<u64, Broken> {
        let mut size = Size::of(place);
        while self.step(link, &mut size, report).await? {}
        Ok(size.entries())
    }

    async fn one(
        &self,
        link: &mut Link,
        verb: Verb,
        places: &[Place],
        id: &str,
        report: &mut Report,
    ) -> Result<(), Broken> {
        let mut pick = Pick::new(self.action(verb), id, places, self.scene());
        while self.step(link, &mut pick, report).await? {
            // It was agreed to on the page.
            if pick.found().is_some() {
                pick.agree();
            }
            self.task.progress(pick.progress());
        }
        match pick.end() {
            Some(End::Done { title, place, outcome }) => {
                report.done = 1;
                let what = match verb {
                    Verb::Retry => "retried",
                    Verb::Kill => "moved to the dead set",
                    Verb::Delete => "deleted",
                };
                report.said.push(format!("Job {} of {place} was {what}.", Text::cut(title, 200).shown));
                self.tell_retried(outcome, report);
                Ok(())
            }
            Some(End::Held(key)) => Err(self.held(1, key)),
            Some(End::NoJob) => Err(Broken::Refused(
                "It holds more bytes than a worker runs, so it was not retried.".to_owned(),
            )),
            Some(End::NotFound) => {
                let places: Vec<String> = places.iter().map(ToString::to_string).collect();
                let said =
                    format!("It is not in {}: it was taken, moved or deleted before.", places.join(", "));
                report.said.push(said);
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn all(
        &self,
        link: &mut Link,
        verb: Verb,
        set: Set,
        query: Query,
        report: &mut Report,
    ) -> Result<(), Broken> {
        let mission = Mission { action: self.action(verb), set, filter: query.filter };
        let total = self.size(link, &query.place, report).await?;
        if mission.filter.is_empty() && mission.action.needs_room() {
            // Nothing is moved unless all can be. With a filter, the number of jobs is not known.
            let dead = self.size(link, &Place::Set(Set::Dead), report).await?;
            mission.action.check_room(dead, total).map_err(acts::Error::from)?;
        }
        let mut sweep = Sweep::new(&mission, self.scene(), total);
        let mut ended = Ok(true);
        while matches!(ended, Ok(true)) {
            ended = self.step(link, &mut sweep, report).await;
            self.task.progress(sweep.progress());
        }
        let swept = sweep.swept();
        let outcome = &swept.outcome;
        report.done = outcome.done;
        let done = count(outcome.done, "job", "jobs");
        let were = if outcome.done == 1 { "was" } else { "were" };
        report.said.push(match verb {
            Verb::Retry => format!("{done} of {set} {were} retried."),
            Verb::Kill => format!("{done} of {set} {were} moved to the dead set."),
            Verb::Delete => format!("{done} of {set} {were} deleted."),
        });
        if swept.unfit > 0 {
            let left = count(swept.unfit, "entry holds", "entries hold");
            report.said.push(format!("{left} more bytes than a worker runs and stayed."));
        }
        if outcome.gone > 0 {
            report.said.push(format!("{} had gone in the meantime.", count(outcome.gone, "job", "jobs")));
        }
        self.tell_retried(outcome, report);
        ended?;
        match &outcome.held_by {
            Some(key) => Err(self.held(outcome.held, key)),
            None => Ok(()),
        }
    }

    /// Names queues of retried jobs that nobody serves: jobs wait there for ever.
    fn tell_retried(&self, outcome: &Outcome, report: &mut Report) {
        let keys = self.source.keys;
        let unserved = outcome.queues.iter().filter_map(|(key, jobs)| {
            let name = keys.queue_name(key).unwrap_or(key);
            let served = self.seen.queues.get(name).is_some_and(|queue| queue.processes > 0);
            (!served).then_some((name, *jobs))
        });
        for (name, jobs) in unserved.take(RETRIED_QUEUES_NAMED_MAX) {
            let (name, jobs) = (Text::cell(name).shown, count(jobs, "job waits", "jobs wait"));
            report.said.push(format!("No process serves queue {name}: {jobs} until one does."));
        }
    }

    /// Why jobs stay where they are.
    fn held(&self, jobs: u64, key: &str) -> Broken {
        let name = Text::cell(self.source.keys.queue_name(key).unwrap_or(key)).shown;
        let jobs = count(jobs, "job stays where it is", "jobs stay where they are");
        Broken::Refused(format!(
            "{jobs}: no worker may be given queue {name}, or what lies under its key is not a list of jobs."
        ))
    }

    async fn clear(&self, link: &mut Link, place: Place, report: &mut Report) -> Result<(), Broken> {
        let jobs = self.size(link, &place, report).await?;
        let found = Found::in_place(place.clone(), jobs);
        let mut prune = Prune::new(&found, self.source.keys);
        while self.step(link, &mut prune, report).await? {
            self.task.progress(prune.progress());
        }
        report.done = prune.deleted().map(|(_, count)| count).sum();
        report.said.push(format!("{} of {place} were deleted.", count(report.done, "job", "jobs")));
        Ok(())
    }

    async fn pause(&self, link: &mut Link, change: PauseChange, report: &mut Report) -> Result<(), Broken> {
        let is_pause = matches!(change, PauseChange::Pause { .. });
        let what = change.what().to_string();
        let mut pausing = Pausing::new(change, self.source.keys, self.source.url.database());
        while pausing.changed().is_none() {
            let replies = link.call(&patience(), |requests| _ = pausing.write(requests)).await?;
            match pausing.read(&replies) {
                Ok(()) => {}
                // It is as it was wanted.
                Err(PauseError::NotPaused { .. }) => {
                    report.said.push(format!("The {what} was not paused."));
                    return Ok(());
                }
                Err(PauseError::Reply(error)) => return Err(error.into()),
                Err(error) => return Err(Broken::Refused(format!("{error}."))),
            }
        }
        let heard = pausing.changed().map_or(0, |changed| changed.heard);
        report.done = 1;
        report.said.push(match (is_pause, heard) {
            (true, 0) => {
                format!("The {what} is paused. No process listens now; each learns it when it starts.")
            }
            (true, heard) => {
                format!("The {what} is paused; {} heard it.", count(heard, "process has", "processes have"))
            }
            (false, _) => format!("The {what} runs again."),
        });
        Ok(())
    }

    async fn cancel(&self, link: &mut Link, jid: &str, report: &mut Report) -> Result<(), Broken> {
        let Source { keys, url, .. } = &self.source;
        let write = |requests: &mut _| cancel::publish(*keys, url.database(), jid, requests);
        let replies = link.call(&patience(), write).await?;
        let told = replies.first().map(cancel::told).transpose()?.unwrap_or(0);
        if told == 0 {
            return Err(Broken::Refused("No worker listens.".to_owned()));
        }
        report.done = 1;
        let workers = count(told, "worker was", "workers were");
        report.said.push(format!("{workers} asked to end it. The dead set shows whether it did."));
        Ok(())
    }
}

/// As the audit log calls it.
const fn outcome(report: &Report) -> &'static str {
    match (&report.failed, report.is_stopped) {
        (Some(_), _) => "failed",
        (None, true) => "stopped",
        (None, false) => "done",
    }
}
