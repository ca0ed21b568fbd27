//! Changes of the table that processes and operators make, each from the row that is stored. Steps without a connection:
//! read the row, send the change, and begin again if the entry has changed meanwhile ([`crate::store::cron::Changed::Not`]).

use thiserror::Error;

use super::{CronEntry, CronError, LastRun, Origin, Run, first_tick, pushed_at};
use crate::job::Schema;
use crate::store::cron::{Change, Next, Row, Stored};

/// Why a row is not changed.
#[derive(Debug, Error)]
pub(crate) enum EditError {
    /// There is no such entry.
    #[error("there is none")]
    Absent,
    /// The name is taken.
    #[error("there is one already, from the {}; --replace takes its place", .0.as_str())]
    Taken(Origin),
    /// The name is taken in the table of another queue of a cluster.
    #[error("there is one already, in queue {0}")]
    TakenIn(String),
    /// What is stored cannot be read.
    #[error(transparent)]
    Spoilt(#[from] CronError),
}

/// An entry, as it is to be stored, and who says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put<'p> {
    /// The entry.
    pub(crate) entry: &'p CronEntry,
    /// The process that declares it; `None`: an operator.
    pub(crate) holder: Option<&'p str>,
    /// Whether it may take the place of any other.
    pub(crate) replaces: bool,
}

/// The queue of a change that pushes nothing.
const NO_QUEUE: &str = "";

fn stored(row: &Row) -> Stored<&[u8]> {
    row.entry.as_deref().map_or(Stored::Nothing, Stored::This)
}

/// The name of a row, as text.
pub(crate) fn name_of(row: &Row) -> String {
    String::from_utf8_lossy(&row.name).into_owned()
}

/// The entry of a row.
///
/// # Errors
/// [`EditError::Absent`], [`EditError::Spoilt`].
pub(crate) fn entry_of(row: &Row) -> Result<CronEntry, EditError> {
    let json = row.entry.as_deref().ok_or(EditError::Absent)?;
    Ok(CronEntry::from_json(&name_of(row), json)?)
}

/// Stores an entry. One that keeps the time of the one before goes on where that is, so a deployment neither leaves out a
/// tick nor pushes one twice; and it stays paused if that is.
///
/// # Errors
/// [`EditError::Taken`]: what an operator added is not replaced by what a process declares, and the other way round only if
/// it may replace any.
pub(crate) fn put<'r>(row: &'r Row, put: Put<'r>, now: i64) -> Result<Change<'r>, EditError> {
    // One that is spoilt is as good as none.
    let before = entry_of(row).ok();
    let is_declared = |entry: &CronEntry| entry.origin() != Origin::Command;
    let may = |before: &CronEntry| put.replaces || put.holder.is_some() && is_declared(before);
    if let Some(taken) = before.as_ref().filter(|before| !may(before)) {
        return Err(EditError::Taken(taken.origin()));
    }
    let is_paused = put.entry.is_paused() || before.as_ref().is_some_and(CronEntry::is_paused);
    let entry = put.entry.clone().paused(is_paused);
    let mut change = Change {
        entry_is: stored(row),
        entry: Next::This(entry.to_json()?),
        holder: put.holder,
        ..Change::of(&row.name, NO_QUEUE)
    };
    let goes_on = row.at.is_some() && before.is_some_and(|before| before.keeps_time_of(&entry));
    if !goes_on {
        let tick = first_tick(&entry, now);
        let run = Run { tick, ..Run::read(row.run.as_deref()) };
        change.tick = tick.map_or(Next::Nothing, |tick| Next::This(pushed_at(&entry, tick)));
        change.run = Next::This(run.to_json());
    }
    Ok(change)
}

/// Removes an entry, whatever it is.
///
/// # Errors
/// [`EditError::Absent`]
pub(crate) fn remove(row: &Row) -> Result<Change<'_>, EditError> {
    if row.entry.is_none() && row.at.is_none() {
        return Err(EditError::Absent);
    }
    Ok(Change { entry_is: stored(row), entry: Next::Nothing, ..Change::of(&row.name, NO_QUEUE) })
}

/// Lets the ticks of an entry pass without a push from now on, or no longer. One that has no next tick, because it was put
/// aside, gets one.
///
/// # Errors
/// [`EditError::Absent`], [`EditError::Spoilt`].
pub(crate) fn pause(row: &Row, is_paused: bool, now: i64) -> Result<Change<'_>, EditError> {
    let entry = entry_of(row)?.paused(is_paused);
    let mut change = Change {
        entry_is: stored(row),
        entry: Next::This(entry.to_json()?),
        ..Change::of(&row.name, NO_QUEUE)
    };
    if row.at.is_none() {
        let tick = first_tick(&entry, now);
        change.tick = tick.map_or(Next::Nothing, |tick| Next::This(pushed_at(&entry, tick)));
        change.run = Next::This(Run { tick, ..Run::read(row.run.as_deref()) }.to_json());
    }
    Ok(change)
}

/// Pushes an entry's job now, whatever its schedule says: the time is its tick. Returns the jid, too.
///
/// # Errors
/// [`EditError::Spoilt`]
pub(crate) fn run_now<'r>(
    row: &'r Row,
    entry: &'r CronEntry,
    schema: Schema,
    now: i64,
) -> Result<(Change<'r>, String), EditError> {
    let (jid, payload) = entry.payload(schema, now)?;
    let before = Run::read(row.run.as_deref());
    let last = LastRun::of(entry, now, now, &jid, &payload);
    let run = Run { last: Some(last), pushed: before.pushed + 1, ..before };
    let change = Change {
        entry_is: stored(row),
        // So that the run that is stored is not one that a tick has just written.
        tick_is: row.at.map_or(Stored::Nothing, Stored::This),
        run: Next::This(run.to_json()),
        payloads: vec![payload],
        ..Change::of(&row.name, entry.job().queue().as_str())
    };
    Ok((change, jid))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::client::NewJob;

    fn entry(schedule: &str) -> CronEntry {
        CronEntry::new("e", schedule, "UTC", NewJob::new("J", &[1]).unwrap()).unwrap()
    }

    fn row(entry: Option<&CronEntry>, at: Option<i64>) -> Row {
        let json = entry.map(|entry| Bytes::from(entry.to_json().unwrap()));
        Row { name: Bytes::from_static(b"e"), entry: json, run: None, at }
    }

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_deployment_keeps_the_tick_of_a_schedule_that_is_the_same() {
        let hourly = entry("0 * * * *").with_origin(Origin::Code);
        let declare = |row: &Row, entry: &CronEntry| {
            let put_it = Put { entry, holder: Some("aa"), replaces: false };
            put(row, put_it, 5 * HOUR + 1).map(|change| (change.tick, change.run == Next::Same)).unwrap()
        };
        let next = Next::This(6 * HOUR);
        assert_eq!(declare(&row(None, None), &hourly), (next.clone(), false), "the first");
        let stored = row(Some(&hourly), Some(3 * HOUR));
        // Its tick of two hours ago has still to be caught up with.
        assert_eq!(declare(&stored, &hourly), (Next::Same, true));
        let other = entry("0 * * * *").retries(3).unwrap().with_origin(Origin::File);
        assert_eq!(declare(&stored, &other), (Next::Same, true), "another job at the same times");
        assert_eq!(
            declare(&stored, &entry("30 * * * *").with_origin(Origin::Code)).0,
            Next::This(11 * HOUR / 2)
        );
        assert_eq!(declare(&row(Some(&hourly), None), &hourly).0, next, "it was put aside");
        let spoilt = Row { entry: Some(Bytes::from_static(b"{")), ..stored };
        assert_eq!(declare(&spoilt, &hourly).0, next);
    }

    #[test]
    fn what_an_operator_did_is_not_undone_by_a_deployment() {
        let (added, declared) = (entry("@daily"), entry("@daily").with_origin(Origin::Code));
        let declare = Put { entry: &declared, holder: Some("aa"), replaces: false };
        let taken = put(&row(Some(&added), Some(1)), declare, 0).unwrap_err();
        assert!(matches!(taken, EditError::Taken(Origin::Command)));
        let paused = row(Some(&declared.clone().paused(true)), Some(1));
        let Next::This(json) = put(&paused, declare, 0).unwrap().entry else { panic!("nothing is stored") };
        assert!(CronEntry::from_json("e", &json).unwrap().is_paused());
        let add = |replaces| put(&paused, Put { entry: &added, holder: None, replaces }, 0);
        assert!(matches!(add(false).unwrap_err(), EditError::Taken(Origin::Code)));
        assert!(add(true).is_ok());
    }

    #[test]
    fn what_is_not_there_is_neither_removed_nor_paused() {
        assert!(matches!(remove(&row(None, None)), Err(EditError::Absent)));
        assert!(remove(&row(None, Some(1))).is_ok(), "a tick without an entry");
        assert!(matches!(pause(&row(None, None), true, 0), Err(EditError::Absent)));
        let entry = entry("0 * * * *");
        let change = pause(&row(Some(&entry), None), false, 1).map(|change| change.tick);
        assert_eq!(change.unwrap(), Next::This(HOUR));
    }
}
