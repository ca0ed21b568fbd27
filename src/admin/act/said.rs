//! What an act asks and reports.

use std::{cmp::Reverse, io::Write};

use crate::{
    acts::{
        Outcome,
        action::{Action, Excess},
        sweep::{Mission, Swept},
    },
    admin::{error::Error, table::printable},
    limits::RETRIED_QUEUES_NAMED_MAX,
    store::entries::Place,
    view::count::{count, entries, jobs},
    wire::Keyspace,
};

pub(super) fn question(mission: &Mission, total: u64) -> String {
    let set = mission.set;
    let which = if mission.filter.name.is_some() {
        format!("those of that name among the {}", jobs(total))
    } else {
        match total {
            1 => "the only job".to_owned(),
            more => format!("all {more} jobs"),
        }
    };
    match &mission.action {
        Action::Kill(_, Excess::Refuse) => format!("this moves {which} of {set} to the dead set"),
        Action::Kill(caps, Excess::Trim) => format!(
            "this moves {which} of {set} to the dead set, which keeps {} and drops the oldest beyond that",
            caps.jobs_max
        ),
        Action::Delete | Action::Retry(_) => format!("this deletes {which} of {set} for good"),
    }
}

pub(super) fn of_one(
    action: &Action,
    keys: Keyspace,
    title: &str,
    place: &Place,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match action {
        Action::Retry(_) => {
            let queue = outcome.queues.keys().next().map_or_else(String::new, |key| queue(keys, key));
            writeln!(out, "moved job {title} from {place} to queue {queue}")?;
        }
        Action::Kill(..) => writeln!(out, "moved job {title} from {place} to the dead set")?,
        Action::Delete => writeln!(out, "deleted job {title} from {place}")?,
    }
    of_trimmed(outcome.trimmed, out)
}

pub(super) fn of_all(
    mission: &Mission,
    keys: Keyspace,
    swept: &Swept,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let Mission { action, set, .. } = mission;
    let Swept { outcome, unfit } = swept;
    let done = jobs(outcome.done);
    match action {
        Action::Retry(_) => {
            writeln!(out, "moved {done} from {set} to their queues{}", each(keys, outcome))?;
        }
        Action::Kill(..) => writeln!(out, "moved {done} from {set} to the dead set")?,
        Action::Delete => writeln!(out, "deleted {done} from {set}")?,
    }
    if *unfit > 0 {
        let left = count(*unfit, "entry that holds", "entries that hold");
        writeln!(out, "left {left} more bytes than a worker runs")?;
    }
    if outcome.gone > 0 {
        writeln!(out, "{} taken by others in the meantime", count(outcome.gone, "was", "were"))?;
    }
    of_trimmed(outcome.trimmed, out)
}

/// The queues, those with the most jobs first, and how many jobs went to each: ": mails 8, payments 4".
fn each(keys: Keyspace, outcome: &Outcome) -> String {
    let mut counts: Vec<_> = outcome.queues.iter().collect();
    counts.sort_by_key(|(_, jobs)| Reverse(**jobs));
    counts.truncate(RETRIED_QUEUES_NAMED_MAX);
    let named: u64 = counts.iter().map(|(_, jobs)| **jobs).sum();
    let mut parts: Vec<String> =
        counts.into_iter().map(|(key, to_it)| format!("{} {to_it}", queue(keys, key))).collect();
    if let Some(more @ 1..) = outcome.done.checked_sub(named) {
        parts.push(format!("{more} in others"));
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// The name of the queue of this key.
fn queue(keys: Keyspace, key: &str) -> String {
    printable(keys.queue_name(key).unwrap_or(key))
}

fn of_trimmed(trimmed: u64, out: &mut dyn Write) -> Result<(), Error> {
    if trimmed > 0 {
        writeln!(out, "trimmed {} of the dead set, too many or too old to be kept", entries(trimmed))?;
    }
    Ok(())
}
