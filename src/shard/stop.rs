//! Quiet and stop (P6): no more fetching, unstarted jobs handed back, running ones waited for, the rest handed back.

use std::rc::Rc;
use std::time::Instant;

use super::hand_back;
use super::link::{Link, LinkError};
use super::state::Shard;
use super::sync::note_handed_back;
use super::unblock::{everyone, unblock};
use crate::resp::Requests;
use crate::store::flight;

/// Does what the phase requires. Returns whether the shard has nothing left to do.
pub(super) async fn step(shard: &Rc<Shard>, link: &mut Link) -> Result<bool, LinkError> {
    let phase = shard.phases().now();
    if phase.fetches() {
        return Ok(false);
    }
    if phase.ends() && shard.phases().take_unproved() {
        let mut requests = Requests::new();
        flight::prove(&mut requests);
        link.ask(&requests).await?;
    }
    if shard.waiters().are_waiting() {
        unblock(shard, link, everyone).await?;
    }
    hand_back::unstarted(shard, link).await?;
    if !phase.ends() {
        return Ok(false);
    }
    let ran_out = |shard: &Shard| shard.slots().are_free() && shard.abroad().is_empty();
    if phase.is_over(Instant::now()) && !ran_out(shard) {
        hand_back::running(shard, link).await?;
    }
    if !ran_out(shard) {
        return Ok(false);
    }
    // What waits for a spoilt key is tried once more: the last turn reports it.
    if let Some(waiting) = shard.held().take_at_last() {
        shard.ledger().put_back(waiting.into());
    }
    // What cannot go back stays in flight: waiting would not help.
    Ok(shard.ledger().is_empty() && shard.hand().all(|batch| batch.is_settled() && batch.is_returning()))
}

/// Hands back what is in lists that no batch accounts for, and ends this shard in Redis; nothing of ours runs any longer.
///
/// The wait list may hold a job whose delivery was lost, the oversize list payloads that were not buried yet. The lease
/// goes with this process, so nobody would look for them here.
pub(super) async fn leave(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    let queues = &shard.turn_context().queues;
    loop {
        let (number, fence) = (shard.numbers().fresh(), shard.numbers().may_stray());
        let replies =
            link.call(|scripts, requests| flight::leave(scripts, number, queues, fence, requests)).await?;
        // Each call hands one job back at least if it leaves some, so it ends.
        if !note_handed_back(shard, &replies)? {
            return Ok(());
        }
    }
}
