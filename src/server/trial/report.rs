//! What a job did that was run here, as text or JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::client::{Progress, Pushed};
use crate::foreign::{Foreign, escape_json, neutral};
use crate::testing::{Outcome, Run};

/// See the module.
pub(super) struct Report {
    pub(super) run: Run,
    pub(super) took: Duration,
    /// What it reported, oldest first.
    pub(super) progress: Vec<Progress>,
}

impl Report {
    /// A line on how it ended, and what it did besides. Why it failed is the command's error.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { run, took, progress } = self;
        let Run { name, jid, queue, attempt, outcome, pushed, .. } = run;
        let (name, jid, queue) = (Foreign::cell(name), Foreign::cell(jid), Foreign::cell(queue));
        let retry = if *attempt > 0 { format!(", as retry {attempt}") } else { String::new() };
        let took = took.as_secs_f64() * 1e3;
        writeln!(
            out,
            "{name} with jid {jid} of queue {queue} ran for {took:.1} ms{retry}: {}",
            ended(outcome)
        )?;
        if let Some(Progress { done, total, note, .. }) = progress.last() {
            writeln!(out, "progress: {done} of {total} {}", Foreign::text(note))?;
        }
        for Pushed { name, jid, queue, due_at, .. } in pushed {
            let (name, jid, queue) = (Foreign::cell(name), Foreign::cell(jid), Foreign::cell(queue));
            let due = due_at.map(|at| format!(", due at {at:.0} (Unix seconds)")).unwrap_or_default();
            writeln!(out, "would have pushed {name} with jid {jid} into queue {queue}{due}")?;
        }
        if let Some(trace) = outcome.error().and_then(|error| error.backtrace()) {
            neutral(trace).lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
        Ok(())
    }

    /// One object.
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { run, took, progress } = self;
        let Run { name, jid, queue, attempt, retries, outcome, pushed } = run;
        let object = Shown {
            name,
            jid,
            queue,
            attempt: *attempt,
            retries: *retries,
            seconds: took.as_secs_f64(),
            outcome: Word::of(outcome),
            after: outcome.runs_again_after().map(|after| after.as_secs_f64()),
            error: outcome.error().map(|error| ShownError {
                class: error.class(),
                message: error.message(),
                backtrace: error.backtrace().map(|trace| trace.lines().collect()),
            }),
            progress,
            pushed: pushed.iter().map(ShownPush::of).collect::<Result<_, _>>()?,
        };
        writeln!(out, "{}", escape_json(&serde_json::to_string(&object)?))
    }
}

#[derive(Serialize)]
struct Shown<'r> {
    name: &'r str,
    jid: &'r str,
    queue: &'r str,
    attempt: u32,
    retries: u32,
    seconds: f64,
    outcome: Word,
    after: Option<f64>,
    error: Option<ShownError<'r>>,
    progress: &'r [Progress],
    pushed: Vec<ShownPush<'r>>,
}

#[derive(Serialize)]
struct ShownError<'r> {
    class: &'r str,
    message: &'r str,
    backtrace: Option<Vec<&'r str>>,
}

#[derive(Serialize)]
struct ShownPush<'r> {
    name: &'r str,
    jid: &'r str,
    queue: &'r str,
    due_at: Option<f64>,
    /// With its numbers as they are written.
    payload: &'r RawValue,
}

impl<'r> ShownPush<'r> {
    fn of(job: &'r Pushed) -> serde_json::Result<Self> {
        let Pushed { name, jid, queue, due_at, payload } = job;
        Ok(Self { name, jid, queue, due_at: *due_at, payload: serde_json::from_slice(payload)? })
    }
}

/// In one word.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Done,
    Retry,
    Dead,
    Snoozed,
    Discarded,
}

impl Word {
    const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::Done,
            Outcome::Retry { .. } => Self::Retry,
            Outcome::Dead { .. } => Self::Dead,
            Outcome::Snoozed { .. } => Self::Snoozed,
            Outcome::Discarded { .. } => Self::Discarded,
        }
    }
}

fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Retry { .. } | Outcome::Dead { .. } => "failed".to_owned(),
        Outcome::Snoozed { after } => format!("snoozed, to run again in {:.0} s", after.as_secs_f64()),
        Outcome::Discarded { error } => {
            let (class, message) = (Foreign::cell(error.class()), Foreign::text(error.message()));
            format!("discarded: {class}: {message}")
        }
    }
}
