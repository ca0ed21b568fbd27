//! Telling of failed runs: a line of the log, bounded by kind there, and the failure hooks.

use super::state::Shard;
use crate::handler::{Entry, JobError, JobRef};
use crate::job::{ErrorInfo, FailedJob, History};
use crate::stats::here::FAILURES;

/// What settling a job that did not succeed needs to know about it.
pub(super) struct Failed<'a> {
    pub(super) job: JobRef<'a>,
    pub(super) history: History,
    /// How it is registered; `None` if it is not.
    pub(super) entry: Option<&'a Entry>,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequel {
    /// It runs again.
    Retry,
    /// It goes to the dead set.
    Death,
    /// It is not kept, as its payload asks.
    End,
}

/// Tells of a run that failed. `payload` are the bytes of the job.
pub(super) fn tell(shard: &Shard, payload: &[u8], job: JobRef<'_>, error: &JobError, sequel: Sequel) {
    let JobRef { name, jid, queue, attempt } = job;
    let info = ErrorInfo::new(error.class(), error.message());
    let (class, message) = (&*info.class, info.stored_message());
    match sequel {
        Sequel::Retry => {
            tracing::warn!(
                target: FAILURES, job = name, jid, queue, attempt, class, error = message,
                "a job failed and will be retried"
            );
        }
        Sequel::End => {
            tracing::error!(
                target: FAILURES, job = name, jid, queue, attempt, class, error = message,
                "a job failed, and is not kept, as it asks"
            );
        }
        Sequel::Death => {
            tracing::error!(
                target: FAILURES, job = name, jid, queue, attempt, class, error = message,
                "a job failed and goes to the dead set"
            );
        }
    }
    shard.handlers().tell_of_failure(&FailedJob {
        name,
        jid,
        queue,
        attempt,
        will_be_retried: sequel == Sequel::Retry,
        error_class: class,
        error_message: message,
        backtrace: error.backtrace(),
        payload,
    });
}
