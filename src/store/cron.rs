//! The table of periodic jobs: changing it, pushing what is due, reading it. What an entry says is not known here.
//!
//! One script does it all, so that one reply tells a leader what became of its pushes and what to prepare next: the ticks
//! of a whole batch of entries cost one command. It is called by its text, rather than by hash: a few calls a
//! minute of up to 24 KB do not justify loading it into each connection of each shard.

pub mod outcome;

use bytes::Bytes;

use super::scripts::with_registry;
use crate::limits::{
    CRON_BATCH, CRON_ENTRY_BYTES_MAX, CRON_HOLDERS_AGAIN, CRON_LIVES_BYTES, CRON_LIVES_CALLS,
    CRON_LIVES_DEEP, CRON_LIVES_NEAR, CRON_LIVES_PAGES, CRON_LIVES_QUEUES, CRON_LIVES_SEARCHED, DUE_AGAIN,
};
use crate::resp::{Error, Reply, Requests, Value};
use crate::wire::Realm;
use crate::wire::in_flight::{names_for_lua, places_for_lua};
use crate::wire::keys::no_registry_for_lua;

/// What has to be stored of an entry or its tick, or the change does not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored<V> {
    /// Whatever it is.
    Any,
    /// Nothing.
    Nothing,
    /// This.
    This(V),
}

/// What is stored from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<V> {
    /// As before.
    Same,
    /// Nothing.
    Nothing,
    /// This.
    This(V),
}

/// A change of one entry, which happens as a whole or not at all. Times are Unix milliseconds by the clock of Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'c> {
    /// The name of the entry.
    pub name: &'c [u8],
    /// What has to be stored as the entry.
    pub entry_is: Stored<&'c [u8]>,
    /// Which tick has to be stored.
    pub tick_is: Stored<i64>,
    /// A time that must have come.
    pub due: Option<i64>,
    /// What becomes of an entry that no living process holds.
    pub unheld: Unheld,
    /// The entry from now on. Without an entry there is no tick and no run either.
    pub entry: Next<Vec<u8>>,
    /// When it is pushed next.
    pub tick: Next<i64>,
    /// What is stored of its runs.
    pub run: Next<Vec<u8>>,
    /// A process that holds it from now on.
    pub holder: Option<&'c str>,
    /// A job that must not live any more, or the tick passes without a push.
    pub unless_lives: Option<LastJob>,
    /// The queue of the jobs to push; its name.
    pub queue: &'c str,
    /// The jobs to push: the first is taken first.
    pub payloads: Vec<Vec<u8>>,
}

/// What becomes of an entry that no living process holds, where a change of it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unheld {
    /// It is changed like any other.
    Stays,
    /// It is put off by [`CRON_HOLDERS_AGAIN`]: the processes that hold it may be starting.
    Waits,
    /// It is removed.
    Goes,
}

impl<'c> Change<'c> {
    /// A change that, as it is, changes nothing.
    #[must_use]
    pub const fn of(name: &'c [u8], queue: &'c str) -> Self {
        Self {
            name,
            entry_is: Stored::Any,
            tick_is: Stored::Any,
            due: None,
            unheld: Unheld::Stays,
            entry: Next::Same,
            tick: Next::Same,
            run: Next::Same,
            holder: None,
            unless_lives: None,
            queue,
            payloads: Vec::new(),
        }
    }
}

/// The job that an entry pushed last, which may hold a tick back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastJob {
    /// Its id.
    pub jid: String,
    /// Its bytes, as they were pushed; empty: not known.
    pub payload: Vec<u8>,
    /// What is stored of the entry's runs if it lives.
    pub run_if_lives: Vec<u8>,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It was made.
    Done,
    /// Something else is stored, or its time has not come.
    Not,
    /// The entry was removed: no living process holds it.
    Forgotten,
    /// The tick passed without a push: the entry's last job lives.
    Skipped,
    /// Nothing changed: its last job has to be looked for, and the call has looked at enough. To be offered again.
    Later,
    /// It was put off: no living process holds it, and one may be starting.
    Waits,
    /// It was put off: the key of its queue is not a list.
    Held,
}

/// An entry that is due, or comes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcoming {
    /// Its name.
    pub name: Bytes,
    /// When it is pushed, Unix milliseconds.
    pub at: i64,
    /// The entry; `None`: there is none, or it is too large.
    pub entry: Option<Bytes>,
    /// What is stored of its runs.
    pub run: Option<Bytes>,
}

/// The reply to [`change`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Unix milliseconds, by the clock of Redis.
    pub now: i64,
    /// What became of each change.
    pub changed: Vec<Changed>,
    /// What is due now, or comes first: at most [`CRON_BATCH`].
    pub upcoming: Vec<Upcoming>,
}

/// Appends changes and the question what is due next: one EVAL, one reply ([`read`]). Each change is atomic. At most
/// [`CRON_BATCH`].
pub fn change(realm: &Realm, changes: &[Change<'_>], requests: &mut Requests) {
    let payloads: usize = changes.iter().map(|change| change.payloads.len()).sum();
    let guard = realm.guard();
    let args = 10 + 14 * changes.len() + payloads;
    let mut command = requests.begin(3 + 7 + usize::from(guard.is_some()) + args);
    command.arg(b"EVAL");
    match guard {
        None => command.arg(with_registry(SCRIPT, realm.keys()).as_bytes()).arg_u64(7),
        Some(guard) => command.arg(IN_CLUSTER.as_bytes()).arg_u64(8).arg(guard.as_bytes()),
    };
    let keys = &realm.cron;
    for key in [&keys.ticks, &keys.entries, &keys.runs, &keys.holders] {
        command.arg(key.as_bytes());
    }
    for key in [&realm.leases, &realm.retries, &realm.scheduled] {
        command.arg(key.as_bytes());
    }
    command.arg_u64(CRON_BATCH as u64).arg_u64(CRON_ENTRY_BYTES_MAX as u64).arg_u64(AGAIN_MS);
    for most in look_limits(realm) {
        command.arg_u64(most as u64);
    }
    let number = |number: i64| number.to_string();
    for change in changes {
        command.arg(change.name);
        match change.entry_is {
            Stored::Any => command.arg(b"*"),
            Stored::Nothing => command.arg(b""),
            Stored::This(entry) => command.arg(entry),
        };
        match change.tick_is {
            Stored::Any => command.arg(b"*"),
            Stored::Nothing => command.arg(b""),
            Stored::This(tick) => command.arg(number(tick).as_bytes()),
        };
        command.arg(change.due.map(number).unwrap_or_default().as_bytes());
        match change.unheld {
            Unheld::Stays => command.arg(b""),
            Unheld::Goes => command.arg(b"-"),
            Unheld::Waits => command.arg_u64(CRON_HOLDERS_AGAIN.as_millis() as u64),
        };
        command.arg(text(&change.entry));
        match change.tick {
            Next::Same => command.arg(b""),
            Next::Nothing => command.arg(b"-"),
            Next::This(tick) => command.arg(number(tick).as_bytes()),
        };
        command.arg(text(&change.run));
        command.arg(change.holder.unwrap_or_default().as_bytes());
        match &change.unless_lives {
            None => command.arg(b"").arg(b"").arg(b""),
            Some(LastJob { jid, payload, run_if_lives }) => {
                command.arg(jid.as_bytes()).arg(payload).arg(run_if_lives)
            }
        };
        command.arg(realm.keys().queue(change.queue).as_bytes());
        command.arg_u64(change.payloads.len() as u64);
        for payload in &change.payloads {
            command.arg(payload);
        }
    }
}

/// What one call of a script may look at for jobs that may live, in the order of `lives.lua`.
fn look_limits(realm: &Realm) -> [usize; 7] {
    // The gem does not speak cluster, and a server of Sidekiq has no lists of what it runs.
    let has_ruby_lists = realm.guard().is_none() && realm.keys().registry_for_lua().is_none();
    [
        CRON_LIVES_NEAR,
        CRON_LIVES_DEEP,
        if has_ruby_lists { CRON_LIVES_PAGES } else { 0 },
        CRON_LIVES_BYTES,
        CRON_LIVES_CALLS,
        CRON_LIVES_QUEUES,
        CRON_LIVES_SEARCHED,
    ]
}

fn text(next: &Next<Vec<u8>>) -> &[u8] {
    match next {
        Next::Same => b"",
        Next::Nothing => b"-",
        Next::This(value) => value,
    }
}

const AGAIN_MS: u64 = DUE_AGAIN.as_secs() * 1000;

/// The script, as its call needs it, behind what it begins with.
macro_rules! script {
    ($($begin:expr)?) => {
        concat!(
            $($begin,)?
            no_registry_for_lua!(),
            names_for_lua!(),
            places_for_lua!(),
            include_str!("scripts/undo.lua"),
            include_str!("scripts/lives.lua"),
            include_str!("scripts/cron.lua")
        )
    };
}

const SCRIPT: &str = script!();

/// The same in a cluster.
const IN_CLUSTER: &str = script!(include_str!("scripts/cluster.lua"));

// What the head of this file says.
const _: () = assert!(IN_CLUSTER.len() < 24 * 1024);

/// The script's source, outside a cluster.
#[must_use]
pub const fn source() -> &'static str {
    SCRIPT
}

/// Reads the reply to [`change`].
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read(reply: &Reply) -> Result<Table, Error> {
    const SHAPE: &str = "a time, an array of results, and four values for each entry";
    let mut parts = reply.as_array()?;
    let shape = || reply.value().instead_of(SHAPE);
    let now = parts.next().ok_or_else(shape)?.as_integer()?;
    let Value::Array(results) = parts.next().ok_or_else(shape)? else { return Err(shape()) };
    let changed = |value: Value<'_>| {
        Ok(match value.as_integer()? {
            1 => Changed::Done,
            2 => Changed::Forgotten,
            3 => Changed::Skipped,
            4 => Changed::Later,
            5 => Changed::Waits,
            -1 => Changed::Held,
            _ => Changed::Not,
        })
    };
    let changed = results.map(changed).collect::<Result<_, Error>>()?;
    let mut upcoming = Vec::new();
    while let Some(name) = parts.next() {
        let mut part = || parts.next().ok_or_else(shape);
        let (at, entry, run) = (part()?, part()?, part()?);
        let entry = entry.as_nil_or_bulk()?.filter(|entry| !entry.is_empty());
        upcoming.push(Upcoming {
            name: reply.slice(name.as_bulk()?),
            at: score(at.as_bulk()?).ok_or_else(shape)?,
            entry: entry.map(|entry| reply.slice(entry)),
            run: run.as_nil_or_bulk()?.map(|run| reply.slice(run)),
        });
    }
    Ok(Table { now, changed, upcoming })
}

/// Unix milliseconds from the text of a score; `None`: there is none. One that was written by hand may be any number.
pub(super) fn score(text: &[u8]) -> Option<i64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    // As the script does.
    (!number.is_nan()).then_some(number.clamp(-9e15, 9e15).floor() as i64)
}

/// Appends the question for the names of all entries: one HKEYS, read by [`read_names`].
pub fn ask_names(realm: &Realm, requests: &mut Requests) {
    requests.command(&[b"HKEYS", realm.cron.entries.as_bytes()]);
}

/// Reads the reply to [`ask_names`]: the names, in order.
///
/// # Errors
/// If the reply is an error, or not an array of strings.
pub fn read_names(reply: &Reply) -> Result<Vec<Bytes>, Error> {
    let mut names = Vec::new();
    for name in reply.as_array()? {
        names.push(reply.slice(name.as_bulk()?));
    }
    names.sort_unstable();
    Ok(names)
}

/// Appends the questions for some entries: one HMGET for what is stored, one for their runs, a ZSCORE for each.
/// [`read_rows`] reads the replies.
pub fn ask_rows(realm: &Realm, names: &[Bytes], requests: &mut Requests) {
    for key in [&realm.cron.entries, &realm.cron.runs] {
        let mut command = requests.begin(2 + names.len());
        command.arg(b"HMGET").arg(key.as_bytes());
        for name in names {
            command.arg(name);
        }
    }
    for name in names {
        requests.command(&[b"ZSCORE", realm.cron.ticks.as_bytes(), name]);
    }
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub name: Bytes,
    /// The entry; `None`: it is gone meanwhile, or never was there.
    pub entry: Option<Bytes>,
    /// What is stored of its runs.
    pub run: Option<Bytes>,
    /// When it is pushed, Unix milliseconds.
    pub at: Option<i64>,
}

/// Reads the replies to [`ask_rows`] for the same names.
///
/// # Errors
/// If a reply is an error, or of another shape.
pub fn read_rows(names: &[Bytes], replies: &[Reply]) -> Result<Vec<Row>, Error> {
    let [entries, runs, scores @ ..] = replies else {
        return Err(Error::Unexpected { expected: "replies for entries", got: "fewer".to_owned() });
    };
    let fields = |reply: &Reply| -> Result<Vec<Option<Bytes>>, Error> {
        reply.as_array()?.map(|field| Ok(field.as_nil_or_bulk()?.map(|bytes| reply.slice(bytes)))).collect()
    };
    let (entries, runs) = (fields(entries)?, fields(runs)?);
    let mut rows = Vec::with_capacity(names.len());
    for (((name, entry), run), at) in names.iter().zip(entries).zip(runs).zip(scores) {
        let at = at.as_nil_or_bulk()?.and_then(score);
        rows.push(Row { name: name.clone(), entry, run, at });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
