//! Tells the service manager (systemd, `Type=notify`) that the process is ready, how it is doing, and that it makes
//! progress.
//!
//! Ready means that Redis has answered every shard. A sign of life (`WATCHDOG=1`) is sent while every shard makes progress;
//! if one does not, the manager hears nothing and restarts the process. An outage of Redis is not a lack of progress: a new
//! process would be no better off, and this one recovers by itself (P5). What counts:
//!
//! | a shard | sign of life |
//! |---|---|
//! | turns, and has answers of Redis or knows of an outage | yes |
//! | has not turned for half the watchdog's time: a handler that never awaits | no |
//! | has had no answer of Redis for far too long, and knows of no outage | no |
//! | has ended, because the process stops | yes: the manager's own timeout bounds the end |
//!
//! On SIGHUP the manager learns that the configuration is being reloaded (`RELOADING=1`), and then that the process is
//! ready, whether the new configuration was accepted or refused: so `systemctl reload` can wait for it
//! (`Type=notify-reload`, from systemd 253 on), and older versions show the unit as reloading meanwhile.
//!
//! Nothing is sent, and nothing runs, unless a manager asks for it (`NOTIFY_SOCKET`).

use std::rc::Rc;
use std::time::Duration;

use glommio::timer::Timer;

use super::actor::Actor;
use super::figures;
use super::service_manager::Condition;
use super::state::Control;
use crate::shutdown::Phase;
use crate::wire::figures::{Ailment, Figures, ShardFigures};

/// Starts notifying the manager, if there is one.
pub(super) fn spawn(control: &Rc<Control>) -> Actor {
    Actor::spawn(run(Rc::clone(control)))
}

async fn run(control: Rc<Control>) {
    let Some(notifier) = &control.notifier else { return };
    loop {
        tell(&control);
        Timer::new(notifier.pause()).await;
    }
}

/// Tells the manager how the process is doing, if there is a manager.
pub(super) fn tell(control: &Control) {
    let Some(notifier) = &control.notifier else { return };
    let figures = figures::figures(control, Vec::new());
    notifier.tell(Condition {
        // A process that is quiet before it started asks nothing of Redis, and that is fine.
        is_settled: all_answered(control) || control.phase() == Phase::Quiet,
        progresses: notifier.still_max().is_some_and(|still_max| progresses(control, still_max, &figures)),
        ends: control.phase().ends(),
        status: status(&figures, control.now()),
    });
}

/// Whether every shard works: Redis has answered it.
fn all_answered(control: &Control) -> bool {
    control.options.stats.iter().all(|stats| stats.answered_at.age().is_some())
}

/// Whether the process can be expected to carry on by itself.
fn progresses(control: &Control, still_max: Duration, figures: &Figures) -> bool {
    if control.phase().ends() {
        return true;
    }
    let still = |age: Option<Duration>| age.is_some_and(|age| age >= still_max);
    let all_turn = control.options.stats.iter().all(|stats| !still(stats.turned_at.age()));
    all_turn && figures.troubles.iter().all(|trouble| trouble.what != Ailment::Silent)
}

/// The line that `systemctl status` shows. An idle, healthy process has one text, which is sent once.
fn status(figures: &Figures, now: f64) -> String {
    let sum = |field: fn(&ShardFigures) -> u64| figures.shards.iter().map(field).sum::<u64>();
    let counts = format!(
        "{}: {} processed, {} failed, {} running",
        figures.phase,
        sum(|shard| shard.processed),
        sum(|shard| shard.failed),
        sum(|shard| shard.running)
    );
    let troubles = figures.troubles.iter().map(|trouble| trouble.at(now).to_string());
    [counts].into_iter().chain(troubles).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::figures::Trouble;

    #[test]
    fn the_status_says_phase_counts_and_troubles() {
        let shard = |processed| ShardFigures { processed, failed: 1, running: 2, ..ShardFigures::default() };
        let mut figures =
            Figures { phase: "running".to_owned(), shards: vec![shard(3), shard(4)], ..Figures::default() };
        assert_eq!(status(&figures, 7.0), "running: 7 processed, 2 failed, 4 running");
        figures.troubles.push(Trouble { shard: 1, what: Ailment::NoRedis, since: 5.5, why: None });
        assert!(status(&figures, 7.0).ends_with("4 running; shard 1 without redis for 1.5 s"));
    }
}
