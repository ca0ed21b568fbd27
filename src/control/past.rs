//! Keeps the history of the fleet: once a minute it asks the shards what they have counted and appends that to the minutes
//! of the hour, in one call; then it puts together hours and days that are over, if nobody else has.
//!
//! It has a connection only while it writes. What it cannot write waits for the next minute and is then sent as it was, so
//! a reader recognises what arrived twice. A crash loses the current minute.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::actor::Actor;
use super::link::ControlLink;
use super::shards::CountsFor;
use super::state::Control;
use crate::limits::{
    HISTORY_CALL_MAX, HISTORY_DAYS_BACK, HISTORY_LAST_CALL_MAX, HISTORY_MINUTES_KEPT, HISTORY_PENDING_MAX,
    HISTORY_ROLLED_MAX, HISTORY_SPREAD,
};
use crate::net::{Connection, Error};
use crate::resp::{RedisErrorKind, Reply, Requests};
use crate::stats::ShardRow;
use crate::store::history::{self, Reading, is_closed};
use crate::store::lengths;
use crate::timeout::within;
use crate::wire::Keyspace;
use crate::wire::history::{Grain, Slice, Tallied, Writer};

const MINUTE: u64 = Grain::Minute.seconds();

/// See the module.
pub(super) struct Past {
    control: Rc<Control>,
    counted: Counted,
    writer: Writer,
    /// The hour in which the names that were written stand.
    hour: u64,
    /// Entries with their hours, not written yet for all that is known.
    pending: VecDeque<(u64, Vec<u8>)>,
    /// The hour after which was last looked for what is to be put together.
    rolled: u64,
    /// That it cannot be written was logged.
    complained: bool,
}

/// Starts it, unless the queues are in a Redis Cluster, which keeps no history.
pub(super) fn spawn(control: &Rc<Control>) -> Option<Actor> {
    if control.options.url.is_cluster() {
        return None;
    }
    let past = Past::new(Rc::clone(control));
    Some(Actor::spawn(past.run()))
}

impl Past {
    fn new(control: Rc<Control>) -> Self {
        let id = fastrand::u32(..).to_le_bytes();
        Self {
            counted: Counted::new(control.shards.count()),
            control,
            writer: Writer::new([id[0], id[1], id[2]]),
            hour: 0,
            pending: VecDeque::new(),
            rolled: 0,
            complained: false,
        }
    }

    async fn run(mut self) {
        let spread = HISTORY_SPREAD.mul_f64(fastrand::f64());
        while self.control.ended().is_none() {
            let now = self.control.now();
            let over = MINUTE as f64 - now.rem_euclid(MINUTE as f64);
            let ends = Duration::from_secs_f64(over) + spread;
            if within(ends, self.control.past_wakes.wait()).await.is_some() {
                break;
            }
            let rows = self.control.shards.counted(CountsFor::Past).await;
            // It belongs to the minute that was over just now.
            let minute = (self.control.now() - spread.as_secs_f64() - 1.0).max(0.0) as u64 / MINUTE;
            self.minute(minute, &rows, HISTORY_CALL_MAX).await;
        }
        let rows = self.control.shards.last_counted(CountsFor::Past);
        let minute = self.control.now() as u64 / MINUTE;
        self.minute(minute, &rows, HISTORY_LAST_CALL_MAX).await;
    }

    /// Writes what was counted in this minute, within `limit`.
    async fn minute(&mut self, minute: u64, rows: &[Option<Rc<[ShardRow]>>], limit: Duration) {
        let until = self.control.farewell_ends(limit);
        let left = || until.saturating_duration_since(Instant::now());
        let control = Rc::clone(&self.control);
        let last = control.ended().is_some();
        let mut slice = self.counted.slice(rows, |shard, row| control.options.stats[shard].names_of(row));
        // Without a word if there is nothing to say: an idle process ends without a connection.
        if last && slice.is_empty() && self.pending.is_empty() {
            return;
        }
        let opened = within(left(), open(&control)).await.unwrap_or(Err(Error::Closed));
        for (queue, jobs) in opened.iter().flat_map(|(_, depths)| depths) {
            slice.note_depth(queue, *jobs);
        }
        // Whatever becomes of the connection, it is not lost.
        self.note(minute, &slice);
        let written = match opened {
            Ok((conn, _)) => within(left(), self.write(conn, last)).await.unwrap_or(Err(Error::Closed)),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => self.complained = false,
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &Error) {
        if matches!(error, Error::Redis(error) if error.kind() == RedisErrorKind::WrongType) {
            // It would never be taken.
            self.pending.clear();
        }
        // The log has heard of an outage already.
        if self.complained || self.control.heartbeat_is_lost().is_some() || self.control.ended().is_some() {
            return tracing::debug!(%error, "history cannot be written");
        }
        self.complained = true;
        tracing::warn!(%error, "history cannot be written; it is tried again with each minute");
    }

    async fn write(&mut self, mut conn: Connection, last: bool) -> Result<(), Error> {
        let keys = self.control.options.keys;
        let mut requests = Requests::new();
        self.pending.iter().for_each(|(hour, entry)| history::append(keys, *hour, entry, &mut requests));
        if !self.pending.is_empty() {
            call(&mut conn, &requests).await?;
            self.pending.clear();
        }
        if last { Ok(()) } else { self.roll(&mut conn, keys).await }
    }

    /// Makes an entry of it.
    fn note(&mut self, minute: u64, slice: &Slice) {
        if slice.is_empty() {
            return;
        }
        let hour = minute / 60;
        if hour != self.hour || self.pending.len() >= HISTORY_PENDING_MAX {
            self.writer.forget_names();
            self.hour = hour;
        }
        if self.pending.len() >= HISTORY_PENDING_MAX {
            // The names that the others rely on may be among them.
            self.pending.clear();
        }
        // Less than 60.
        let entry = self.writer.entry((minute % 60) as u8, slice);
        self.pending.push_back((hour, entry));
    }

    /// Puts together the hours and days that are over. Looks once an hour.
    async fn roll(&mut self, conn: &mut Connection, keys: Keyspace) -> Result<(), Error> {
        let now = self.control.now() as u64;
        let hour = now / Grain::Hour.seconds();
        if self.rolled == hour || hour == 0 || !is_closed(Grain::Hour, hour - 1, now) {
            return Ok(());
        }
        let kept = HISTORY_MINUTES_KEPT.as_secs() / Grain::Hour.seconds();
        let mut is_done =
            roll_grain(conn, keys, Grain::Hour, (hour.saturating_sub(kept), hour - 1), now).await?;
        let day = hour / 24;
        if is_done && day > 0 && is_closed(Grain::Day, day - 1, now) {
            let first = day.saturating_sub(HISTORY_DAYS_BACK);
            is_done = roll_grain(conn, keys, Grain::Day, (first, day - 1), now).await?;
        }
        if is_done {
            self.rolled = hour;
        }
        Ok(())
    }
}

/// A connection, and how many jobs wait in the queues of this process.
async fn open(control: &Control) -> Result<(Connection, Vec<(Box<str>, u64)>), Error> {
    let mut conn = Connection::open(&control.options.url, &ControlLink::options(control, "history")).await?;
    let queues = control.options.stats.first().map_or(&[][..], |stats| stats.current.queue_names());
    if queues.is_empty() {
        return Ok((conn, Vec::new()));
    }
    let mut requests = Requests::new();
    lengths::ask(control.options.keys, queues.iter().map(|name| &**name), &mut requests);
    let replies = conn.call(&requests).await?;
    let depths = queues.iter().cloned().zip(replies.iter().map(lengths::read)).collect();
    Ok((conn, depths))
}

/// Puts together the units of this span that are not yet, a few at a time. Returns whether all are.
async fn roll_grain(
    conn: &mut Connection,
    keys: Keyspace,
    grain: Grain,
    span: (u64, u64),
    now: u64,
) -> Result<bool, Error> {
    let mut requests = Requests::new();
    history::ask_kept(keys, grain, span, &mut requests);
    let absent = history::absent(span, &call(conn, &requests).await?)?;
    for unit in absent.iter().rev().take(HISTORY_ROLLED_MAX) {
        let mut reading = Reading::new(keys, grain, *unit, *unit, now);
        loop {
            requests.clear();
            if !reading.write(&mut requests) {
                break;
            }
            reading.accept(&call(conn, &requests).await?)?;
        }
        let mut slices = reading.finish().0;
        requests.clear();
        // One in which nothing happened is kept too: it need not be looked for again.
        history::keep(keys, grain, *unit, &slices.remove(unit).unwrap_or_default(), &mut requests);
        call(conn, &requests).await?;
    }
    Ok(absent.len() <= HISTORY_ROLLED_MAX)
}

/// The replies, none of which is an error.
async fn call(conn: &mut Connection, requests: &Requests) -> Result<Vec<Reply>, Error> {
    conn.call(requests).await?.into_iter().map(|reply| Ok(reply.into_result()?)).collect()
}

/// What the shards had counted when they were last asked.
struct Counted {
    shards: Vec<BTreeMap<(usize, usize), Tallied>>,
}

impl Counted {
    fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| BTreeMap::new()).collect() }
    }

    /// What they have counted since, by the names of queue and class.
    fn slice(
        &mut self,
        answers: &[Option<Rc<[ShardRow]>>],
        names: impl Fn(usize, &ShardRow) -> (Box<str>, Box<str>),
    ) -> Slice {
        let mut slice = Slice::default();
        for (shard, (known, rows)) in self.shards.iter_mut().zip(answers).enumerate() {
            for row in rows.iter().flat_map(|rows| rows.iter()) {
                let now = Tallied::of(&row.row);
                let before = known.entry((row.queue, row.class)).or_default();
                let (queue, class) = names(shard, row);
                slice.add(&queue, &class, &now.since(before));
                *before = now;
            }
        }
        slice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{LiveRow, Outcome};

    #[test]
    fn a_minute_has_what_each_shard_has_counted_since_the_last() {
        let live = LiveRow::default();
        let rows = || Some(Rc::from([ShardRow { queue: 0, class: 1, row: live.copy() }]));
        let mut counted = Counted::new(2);
        let mut done = |answers: &[Option<Rc<[ShardRow]>>]| {
            let slice = counted.slice(answers, |_, row| ("q".into(), row.class.to_string().into()));
            slice.rows.get(&("q".into(), "1".into())).map(|row| row.count(Outcome::Done))
        };
        live.count(Outcome::Done);
        assert_eq!(done(&[rows(), None]), Some(1));
        assert_eq!(done(&[rows(), None]), None);
        live.count(Outcome::Done);
        // One that did not answer says it all later.
        assert_eq!(done(&[rows(), rows()]), Some(1 + 2));
    }
}
