//! Tries again what Redis refused because of a spoilt key ([`super::held`]).

use std::rc::Rc;
use std::time::Instant;

use super::link::{Link, LinkError};
use super::state::Shard;
use super::sync::hand_back_unknown;
use super::unblock::unblock;
use super::{hand_back, oversize};

/// Tries again what waits, if it is time to. No turn may be on its way.
pub(super) async fn try_again(shard: &Rc<Shard>, link: &mut Link) -> Result<(), LinkError> {
    let Some(again) = shard.held().take_due(Instant::now()) else { return Ok(()) };
    if !again.settlement.is_empty() {
        shard.ledger().put_back(again.settlement.into());
        shard.ledger().note_settled();
    }
    for queue in again.oversize {
        oversize::bury(shard, queue);
    }
    if again.queues.is_empty() {
        return Ok(());
    }
    unblock(shard, link, |waiter| again.queues.contains(&waiter.queue())).await?;
    for waiter in shard.waiters().iter().filter(|waiter| again.queues.contains(&waiter.queue())) {
        waiter.distrust();
    }
    hand_back_unknown(shard, link).await?;
    hand_back::given_up(shard, link).await
}
