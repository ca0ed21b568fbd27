//! The main loop of a shard over one connection: exchange turns, run jobs, wait.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::link::{Link, LinkError, Sent, SentTurn, sync_wait_list};
use super::outage::Outage;
use super::start::run_ready;
use super::state::Shard;
use super::{held, oversize, stop};
use crate::limits::{ACK_DELAY, BACKLOG_JOBS_MIN, STRAGGLER_DELAY, TURNS_IN_FLIGHT_MAX, UNSTARTED_HOLD};
use crate::resp::{Error, RedisErrorKind, Reply, Requests};
use crate::store::turn::{self, BatchName, Turn, TurnReply};
use crate::time::unix_now;

/// A shard and its connection while it stands.
pub(super) struct Driver<'a> {
    shard: &'a Rc<Shard>,
    link: Link,
    /// Turns whose replies are owed, oldest first. While there are any, nothing else goes over the connection.
    sent: &'a mut Sent,
    outage: &'a mut Outage,
    /// The order of the queues, kept for its memory.
    order: Vec<usize>,
    /// Turns answered over this connection.
    turns: u64,
    /// Turns in a row refused because the server had forgotten the scripts.
    forgotten: u32,
}

impl<'a> Driver<'a> {
    pub(super) fn new(shard: &'a Rc<Shard>, link: Link, sent: &'a mut Sent, outage: &'a mut Outage) -> Self {
        Self { shard, link, sent, outage, order: Vec::new(), turns: 0, forgotten: 0 }
    }

    /// Whether a turn was answered over this connection.
    pub(super) const fn has_turned(&self) -> bool {
        self.turns > 0
    }

    /// Exchanges turns until the shard ends or the connection does.
    pub(super) async fn serve(&mut self) -> Result<(), LinkError> {
        let shard = self.shard;
        loop {
            if self.sent.is_empty() {
                if stop::step(shard, &mut self.link).await? {
                    return stop::leave(shard, &mut self.link).await;
                }
                held::try_again(shard, &mut self.link).await?;
                self.sweep().await?;
            }
            // With a backlog the next batches are asked for before this one runs, so that Redis works meanwhile. Without,
            // a job that came alone is run first, and its ack travels with the fetch.
            let backlog = shard.backlog.get();
            if !backlog {
                run_ready(shard).await;
            }
            let now = Instant::now();
            shard.settle_stragglers(now);
            let depth = if backlog { TURNS_IN_FLIGHT_MAX } else { 1 };
            if self.sent.len() < depth
                && !shard.is_sweeping()
                && let Some(wanted) = self.plan(now)
            {
                self.send(wanted).await?;
                continue;
            }
            if backlog {
                run_ready(shard).await;
            }
            if !self.sent.is_empty() {
                self.receive().await?;
                continue;
            }
            shard.yield_to_lower_lanes();
            if run_ready(shard).await {
                continue;
            }
            self.relieve_full_slots().await?;
            self.outage.over(shard);
            rest(shard).await;
        }
    }

    /// Whether a turn is due, and how many jobs it asks for.
    fn plan(&self, now: Instant) -> Option<usize> {
        let shard = self.shard;
        let fetches = shard.phase.get().fetches();
        if fetches && !shard.idle.get() && !shard.held.is_full() {
            let coming: usize = self.sent.iter().map(|turn| turn.wanted).sum();
            let free = match &shard.crew {
                None => shard.free_slots(),
                Some(crew) => crew.free_for(shard),
            };
            let wanted = shard.pace.borrow().wanted(free, shard.unstarted.get() + coming);
            if wanted > 0 && !shard.is_outranked() {
                return Some(wanted);
            }
            shard.starved.set(true);
        }
        if !self.sent.is_empty() {
            return None;
        }
        if shard.must_turn.take() {
            return Some(0);
        }
        if shard.settlement.borrow().is_empty() {
            return None;
        }
        let waited =
            shard.settled_at.get().is_none_or(|since| now.saturating_duration_since(since) >= ACK_DELAY);
        (waited || !fetches).then_some(0)
    }

    /// Sends one turn: what is settled, and how many jobs are wanted.
    async fn send(&mut self, wanted: usize) -> Result<(), LinkError> {
        let shard = self.shard;
        shard.settled_at.set(None);
        let number = shard.fresh_id();
        let nth = shard.options.stats.turns.get();
        shard.queue_order(nth, &mut self.order);
        let settled = shard.settlement.take();
        let after = self.sent.back().map_or(0, |turn| turn.number);
        let turn = Turn { number, after, wanted, order: &self.order, settled: &settled, now: unix_now() };
        let mut requests = Requests::new();
        let replies = shard.turns.write(&self.link.scripts, &turn, &mut requests);
        self.sent.push_back(SentTurn { number, nth, wanted, replies, settled });
        shard.coming.set(shard.coming.get() + wanted);
        shard.options.stats.turns.add(1);
        Ok(self.link.conn.send(&requests).await?)
    }

    /// Awaits the reply to the oldest turn and takes in what it brings.
    async fn receive(&mut self) -> Result<(), LinkError> {
        let shard = self.shard;
        let replies = self.replies().await?;
        if let Some(refusal) = turn::refusal(&replies) {
            if refusal.kind() == RedisErrorKind::Noscript {
                return self.report_again().await;
            }
            let error = LinkError::from(refusal);
            self.stopped_by(&error);
            return Err(error);
        }
        self.forgotten = 0;
        self.turns += 1;
        self.outage.over(shard);
        shard.options.stats.answered_at.mark();
        let Some(turn) = self.sent.pop_front() else { return Ok(()) };
        shard.coming.set(shard.coming.get().saturating_sub(turn.wanted));
        shard.wake_starved_lanes();
        shard.queue_order(turn.nth, &mut self.order);
        accept_batch(shard, &replies, &turn, &self.order)
    }

    /// Awaits all replies to the oldest turn. A list that cannot be read whole has more bytes than Redis told: from then on
    /// it looks at each job.
    async fn replies(&mut self) -> Result<Vec<Reply>, LinkError> {
        let count = self.sent.front().map_or(0, |turn| turn.replies);
        let replies = self.link.turn_replies(count).await;
        if let Err(Error::Decode(_)) = &replies {
            self.shard.turns.looks_at_each.set(true);
        }
        Ok(replies?)
    }

    /// A fence stops every turn that is on its way: what they would have reported is known to be unreported.
    fn stopped_by(&mut self, error: &LinkError) {
        if let LinkError::Fenced(_) = error {
            while let Some(turn) = self.sent.pop_back() {
                self.shard.report_again(turn.settled);
            }
        }
    }

    /// The server has forgotten the scripts, so the oldest turn has not run. It is reported with the next one; the scripts
    /// are loaded once every reply is in. Forgotten again at once is an outage.
    async fn report_again(&mut self) -> Result<(), LinkError> {
        if let Some(turn) = self.sent.pop_front() {
            self.shard.report_again(turn.settled);
        }
        self.shard.coming.set(0);
        self.forgotten += 1;
        if self.forgotten as usize > 2 * TURNS_IN_FLIGHT_MAX {
            return Err(LinkError::Forgetful);
        }
        while !self.sent.is_empty() {
            let replies = self.replies().await?;
            if let Some(refusal) = turn::refusal(&replies) {
                // SKIPPED: it has not run because the one before it had not; the scripts were loaded again between the two.
                if refusal.kind() != RedisErrorKind::Noscript && refusal.code() != "SKIPPED" {
                    return Err(refusal.into());
                }
                if let Some(turn) = self.sent.pop_front() {
                    self.shard.report_again(turn.settled);
                }
                continue;
            }
            // Another client has loaded them meanwhile.
            if let Some(turn) = self.sent.pop_front() {
                self.shard.queue_order(turn.nth, &mut self.order);
                accept_batch(self.shard, &replies, &turn, &self.order)?;
            }
        }
        Ok(self.link.reload().await?)
    }

    /// Looks through the wait lists of waiters that lost their connection.
    async fn sweep(&mut self) -> Result<(), LinkError> {
        for waiter in &self.shard.waiters {
            if waiter.unswept.get() {
                sync_wait_list(self.shard, &mut self.link, waiter.at).await?;
                waiter.unswept.set(false);
                waiter.go.raise();
            }
        }
        Ok(())
    }

    /// With every slot taken no job can start: nothing is waited for, and what came in spite of that goes back.
    async fn relieve_full_slots(&mut self) -> Result<(), LinkError> {
        let shard = self.shard;
        if !shard.phase.get().fetches() || shard.free_slots() > 0 {
            return Ok(());
        }
        // Where other lanes have the slots, a lane that waits goes on waiting until something comes: of all that are idle on
        // this core each would else stop and begin again with each job of the busy one.
        if shard.is_waiting() && (shard.crew.is_none() || !shard.ready.borrow().is_empty()) {
            stop::unblock_waiters(shard, &mut self.link).await?;
        }
        shard.starved.set(!shard.idle.get());
        let oldest = shard.ready.borrow().front().map(|batch| batch.came_at);
        if oldest.is_some_and(|came_at| came_at.elapsed() >= UNSTARTED_HOLD) {
            stop::hand_back_unstarted(shard, &mut self.link).await?;
        }
        Ok(())
    }
}

fn accept_batch(
    shard: &Rc<Shard>,
    replies: &[Reply],
    sent: &SentTurn,
    order: &[usize],
) -> Result<(), LinkError> {
    let turn = TurnReply::read(replies, order)
        .map_err(|got| Error::Unexpected { expected: "the replies to a turn", got })?;
    if turn.understated {
        shard.turns.looks_at_each.set(true);
    }
    shard.tell_of_deaths(&sent.settled);
    if let Some(held) = &turn.held {
        shard.hold(&sent.settled, held);
    }
    let mut count = 0;
    for fetched in turn.fetched {
        count += fetched.payloads.len() + fetched.oversize;
        if let Some(error) = fetched.error {
            shard.complain(fetched.queue, &error);
        }
        if fetched.oversize > 0 {
            oversize::bury(shard, fetched.queue);
        }
        shard.accept_batch(fetched.queue, BatchName::Turn(sent.number), fetched.payloads);
    }
    if sent.wanted > 0 {
        if count >= sent.wanted.min(BACKLOG_JOBS_MIN) {
            shard.backlog.set(true);
        } else {
            shard.yield_to_lower_lanes();
        }
        if count == 0 && shard.phase.get().fetches() {
            shard.idle.set(true);
            shard.arm();
        }
    }
    Ok(())
}

/// Sleeps until something happens or is due.
async fn rest(shard: &Shard) {
    let now = Instant::now();
    let due = |at: Instant, delay: Duration| (at + delay).saturating_duration_since(now);
    let pauses = [
        shard.settled_at.get().map(|at| due(at, ACK_DELAY)),
        shard.owing.borrow().front().map(|(_, since)| due(*since, STRAGGLER_DELAY)),
        shard.ready.borrow().front().map(|batch| due(batch.came_at, UNSTARTED_HOLD)),
        stop::until_deadline(shard, now),
        shard.held.pause(now),
    ];
    match pauses.into_iter().flatten().min() {
        None => shard.work.wait().await,
        Some(pause) => {
            let timer = async {
                Timer::new(pause).await;
            };
            futures_lite::future::or(shard.work.wait(), timer).await;
        }
    }
}
