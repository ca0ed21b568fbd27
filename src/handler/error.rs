//! What a handler returns when a job fails.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::class;
use crate::job::failure::CLASS_SNOOZED;

/// What a handler returns: nothing, or why the job failed.
pub type JobResult = Result<(), JobError>;

/// Why a job failed, as stored with the job: `error_class` and `error_message` of the gem's wire format.
///
/// Whatever can become a `Box<dyn Error>` converts with `?`: any [`std::error::Error`], `String`, `&str`,
/// `Box<dyn Error>`, `anyhow::Error`, `eyre::Report`. The message is its text followed by those of its sources. The class
/// is the short name of its type:
///
/// | an error of type | has the class |
/// |---|---|
/// | `app::billing::Declined<T>` | `Declined` |
/// | `std::io::Error`, `app::billing::Error` | `io::Error`, `billing::Error` |
/// | `io::http::Error` | `http::Timeout`, `http::Status404`, …: see [`io::http`](crate::io) |
/// | `anyhow::Error`, `eyre::Report`, `Box<dyn Error>` | the name with which the `Debug` of the error inside begins |
/// | `String`, `&str`, `anyhow!("text")` | `RuntimeError`, as `raise "text"` in Ruby |
///
/// [`with_class`](Self::with_class) and [`classed`](Self::classed) set another one. This type deliberately does not
/// implement `std::error::Error`, which is what makes these conversions possible.
///
/// A `Box<dyn Error + Send + Sync>` is the one that `?` cannot turn into a `JobError`: that takes one word more,
/// [`from_boxed`](Self::from_boxed). A handler, middleware or factory whose own result is `Result<_, Box<dyn Error + Send +
/// Sync>>` needs none.
///
/// ```
/// use jiggler_uring::{JobError, JobResult};
///
/// async fn import(path: String) -> JobResult {
///     let text = std::fs::read_to_string(&path)?;
///     let rows: u64 = text.trim().parse().map_err(JobError::classed("BadImport"))?;
///     if rows == 0 {
///         return Err(format!("{path} is empty").into());
///     }
///     Ok(())
/// }
///
/// // The whole handler may be one of `anyhow`, or of boxed errors, too.
/// async fn charge(order: u64) -> anyhow::Result<()> {
///     anyhow::ensure!(order > 0, "there is no order {order}");
///     Ok(())
/// }
/// async fn refund(order: String) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     let order: u64 = order.parse()?;
///     if order == 0 { Err("there is no order 0")? }
///     Ok(())
/// }
/// let registry =
///     jiggler_uring::Registry::new(()).job("Import", import).job("Charge", charge).job("Refund", refund);
/// # drop(registry);
/// ```
///
/// The job's [`RetryPolicy`](super::RetryPolicy) decides what follows, unless the handler knows better:
///
/// ```
/// use std::time::Duration;
///
/// use jiggler_uring::{JobError, JobResult};
///
/// async fn call_api(url: String) -> JobResult {
///     match status_of(&url)? {
///         200 => Ok(()),
///         202 => Err(JobError::snooze(Duration::from_secs(60))), // not ready yet; costs no attempt
///         429 => Err(JobError::retry_in(Duration::from_secs(5), JobError::new("TooFast", url))),
///         404 | 410 => Err(JobError::discard(JobError::new("Gone", url))),
///         401 => Err(JobError::dead(JobError::new("Unauthorized", url))), // a person must look at it
///         status => Err(JobError::new("ApiError", format!("{url} answered {status}"))),
///     }
/// }
/// # fn status_of(_: &str) -> std::io::Result<u16> { Ok(200) }
/// # drop(call_api(String::new()));
/// ```
pub struct JobError {
    class: Cow<'static, str>,
    message: String,
    verdict: Verdict,
    backtrace: Option<Box<str>>,
    outside: Option<Box<Outside>>,
}

/// What a runner knows beyond the error of a job that ran in a process of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outside {
    /// The queue of its class for retries, which only that class knows.
    pub(crate) retry_queue: Option<Box<str>>,
    /// Why it goes back as if it had not run.
    pub(crate) unrun: Option<Unrun>,
}

/// Why a job goes back to its queue with no attempt used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unrun {
    /// Nobody could start it.
    Left,
    /// It had started, and was interrupted through no fault of its own.
    Interrupted,
    /// Its process died, perhaps because of it: one more of the deaths after which it is poison (P4).
    Lost,
}

/// What a handler asks for along with its error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Whatever the job's retry policy says.
    #[default]
    ByPolicy,
    /// Another attempt after this pause, if any are left; otherwise the dead set.
    RetryIn(Duration),
    /// Another run after this pause, without using up an attempt.
    Snooze(Duration),
    /// Nothing more: the job is acked.
    Discard,
    /// The dead set, however many attempts are left.
    Dead,
}

impl JobError {
    /// An error with a class of your own, for example `JobError::new("BadAddress", "no @ in it")`.
    pub fn new(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            class: class.into(),
            message: message.into(),
            verdict: Verdict::ByPolicy,
            backtrace: None,
            outside: None,
        }
    }

    /// Any error under a class of your own, for `map_err`: `load().map_err(JobError::classed("NoLedger"))?`.
    pub fn classed<E: Into<Self>>(class: impl Into<Cow<'static, str>>) -> impl FnOnce(E) -> Self {
        move |error| error.into().with_class(class)
    }

    /// The same error under another class.
    #[must_use]
    pub fn with_class(self, class: impl Into<Cow<'static, str>>) -> Self {
        Self { class: class.into(), ..self }
    }

    /// An error out of a box that may cross threads, for `map_err`: `load().map_err(JobError::from_boxed)?`. `?` alone
    /// cannot: the standard library does not turn such a box into a `Box<dyn Error>`, and as it might one day, the compiler
    /// allows no second conversion here.
    #[must_use]
    pub fn from_boxed(error: Box<dyn StdError + Send + Sync>) -> Self {
        let error: Box<dyn StdError> = error;
        error.into()
    }

    /// A failure whose next attempt comes after this pause, without jitter, in place of the policy's. It uses up an
    /// attempt: a job with none left goes to the dead set. `error` is any error, or one made by [`JobError::new`].
    pub fn retry_in(pause: Duration, error: impl Into<Self>) -> Self {
        Self { verdict: Verdict::RetryIn(pause), ..error.into() }
    }

    /// A failure that no further attempt can fix: the job goes straight to the dead set, where a person will find it.
    pub fn dead(error: impl Into<Self>) -> Self {
        Self { verdict: Verdict::Dead, ..error.into() }
    }

    /// The job has become pointless, for example because its subject is gone: it is acked and counts as processed,
    /// not as failed. The error is logged at level debug and appears nowhere else.
    pub fn discard(error: impl Into<Self>) -> Self {
        Self { verdict: Verdict::Discard, ..error.into() }
    }

    /// Not now: the job runs again after this pause, from the queue it came from, as if it had not run: no attempt is
    /// used, nothing is counted. There is no limit: a job that keeps snoozing itself is never done.
    ///
    /// Until then it is in the retry set, with its payload unchanged except for `retry_at` and `queue`. The poller of
    /// some process takes it from there: as late as `poll_interval` after it is due, if it is due sooner than that.
    pub fn snooze(pause: Duration) -> Self {
        let message = format!("runs again in {pause:?}");
        Self { verdict: Verdict::Snooze(pause), ..Self::new(CLASS_SNOOZED, message) }
    }

    /// The same error with the place it comes from, for the hooks of
    /// [`Registry::on_failure`](super::Registry::on_failure): `error.backtrace().to_string()` of an error that has one.
    #[must_use]
    pub fn with_backtrace(self, backtrace: impl Into<Box<str>>) -> Self {
        Self { backtrace: Some(backtrace.into()), ..self }
    }

    /// A run that goes back as if it had not been.
    pub(crate) fn unrun(why: Unrun, class: &'static str, message: impl Into<String>) -> Self {
        let outside = Some(Box::new(Outside { unrun: Some(why), ..Outside::default() }));
        Self { outside, ..Self::new(class, message) }
    }

    /// The same error, to be retried in the queue that the job's class names.
    pub(crate) fn in_retry_queue(self, queue: Box<str>) -> Self {
        let outside = Some(Box::new(Outside { retry_queue: Some(queue), ..Outside::default() }));
        Self { outside, ..self }
    }

    /// What a runner knows beyond it.
    pub(crate) fn outside(&self) -> Option<&Outside> {
        self.outside.as_deref()
    }

    /// Where it comes from, if that is known.
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }

    /// What the handler asks for.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// The class, stored as `error_class`.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The message, stored as `error_message` (cut to 10,000 characters there).
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// What `?` turns into a [`JobError`]. A trait of its own, so that the compiler names the way out for anything
/// else.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not become a `JobError` by itself",
    // All that is shown of this where `?` stands.
    label = "not an error, text or `Box<dyn Error>`; a `Box<dyn Error + Send + Sync>` takes \
             `.map_err(JobError::from_boxed)?`"
)]
pub trait AnyError {
    /// The error of a job.
    fn into_job_error(self) -> JobError;
}

#[diagnostic::do_not_recommend]
impl<E: Into<Box<dyn StdError>>> AnyError for E {
    fn into_job_error(self) -> JobError {
        let error = self.into();
        JobError::new(class::of::<E>(&*error), message(&*error))
    }
}

impl<E: AnyError> From<E> for JobError {
    fn from(error: E) -> Self {
        error.into_job_error()
    }
}

/// The texts of an error and of its sources.
fn message(error: &dyn StdError) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Many errors print their source themselves; do not repeat it.
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_becomes_a_job_error_with_its_type_as_class() {
        fn fails() -> JobResult {
            std::fs::metadata("/does/not/exist")?;
            Ok(())
        }
        let error = fails().unwrap_err();
        assert_eq!(error.class(), "io::Error");
        assert!(error.message().contains("No such file"), "{error}");
    }

    #[test]
    fn sources_are_named_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the ledger")]
        struct Outer(#[source] fmt::Error);
        let error = JobError::from(Outer(fmt::Error));
        assert_eq!(error.message(), format!("cannot open the ledger: {}", fmt::Error));
    }

    #[test]
    fn a_verdict_keeps_the_error_it_is_given_with() {
        let pause = Duration::from_secs(3);
        let error = || JobError::new("Gone", "user 7 was deleted");
        let table = [
            (error(), Verdict::ByPolicy),
            (JobError::retry_in(pause, error()), Verdict::RetryIn(pause)),
            (JobError::dead(error()), Verdict::Dead),
            (JobError::discard(error()), Verdict::Discard),
            (JobError::discard(JobError::dead(error())), Verdict::Discard),
        ];
        for (error, verdict) in table {
            assert_eq!((error.class(), error.message()), ("Gone", "user 7 was deleted"));
            assert_eq!(error.verdict(), verdict);
        }
        let of_any_error = JobError::dead(fmt::Error);
        assert_eq!((of_any_error.class(), of_any_error.verdict()), ("fmt::Error", Verdict::Dead));
        let snoozed = JobError::snooze(pause);
        assert_eq!(snoozed.verdict(), Verdict::Snooze(pause));
        assert_eq!(snoozed.to_string(), "JigglerUring::Snoozed: runs again in 3s");
    }
}
