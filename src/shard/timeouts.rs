//! Timeouts of the waiting jobs: one timer per shard, whatever their number.
//!
//! A timer each would cost a place in the timer wheel at every poll of a job: glommio's timers take one whenever they are
//! polled, and give back only the last. So the times are in a set ([`super::deadlines`]), and one task sleeps until the
//! first; there is no such task while no job has a timeout.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::ending::end_running;
use super::state::Shard;
use crate::handler::JobError;
use crate::job::failure::CLASS_TIMEOUT;

/// Ends the waiting job of this number once it has run for this long.
pub(super) fn end_after(shard: &Rc<Shard>, id: u64, began: Instant, timeout: Duration) {
    // A timeout beyond what the clock can represent never comes.
    let Some(deadline) = began.checked_add(timeout) else { return };
    if shard.slots().end_at(id, deadline, timeout) {
        glommio::spawn_local(keep(Rc::clone(shard))).detach();
    }
}

/// Ends what is late, until no job has a timeout.
async fn keep(shard: Rc<Shard>) {
    let deadlines = shard.slots().deadlines();
    while let Some(first) = deadlines.first() {
        let pause = first.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            let timer = async {
                Timer::new(pause).await;
            };
            futures_lite::future::or(deadlines.earlier(), timer).await;
        }
        for (id, timeout) in deadlines.take_late(Instant::now()) {
            let message = format!("it ran for longer than its timeout of {timeout:?}");
            end_running(&shard, id, JobError::new(CLASS_TIMEOUT, message));
        }
    }
    deadlines.keep_no_more();
}
