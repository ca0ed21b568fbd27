//! Waiting for a state to come about, with a deadline; nothing else in the tests sleeps.
#![allow(dead_code, clippy::panic, reason = "part of tests, of which each uses a part; lateness fails them")]

use std::thread;
use std::time::{Duration, Instant};

/// How long a state may take to come about on a loaded machine. Far above what is normal, so that it decides between
/// late and never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Lets a moment pass between two looks at a state.
pub(crate) fn look_again() {
    thread::sleep(LOOK_AGAIN);
}

/// Looks until there is something to see, and gives that.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, look)
}

/// Looks until it is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    wait_for(what, || look().then_some(()));
}

/// As [`wait_for`], where being late is the failure that is looked for.
#[track_caller]
pub(crate) fn wait_within<T>(time: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        if Instant::now() >= deadline {
            panic!("waited {time:?} for this, in vain: {what}");
        }
        look_again();
    }
}

/// Lets a span of time pass over which something is measured.
pub(crate) fn measure_over(span: Duration) {
    thread::sleep(span);
}
