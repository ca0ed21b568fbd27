//! `jiggler-uring why JID`: where a job is, and what it waits for.
//!
//! It is searched for as `show` does. What keeps it waiting is put together from what operators have paused, what the
//! processes say of themselves, and its place in its queue; the rate is measured over [`WHY_SPAN`].
//!
//! As JSON one object is written: `jid`, `place` (null if it is in none), `queue`, `name`, and `reasons`, a list of `what`
//! (one word) and `text`; for a job in a queue that was found there `nth`, `of` and, if any were taken meanwhile, `seconds`
//! until it is taken at that rate.

use std::io::Write;

use serde::Serialize;

use super::{
    database::Database,
    error::Error,
    format::{Format, write_json},
    pause::told,
    show::{Running, Wanted, find, nowhere, running, tell_processes},
    span::{date, span},
    table::printable,
};
use crate::{
    job::{Parser, failure::CLASS_POISON},
    limits::{RECOVERIES_MAX, SHOW_WAIT, WHY_POSITION_MAX, WHY_SPAN},
    net::blocking::BlockingConnection,
    resp::Requests,
    store::{
        entries::{Entry, Place, Set},
        position::{self, Position},
        survey::{Process, Scope, Summary},
    },
    view::{entry::JobEntry, member::Member},
    wire::{
        ListName,
        heartbeat_key::{Poller, split_queues},
    },
};

/// One thing that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Reason {
    what: &'static str,
    text: String,
}

/// What is known of a job.
#[derive(Debug, Default, Serialize)]
struct Answer {
    jid: String,
    place: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

impl Answer {
    fn add(&mut self, what: &'static str, text: impl Into<String>) {
        self.reasons.push(Reason { what, text: text.into() });
    }
}

/// Looks for the job and says what it waits for. Round trips: those of `show`, and two more for one in a queue.
///
/// # Errors
/// As `show`.
pub(crate) fn why(db: &Database, wanted: &Wanted, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let mut fleet = super::nodes::survey(db, Scope::Everything)?;
    let mut searched = Vec::new();
    let found = find(db, wanted, &fleet, &mut searched)?;
    let mut runs = running(&fleet, &wanted.jid);
    if found.is_none() && runs.is_empty() && tell_processes(db, &fleet)? {
        std::thread::sleep(SHOW_WAIT);
        fleet = super::nodes::survey(db, Scope::Everything)?;
        runs = running(&fleet, &wanted.jid);
    }
    let mut answer = Answer { jid: wanted.jid.clone(), ..Answer::default() };
    for run in &runs {
        answer.add("running", runs_where(run, fleet.at));
    }
    match &found {
        Some((place, entry)) => in_place(db, &fleet, (place, entry), &mut answer)?,
        None if runs.is_empty() => return Err(nowhere(&wanted.jid, searched)),
        None => {}
    }
    match format {
        Format::Json => write_json(&answer, out),
        Format::Text => text(&answer, out),
    }
}

fn text(answer: &Answer, out: &mut dyn Write) -> Result<(), Error> {
    if let Some(place) = answer.place {
        let (name, queue) = (answer.name.as_deref().unwrap_or("-"), answer.queue.as_deref().unwrap_or("-"));
        let name = printable(name);
        match place {
            "queue" => writeln!(out, "{name} waits in queue {}", ListName::shown(queue))?,
            place => writeln!(out, "{name} is in the {place} set, for queue {}", ListName::shown(queue))?,
        }
    }
    for reason in &answer.reasons {
        writeln!(out, "- {}", reason.text)?;
    }
    Ok(())
}

fn runs_where(run: &Running, now: f64) -> String {
    let shard = run.shard.map_or_else(String::new, |shard| format!(" at shard {shard}"));
    let long = run.since.map_or_else(String::new, |since| format!(" since {}", date(since, now)));
    let (process, host) = (printable(&run.process), printable(&run.host));
    format!("it is running{long}{shard} of process {process} (pid {} on {host})", run.pid)
}

/// What keeps a job in its place.
fn in_place(
    db: &Database,
    fleet: &Summary,
    (place, entry): (&Place, &Entry),
    answer: &mut Answer,
) -> Result<(), Error> {
    let job = JobEntry::new(place, entry, &mut Parser::new(db.schema));
    (answer.queue, answer.name) = (Some(job.queue()), job.name());
    if let Some(trouble) = job.trouble() {
        answer.add("no-job", format!("it is no job: {trouble}"));
    }
    match place {
        Place::Queue(queue) => {
            answer.place = Some("queue");
            let waits = of_queue(fleet, &job, answer);
            in_queue(db, queue, entry, waits, answer)?;
        }
        Place::Set(set) => {
            answer.place = Some(set.word());
            of_set(fleet, *set, &job, answer);
        }
    }
    Ok(())
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

/// Where it is in its queue, how fast that moves, and how often it was recovered.
fn in_queue(
    db: &Database,
    queue: &ListName,
    entry: &Entry,
    waits_for_nothing: bool,
    answer: &mut Answer,
) -> Result<(), Error> {
    let mut conn = BlockingConnection::connect(&db.at_key(&db.keys.list(queue)).url)?;
    let mut requests = Requests::new();
    position::ask_recoveries(db.keys, &queue.exact(), &answer.jid, &mut requests);
    // A user who may not ask is told less.
    let recovered = position::read_recoveries(&conn.call_one(&requests)?).unwrap_or(0);
    if recovered > 0 {
        let text = format!("it was in flight at {recovered} deaths of {RECOVERIES_MAX} that it may survive");
        answer.add("recovered", text);
    }
    let Some(Position { nth, of }) = position(db, &mut conn, queue, entry)? else {
        answer.add(
            "position-unknown",
            "its place in the queue cannot be told: it is too large, or this user may not ask",
        );
        return Ok(());
    };
    (answer.nth, answer.of) = (nth, Some(of));
    let Some(first) = nth else {
        let text = format!("it is not among the next {WHY_POSITION_MAX} of {of} jobs");
        answer.add("position-unknown", text);
        return Ok(());
    };
    std::thread::sleep(WHY_SPAN);
    let Some(next) = position(db, &mut conn, queue, entry)?.and_then(|position| position.nth) else {
        answer.add("taken", "it has been taken just now");
        return Ok(());
    };
    let taken = first.saturating_sub(next);
    let place = format!("it is number {next} of {of} in its queue");
    answer.nth = Some(next);
    if taken == 0 {
        let more = if waits_for_nothing { "; nothing shows why" } else { "" };
        answer.add("position", format!("{place}, of which none was taken in {} s{more}", WHY_SPAN.as_secs()));
        return Ok(());
    }
    let seconds = next as f64 * WHY_SPAN.as_secs_f64() / taken as f64;
    answer.seconds = Some(seconds);
    answer.add("position", format!("{place}, of which {taken}/s are taken: in about {}", span(seconds)));
    Ok(())
}

/// `None`: it cannot be asked for.
fn position(
    db: &Database,
    conn: &mut BlockingConnection,
    queue: &ListName,
    entry: &Entry,
) -> Result<Option<Position>, Error> {
    if !entry.is_whole() {
        return Ok(None);
    }
    let mut requests = Requests::new();
    position::ask(db.keys, queue, &entry.bytes, &mut requests);
    match conn.call(&requests)?.as_slice() {
        [found, length] => Ok(position::read(found, length).ok()),
        _ => Ok(None),
    }
}
