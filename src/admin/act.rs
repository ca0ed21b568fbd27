//! `jiggler-uring retry|kill|delete`: what an operator does with a job, or with all of a set.
//!
//! A job is found by walking from the newest entry to the oldest, part by part: the engine adds new entries before the
//! place where the walk is and takes old ones behind it, so a job that stays in its place meanwhile is found. It is then
//! acted on by its exact bytes, in one script, if it is still there. A running job is in no set and no queue and is never
//! touched: `cancel` ends it. In a cluster a job to be retried in another queue than that of its set is copied there and
//! then removed, in two steps.
//!
//! All jobs of a set are acted on from the oldest to the newest, in batches of one script call each, at most as many as
//! there were at the beginning: what a retried job leaves when it fails again comes last and is not taken for one of them.
//! Ending the command between two batches is safe: what was done is done. With a name, entries that others take away in
//! the meantime may make it pass over as many: run again it finds these.

mod outcome;
mod room;
mod said;

use std::io::Write;

use self::outcome::{Outcome, Swept, apply};

use super::{
    Error,
    confirm::Consent,
    session::Session,
    table::printable,
    ticker::{Ticker, rate},
};
use crate::{
    job::Parser,
    limits::{ACT_JOBS_PER_CALL, ENTRIES_PER_CALL},
    resp::url::RedisUrl,
    store::{
        entries::{Entry, Order, Place, Set, Window},
        operate::DeadSetCaps,
    },
    view::{
        entry,
        filter::{Filter, NamePattern},
    },
};

/// What is done with jobs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// Each goes to its queue at once.
    Retry,
    /// Each goes to the dead set, which keeps so much: by the workers of the fleet, or if there are none, by this.
    Kill(DeadSetCaps, Excess),
    /// Each is gone for good.
    Delete,
}

/// What becomes of more than the dead set keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Nothing is moved.
    Refuse,
    /// The oldest entries of the dead set are deleted.
    Trim,
}

impl Action {
    const fn verb(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Kill(..) => "kill",
            Self::Delete => "delete",
        }
    }
}

/// Which jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one of a jid, in the first of these places that has it.
    Job {
        /// Its id.
        jid: String,
        /// Where to look.
        places: Vec<Place>,
    },
    /// All jobs of a set, or all of a name.
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
    /// With which jobs.
    pub target: Target,
    /// Whether to ask first, where it cannot be undone.
    pub consent: Consent,
}

impl Act {
    /// Refuses before anything is tried if someone is to be asked and no one is there.
    ///
    /// # Errors
    /// [`Error::NobodyToAsk`].
    pub fn check(&self) -> Result<(), Error> {
        self.needed_consent().check(self.action.verb())
    }

    /// A job that is moved can be moved back; many may push others out of the dead set.
    fn needed_consent(&self) -> Consent {
        match (self.action, &self.target) {
            (Action::Delete, _) | (Action::Kill(..), Target::All { .. }) => self.consent,
            (Action::Retry, _) | (Action::Kill(..), Target::Job { .. }) => Consent::Given,
        }
    }
}

/// Does it and says what was done.
///
/// # Errors
/// [`Error::NobodyToAsk`] before anything is tried; [`Error::NotConfirmed`]; [`Error::NotFound`] and the other errors about
/// the job; [`Error::Connect`], [`Error::NoScripts`], [`Error::Script`]; [`Error::Output`].
pub(crate) fn act(url: &RedisUrl, act: &Act, out: &mut dyn Write) -> Result<(), Error> {
    act.check()?;
    let consent = act.needed_consent();
    let places = match &act.target {
        Target::Job { places, .. } => places.clone(),
        Target::All { set, .. } => vec![Place::Set(*set)],
    };
    let mut sessions = Session::open_each(url, &places)?;
    let action = match act.action {
        Action::Kill(caps, excess) => Action::Kill(room::caps_of_fleet(url, caps)?, excess),
        action => action,
    };
    match &act.target {
        Target::Job { jid, places } => first(&mut sessions, action, jid, places, consent, out),
        Target::All { set, name } => all(&mut sessions, action, *set, name.as_ref(), consent, out),
    }
}

/// Acts on a job in the first realm that has it.
fn first(
    sessions: &mut [Session],
    action: Action,
    jid: &str,
    places: &[Place],
    consent: Consent,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut all_searched = Vec::new();
    for session in sessions {
        match one(session, action, jid, places, consent, out) {
            Err(Error::NotFound { searched, .. }) => all_searched.push(searched),
            result => return result,
        }
    }
    Err(Error::NotFound { jid: jid.to_owned(), searched: all_searched.join(", ") })
}

fn one(
    session: &mut Session,
    action: Action,
    jid: &str,
    places: &[Place],
    consent: Consent,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut searched = Vec::new();
    for place in places {
        let (found, examined) = find(session, place, jid)?;
        if let Some(entry) = found {
            let title = entry::title(&entry);
            if action == Action::Retry && entry::holds_buried_bytes(&entry) {
                return Err(Error::NoJobToRetry { jid: jid.to_owned() });
            }
            if action == Action::Delete {
                consent.obtain(&format!("this deletes job {title} from {place} for good"))?;
            }
            room::check(session, action, 1)?;
            let outcome = apply(session, action, place, &[&entry])?;
            if let (1.., Some(key)) = (outcome.held, &outcome.queue) {
                return Err(Error::Held { jobs: outcome.held, key: printable(key) });
            }
            if outcome.done > 0 {
                return said::of_one(action, &title, place, &outcome, out);
            }
            // Taken by a poller or a worker since it was seen.
        }
        searched.push(format!("{place} ({examined} entries)"));
    }
    Err(Error::NotFound { jid: jid.to_owned(), searched: searched.join(", ") })
}

/// Looks for a jid, and says how many entries were examined. One round trip for each [`ENTRIES_PER_CALL`] entries.
fn find(session: &mut Session, place: &Place, jid: &str) -> Result<(Option<Entry>, u64), Error> {
    let filter = Filter::jid(jid);
    let mut parser = Parser::new();
    let mut ticker = Ticker::new();
    let mut examined = 0;
    loop {
        let window = Window { skip: examined, count: ENTRIES_PER_CALL, order: Order::Newest };
        let page = session.page(place, window)?;
        if let Some(entry) = page.entries.iter().find(|entry| filter.matches(&mut parser, entry)) {
            return Ok((Some(entry.clone()), examined + page.entries.len() as u64));
        }
        examined += page.entries.len() as u64;
        // Each turn goes on by an entry at least, so it ends where the place ends.
        if page.entries.is_empty() || examined >= page.total {
            return Ok((None, examined));
        }
        ticker.tell(|_| format!("looked at {examined} of {} entries of {place}", page.total));
    }
}

fn all(
    sessions: &mut [Session],
    action: Action,
    set: Set,
    name: Option<&NamePattern>,
    consent: Consent,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let place = Place::Set(set);
    let filter = Filter { name: name.cloned(), jid: None };
    let totals: Vec<u64> =
        sessions.iter_mut().map(|session| session.size(&place)).collect::<Result<_, _>>()?;
    let total: u64 = totals.iter().sum();
    if filter.is_empty() {
        // Nothing is moved unless all can be. Of a name it is not known how many there are.
        sessions
            .iter_mut()
            .zip(&totals)
            .try_for_each(|(session, total)| room::check(session, action, *total))?;
    }
    if total > 0 && consent == Consent::Ask {
        consent.obtain(&said::question(action, set, total, name.is_some()))?;
    }
    let mut swept = Swept::default();
    let mut sweeps = sessions.iter_mut().zip(totals);
    let ended =
        sweeps.try_for_each(|(session, total)| sweep(session, action, set, &filter, total, &mut swept));
    said::of_all(action, set, &swept, out)?;
    ended?;
    match (swept.outcome.held, swept.outcome.queue) {
        (jobs @ 1.., Some(key)) => Err(Error::Held { jobs, key: printable(&key) }),
        _ => Ok(()),
    }
}

/// Acts on what is meant among the `total` oldest entries. Two round trips for each [`ACT_JOBS_PER_CALL`] of them, or for
/// each [`ENTRIES_BYTES_PER_CALL`](crate::limits::ENTRIES_BYTES_PER_CALL) bytes.
fn sweep(
    session: &mut Session,
    action: Action,
    set: Set,
    filter: &Filter,
    total: u64,
    swept: &mut Swept,
) -> Result<(), Error> {
    let place = Place::Set(set);
    let mut parser = Parser::new();
    let mut ticker = Ticker::new();
    // What was not acted on stays at the old end and is skipped from then on.
    let (mut examined, mut kept) = (0, 0);
    while examined < total {
        let count = (total - examined).min(ACT_JOBS_PER_CALL as u64) as usize;
        let page = session.page(&place, Window { skip: kept, count, order: Order::Oldest })?;
        if page.entries.is_empty() {
            break;
        }
        examined += page.entries.len() as u64;
        let mut jobs: Vec<&Entry> =
            page.entries.iter().filter(|entry| filter.matches(&mut parser, entry)).collect();
        let meant = jobs.len();
        jobs.retain(|entry| action != Action::Retry || !entry::holds_buried_bytes(entry));
        swept.unfit += (meant - jobs.len()) as u64;
        let batch = if jobs.is_empty() {
            Outcome::default()
        } else {
            room::check(session, action, jobs.len() as u64)?;
            apply(session, action, &place, &jobs)?
        };
        kept += page.entries.len() as u64 - batch.done - batch.gone;
        swept.outcome.add(batch);
        let done = swept.outcome.done;
        ticker.tell(|elapsed| format!("{done} done, {examined} of {total} seen, {}", rate(done, elapsed)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
