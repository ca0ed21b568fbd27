//! What concerns one job, as a value: given with its handler ([`super::options`]), or named by its type.

use std::time::Duration;

use super::middleware::Layer;
use super::policy::RetryPolicy;
use crate::client::Job;
use crate::job::history::Keep;
use crate::limits::{HISTORY_BACKTRACE_LINES_MAX, HISTORY_FAILURES_MAX, RETRIES_MAX};
use crate::wire::QueueName;

/// The options of one job; what is not set is the registry's or the default.
#[doc(hidden)]
pub struct JobOptions<S> {
    pub(super) queue: Option<Box<str>>,
    pub(super) retry_queue: Option<Box<str>>,
    pub(super) policy: Option<RetryPolicy>,
    pub(super) retries: Option<u32>,
    pub(super) timeout: Option<Duration>,
    pub(super) keep: Keep,
    pub(super) layers: Vec<Layer<S>>,
}

impl<S> Default for JobOptions<S> {
    fn default() -> Self {
        Self {
            queue: None,
            retry_queue: None,
            policy: None,
            retries: None,
            timeout: None,
            keep: Keep::default(),
            layers: Vec::new(),
        }
    }
}

impl<S> JobOptions<S> {
    /// Those of a job's type.
    ///
    /// # Panics
    /// If the type asks for what no job may have.
    #[track_caller]
    pub(super) fn of_type<J: Job>() -> Self {
        let mut options = Self {
            queue: Some(J::QUEUE.into()),
            policy: Some(J::retry_policy()),
            timeout: J::TIMEOUT,
            ..Self::default()
        };
        // Without closures, which do not know the line that a mistake is told with.
        if let Some(retries) = J::RETRIES {
            options.retries = Some(checked_retries(retries));
        }
        if let Some(queue) = J::RETRY_QUEUE {
            options.retry_queue = Some(checked_queue(queue));
        }
        options
    }

    /// These, and where they are silent the others.
    pub(super) fn or(mut self, other: Self) -> Self {
        self.layers.extend(other.layers);
        Self {
            queue: self.queue.or(other.queue),
            retry_queue: self.retry_queue.or(other.retry_queue),
            policy: self.policy.or(other.policy),
            retries: self.retries.or(other.retries),
            timeout: self.timeout.or(other.timeout),
            keep: self.keep.or(other.keep),
            layers: self.layers,
        }
    }
}

/// # Panics
/// For more retries than a job may have.
#[track_caller]
pub(super) fn checked_retries(retries: u32) -> u32 {
    assert!(retries <= RETRIES_MAX, "{retries} retries are more than the {RETRIES_MAX} allowed");
    retries
}

/// # Panics
/// If no worker may be given a queue of this name: what it holds could never run.
#[track_caller]
pub(super) fn checked_queue(queue: &str) -> Box<str> {
    let checked = QueueName::new(queue).map(drop);
    assert_eq!(checked, Ok(()), "no worker may be given the retry queue {queue:?}");
    queue.into()
}

/// # Panics
/// For more failures than a payload keeps.
#[track_caller]
pub(super) fn checked_history(failures: usize) -> usize {
    let in_bounds = failures <= HISTORY_FAILURES_MAX;
    assert!(in_bounds, "a history of {failures} failures is more than the {HISTORY_FAILURES_MAX} allowed");
    failures
}

/// # Panics
/// For more lines than a payload keeps.
#[track_caller]
pub(super) fn checked_backtrace(lines: usize) -> usize {
    let in_bounds = lines <= HISTORY_BACKTRACE_LINES_MAX;
    assert!(in_bounds, "a backtrace of {lines} lines is more than the {HISTORY_BACKTRACE_LINES_MAX} allowed");
    lines
}
