//! What the poller does about periodic jobs: it offers what is due to the script that pushes, and knows when the next is.
//!
//! The reply to one offer brings the entries that come next, so in the long run each batch of ticks costs one command, sent
//! when it is due. A follower makes an offer when it finds a tick overdue at one of its looks: the leader has died. See
//! [`crate::cron`] for why a tick is pushed once however many offer it.

use std::time::{Duration, Instant};

use super::duty::Duty;
use super::link::ControlLink;
use crate::cron::{CronEntry, LastRun, Origin, Overlap, Plan, Run, plan, pushed_at};
use crate::foreign::Foreign;
use crate::job::Schema;
use crate::limits::{CRON_HOLDERS_WAIT, CRON_ROUNDS, DUE_PAUSE_MIN};
use crate::net::Error;
use crate::resp::RedisErrorKind;
use crate::store::cron::{self, Change, Changed, LastJob, Next, Stored, Table, Unheld, Upcoming};
use crate::store::due::NextTick;

/// What is known of the table of one realm.
#[derive(Debug)]
pub(super) struct Ticker {
    /// What comes first, as last told; empty: not known.
    upcoming: Vec<Upcoming>,
    /// The first tick, by the clock of Redis; `None`: there are no entries.
    first: Option<i64>,
    /// When to make an offer.
    due_at: Option<Instant>,
    /// The time of Redis, and when it was told.
    told: (i64, Instant),
    /// When this process began to look.
    began: Instant,
}

/// What is offered for one entry.
struct Offer {
    entry: CronEntry,
    plan: Plan,
    run: Run,
    /// The job of its last tick, if that must not live any more.
    before: Option<LastJob>,
    payloads: Vec<Vec<u8>>,
}

impl Ticker {
    pub(super) fn new(now: Instant) -> Self {
        Self { upcoming: Vec::new(), first: None, due_at: None, told: (0, now), began: now }
    }

    /// Forgets what it knows: the connection is lost.
    pub(super) fn forget(&mut self) {
        *self = Self { began: self.began, ..Self::new(self.told.1) };
    }

    /// When to make an offer.
    pub(super) const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }

    /// Whether to make an offer now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due_at.is_some_and(|due_at| due_at <= now)
    }

    /// Notes what a look has told.
    pub(super) fn note(&mut self, next: Option<NextTick>, leads: bool, now: Instant) {
        let first = next.map(|next| next.at);
        if self.first != first {
            self.upcoming.clear();
            self.first = first;
        }
        self.due_at = match next {
            // To be ready when it is due, the leader asks at once for what comes.
            Some(_) if leads && self.upcoming.is_empty() => Some(now),
            Some(NextTick { in_ms, .. }) if leads || in_ms == 0 => Some(now + Duration::from_millis(in_ms)),
            _ => None,
        };
    }

    /// Offers what is due. A table of another type does not concern the other jobs.
    ///
    /// # Errors
    /// See [`Self::offer`].
    pub(super) async fn turn(
        &mut self,
        duty: &Duty,
        schema: Schema,
        leads: bool,
        link: &mut ControlLink,
    ) -> Result<(), Error> {
        match self.offer(duty, schema, leads, link).await {
            Err(Error::Redis(error)) if error.kind() == RedisErrorKind::WrongType => {
                self.forget();
                tracing::error!(%error, "a key of the table of periodic jobs is spoilt, so they wait; the rest keeps running");
                Ok(())
            }
            offered => offered,
        }
    }

    /// Offers what is due, batch by batch, and learns what comes next. One round trip for each batch.
    ///
    /// # Errors
    /// Those of the connection, and what Redis refuses.
    async fn offer(
        &mut self,
        duty: &Duty,
        schema: Schema,
        leads: bool,
        link: &mut ControlLink,
    ) -> Result<(), Error> {
        let mut idle_rounds = 0;
        for _ in 0..CRON_ROUNDS {
            let upcoming = std::mem::take(&mut self.upcoming);
            let offers = offers(&upcoming, duty, schema, self.redis_now());
            let changes: Vec<Change<'_>> = upcoming
                .iter()
                .zip(&offers)
                .map(|(next, offer)| change(next, offer, self.unheld()))
                .collect();
            let realm = &duty.options.realm;
            let replies = link.call(|_, requests| cron::change(realm, &changes, requests)).await?;
            let table = cron::read(replies.first().ok_or(Error::Closed)?)?;
            for ((next, offer), changed) in upcoming.iter().zip(&offers).zip(&table.changed) {
                say(next, offer, *changed);
            }
            let is_idle = table.changed.iter().all(|changed| *changed == Changed::Not);
            idle_rounds = if is_idle { idle_rounds + 1 } else { 0 };
            self.learn(table, leads);
            if !self.is_due(Instant::now()) {
                return Ok(());
            }
            // Others are at it, or the clock of Redis was set back: not without end.
            if idle_rounds > 2 {
                break;
            }
        }
        self.due_at = Some(Instant::now() + DUE_PAUSE_MIN);
        Ok(())
    }

    fn learn(&mut self, table: Table, leads: bool) {
        let received = Instant::now();
        self.told = (table.now, received);
        self.first = table.upcoming.first().map(|next| next.at);
        self.due_at = self.first.and_then(|first| {
            let in_ms = u64::try_from(first.saturating_sub(table.now)).unwrap_or(0);
            // No timer is set for more than a day: the looks go on anyway.
            (leads || in_ms == 0).then(|| received + Duration::from_millis(in_ms).min(FAR))
        });
        self.upcoming = table.upcoming;
    }

    /// What becomes of an entry that no living process declares: while a fleet starts, those that do may come later than
    /// this one, and have to find it with the tick that is to be caught up with.
    fn unheld(&self) -> Unheld {
        if self.began.elapsed() < CRON_HOLDERS_WAIT { Unheld::Waits } else { Unheld::Goes }
    }

    /// The time of Redis by the last answer, in Unix milliseconds.
    fn redis_now(&self) -> i64 {
        let (now, told_at) = self.told;
        now.saturating_add(i64::try_from(told_at.elapsed().as_millis()).unwrap_or(i64::MAX))
    }
}

/// Beyond this a time is as good as never.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// What to offer for each entry; `Err`: why it is put aside.
fn offers(upcoming: &[Upcoming], duty: &Duty, schema: Schema, now: i64) -> Vec<Result<Offer, String>> {
    upcoming.iter().map(|next| offer(next, duty.queue(), schema, now)).collect()
}

fn offer(next: &Upcoming, queue: Option<&str>, schema: Schema, now: i64) -> Result<Offer, String> {
    let name = std::str::from_utf8(&next.name).map_err(|error| error.to_string())?;
    let json = next.entry.as_deref().ok_or("there is no entry of that name, or it is too large")?;
    let entry = CronEntry::from_json(name, json).map_err(|error| error.to_string())?;
    if let Some(queue) = queue.filter(|queue| *queue != entry.job().queue().as_str()) {
        return Err(format!("in a cluster it belongs to the table of its own queue, not to that of {queue}"));
    }
    let mut run = Run::read(next.run.as_deref());
    let tick = run.tick.filter(|tick| *tick <= next.at).unwrap_or(next.at);
    let plan = plan(&entry, tick, now.max(next.at));
    run.tick = plan.next;
    run.missed += plan.missed;
    let before = before(&entry, &plan, &run);
    let mut payloads = Vec::with_capacity(plan.ticks.len());
    for tick in &plan.ticks {
        let (jid, payload) = entry.payload(schema, *tick).map_err(|error| error.to_string())?;
        run.last = Some(LastRun::of(&entry, *tick, now.max(next.at), &jid, &payload));
        payloads.push(payload);
    }
    run.pushed += payloads.len() as u64;
    Ok(Offer { entry, plan, run, before, payloads })
}

/// The job that holds the ticks of an entry back while it lives. `run`: as it is stored if nothing is pushed.
fn before(entry: &CronEntry, plan: &Plan, run: &Run) -> Option<LastJob> {
    let last = run.last.as_ref().filter(|_| entry.overlaps() == Overlap::Skip && !plan.ticks.is_empty())?;
    let skipped = run.skipped + plan.ticks.len() as u64;
    let run_if_lives = Run { skipped, skipped_tick: plan.ticks.last().copied(), ..run.clone() };
    Some(LastJob {
        jid: last.jid.clone(),
        payload: last.payload.clone().into_bytes(),
        run_if_lives: run_if_lives.to_json(),
    })
}

/// `unheld`: what becomes of it if it is declared by processes, and none of them lives.
fn change<'c>(next: &'c Upcoming, offer: &'c Result<Offer, String>, unheld: Unheld) -> Change<'c> {
    let tick_is = Stored::This(next.at);
    match offer {
        // Without a tick it is in nobody's way, and shown as it is, until it is stored anew or removed.
        Err(_) => Change { tick_is, tick: Next::Nothing, ..Change::of(&next.name, "") },
        Ok(Offer { entry, plan, run, before, payloads }) => Change {
            entry_is: next.entry.as_deref().map_or(Stored::Nothing, Stored::This),
            tick_is,
            due: Some(plan.latest.max(next.at)),
            unheld: if entry.origin() == Origin::Command { Unheld::Stays } else { unheld },
            tick: plan.next.map_or(Next::Nothing, |tick| Next::This(pushed_at(entry, tick))),
            run: Next::This(run.to_json()),
            unless_lives: before.clone(),
            payloads: payloads.clone(),
            ..Change::of(&next.name, entry.job().queue().as_str())
        },
    }
}

/// Logs what became of an offer.
fn say(next: &Upcoming, offer: &Result<Offer, String>, changed: Changed) {
    let name = String::from_utf8_lossy(&next.name);
    let entry = Foreign::text(&name);
    match (changed, offer) {
        (Changed::Done, Err(reason)) => {
            let reason = Foreign::text(reason);
            tracing::error!(%entry, %reason, "a periodic job was put aside: it is spoilt; add it anew, or remove it");
        }
        (Changed::Done, Ok(offer)) => {
            let (jobs, missed) = (offer.payloads.len(), offer.plan.missed);
            if missed > 0 {
                tracing::warn!(%entry, missed, jobs, "ticks of a periodic job were late and left out");
            }
            tracing::debug!(%entry, jobs, next = offer.plan.next, "a periodic job was due");
        }
        (Changed::Forgotten, _) => {
            tracing::info!(%entry, "a periodic job was removed: no living process declares it any more");
        }
        (Changed::Waits, _) => {
            tracing::debug!(%entry, "a periodic job waits for a process that declares it");
        }
        (Changed::Skipped, _) => {
            tracing::debug!(%entry, "a tick of a periodic job was left out: its last run still lives");
        }
        (Changed::Held, Ok(offer)) => {
            let queue = offer.entry.job().queue().as_str();
            tracing::error!(%entry, queue, "a periodic job was put off: the key of its queue is not a list");
        }
        (Changed::Held, Err(_)) | (Changed::Not | Changed::Later, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn upcoming(name: &'static str, at: i64, entry: &'static str, run: Option<&'static str>) -> Upcoming {
        Upcoming {
            name: Bytes::from_static(name.as_bytes()),
            at,
            entry: Some(Bytes::from_static(entry.as_bytes())),
            run: run.map(|run| Bytes::from_static(run.as_bytes())),
        }
    }

    const HOURLY: &str = r#"{"schedule":"0 * * * *","job":"J"}"#;
    const HOUR: i64 = 3_600_000;

    #[test]
    fn an_offer_holds_for_the_entry_and_the_tick_that_it_was_made_for() {
        let next = upcoming("e", HOUR, HOURLY, None);
        let made = offer(&next, None, Schema::Jiggler, HOUR + 5);
        let change = change(&next, &made, Unheld::Goes);
        assert_eq!((change.entry_is, change.tick_is), (Stored::This(HOURLY.as_bytes()), Stored::This(HOUR)));
        assert_eq!((change.due, change.tick, change.payloads.len()), (Some(HOUR), Next::This(2 * HOUR), 1));
        assert_eq!(change.unheld, Unheld::Stays, "an operator added it");
        let declared = HOURLY.replace("}", r#","origin":"file"}"#).leak();
        let next = upcoming("e", HOUR, declared, None);
        let of_file = offer(&next, None, Schema::Jiggler, HOUR + 5);
        for unheld in [Unheld::Waits, Unheld::Goes] {
            assert_eq!(super::change(&next, &of_file, unheld).unheld, unheld);
        }
        // Made too early, it says from when on it holds.
        let early = offer(&next, None, Schema::Jiggler, 0).unwrap();
        assert_eq!((early.plan.ticks, early.plan.next), (vec![HOUR], Some(2 * HOUR)));
    }

    #[test]
    fn with_jitter_the_tick_is_the_one_that_was_stored() {
        let jittery = r#"{"schedule":"0 * * * *","job":"J","jitter_ms":600000}"#;
        let next = upcoming("e", HOUR + 1234, jittery, Some(r#"{"tick":3600000,"pushed":4}"#));
        let made = offer(&next, None, Schema::Jiggler, HOUR + 1300).unwrap();
        assert_eq!((made.plan.ticks, made.run.tick, made.run.pushed), (vec![HOUR], Some(2 * HOUR), 5));
        assert_eq!(made.run.last.unwrap().tick, HOUR);
    }

    #[test]
    fn an_entry_whose_runs_must_not_overlap_names_the_last_one() {
        let skipping = r#"{"schedule":"0 * * * *","job":"J","overlap":"skip","catch_up":"all:9"}"#;
        let first = offer(&upcoming("e", HOUR, skipping, None), None, Schema::Jiggler, HOUR).unwrap();
        assert_eq!(first.before, None, "it never ran");
        let last = first.run.last.unwrap();
        assert!(last.payload.contains(&last.jid), "{last:?}");
        let ran = r#"{"last":{"jid":"x","payload":"{}"},"pushed":4,"missed":1,"skipped":2}"#;
        let next = upcoming("e", HOUR, skipping, Some(ran));
        let made = offer(&next, None, Schema::Jiggler, 5 * HOUR).unwrap();
        assert_eq!((made.payloads.len(), made.run.missed, made.run.pushed), (1, 5, 5), "one, late or not");
        let before = made.before.unwrap();
        let left = Run::read(Some(&before.run_if_lives));
        assert_eq!((&*before.jid, before.payload), ("x", b"{}".to_vec()));
        assert_eq!((left.skipped, left.pushed, left.tick), (3, 4, Some(6 * HOUR)));
        assert_eq!(left.skipped_tick, Some(5 * HOUR));
        assert_eq!(left.last.unwrap().jid, "x");
        let paused = skipping.replace("}", r#","paused":true}"#).leak();
        let paused = offer(&upcoming("e", HOUR, paused, Some(ran)), None, Schema::Jiggler, HOUR).unwrap();
        assert_eq!(paused.before, None, "it pushes nothing anyway");
        let plain = offer(&upcoming("e", HOUR, HOURLY, Some(ran)), None, Schema::Jiggler, HOUR).unwrap();
        assert_eq!(plain.before, None);
    }

    #[test]
    fn what_is_spoilt_is_put_aside_and_pushes_nothing() {
        let spoilt = [
            upcoming("e", 1, "{", None),
            upcoming("e", 1, r#"{"schedule":"0 0 30 2 *","job":"J"}"#, None),
            Upcoming { entry: None, ..upcoming("e", 1, "", None) },
            Upcoming { name: Bytes::from_static(b"\xff"), ..upcoming("e", 1, HOURLY, None) },
        ];
        for next in &spoilt {
            let refused = offer(next, None, Schema::Jiggler, 5);
            assert!(refused.is_err(), "{next:?} was offered");
            let change = change(next, &refused, Unheld::Goes);
            assert_eq!((change.tick, change.entry, change.payloads.len()), (Next::Nothing, Next::Same, 0));
        }
        let elsewhere = offer(&upcoming("e", 1, HOURLY, None), Some("img"), Schema::Jiggler, 5);
        assert!(elsewhere.is_err_and(|reason| reason.contains("img")));
    }

    #[test]
    fn the_leader_sleeps_until_the_tick_and_a_follower_only_acts_on_an_overdue_one() {
        let now = Instant::now();
        let mut ticker = Ticker::new(now);
        let next = |in_ms| Some(NextTick { at: 7, in_ms });
        ticker.note(next(500), true, now);
        assert_eq!(ticker.due_at(), Some(now), "it asks what comes");
        ticker.upcoming = vec![upcoming("e", 7, HOURLY, None)];
        ticker.note(next(400), true, now);
        assert_eq!(ticker.due_at(), Some(now + Duration::from_millis(400)));
        ticker.note(Some(NextTick { at: 6, in_ms: 300 }), true, now);
        assert_eq!(ticker.due_at(), Some(now), "the table has changed");
        ticker.note(next(1), false, now);
        assert_eq!(ticker.due_at(), None);
        ticker.note(next(0), false, now);
        assert!(ticker.is_due(now));
        ticker.note(None, true, now);
        assert_eq!(ticker.due_at(), None);
    }
}
