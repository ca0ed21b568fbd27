//! Waiting for a state to be reached, with a deadline; nothing else in the tests sleeps.
#![allow(dead_code, clippy::panic, reason = "part of tests, of which each uses a part; lateness fails them")]

use std::thread;
use std::time::{Duration, Instant};

/// How long a state may take to be reached on a loaded machine. Far above what is normal, so that it decides between
/// late and never.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait before checking again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Lets a moment pass between two checks of a state.
pub(crate) fn look_again() {
    thread::sleep(LOOK_AGAIN);
}

/// Checks until there is something to see, and returns that.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_within(PATIENCE, what, look)
}

/// Checks until it is so.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut look: impl FnMut() -> bool) {
    wait_for(what, || look().then_some(()));
}

/// Like [`wait_for`], where being late is the failure under test.
#[track_caller]
pub(crate) fn wait_within<T>(time: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + time;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        if Instant::now() >= deadline {
            panic!("still not so after {time:?}: {what}");
        }
        look_again();
    }
}

/// Lets a span of time pass over which something is measured.
pub(crate) fn measure_over(span: Duration) {
    thread::sleep(span);
}
