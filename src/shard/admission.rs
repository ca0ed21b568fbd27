//! Whether a job that is next may start now.
//!
//! The one stage between a job at hand and its run: nothing starts that was not admitted here. The slots are the only reason
//! to say no so far, and it holds for every job alike. This is where a limit of jobs that run side by side (tokens leased in
//! blocks), the expiry of a job that waited too long and the lock of a unique job belong, each as a variant of
//! [`Admission`] that says what becomes of its job.

/// What is decided of the next job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It starts.
    Start,
    /// It keeps its place at hand, unstarted, and nothing behind it starts either. What stays there for longer than
    /// [`UNSTARTED_HOLD`](crate::limits::UNSTARTED_HOLD) goes back to its queue (P8).
    NotNow,
}

/// Admits the next job, with so many slots free.
pub(super) fn admit(free_slots: usize) -> Admission {
    if free_slots > 0 { Admission::Start } else { Admission::NotNow }
}
