//! Quiet and stop (P6): no more fetching, unstarted jobs handed back, running ones waited for, the rest handed back.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::batch::Batch;
use super::held;
use super::link::{Link, LinkError, note_handed_back, sync};
use super::start::cancel_all;
use super::state::Shard;
use super::wait::WaitState;
use crate::limits::{UNBLOCK_PAUSE, UNBLOCK_TRIES_MAX};
use crate::resp::Requests;
use crate::store::flight;

/// Does what the phase asks for. Whether the shard has nothing left to do.
pub(super) async fn step(shard: &Rc<Shard>, link: &mut Link) -> Result<bool, LinkError> {
    let phase = shard.phase.get();
    if phase.fetches() {
        return Ok(false);
    }
    if shard.is_waiting() {
        unblock_waiters(shard, link).await?;
    }
    hand_back_unstarted(shard, link).await?;
    if !phase.ends() {
        return Ok(false);
    }
    if phase.is_over(Instant::now()) && !(shard.tasks.borrow().is_empty() && shard.abroad.is_empty()) {
        hand_back_running(shard, link).await?;
    }
    if !shard.tasks.borrow().is_empty() || !shard.abroad.is_empty() {
        return Ok(false);
    }
    held::try_at_last(shard);
    // What cannot go back stays in flight: there is nothing to wait for.
    let is_left = |batch: &Rc<Batch>| batch.is_settled() && batch.is_returning();
    Ok(shard.settlement.borrow().is_empty() && shard.live.borrow().values().all(is_left))
}

/// Ends every waiter's wait. A wait that had not begun when it was to end answers "not waiting", so this is repeated.
pub(super) async fn unblock_waiters(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    shard.disarm();
    for _ in 0..UNBLOCK_TRIES_MAX {
        let mut requests = Requests::new();
        for waiter in &shard.waiters {
            if let Some(id) = waiter.blocked_id.get() {
                flight::unblock(id, &mut requests);
            }
        }
        if requests.is_empty() {
            return Ok(());
        }
        let replies = link.conn.call(&requests).await?;
        if replies.iter().any(|reply| reply.as_integer().is_err()) {
            // Not allowed to, for example. The sockets are ours in any case.
            break;
        }
        Timer::new(UNBLOCK_PAUSE).await;
    }
    for waiter in &shard.waiters {
        if let (Some(_), Some(stopper)) = (waiter.blocked_id.get(), &*waiter.stopper.borrow()) {
            stopper.stop();
        }
    }
    while shard.waiters.iter().any(|waiter| waiter.blocked_id.get().is_some()) {
        shard.work.wait().await;
    }
    Ok(())
}

/// Hands back what was given up while Redis could not be told: the first thing over a new connection after the shard and
/// Redis agree on the batches of turns. Wait lists need quiet waiters.
pub(super) async fn hand_back_given_up(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    if !shard.live.borrow().values().any(|batch| batch.is_returning()) {
        return Ok(());
    }
    unblock_waiters(shard, link).await?;
    let returning: Vec<Rc<Batch>> =
        shard.live.borrow().values().filter(|batch| batch.is_returning()).map(Rc::clone).collect();
    sync_all(shard, link, &returning).await
}

/// Hands back every job that was fetched and not started.
pub(super) async fn hand_back_unstarted(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    let ready: Vec<Rc<Batch>> = shard.ready.borrow_mut().drain(..).collect();
    shard.unstarted.set(0);
    shard.publish();
    if ready.is_empty() {
        return Ok(());
    }
    shard.wake_starved_lanes();
    if !shard.options.at_least_once {
        return push_back(shard, link, &ready).await;
    }
    for batch in &ready {
        batch.give_up(false);
    }
    sync_all(shard, link, &ready).await
}

/// Batches of a wait list are synced with all others of that list, or Redis would take those for strays.
async fn sync_all(shard: &Shard, link: &mut Link, batches: &[Rc<Batch>]) -> Result<(), LinkError> {
    let mut all: Vec<Rc<Batch>> = shard.live.borrow().values().map(Rc::clone).collect();
    let touched = |batch: &Rc<Batch>| batches.iter().any(|b| (b.queue, b.name) == (batch.queue, batch.name));
    all.retain(touched);
    sync(shard, link, &all).await
}

/// At most once nothing in Redis holds the jobs: they are pushed back, newest first, so that the oldest is next.
async fn push_back(shard: &Shard, link: &mut Link, ready: &[Rc<Batch>]) -> Result<(), LinkError> {
    let mut requests = Requests::new();
    for batch in ready.iter().rev() {
        for payload in batch.unstarted_payloads().rev() {
            flight::push_back(shard.queue(batch.queue), payload, &mut requests);
        }
        let count = batch.give_up(false);
        shard.options.stats.handed_back.add(count as u64);
        batch.heard();
        if batch.is_settled() {
            shard.close(batch);
        }
    }
    for reply in link.conn.call(&requests).await? {
        super::link::check(reply)?;
    }
    Ok(())
}

/// The deadline is over: running jobs are dropped at their await points and handed back. At most once they are lost,
/// for they have started.
async fn hand_back_running(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    let count = cancel_all(shard).await + shard.abroad.give_up();
    let live: Vec<Rc<Batch>> = shard.live.borrow().values().map(Rc::clone).collect();
    for batch in &live {
        batch.give_up(true);
    }
    if shard.options.at_least_once {
        tracing::warn!(
            shard = shard.options.shard,
            jobs = count,
            "running jobs are handed back: the timeout is over"
        );
        return sync(shard, link, &live).await;
    }
    tracing::warn!(
        shard = shard.options.shard,
        jobs = count,
        "running jobs are dropped (at most once): the timeout is over"
    );
    for batch in &live {
        batch.heard();
        shard.close(batch);
    }
    Ok(())
}

/// Hands back what lies in lists that no batch stands for, and ends this shard in Redis; nothing of ours runs any more.
///
/// The wait list may hold a job whose delivery was lost, the oversize list payloads that were not buried yet. The lease
/// goes with this process, so nobody would look for them here.
pub(super) async fn leave(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    let (number, fence) = (shard.fresh_id(), shard.lost_a_connection.get());
    let replies = link
        .call(|scripts, requests| flight::leave(scripts, number, &shard.turns.queues, fence, requests))
        .await?;
    note_handed_back(shard, &replies)?;
    Ok(())
}

/// How long the shard may sleep before the phase asks for something.
pub(super) fn until_deadline(shard: &Shard, now: Instant) -> Option<Duration> {
    match shard.phase.get() {
        crate::shutdown::Phase::Stopping { deadline } => Some(deadline.saturating_duration_since(now)),
        _ => None,
    }
}

/// Ends the waiters' tasks.
pub(super) fn end_waiters(shard: &Shard) {
    for waiter in &shard.waiters {
        waiter.set(WaitState::Ended);
        if let Some(stopper) = &*waiter.stopper.borrow() {
            stopper.stop();
        }
    }
}
