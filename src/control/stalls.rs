//! Names the jobs that hold up their core: a handler that computes, or blocks, without an await.
//!
//! The shard itself is stuck in it, so control looks from outside: at the mark each shard leaves before it polls a job. A
//! stall is logged when it is seen, again whenever it has lasted twice as long, and when it is over. The lease does not
//! depend on shards, so a stalled process keeps its jobs.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::actor::Actor;
use super::state::Control;
use crate::limits::{STALL_AFTER, STALL_LOOK};
use crate::stats::Polled;

/// A stall that was logged.
struct Stall {
    /// As it was last seen.
    polled: Polled,
    /// How long it must last to be logged again.
    again: Duration,
}

/// Starts looking.
pub(super) fn spawn(control: &Rc<Control>) -> Actor {
    Actor::spawn(run(Rc::clone(control)))
}

async fn run(control: Rc<Control>) {
    let mut stalls: Vec<Option<Stall>> = control.options.stats.iter().map(|_| None).collect();
    loop {
        Timer::new(STALL_LOOK).await;
        let now = Instant::now();
        for (shard, (stats, stall)) in control.options.stats.iter().zip(&mut stalls).enumerate() {
            look(shard, stats.current.polled(now), stall);
        }
    }
}

fn look(shard: usize, polled: Option<Polled>, stall: &mut Option<Stall>) {
    let polled = polled.filter(|polled| polled.time >= STALL_AFTER);
    let same =
        matches!((&polled, &*stall), (Some(now), Some(before)) if now.version == before.polled.version);
    if !same && let Some(Stall { polled, .. }) = stall.take() {
        let Polled { name, jid, time, .. } = polled;
        let milliseconds = time.as_millis();
        tracing::info!(shard, name, jid, milliseconds, "the job that held up its core has yielded");
    }
    let Some(polled) = polled else { return };
    let again = stall.as_ref().map_or(Duration::ZERO, |stall| stall.again);
    let due = polled.time >= again;
    if due {
        let Polled { name, jid, time, .. } = &polled;
        let milliseconds = time.as_millis();
        tracing::warn!(
            shard,
            name,
            jid,
            milliseconds,
            "a job holds up its core: it has not awaited for this long, and nothing else runs there"
        );
    }
    let again = if due { polled.time * 2 } else { again };
    *stall = Some(Stall { polled, again });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn polled(version: u64, seconds: u64) -> Option<Polled> {
        let time = Duration::from_secs(seconds);
        Some(Polled { version, name: "N".to_owned(), jid: "j".to_owned(), time })
    }

    /// After each look: the version of the known stall, and after how many seconds it is logged again.
    #[test]
    fn a_stall_is_logged_at_doubling_times_until_it_is_over() {
        let steps = [
            (None, None),
            (polled(2, 0), None),
            (polled(4, 1), Some((4, 2))),
            (polled(4, 2), Some((4, 4))),
            (polled(4, 3), Some((4, 4))),
            (polled(4, 5), Some((4, 10))),
            (polled(6, 1), Some((6, 2))),
            (polled(8, 0), None),
        ];
        let mut stall = None;
        for (step, (polled, expected)) in steps.into_iter().enumerate() {
            look(0, polled, &mut stall);
            let known = stall.as_ref().map(|stall| (stall.polled.version, stall.again.as_secs()));
            assert_eq!(known, expected, "step {step}");
        }
    }
}
