//! A pulse for each executor: timers that end a sleep it should not have started.
//!
//! glommio 0.12 can put an executor to sleep although it has tasks to run. A timer bounds one stretch of work
//! (`EXECUTOR_PREEMPT`). If the kernel gives the core to others for so long that this timer fires before the first task of
//! the stretch has run, `run_task_queues` reports that nothing ran, and the executor parks until something else happens. If
//! the task that did not run is the only one that could make something happen, it parks forever: the worker logs "working"
//! and then nothing. That was one start in five on a core with three other busy threads.
//!
//! A pulse also publishes that its executor turns, for control's watchdog and for probes, which costs no extra wake-up.
//!
//! Every pulse is a separate task: if one of them is the task that did not run, the others still come.

use std::time::Instant;

use glommio::timer::Timer;

use crate::limits::{EXECUTOR_PULSE, EXECUTOR_PULSES};

/// Starts the pulse of the executor this runs on; it ends with the executor. `note` publishes that it turns.
pub(super) fn start(note: impl Fn() + Clone + 'static) {
    let begun = Instant::now();
    for number in 0..EXECUTOR_PULSES {
        let note = note.clone();
        glommio::spawn_local(async move {
            // Each keeps its own phase of the period; otherwise, after one late wake-up, all would come at once.
            let mut due = begun + EXECUTOR_PULSE * number / EXECUTOR_PULSES;
            loop {
                let now = Instant::now();
                while due <= now {
                    due += EXECUTOR_PULSE;
                }
                note();
                Timer::new(due - now).await;
            }
        })
        .detach();
    }
}
