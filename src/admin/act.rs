//! `jiggler-uring retry|kill|delete`: what an operator does with a job, or with all jobs of a set.
//!
//! How jobs are found and acted on is in `acts::pick` and `acts::sweep`; this module drives those over connections, one for
//! each realm, asks people and reports to them. Ending the command between two steps is safe: what was done is done.

mod said;
mod unserved;

use std::{collections::BTreeMap, io::Write};

use super::{
    confirm::Confirmation,
    database::Database,
    error::Error,
    nodes,
    session::Session,
    table::printable,
    ticker::{Ticker, rate},
};
use crate::{
    acts::{
        action::Action,
        pick::{End, Pick},
        sweep::{Mission, Sweep, Swept},
    },
    job::Schema,
    store::{
        entries::{Entry, Place, Set},
        survey::Scope,
    },
    view::{
        count, entry,
        filter::{Filter, NamePattern},
    },
    wire::{Keyspace, QueueName},
};

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The job with this jid, in the first of these places that has it.
    Job {
        /// Its id.
        jid: String,
        /// Where to look.
        places: Vec<Place>,
    },
    /// All jobs of a set, or all with a name.
    All {
        /// The set.
        set: Set,
        /// The name.
        name: Option<NamePattern>,
    },
}

/// An action on jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// What is done.
    pub action: Action,
    /// To which jobs.
    pub target: Target,
    /// Whether to ask first if it cannot be undone.
    pub confirmation: Confirmation,
}

impl Act {
    /// Refuses, before anything is tried, if someone must be asked and nobody is there.
    ///
    /// # Errors
    /// [`Error::NobodyToAsk`].
    pub fn check(&self) -> Result<(), Error> {
        self.needed_confirmation().check(self.action.verb())
    }

    /// A job that is moved can be moved back, but many may push others out of the dead set.
    fn needed_confirmation(&self) -> Confirmation {
        match (&self.action, &self.target) {
            (Action::Delete, _) | (Action::Kill(..), Target::All { .. }) => self.confirmation,
            (Action::Retry(_), _) | (Action::Kill(..), Target::Job { .. }) => Confirmation::Given,
        }
    }
}

/// Does it and reports what was done.
///
/// # Errors
/// [`Error::NobodyToAsk`] before anything is tried; [`Error::NotConfirmed`]; [`Error::NotFound`] and the other errors about
/// the job; [`Error::Connect`], [`Error::Script`]; [`Error::Output`].
pub(crate) fn act(db: &Database, act: &Act, out: &mut dyn Write) -> Result<(), Error> {
    act.check()?;
    let places = match &act.target {
        Target::Job { places, .. } => places.clone(),
        Target::All { set, .. } => vec![Place::Set(*set)],
    };
    let mut sessions = Session::open_each(db, &places)?;
    let action = match &act.action {
        kill @ Action::Kill(..) => {
            kill.clone().with_caps_of(nodes::survey(db, Scope::Processes)?.processes.values())
        }
        action @ (Action::Retry(_) | Action::Delete) => action.clone(),
    };
    let confirmation = act.needed_confirmation();
    let mut queues = BTreeMap::new();
    let ended = match &act.target {
        Target::Job { jid, places } => {
            let mut order = Order { action, confirmation, queues: &mut queues };
            one(&mut sessions, &mut order, jid, places, out)
        }
        Target::All { set, name } => {
            let filter = Filter { name: name.clone(), ..Filter::default() };
            let order =
                Order { action: Mission { action, set: *set, filter }, confirmation, queues: &mut queues };
            all(db.keys, &mut sessions, order, out)
        }
    };
    unserved::report(db, &queues, out)?;
    ended
}

/// What is done, whether to ask first, and where jobs were retried: by the key of their queue.
struct Order<'o, A> {
    action: A,
    confirmation: Confirmation,
    queues: &'o mut BTreeMap<String, u64>,
}

/// Acts on a job in the first realm that has it.
fn one(
    sessions: &mut [Session],
    order: &mut Order<'_, Action>,
    jid: &str,
    places: &[Place],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut searched = Vec::new();
    for session in sessions {
        let mut pick = Pick::new(order.action.clone(), jid, places, session.scene());
        let mut ticker = Ticker::new();
        while session.step(&mut pick)? {
            if let Some((entry, place)) = pick.found() {
                order.agree(entry, session.schema(), place)?;
                pick.agree();
            }
            let progress = pick.progress();
            ticker.tell(|_| format!("looked at {} of {}", progress.seen, count::entries(progress.of)));
        }
        drop(ticker);
        match pick.end() {
            Some(End::Done { title, place, outcome }) => {
                order.queues.clone_from(&outcome.queues);
                return said::of_one(&order.action, session.realm().keys(), title, place, outcome, out);
            }
            Some(End::Held(key)) => return Err(held(1, session.realm().keys(), key)),
            Some(End::NoJob) => return Err(Error::NoJobToRetry { jid: jid.to_owned() }),
            Some(End::NotFound) | None => {
                let places = pick.searched().iter();
                searched
                    .extend(places.map(|(place, entries)| format!("{place} ({})", count::entries(*entries))));
            }
        }
    }
    Err(Error::NotFound { jid: jid.to_owned(), searched: searched.join(", ") })
}

impl Order<'_, Action> {
    /// Asks before a job is deleted.
    fn agree(&self, entry: &Entry, schema: Schema, place: &Place) -> Result<(), Error> {
        if self.action != Action::Delete {
            return Ok(());
        }
        self.confirmation
            .obtain(&format!("this deletes job {} from {place} for good", entry::title(entry, schema)))
    }
}

/// Acts on all selected jobs, one realm after the other.
fn all(
    keys: Keyspace,
    sessions: &mut [Session],
    order: Order<'_, Mission>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let Order { action: mission, confirmation, queues } = order;
    let place = Place::Set(mission.set);
    let totals: Vec<u64> =
        sessions.iter_mut().map(|session| session.size(&place)).collect::<Result<_, _>>()?;
    let total: u64 = totals.iter().sum();
    if mission.filter.is_empty() && mission.action.needs_room() {
        // Nothing is moved unless all can be. For a name, the number of jobs is not known.
        for (session, jobs) in sessions.iter_mut().zip(&totals) {
            mission.action.check_room(session.size(&Place::Set(Set::Dead))?, *jobs)?;
        }
    }
    if total > 0 && confirmation == Confirmation::Ask {
        confirmation.obtain(&said::question(&mission, total))?;
    }
    let mut swept = Swept::default();
    let mut sweeps = sessions.iter_mut().zip(totals);
    let ended = sweeps.try_for_each(|(session, total)| sweep(session, &mission, total, &mut swept));
    said::of_all(&mission, keys, &swept, out)?;
    *queues = swept.outcome.queues;
    ended?;
    match swept.outcome.held_by {
        Some(key) => Err(held(swept.outcome.held, keys, &key)),
        None => Ok(()),
    }
}

/// Why jobs stay where they are: for the name of their queue, or for what lies under its key.
fn held(jobs: u64, keys: Keyspace, key: &str) -> Error {
    let name = keys.queue_name(key).unwrap_or(key);
    match QueueName::new(name) {
        // What was not valid UTF-8 is shown with marks in its place.
        Ok(_) if !name.contains(char::REPLACEMENT_CHARACTER) => Error::Held { jobs, key: printable(key) },
        Ok(_) => Error::Unservable { jobs, reason: format!("{} is not valid UTF-8", printable(name)) },
        Err(error) => Error::Unservable { jobs, reason: printable(&error.to_string()) },
    }
}

/// Acts on the selected jobs in one realm, and adds the outcome to `swept` from the others.
fn sweep(session: &mut Session, mission: &Mission, total: u64, swept: &mut Swept) -> Result<(), Error> {
    let mut sweep = Sweep::new(mission, session.scene(), total);
    let mut ticker = Ticker::new();
    let ended = loop {
        match session.step(&mut sweep) {
            Ok(true) => {}
            ended => break ended,
        }
        let progress = sweep.progress();
        let done = swept.outcome.done + progress.done;
        ticker.tell(|elapsed| {
            format!("{done} done, {} of {} seen, {}", progress.seen, progress.of, rate(done, elapsed))
        });
    };
    swept.add(sweep.swept());
    ended.map(|_| ())
}

#[cfg(test)]
mod tests;
