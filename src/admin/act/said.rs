//! What an act asks and reports.

use std::io::Write;

use crate::{
    acts::{
        Outcome,
        action::{Action, Excess},
        sweep::{Mission, Swept},
    },
    admin::{Error, table::printable},
    store::entries::Place,
    wire::Keyspace,
};

pub(super) fn question(mission: &Mission, total: u64) -> String {
    let set = mission.set;
    let which = if mission.filter.name.is_some() {
        format!("those of that name among the {total} jobs")
    } else {
        format!("all {total} jobs")
    };
    match mission.action {
        Action::Kill(_, Excess::Refuse) => format!("this moves {which} of {set} to the dead set"),
        Action::Kill(caps, Excess::Trim) => format!(
            "this moves {which} of {set} to the dead set, which keeps {} and drops the oldest beyond that",
            caps.jobs_max
        ),
        Action::Delete | Action::Retry => format!("this deletes {which} of {set} for good"),
    }
}

pub(super) fn of_one(
    action: Action,
    keys: Keyspace,
    title: &str,
    place: &Place,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> Result<(), Error> {
    match action {
        Action::Retry => {
            let key = outcome.queue.as_deref().unwrap_or_default();
            let queue = keys.queue_name(key).unwrap_or(key);
            writeln!(out, "moved job {title} from {place} to queue {}", printable(queue))?;
        }
        Action::Kill(..) => writeln!(out, "moved job {title} from {place} to the dead set")?,
        Action::Delete => writeln!(out, "deleted job {title} from {place}")?,
    }
    of_trimmed(outcome.trimmed, out)
}

pub(super) fn of_all(mission: &Mission, swept: &Swept, out: &mut dyn Write) -> Result<(), Error> {
    let Mission { action, set, .. } = mission;
    let Swept { outcome, unfit } = swept;
    let done = outcome.done;
    match action {
        Action::Retry => writeln!(out, "moved {done} jobs from {set} to their queues")?,
        Action::Kill(..) => writeln!(out, "moved {done} jobs from {set} to the dead set")?,
        Action::Delete => writeln!(out, "deleted {done} jobs from {set}")?,
    }
    if *unfit > 0 {
        writeln!(out, "left {unfit} entries that hold more bytes than a worker runs")?;
    }
    if outcome.gone > 0 {
        writeln!(out, "{} were taken by others in the meantime", outcome.gone)?;
    }
    of_trimmed(outcome.trimmed, out)
}

fn of_trimmed(trimmed: u64, out: &mut dyn Write) -> Result<(), Error> {
    if trimmed > 0 {
        writeln!(out, "trimmed {trimmed} entries of the dead set, too many or too old to be kept")?;
    }
    Ok(())
}
