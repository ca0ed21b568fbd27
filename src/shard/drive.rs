//! The main loop of a shard over one connection: exchanges turns, runs jobs, waits.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::channels::shared_channel::ConnectedSender;
use glommio::timer::Timer;

use super::appetite::Situation;
use super::link::{Link, LinkError};
use super::outage::Outage;
use super::settle;
use super::state::Shard;
use super::steps::{accept_batch, report, run_ready};
use super::sync::sync_wait_list;
use super::turns::{SentTurn, Turns};
use super::unblock::{everyone, unblock};
use super::{hand_back, oversize, pausing, second_try, stop};
use crate::limits::{ACK_DELAY, STRAGGLER_DELAY, TURNS_IN_FLIGHT_MAX, UNSTARTED_HOLD};
use crate::mesh::ToControl;
use crate::net::Error;
use crate::resp::{Reply, Requests};
use crate::store::scripts;
use crate::store::turn::{self, BatchName, Turn, TurnReply};

/// A shard and its connection while that lasts.
pub(super) struct Driver<'a> {
    shard: &'a Rc<Shard>,
    link: Link,
    control: &'a ConnectedSender<ToControl>,
    /// While any are under way, nothing else goes over the connection.
    turns: &'a mut Turns,
    outage: &'a mut Outage,
    /// Turns answered over this connection.
    answered: u64,
    /// Turns in a row refused because the server had forgotten the scripts.
    forgotten: u32,
}

impl<'a> Driver<'a> {
    pub(super) fn new(
        shard: &'a Rc<Shard>,
        link: Link,
        control: &'a ConnectedSender<ToControl>,
        turns: &'a mut Turns,
        outage: &'a mut Outage,
    ) -> Self {
        Self { shard, link, control, turns, outage, answered: 0, forgotten: 0 }
    }

    /// Whether a turn was answered over this connection.
    pub(super) const fn has_turned(&self) -> bool {
        self.answered > 0
    }

    /// Exchanges turns until the shard ends or the connection does.
    pub(super) async fn serve(&mut self) -> Result<(), LinkError> {
        let shard = self.shard;
        loop {
            pausing::heed_caps(shard);
            if self.turns.is_empty() {
                if stop::step(shard, &mut self.link).await? {
                    return stop::leave(shard, &mut self.link).await;
                }
                second_try::try_again(shard, &mut self.link).await?;
                self.sweep().await?;
                pausing::heed(shard, &mut self.link).await?;
            }
            // With a backlog the next batches are asked for before this one runs, so that Redis works meanwhile. Without
            // one, a job that came alone runs first, and its ack travels with the fetch.
            let backlog = shard.appetite().has_backlog();
            if !backlog {
                run_ready(shard).await;
            }
            let now = Instant::now();
            settle::stragglers(shard, now);
            let depth = if backlog { TURNS_IN_FLIGHT_MAX } else { 1 };
            if self.turns.len() < depth
                && !shard.waiters().are_unswept()
                && !shard.paused().is_news()
                && let Some(wanted) = shard.appetite().plan(&self.situation(now))
            {
                self.send(wanted).await?;
                continue;
            }
            if backlog {
                run_ready(shard).await;
            }
            if !self.turns.is_empty() {
                self.receive().await?;
                continue;
            }
            shard.yield_to_lower_lanes();
            if run_ready(shard).await {
                continue;
            }
            self.relieve_full_slots().await?;
            self.outage.over(shard);
            if shard.begins_to_wait() {
                // Control reads at all times; if it is gone, nobody is told anything.
                let _control_is_gone = self.control.send(ToControl::Waits).await;
            }
            rest(shard).await;
        }
    }

    /// What the next step is decided by.
    fn situation(&self, now: Instant) -> Situation {
        let (shard, appetite) = (self.shard, self.shard.appetite());
        Situation {
            fetches: shard.phases().now().fetches(),
            waits: appetite.is_idle() || shard.held().is_full() || !shard.rota().asks_any(),
            is_outranked: shard.slots().is_outranked(),
            is_under_way: !self.turns.is_empty(),
            must_turn: appetite.must_turn(),
            free: self.free_to_ask(),
            ahead: shard.hand().unstarted() + appetite.coming(),
            report_waited: shard.ledger().waited(now),
        }
    }

    /// Slots for which jobs may be asked.
    fn free_to_ask(&self) -> usize {
        let (slots, hand) = (self.shard.slots(), self.shard.hand());
        let free = slots.free_to_ask();
        if !slots.caps().are_set() {
            return free;
        }
        free.min(self.shard.rota().open(|queue| hand.unstarted_of(queue)) + hand.unstarted())
    }

    /// Sends one turn: what is settled, and how many jobs are wanted.
    async fn send(&mut self, wanted: usize) -> Result<(), LinkError> {
        let shard = self.shard;
        let (number, after) = (shard.numbers().fresh(), self.turns.newest());
        let report = report(shard);
        let mut order = self.turns.spare_order();
        if wanted > 0 && shard.slots().caps().are_set() {
            let ahead = (wanted + shard.hand().unstarted()).saturating_sub(self.free_to_ask());
            shard.rota().write_capped_order(ahead, |queue| shard.hand().unstarted_of(queue), &mut order);
        } else {
            shard.rota().write_order(wanted, &mut order);
        }
        if shard.rota().sight().is_used() {
            order.also(report.settlement().queues());
        }
        let turn = Turn {
            number,
            after,
            wanted,
            order: &order.queues,
            limits: &order.limits,
            settled: report.settlement(),
            now: shard.clock().now(),
        };
        let mut requests = Requests::new();
        let replies = shard.turn_context().write(self.link.scripts(), &turn, &mut requests);
        self.turns.push(SentTurn { number, sent_at: Instant::now(), wanted, replies, order, report });
        shard.appetite().ask(wanted);
        let stats = &shard.options().stats;
        stats.turns.add(1);
        stats.sent_bytes.add(requests.as_bytes().len() as u64);
        Ok(self.link.send_turn(&requests).await?)
    }

    /// Awaits the reply to the oldest turn and accepts what it brings.
    async fn receive(&mut self) -> Result<(), LinkError> {
        let shard = self.shard;
        let replies = self.replies().await?;
        if let Some(refusal) = turn::refusal(&replies) {
            if scripts::is_forgotten(&refusal) {
                return self.load_again().await;
            }
            let error = LinkError::from(refusal);
            self.stopped_by(&error);
            return Err(error);
        }
        self.forgotten = 0;
        self.answered += 1;
        self.outage.over(shard);
        let stats = &shard.options().stats;
        stats.answered_at.mark();
        let Some(turn) = self.turns.take_oldest() else { return Ok(()) };
        let took = turn.sent_at.elapsed().as_nanos();
        stats.turn_ns.add(u64::try_from(took).unwrap_or(u64::MAX));
        stats.turns_answered.add(1);
        shard.appetite().answered(turn.wanted);
        shard.slots().wake_starved_lanes();
        self.accept(&replies, turn)
    }

    /// Awaits all replies to the oldest turn. A list that cannot be read whole has more bytes than Redis reported: from
    /// then on each of its jobs is checked.
    async fn replies(&mut self) -> Result<Vec<Reply>, LinkError> {
        let count = self.turns.oldest().map_or(0, |turn| turn.replies);
        let replies = self.link.turn_replies(count).await;
        if let Err(Error::Decode(_)) = &replies {
            self.shard.turn_context().looks_at_each.set(true);
        }
        Ok(replies?)
    }

    /// A turn has done its work: its report has arrived, and what it brought is at hand.
    fn accept(&mut self, replies: &[Reply], sent: SentTurn) -> Result<(), LinkError> {
        let shard = self.shard;
        let turn = TurnReply::read(replies, &sent.order.queues)?;
        if turn.understated {
            shard.turn_context().looks_at_each.set(true);
        }
        settle::tell_of_deaths(shard, &sent.report);
        if let Some(refused) = &turn.held {
            hold(shard, &sent, refused);
        }
        let brought = turn.fetched.iter().map(|from| (from.queue, from.payloads.len() + from.oversize));
        shard.rota().note(sent.number, sent.wanted, &sent.order, &brought);
        let mut count = 0;
        for fetched in turn.fetched {
            count += fetched.payloads.len() + fetched.oversize;
            if let Some(error) = fetched.error {
                shard.complain(fetched.queue, &error);
            }
            if fetched.oversize > 0 {
                oversize::bury(shard, fetched.queue);
            }
            accept_batch(shard, fetched.queue, BatchName::Turn(sent.number), fetched.payloads);
        }
        if sent.wanted > 0 {
            if !shard.appetite().expect_more(sent.wanted, count) {
                shard.yield_to_lower_lanes();
            }
            // One that is told by control waits once it knows of no queue with jobs.
            if count == 0 && shard.phases().now().fetches() && !shard.rota().sight().is_used() {
                shard.appetite().wait();
                shard.waiters().arm(shard.rota().served());
            }
        }
        self.turns.reuse(sent.order);
        Ok(())
    }

    /// A fence stops every turn that is on its way: what they would have reported is known to be unreported.
    fn stopped_by(&mut self, error: &LinkError) {
        if let LinkError::Fenced(_) = error {
            while let Some(turn) = self.turns.take_newest() {
                self.shard.ledger().put_back(turn.report);
            }
        }
    }

    /// The oldest turn did not run: its report goes with the next one.
    fn report_again(&mut self) {
        if let Some(turn) = self.turns.take_oldest() {
            self.shard.appetite().answered(turn.wanted);
            self.shard.ledger().put_back(turn.report);
            self.turns.reuse(turn.order);
        }
    }

    /// The server has forgotten the scripts, so the oldest turn did not run. The scripts are loaded once every reply is
    /// in. If they are forgotten again at once, it is an outage.
    async fn load_again(&mut self) -> Result<(), LinkError> {
        self.report_again();
        self.forgotten += 1;
        if self.forgotten as usize > 2 * TURNS_IN_FLIGHT_MAX {
            return Err(LinkError::Forgetful);
        }
        while !self.turns.is_empty() {
            let replies = self.replies().await?;
            if let Some(refusal) = turn::refusal(&replies) {
                // SKIPPED: it did not run because the one before it had not; the scripts were loaded again between the
                // two.
                if !scripts::is_forgotten(&refusal) && refusal.code() != "SKIPPED" {
                    return Err(refusal.into());
                }
                self.report_again();
                continue;
            }
            // Another client has loaded them meanwhile.
            if let Some(turn) = self.turns.take_oldest() {
                self.shard.appetite().answered(turn.wanted);
                self.accept(&replies, turn)?;
            }
        }
        Ok(self.link.reload().await?)
    }

    /// Looks through the wait lists of waiters that lost their connection.
    async fn sweep(&mut self) -> Result<(), LinkError> {
        for waiter in self.shard.waiters().iter().filter(|waiter| waiter.is_unswept()) {
            sync_wait_list(self.shard, &mut self.link, waiter.queue()).await?;
            waiter.swept();
        }
        Ok(())
    }

    /// With every slot taken no job can start: nothing is waited for, and what arrives nevertheless goes back.
    async fn relieve_full_slots(&mut self) -> Result<(), LinkError> {
        let shard = self.shard;
        let is_late = shard.hand().unstarted_since().is_some_and(|since| since.elapsed() >= UNSTARTED_HOLD);
        if is_late && shard.free_slots() > 0 {
            return pausing::end_waits(shard, &mut self.link).await;
        }
        if !shard.phases().now().fetches() || shard.free_slots() > 0 {
            return Ok(());
        }
        // Where other lanes have the slots, a waiting lane keeps waiting until something comes: otherwise every idle lane
        // on this core would stop and start again with each job of the busy one.
        let has_come = shard.hand().unstarted_since().is_some();
        if shard.waiters().are_waiting() && (shard.slots().share().is_none() || has_come) {
            unblock(shard, &mut self.link, everyone).await?;
        }
        shard.appetite().starve(!shard.appetite().is_idle());
        if is_late {
            hand_back::unstarted(shard, &mut self.link).await?;
        }
        Ok(())
    }
}

/// A turn did its whole report except this, because of spoilt keys.
fn hold(shard: &Shard, sent: &SentTurn, refused: &turn::Held) {
    shard.held().hold(sent.report.settlement(), refused);
    for key in &refused.keys {
        let reason = "what belongs under this key waits: it is not the counter or the set that it should be";
        shard.complaints().spoilt(shard.options().shard, key, reason);
    }
}

/// Sleeps until something happens or is due.
async fn rest(shard: &Shard) {
    let now = Instant::now();
    let due = |at: Instant, delay: Duration| (at + delay).saturating_duration_since(now);
    let pauses = [
        shard.ledger().since().map(|since| due(since, ACK_DELAY)),
        shard.hand().owing_since().map(|since| due(since, STRAGGLER_DELAY)),
        shard.hand().unstarted_since().map(|since| due(since, UNSTARTED_HOLD)),
        shard.phases().until_deadline(now),
        shard.held().pause(now),
    ];
    match pauses.into_iter().flatten().min() {
        None => shard.work().wait().await,
        Some(pause) => {
            let timer = async {
                Timer::new(pause).await;
            };
            futures_lite::future::or(shard.work().wait(), timer).await;
        }
    }
}
