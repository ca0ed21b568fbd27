//! Whether the next job may start now.
//!
//! The only stage between a job at hand and its run: nothing starts that was not admitted here. A lack of slots is a
//! reason to refuse, which applies to every job alike, and a queue that has all slots it may have. A limit on jobs that run
//! side by side (tokens leased in blocks), the expiry of a job that waited too long and the lock of a unique job belong
//! here, each as a variant of [`Admission`] that says what becomes of its job.

/// The decision about the next job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It starts.
    Start,
    /// It keeps its place at hand, because its queue is at its cap; jobs of others behind it may start. It goes back like
    /// those below.
    NotThis,
    /// It keeps its place at hand, unstarted, and nothing behind it starts either. What stays there for longer than
    /// [`UNSTARTED_HOLD`](crate::limits::UNSTARTED_HOLD) goes back to its queue (P8).
    NotNow,
}

/// Decides about the next job, with this many slots free; `is_full`: whether its queue is at its cap.
pub(super) fn admit(free_slots: usize, is_full: impl Fn() -> bool) -> Admission {
    match free_slots {
        0 => Admission::NotNow,
        _ if is_full() => Admission::NotThis,
        _ => Admission::Start,
    }
}
