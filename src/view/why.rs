//! What a job waits for: what operators have paused, what the processes say of themselves, and when it is due.
//!
//! Not responsible for finding the job, nor for its place in its queue, which has to be asked for.

use serde::Serialize;

use super::entry::JobEntry;
use super::member::Member;
use super::shown::Running;
use super::span::{date, moment};
use crate::foreign::Foreign;
use crate::job::failure::CLASS_POISON;
use crate::job::{Parser, Schema};
use crate::store::entries::{Entry, Place, Set};
use crate::store::pace::Moments;
use crate::store::survey::{Process, Summary};
use crate::wire::ListName;
use crate::wire::heartbeat_key::{Poller, split_queues};
use crate::wire::paused::Pause;

/// One thing that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    pub(crate) what: &'static str,
    pub(crate) text: String,
}

/// What is known of a job.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    pub(crate) jid: String,
    pub(crate) place: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
}

impl Answer {
    /// Adds a reason, by its word and in words.
    pub(crate) fn add(&mut self, what: &'static str, text: impl Into<String>) {
        self.reasons.push(Reason { what, text: text.into() });
    }

    /// Adds where it runs. `now`: Unix time in seconds.
    pub(crate) fn note_runs(&mut self, runs: &[Running], now: f64) {
        self.name = runs.first().map(|run| run.name.clone());
        for run in runs {
            let shard = run.shard.map_or_else(String::new, |shard| format!(" at shard {shard}"));
            let long = run.since.map_or_else(String::new, |since| format!(" since {}", date(since, now)));
            let (process, host) = (printable(&run.process), printable(&run.host));
            let place =
                format!("it is running{long}{shard} of process {process} (pid {} on {host})", run.pid);
            self.add("running", place);
        }
    }

    /// Adds that a job whose score this is was put off to keep the pace of its queue, if it was.
    pub(crate) fn note_pace(&mut self, moments: &Moments, score: f64, now: f64) {
        if score <= now || !moments.have(score) {
            return;
        }
        let queue = ListName::shown(self.queue.as_deref().unwrap_or("-"));
        let (pace, turn) = (moments.per_second, moment(score - now));
        self.add("paced", format!("queue {queue} is paced at {pace}/s: this job's turn is {turn}"));
    }

    /// Adds what keeps a job in its place. Returns whether nothing keeps those of its queue.
    pub(crate) fn note_place(
        &mut self,
        fleet: &Summary,
        place: &Place,
        entry: &Entry,
        schema: Schema,
    ) -> bool {
        let job = JobEntry::new(place, entry, &mut Parser::new(schema));
        (self.queue, self.name) = (Some(job.queue()), job.name());
        if let Some(trouble) = job.trouble() {
            self.add("no-job", format!("it is no job: {trouble}"));
        }
        match place {
            Place::Queue(_) => {
                self.place = Some("queue");
                of_queue(fleet, &job, self)
            }
            Place::Set(set) => {
                self.place = Some(set.word());
                of_set(fleet, *set, &job, self);
                false
            }
        }
    }
}

/// What keeps a job in a set.
fn of_set(fleet: &Summary, set: Set, job: &JobEntry<'_>, answer: &mut Answer) {
    let (names, at) = (job.names(), job.score().unwrap_or(0.0));
    let class = job.text(names.error_class);
    let error = || {
        let message = job.text(names.error_message).unwrap_or_default();
        class.as_ref().map_or_else(String::new, |class| {
            format!(" after error {}: {}", printable(class), printable(&message))
        })
    };
    let when = date(at, fleet.at);
    match set {
        Set::Dead => {
            let poison = if class.as_deref() == Some(CLASS_POISON) { ", taken for poison" } else { "" };
            answer.add("dead", format!("it is dead since {when}{poison}{}; `retry` runs it again", error()));
            return;
        }
        Set::Scheduled => answer.add("not-due", format!("it is due at {when}")),
        Set::Retries if job.number(names.left_until).is_some_and(|until| (until - at).abs() < 0.01) => {
            let paused = job.name().is_some_and(|name| fleet.paused.classes.contains_key(&name));
            let why =
                if paused { "its class is paused" } else { "the worker that had it does not know its name" };
            answer.add("left", format!("{why}: it is next in its queue at {when}"));
        }
        Set::Retries => answer.add("not-due", format!("its retry is due at {when}{}", error())),
    }
    let polls = |process: &Process| process.died_at.is_none() && process.poller == Poller::Enabled;
    if at <= fleet.at && !fleet.processes.values().any(polls) {
        answer.add("no-poller", "no living process moves due jobs to their queues");
    }
    of_queue(fleet, job, answer);
}

/// What keeps the jobs of its queue, or of its name, from being taken. Returns whether nothing does.
fn of_queue(fleet: &Summary, job: &JobEntry<'_>, answer: &mut Answer) -> bool {
    let (queue, before) = (job.queue(), answer.reasons.len());
    if let Some(pause) = fleet.paused.queues.get(&queue) {
        answer.add("queue-paused", format!("its queue is paused {}", told(pause, fleet.at)));
    }
    if let Some(pause) = job.name().and_then(|name| fleet.paused.classes.get(&name)) {
        answer.add("class-paused", format!("its class is paused {}", told(pause, fleet.at)));
    }
    let serves = |process: &&Process| {
        process.died_at.is_none() && split_queues(&process.queues).iter().any(|served| served.name == queue)
    };
    let serving: Vec<&Process> = fleet.processes.values().filter(serves).collect();
    if serving.is_empty() {
        answer.add("nobody-serves", format!("no living process serves queue {}", ListName::shown(&queue)));
        return false;
    }
    let running: Vec<&Process> =
        serving.into_iter().filter(|process| Member::of(process).phase == "running").collect();
    if running.is_empty() {
        answer.add("all-quiet", "every process that serves its queue is quiet or stops");
        return false;
    }
    let knows = |process: &&Process| {
        let names = process.figures.as_ref().and_then(|figures| figures.names.as_ref());
        names.is_none_or(|names| job.name().is_none_or(|name| names.contains(&name)))
    };
    if !running.iter().any(knows) {
        answer.add("unknown-name", "no process that serves its queue knows its name");
    }
    let outranked: Vec<Vec<String>> =
        running.iter().map(|process| outranking(fleet, process, &queue)).collect();
    if let Some(names) = outranked.first().filter(|_| outranked.iter().all(|names| !names.is_empty())) {
        let text =
            format!("jobs of {} come first, unless its processes serve queues by weight", names.join(", "));
        answer.add("outranked", text);
    }
    if running.iter().map(|process| Member::of(process)).all(|member| member.busy >= member.concurrency) {
        answer.add("no-slot", "every slot of the processes that serve its queue is taken");
    }
    answer.reasons.len() == before
}

/// The queues with jobs that this process serves before this one.
fn outranking(fleet: &Summary, process: &Process, queue: &str) -> Vec<String> {
    let served = split_queues(&process.queues);
    let rank = |name: &str| {
        served.iter().find(|served| served.name == name).and_then(|served| served.priority).unwrap_or(0)
    };
    let own = rank(queue);
    let before = served.iter().filter(|other| other.priority.unwrap_or(0) > own);
    let waits = |name: &str| {
        fleet.queues.get(name).copied().unwrap_or(0) > 0 && !fleet.paused.queues.contains_key(name)
    };
    before
        .filter(|other| waits(other.name))
        .map(|other| format!("queue {} ({})", ListName::shown(other.name), fleet.queues[other.name]))
        .collect()
}

/// Since when, by whom, until when and why.
pub(crate) fn told(pause: &Pause, now: f64) -> String {
    // Programs of others do not say since when.
    let since = (pause.at > 0.0).then(|| format!("since {}", moment(pause.at - now)));
    let by = (!pause.by.is_empty()).then(|| format!("by {}", printable(&pause.by)));
    let mut told = since.into_iter().chain(by).collect::<Vec<_>>().join(" ");
    if let Some(until) = pause.until {
        told += &format!(" until {}", date(until, now));
    }
    if let Some(why) = &pause.why {
        told += &format!(": {}", printable(why));
    }
    told
}

fn printable(text: &str) -> String {
    Foreign::cell(text).to_string()
}
