//! What a due entry pushes, and when its next tick is.

use super::{CatchUp, CronEntry, Overlap};
use crate::limits::{CRON_GRACE, CRON_TICKS_MAX};

/// What to do about a due entry. All times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The ticks to push, oldest first; none if it is paused, or they are late and left out.
    pub ticks: Vec<i64>,
    /// Ticks that are left out; no more than [`CRON_TICKS_MAX`] of them are counted.
    pub missed: u64,
    /// The latest tick that was considered: all of this holds only if its time has come.
    pub latest: i64,
    /// The next tick; `None`: that was the last.
    pub next: Option<i64>,
}

/// The first tick of an entry after a moment: where it begins.
#[must_use]
pub fn first_tick(entry: &CronEntry, after: i64) -> Option<i64> {
    let after = entry.begins().map_or(after, |from| after.max(from - 1));
    entry.schedule().next_after(after).filter(|tick| entry.ends().is_none_or(|until| *tick <= until))
}

/// When a tick is pushed: with jitter, later by a part of it that name and tick decide.
#[must_use]
pub fn pushed_at(entry: &CronEntry, tick: i64) -> i64 {
    let jitter = u64::try_from(entry.jitter_of().as_millis()).unwrap_or_default();
    if jitter == 0 {
        return tick;
    }
    // FNV-1a, and a last mixing: the ticks of one entry differ in few bits.
    let bytes = entry.name().bytes().chain(tick.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
    tick.saturating_add(i64::try_from(hash % (jitter + 1)).unwrap_or_default())
}

/// What an entry whose next tick was `tick` pushes now.
#[must_use]
pub fn plan(entry: &CronEntry, tick: i64, now: i64) -> Plan {
    let now = now.max(tick);
    let (ticks, more) = latest_ticks(entry, tick, now);
    let latest = ticks.last().copied().unwrap_or(tick);
    let next = first_tick(entry, now);
    let considered = ticks.len() as u64 + u64::from(more);
    if entry.is_paused() {
        return Plan { ticks: Vec::new(), missed: 0, latest, next };
    }
    let jitter = i64::try_from(entry.jitter_of().as_millis()).unwrap_or_default();
    let grace = CRON_GRACE.as_millis() as i64 + jitter;
    let in_time = ticks.iter().filter(|tick| now - **tick <= grace).count();
    let pushed = match entry.catches_up() {
        CatchUp::None => in_time,
        CatchUp::Last => in_time.max(1),
        CatchUp::All(most) => in_time.max(most as usize),
    };
    // Two that are pushed at once would overlap.
    let pushed = if entry.overlaps() == Overlap::Skip { pushed.min(1) } else { pushed };
    let ticks = ticks[ticks.len().saturating_sub(pushed)..].to_vec();
    Plan { missed: considered - ticks.len() as u64, ticks, latest, next }
}

/// The last ticks from `first`, which is one, to `now`, at most [`CRON_TICKS_MAX`], oldest first; and whether there are
/// more.
fn latest_ticks(entry: &CronEntry, first: i64, now: i64) -> (Vec<i64>, bool) {
    let most = CRON_TICKS_MAX as usize;
    let mut ticks = vec![first];
    let mut at = first;
    while let Some(tick) = first_tick(entry, at).filter(|tick| *tick <= now) {
        if ticks.len() == most {
            return (last_ticks(entry, first, now, most), true);
        }
        ticks.push(tick);
        at = tick;
    }
    (ticks, false)
}

/// The same from the other end, for an outage so long that going through all its ticks would take too long: each is found by
/// halving the time in which it must be.
fn last_ticks(entry: &CronEntry, first: i64, now: i64, most: usize) -> Vec<i64> {
    let mut ticks = Vec::with_capacity(most);
    let mut end = now;
    while ticks.len() < most {
        // There is a tick after `low` and not later than `end`; after `high` there is none.
        let (mut low, mut high) = (first - 1, end);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match first_tick(entry, middle) {
                Some(tick) if tick <= end => low = middle,
                _ => high = middle,
            }
        }
        let Some(tick) = first_tick(entry, low).filter(|tick| (first..=end).contains(tick)) else { break };
        ticks.push(tick);
        end = tick - 1;
    }
    ticks.reverse();
    ticks
}

#[cfg(test)]
mod tests;
