//! Periodic jobs: when they run, what is stored of them, and what a tick pushes. Pure: no clock and no connection.
//!
//! ```text
//! Registry::cron ─┐                 ┌─ entries  (hash)  name -> entry, JSON
//! file `cron:` ───┼─► table in Redis┼─ ticks    (zset)  name, scored with the time of its next push (Redis's, ms)
//! `cron add` ─────┘                 ├─ runs     (hash)  name -> the next tick, and what the last one pushed
//!                                   └─ holders  (hash)  name -> processes that declare it
//!
//! poller's leader ── sleeps until the first tick ──► cron.lua: LPUSH of the payload, ZADD of the next tick, one step
//! ```
//!
//! # Once a tick
//!
//! Who finds a tick due computes what it pushes and when the next one comes ([`plan`]), and offers that to one script.
//! The script goes by the clock of Redis and pushes only if the tick is due and neither the entry nor its tick is another
//! than the one offered; in the same step it moves the tick on. So of any number of processes that offer the same tick one
//! pushes, whichever leads, whatever their clocks say and wherever they are stopped or killed. The leader only spares Redis
//! the others' offers, and sleeps until the next tick; a change of the table wakes it like a new scheduled job does.
//!
//! # Time zones
//!
//! A schedule is walked in local time (`zone`), and a tick is where the local clock first shows that time:
//!
//! - a time that the clock skips runs once, right after the gap: 02:30 on the day on which 02:00 is followed by 03:00 runs
//!   at 03:00, and so do `*/10 2 * * *` together;
//! - a time that comes twice runs once, the first time;
//! - but a schedule whose hour is `*` is about hours that pass, not about a time of day: it runs in both of two equal hours,
//!   and owes nothing for a skipped one. Otherwise `*/5 * * * *` would pause for an hour each autumn.
//!
//! # Words of the time
//!
//! A *tick* is the time at which an entry should run, by its schedule. It is pushed then or, with jitter, a little later:
//! always as much for the same tick of the same entry. All of these are Unix milliseconds by the clock of Redis.
//!
//! # The parser
//!
//! It is our own, the zones are jiff's. An expression is six sets of at most 64 bits, which no text can make larger. The
//! best kept crate (croner) holds a table of 5,000 years for each expression, accepts `1,,2`, needs up to 31 million steps
//! to find that a schedule never comes, and brings two crates of derive macros.

pub(crate) mod edit;
mod entry;
mod error;
mod expression;
mod options;
mod plan;
mod run;
mod schedule;
mod stored;
mod words;
mod zone;

pub use entry::CronEntry;
pub use error::CronError;
pub use options::{CatchUp, Origin, Overlap};
pub use plan::{Plan, first_tick, plan, pushed_at};
pub use run::{LastRun, Run};
pub use schedule::Schedule;

/// The seconds of a span of time: `90`, `90s`, `1h30m`.
pub(crate) fn span_seconds(text: &str) -> Option<u64> {
    words::seconds(text)
}

/// A tick as text: `2026-12-02T03:00:00Z`.
#[must_use]
pub fn tick_text(tick_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(tick_ms).map_or_else(|_| tick_ms.to_string(), |time| time.to_string())
}
