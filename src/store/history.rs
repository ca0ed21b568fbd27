//! What is kept of the past: writing a minute, putting hours and days together, reading a span.
//!
//! The minutes of an hour are a list to which each process appends an entry; the hours of a day and the days of a span of
//! 32 are a hash. An hour is put together from its minutes once it is over, a day from its hours, by whichever process
//! comes first; doing so twice changes nothing. All of them expire.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::{
    HISTORY_CLOSED_AFTER, HISTORY_DAYS_KEPT, HISTORY_HOURS_KEPT, HISTORY_LISTS_PER_CALL,
    HISTORY_MINUTES_KEPT, HISTORY_PAGE, HISTORY_PAGES_MAX, HISTORY_UNITS_PER_CALL,
};
use crate::resp::{Error, Reply, Requests};
use crate::wire::Keyspace;
use crate::wire::history::{Grain, Reader, Slice};

const HOUR: u64 = Grain::Hour.seconds();
const DAY: u64 = Grain::Day.seconds();

/// Appends an entry to the minutes of an hour since 1970. Answered by two integers.
pub fn append(keys: Keyspace, hour: u64, entry: &[u8], requests: &mut Requests) {
    let key = keys.history_minutes(hour);
    requests.command(&[b"RPUSH", key.as_bytes(), entry]);
    expire(&key, HISTORY_MINUTES_KEPT.as_secs() + HOUR, requests);
}

/// Appends what an hour or a day comes to, by its number since 1970. Answered by two integers.
pub fn keep(keys: Keyspace, grain: Grain, unit: u64, slice: &Slice, requests: &mut Requests) {
    let key = unit_key(keys, grain, unit);
    requests.command(&[b"HSET", key.as_bytes(), unit.to_string().as_bytes(), &slice.to_bytes()]);
    let kept = match grain {
        Grain::Day => HISTORY_DAYS_KEPT.as_secs() + 32 * DAY,
        _ => HISTORY_HOURS_KEPT.as_secs() + DAY,
    };
    expire(&key, kept, requests);
}

fn expire(key: &str, seconds: u64, requests: &mut Requests) {
    requests.command(&[b"EXPIRE", key.as_bytes(), seconds.to_string().as_bytes()]);
}

/// The key of an hour or a day.
fn unit_key(keys: Keyspace, grain: Grain, unit: u64) -> String {
    if grain == Grain::Day { keys.history_days(unit) } else { keys.history_hours(unit / 24) }
}

/// Appends the question which units from `first` to `last` are kept: one for each key that holds some of them, which are
/// a handful. Their answers are for [`absent`].
pub fn ask_kept(keys: Keyspace, grain: Grain, (first, last): (u64, u64), requests: &mut Requests) {
    let mut names: Vec<String> = (first..=last).map(|unit| unit_key(keys, grain, unit)).collect();
    names.dedup();
    // Of our own making, so it has no more fields than units: 24 or 32.
    names.iter().for_each(|key| requests.command(&[b"HKEYS", key.as_bytes()]));
}

/// Reads the answers to [`ask_kept`]: which of these units are not kept yet, the first one first.
///
/// # Errors
/// One of them is an error or of another type.
pub fn absent((first, last): (u64, u64), replies: &[Reply]) -> Result<Vec<u64>, Error> {
    let mut kept = BTreeSet::new();
    for reply in replies {
        for field in reply.as_array()? {
            kept.extend(std::str::from_utf8(field.as_bulk()?).ok().and_then(|unit| unit.parse::<u64>().ok()));
        }
    }
    Ok((first..=last).filter(|unit| !kept.contains(unit)).collect())
}

/// Reads a span of the past. What no hour or day has been put together for yet is taken from what is finer.
///
/// Alternate [`Reading::write`] and [`Reading::accept`] until the first says that nothing is left.
#[derive(Debug)]
pub struct Reading {
    keys: Keyspace,
    grain: Grain,
    /// The first unit, and the one after the last, since 1970.
    span: (u64, u64),
    /// Unix seconds, by the clock of Redis.
    now: u64,
    /// Units to ask for, the next one last.
    days: Vec<u64>,
    hours: Vec<u64>,
    /// Minutes of an hour, and which page.
    lists: Vec<(u64, usize)>,
    asked: Vec<Asked>,
    /// How far the minutes of an hour are read.
    readers: BTreeMap<u64, Reader>,
    slices: BTreeMap<u64, Slice>,
    stored: Vec<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Day(u64),
    Hour(u64),
    Minutes(u64, usize),
}

impl Reading {
    /// Of the units from `first` to `last`, both included, at this time.
    #[must_use]
    pub fn new(keys: Keyspace, grain: Grain, first: u64, last: u64, now: u64) -> Self {
        let mut reading = Self {
            keys,
            grain,
            span: (first, last + 1),
            now,
            days: Vec::new(),
            hours: Vec::new(),
            lists: Vec::new(),
            asked: Vec::new(),
            readers: BTreeMap::new(),
            slices: BTreeMap::new(),
            stored: Vec::new(),
        };
        match grain {
            Grain::Day => reading.days = (first..=last).rev().collect(),
            Grain::Hour => reading.hours = (first..=last).rev().collect(),
            Grain::Minute => (first / 60..=last / 60).rev().for_each(|hour| reading.want_minutes(hour)),
        }
        reading
    }

    fn want_minutes(&mut self, hour: u64) {
        if (hour + 2) * HOUR + HISTORY_MINUTES_KEPT.as_secs() > self.now {
            self.lists.push((hour, 0));
        }
    }

    fn want_hours_of(&mut self, day: u64) {
        if (day + 2) * DAY + HISTORY_HOURS_KEPT.as_secs() > self.now {
            let hours = (day * 24..(day + 1) * 24).filter(|hour| hour * HOUR <= self.now);
            self.hours.extend(hours.rev());
        }
    }

    /// Appends the next questions, if there are any.
    pub fn write(&mut self, requests: &mut Requests) -> bool {
        let Self { days, hours, lists, asked, .. } = self;
        asked.clear();
        let units =
            |units: &mut Vec<u64>| units.split_off(units.len().saturating_sub(HISTORY_UNITS_PER_CALL));
        if !days.is_empty() {
            asked.extend(units(days).into_iter().map(Asked::Day));
        } else if !hours.is_empty() {
            asked.extend(units(hours).into_iter().map(Asked::Hour));
        } else {
            let rest = lists.len().saturating_sub(HISTORY_LISTS_PER_CALL);
            asked.extend(lists.split_off(rest).into_iter().map(|(hour, page)| Asked::Minutes(hour, page)));
        }
        for asked in &self.asked {
            let (grain, unit) = match *asked {
                Asked::Day(day) => (Grain::Day, day),
                Asked::Hour(hour) => (Grain::Hour, hour),
                Asked::Minutes(hour, page) => {
                    let key = self.keys.history_minutes(hour);
                    let (first, last) = (page * HISTORY_PAGE, (page + 1) * HISTORY_PAGE - 1);
                    let (first, last) = (first.to_string(), last.to_string());
                    requests.command(&[b"LRANGE", key.as_bytes(), first.as_bytes(), last.as_bytes()]);
                    continue;
                }
            };
            let key = unit_key(self.keys, grain, unit);
            requests.command(&[b"HGET", key.as_bytes(), unit.to_string().as_bytes()]);
        }
        !self.asked.is_empty()
    }

    /// Reads the answers to what was last written.
    ///
    /// # Errors
    /// One of them is an error or of another type.
    pub fn accept(&mut self, replies: &[Reply]) -> Result<(), Error> {
        for (asked, reply) in std::mem::take(&mut self.asked).into_iter().zip(replies) {
            match asked {
                Asked::Day(day) => match reply.as_nil_or_bulk()? {
                    Some(bytes) => self.add(Grain::Day, day, &Slice::from_bytes(bytes)),
                    None => self.want_hours_of(day),
                },
                Asked::Hour(hour) => match reply.as_nil_or_bulk()? {
                    Some(bytes) => self.add(Grain::Hour, hour, &Slice::from_bytes(bytes)),
                    None => self.want_minutes(hour),
                },
                Asked::Minutes(hour, page) => self.add_minutes(hour, page, reply)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, grain: Grain, unit: u64, slice: &Slice) {
        if grain == self.grain {
            self.stored.push(unit);
        }
        let unit = unit * grain.seconds() / self.grain.seconds();
        if !slice.is_empty() {
            self.slices.entry(unit).or_default().merge(slice);
        }
    }

    fn add_minutes(&mut self, hour: u64, page: usize, reply: &Reply) -> Result<(), Error> {
        let (span, grain) = (self.span, self.grain);
        let mut reader = self.readers.remove(&hour).unwrap_or_default();
        let entries = reply.as_array()?;
        let mut count = 0;
        for entry in entries {
            count += 1;
            reader.read(entry.as_bulk()?, |minute| {
                let unit = (hour * 60 + u64::from(minute)) * 60 / grain.seconds();
                let is_wanted = minute < 60 && (span.0..span.1).contains(&unit);
                is_wanted.then(|| self.slices.entry(unit).or_default())
            });
        }
        if count == HISTORY_PAGE && page + 1 < HISTORY_PAGES_MAX {
            self.readers.insert(hour, reader);
            self.lists.push((hour, page + 1));
        }
        Ok(())
    }

    /// What was found, by the number of the unit, and which units are put together already.
    #[must_use]
    pub fn finish(mut self) -> (BTreeMap<u64, Slice>, Vec<u64>) {
        self.slices.retain(|_, slice| !slice.is_empty());
        (self.slices, self.stored)
    }
}

/// Whether a unit is over at this time, and everybody has written what belongs to it.
#[must_use]
pub fn is_closed(grain: Grain, unit: u64, now: u64) -> bool {
    (unit + 1) * grain.seconds() + HISTORY_CLOSED_AFTER.as_secs() <= now
}

#[cfg(test)]
mod tests;
