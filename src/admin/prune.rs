//! `jiggler-uring prune WHAT`: deletes whole queues, sets, counters and process data, as the gem's cleaner does.
//!
//! Unlike the gem's cleaner it leaves alone what runs or lives:
//! - jobs in flight. Those that a living process runs are not its to delete (`cancel` ends one), those of a dead one are
//!   put back into their queue by a reaper, the Ruby servers' lists among them; then they can be pruned. The gem's
//!   `prune_all_queues` deletes the lists of its own servers, from under the jobs that run.
//! - the heartbeats of living processes. Without one a Ruby requeuer takes the jobs that run there for lost. A process
//!   counts as living until its heartbeat is late by half a minute, by Redis's own clock.

mod spread;

use std::io::Write;

use super::{Error, confirm::Consent, session::Session, summary, table::printable};
use crate::{
    resp::url::RedisUrl,
    store::{
        entries::{Place, Set},
        operate::{self, Pruned},
        survey::Summary,
    },
    wire::{QueueName, Realm},
};

/// What to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The waiting jobs of one queue.
    Queue(QueueName),
    /// The waiting jobs of all queues.
    Queues,
    /// All jobs of a set.
    Set(Set),
    /// The counter of failed jobs.
    Failures,
    /// The counter of jobs that ran.
    Processed,
    /// Heartbeats of processes that are gone.
    Processes,
    /// All of the above.
    All,
}

/// What is found to be deleted.
#[derive(Debug, Default)]
struct Found {
    /// With the number of jobs there, or what the counter says.
    keys: Vec<(Pruned, u64)>,
    heartbeats: Vec<String>,
    /// Queues whose name is none that this program would give one.
    foreign: Vec<String>,
}

/// Deletes it and says what was deleted.
///
/// # Errors
/// [`Error::NobodyToAsk`] before anything is tried; [`Error::NotConfirmed`]; [`Error::Connect`], [`Error::NoScripts`],
/// [`Error::Survey`], [`Error::Script`]; [`Error::Output`].
pub(crate) fn prune(url: &RedisUrl, what: &What, consent: Consent, out: &mut dyn Write) -> Result<(), Error> {
    consent.check("prune")?;
    let realm = match what {
        What::Queue(queue) => Realm::of(queue.as_str(), url.is_cluster()),
        _ if url.is_cluster() => return spread::prune(url, what, consent, out),
        _ => Realm::SHARED,
    };
    let mut session = Session::open(url, realm)?;
    let found = find(&mut session, what)?;
    if !found.is_agreed(consent, out)? {
        return Ok(());
    }
    for (pruned, _) in &found.keys {
        writeln!(out, "deleted {}", told(pruned, delete(&mut session, pruned)?))?;
    }
    let mut forgotten = 0;
    for key in &found.heartbeats {
        forgotten += forget(&mut session, key)?;
    }
    found.tell_forgotten(forgotten, out)
}

/// What there is to delete. One round trip for a single queue or set, else those of a summary.
fn find(session: &mut Session, what: &What) -> Result<Found, Error> {
    let place = match what {
        What::Queue(queue) => Place::Queue(queue.clone()),
        What::Set(set) => Place::Set(*set),
        What::Queues | What::Failures | What::Processed | What::Processes | What::All => {
            return Ok(Found::of(&summary::read(session.conn())?, what));
        }
    };
    let jobs = session.size(&place)?;
    let keys = if jobs > 0 { vec![(Pruned::Jobs(place), jobs)] } else { Vec::new() };
    Ok(Found { keys, ..Found::default() })
}

/// Deletes one key, and says how many jobs it had, or at what the counter was.
fn delete(session: &mut Session, pruned: &Pruned) -> Result<u64, Error> {
    session.call(
        &|| format!("prune {}", named(pruned)),
        |scripts, requests| operate::prune(scripts, pruned, requests),
        operate::read_pruned,
    )
}

/// Deletes one heartbeat, unless its process lives: 1 or 0.
fn forget(session: &mut Session, key: &str) -> Result<u64, Error> {
    session.call(
        &|| format!("prune process {}", printable(key)),
        |scripts, requests| operate::forget_process(scripts, key, requests),
        operate::read_pruned,
    )
}

impl Found {
    fn of(summary: &Summary, what: &What) -> Self {
        let all = *what == What::All;
        let counts = summary.counts;
        let mut found = Self::default();
        if all || *what == What::Queues {
            for (name, jobs) in &summary.queues {
                match QueueName::new(name) {
                    Ok(queue) => found.keys.push((Pruned::Jobs(Place::Queue(queue)), *jobs)),
                    Err(_) => found.foreign.push(name.clone()),
                }
            }
        }
        let sizes = [counts.retry_jobs, counts.scheduled_jobs, counts.dead_jobs];
        let sets = Set::ALL.into_iter().zip(sizes).filter(|(set, _)| all || *what == What::Set(*set));
        found.keys.extend(sets.map(|(set, jobs)| (Pruned::Jobs(Place::Set(set)), jobs)));
        if all || *what == What::Failures {
            found.keys.push((Pruned::Failures, counts.failures));
        }
        if all || *what == What::Processed {
            found.keys.push((Pruned::Processed, counts.processed));
        }
        found.keys.retain(|(_, count)| *count > 0);
        if all || *what == What::Processes {
            found.heartbeats = summary.processes.keys().chain(&summary.unreadable_keys).cloned().collect();
        }
        found
    }

    /// Says what is left alone, and asks; `false` if there is nothing to be deleted.
    fn is_agreed(&self, consent: Consent, out: &mut dyn Write) -> Result<bool, Error> {
        for name in &self.foreign {
            writeln!(out, "left queue {}: it has a name that no queue may have", printable(name))?;
        }
        if self.keys.is_empty() && self.heartbeats.is_empty() {
            writeln!(out, "nothing to prune")?;
            return Ok(false);
        }
        consent.obtain(&self.question())?;
        Ok(true)
    }

    /// Says how many heartbeats went, if there were any.
    fn tell_forgotten(&self, forgotten: u64, out: &mut dyn Write) -> Result<(), Error> {
        if !self.heartbeats.is_empty() {
            let living = self.heartbeats.len() as u64 - forgotten;
            writeln!(
                out,
                "deleted {forgotten} heartbeats of processes that are gone, left {living} of living ones"
            )?;
        }
        Ok(())
    }

    fn question(&self) -> String {
        let mut question = "this deletes for good:".to_owned();
        for (pruned, count) in &self.keys {
            question.push_str(&format!("\n  {}", told(pruned, *count)));
        }
        if !self.heartbeats.is_empty() {
            question.push_str("\n  the heartbeats of processes that are gone");
        }
        question
    }
}

fn named(pruned: &Pruned) -> String {
    match pruned {
        Pruned::Jobs(place) => place.to_string(),
        Pruned::Failures => "the counter of failures".to_owned(),
        Pruned::Processed => "the counter of processed jobs".to_owned(),
    }
}

fn told(pruned: &Pruned, count: u64) -> String {
    match pruned {
        Pruned::Jobs(place) => format!("{count} jobs of {place}"),
        Pruned::Failures | Pruned::Processed => format!("{}, which was at {count}", named(pruned)),
    }
}

#[cfg(test)]
mod tests;
