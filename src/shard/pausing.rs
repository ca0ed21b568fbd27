//! What follows when operators pause or resume queues, or control gives them other slots: between two turns the waits for
//! jobs of paused ones end, and what has come from them and not started goes back. What runs goes on.

use std::rc::Rc;
use std::sync::Arc;

use super::hand_back;
use super::link::{Link, LinkError};
use super::state::Shard;
use super::unblock::unblock;
use super::waiters::Waiter;
use crate::wire::paused::PausedNow;

/// From now on this is paused, and nothing else.
pub(super) fn pause(shard: &Shard, now: &Arc<PausedNow>) {
    shard.paused().set(now);
    if shard.rota().pause(|queue| now.queues.contains(&*shard.queue(queue).name)) {
        shard.paused().note(true);
        shard.look_for_jobs();
    }
}

/// From now on these are the caps of the queues of the core.
pub(super) fn cap(shard: &Shard, caps: &[usize]) {
    // All have one: those that serve a queue know its number.
    let cap = |queue| caps.get(shard.queue_number(queue)).copied().unwrap_or(usize::MAX);
    if shard.slots().caps().set(cap) {
        shard.paused().note(true);
        shard.look_for_jobs();
    }
}

/// A queue that was at its cap has room: its jobs are looked for.
pub(super) fn heed_caps(shard: &Shard) {
    if shard.slots().caps().take_news() {
        shard.appetite().look();
        // At most once the only waiter waits for others.
        shard.paused().note(shard.paused().is_news() || !shard.options().at_least_once);
    }
}

/// Ends the waits in paused queues, and hands back what came from them and has not started. No turn may be under way.
pub(super) async fn heed(shard: &Rc<Shard>, link: &mut Link) -> Result<(), LinkError> {
    if !shard.paused().note(false) {
        return Ok(());
    }
    let done = end_waits(shard, link).await;
    if done.is_err() {
        // It is done over the next connection.
        shard.paused().note(true);
    }
    done
}

/// Ends the waits in queues that are not served, and hands back what came from them and has not started.
pub(super) async fn end_waits(shard: &Rc<Shard>, link: &mut Link) -> Result<(), LinkError> {
    // At most once the only one waits for all queues that are served, which are others now.
    let waits_in_vain =
        |waiter: &Waiter| !shard.options().at_least_once || !shard.rota().is_served(waiter.queue());
    unblock(shard, link, waits_in_vain).await?;
    hand_back::unstarted_of(shard, link, |batch| !shard.rota().is_served(batch.queue)).await
}
