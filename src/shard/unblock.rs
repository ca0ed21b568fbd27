//! Ends the waits of a shard's waiters: all of them, or those of some queues.

use glommio::timer::Timer;

use super::link::{Link, LinkError};
use super::state::Shard;
use super::waiters::Waiter;
use crate::limits::{UNBLOCK_PAUSE, UNBLOCK_TRIES_MAX};
use crate::resp::Requests;
use crate::store::flight;

/// Every waiter of a shard.
pub(super) fn everyone(_waiter: &Waiter) -> bool {
    true
}

/// Tells waiters to stop waiting; those that block continue until they are unblocked or get a job. From then on turns
/// look for jobs.
pub(super) fn disarm(shard: &Shard, whom: impl Fn(&Waiter) -> bool) {
    shard.waiters().iter().filter(|waiter| whom(waiter)).for_each(Waiter::disarm);
    shard.appetite().look();
}

/// Ends the waits of these waiters. A wait that had not begun when it was to end answers "not waiting", so this is
/// repeated.
pub(super) async fn unblock(
    shard: &Shard,
    link: &mut Link,
    whom: impl Fn(&Waiter) -> bool,
) -> Result<(), LinkError> {
    disarm(shard, &whom);
    let blocked = || shard.waiters().iter().filter(|waiter| whom(waiter) && waiter.blocked_id().is_some());
    for _ in 0..UNBLOCK_TRIES_MAX {
        let mut requests = Requests::new();
        for id in blocked().filter_map(Waiter::blocked_id) {
            flight::unblock(id, &mut requests);
        }
        if requests.is_empty() {
            return Ok(());
        }
        let replies = link.ask(&requests).await?;
        if replies.iter().any(|reply| reply.as_integer().is_err()) {
            // This user may not do that, for example. The sockets are ours in any case.
            break;
        }
        Timer::new(UNBLOCK_PAUSE).await;
    }
    blocked().for_each(Waiter::cut);
    while blocked().next().is_some() {
        shard.work().wait().await;
    }
    Ok(())
}
