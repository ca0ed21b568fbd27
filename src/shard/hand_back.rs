//! Gives back to their queues the jobs that this shard will not run: those that have not started, and at the end of a
//! stop those that are still running.

use std::rc::Rc;

use super::batch::Batch;
use super::ending::cancel_all;
use super::link::{Link, LinkError, check};
use super::settle;
use super::state::Shard;
use super::sync::sync;
use super::unblock::{everyone, unblock};
use crate::resp::Requests;
use crate::store::flight;

/// Hands back what was given up while Redis could not be reached: the first thing over a new connection once the shard
/// and Redis agree on the batches of turns. Wait lists need quiet waiters.
pub(super) async fn given_up(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    if shard.hand().all(|batch| !batch.is_returning()) {
        return Ok(());
    }
    unblock(shard, link, everyone).await?;
    let returning = shard.hand().batches(Batch::is_returning);
    sync_all(shard, link, &returning).await
}

/// Hands back every job that was fetched but not started.
pub(super) async fn unstarted(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    unstarted_of(shard, link, |_| true).await
}

/// The same for those of the batches that `meant` picks. Their waiters must not be blocking.
pub(super) async fn unstarted_of(
    shard: &Shard,
    link: &mut Link,
    meant: impl Fn(&Batch) -> bool,
) -> Result<(), LinkError> {
    let ready = shard.hand().take_unstarted(meant);
    shard.publish();
    if ready.is_empty() {
        return Ok(());
    }
    shard.slots().wake_starved_lanes();
    if !shard.options().at_least_once {
        return push_back(shard, link, &ready).await;
    }
    for batch in &ready {
        batch.give_up(false);
    }
    sync_all(shard, link, &ready).await
}

/// Batches of a wait list are synced with all others of that list, or Redis would take those for strays.
async fn sync_all(shard: &Shard, link: &mut Link, batches: &[Rc<Batch>]) -> Result<(), LinkError> {
    let touched = |batch: &Batch| batches.iter().any(|b| (b.queue, b.name) == (batch.queue, batch.name));
    sync(shard, link, &shard.hand().batches(touched)).await
}

/// At most once nothing in Redis holds the jobs: they are pushed back, newest first, so that the oldest comes next.
async fn push_back(shard: &Shard, link: &mut Link, ready: &[Rc<Batch>]) -> Result<(), LinkError> {
    let mut requests = Requests::new();
    for batch in ready.iter().rev() {
        for payload in batch.unstarted_payloads().rev() {
            flight::push_back(shard.queue(batch.queue), payload, &mut requests);
        }
        let count = batch.give_up(false);
        shard.options().stats.handed_back.add(count as u64);
        batch.heard();
        if batch.is_settled() {
            settle::close(shard, batch);
        }
    }
    for reply in link.ask(&requests).await? {
        check(reply)?;
    }
    Ok(())
}

/// The deadline has passed: running jobs are dropped at their await points and handed back. At most once they are lost,
/// because they have started.
pub(super) async fn running(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    let jobs = cancel_all(shard).await + shard.abroad().give_up();
    let live = shard.hand().batches(|_| true);
    for batch in &live {
        batch.give_up(true);
    }
    let number = shard.options().shard;
    let cut_short = "a second signal, or a stop at once, ended the wait for them";
    let why = if shard.phases().is_cut_short() { cut_short } else { "the timeout is over" };
    if shard.options().at_least_once {
        tracing::warn!(shard = number, jobs, "running jobs are handed back: {why}");
        return sync(shard, link, &live).await;
    }
    tracing::warn!(shard = number, jobs, "running jobs are dropped (at most once): {why}");
    for batch in &live {
        batch.heard();
        settle::close(shard, batch);
    }
    Ok(())
}
