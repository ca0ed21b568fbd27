//! Which job the code on this thread runs for: what a line of the log, or a panic, names.
//!
//! A shard does nothing for it per poll: it publishes the job that it polls anyway ([`CurrentJob`](super::CurrentJob)), and
//! its thread notes once where. A thread that runs a job for its shard notes the job itself.
//!
//! A panic leaves its backtrace here, until the job's failure takes it along.

use std::cell::RefCell;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::{
    future::{Future, poll_fn},
    pin::pin,
};

use super::ShardStats;

/// The target of the span around each poll of a job. Our own log does not listen to it: it finds the job here. Other logs
/// may, at level debug.
pub(crate) const JOB_SPAN: &str = "jiggler_uring::job";

/// The target of the lines that tell of failed jobs.
pub(crate) const FAILURES: &str = "jiggler_uring::failures";

/// A job that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct JobHere {
    /// Its name.
    pub(crate) name: String,
    /// The first 32 bytes of its id.
    pub(crate) jid: String,
    /// The queue it was taken from.
    pub(crate) queue: String,
}

/// For whom this thread runs.
enum Here {
    Nobody,
    /// For the jobs of this shard.
    Shard(Arc<ShardStats>),
    Job(Arc<JobHere>),
}

thread_local! {
    static HERE: RefCell<Here> = const { RefCell::new(Here::Nobody) };
    static BACKTRACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on this thread is that of the shard with these counters.
pub(crate) fn is_shard(stats: &Arc<ShardStats>) {
    set(Here::Shard(Arc::clone(stats)));
}

/// The job that this thread is running; `None` if it runs none.
pub(crate) fn job() -> Option<Arc<JobHere>> {
    let look = |here: &RefCell<Here>| match &*here.try_borrow().ok()? {
        Here::Nobody => None,
        Here::Shard(stats) => stats.current.here().map(Arc::new),
        Here::Job(job) => Some(Arc::clone(job)),
    };
    // A thread that ends no longer has one.
    HERE.try_with(look).ok().flatten()
}

/// Runs code of this job, if it is of one, on a thread that is not its shard's.
pub(crate) fn run_for<T>(job: Option<&Arc<JobHere>>, code: impl FnOnce() -> T) -> T {
    let Some(job) = job else { return code() };
    let _back = Back(Some(set(Here::Job(Arc::clone(job)))));
    code()
}

/// A future that runs for the job that makes it, wherever it is polled.
#[cfg(feature = "tokio")]
pub(crate) fn carried<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let job = job();
    async move {
        let mut future = pin!(future);
        poll_fn(|ctx| run_for(job.as_ref(), || future.as_mut().poll(ctx))).await
    }
}

/// A panic begins on this thread.
pub(crate) fn note_backtrace(backtrace: Option<String>) {
    // A thread that ends has no place for it any more.
    let _kept = BACKTRACE.try_with(|place| place.replace(backtrace));
}

/// The backtrace of the panic that was just caught on this thread, if it has one.
pub(crate) fn take_backtrace() -> Option<String> {
    BACKTRACE.try_with(RefCell::take).ok().flatten()
}

fn set(now: Here) -> Here {
    HERE.with(|here| here.replace(now))
}

/// Puts back what was before, however the code ends.
struct Back(Option<Here>);

impl Drop for Back {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            set(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Instant;

    use super::super::JobMark;
    use super::*;

    fn job_of(name: &str) -> Arc<JobHere> {
        Arc::new(JobHere { name: name.to_owned(), jid: "j".to_owned(), queue: "q".to_owned() })
    }

    #[test]
    fn a_shard_runs_for_the_job_it_polls_and_for_none_between_two() {
        let stats = Arc::new(ShardStats::default());
        stats.current.name_jobs(["A", "B"]);
        stats.current.name_queues(["first", "second"]);
        std::thread::spawn(move || {
            assert_eq!(job(), None);
            is_shard(&stats);
            assert_eq!(job(), None);
            stats.current.begin(&JobMark::new(1, 1, "0d655a187e214821"), Instant::now());
            let here = job().unwrap();
            assert_eq!((&*here.name, &*here.jid, &*here.queue), ("B", "0d655a187e214821", "second"));
            stats.current.end();
            assert_eq!(job(), None);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn another_thread_runs_for_a_job_until_its_code_ends_or_panics() {
        let (one, other) = (job_of("One"), job_of("Other"));
        let name = || job().map(|job| job.name.clone());
        run_for(Some(&one), || {
            assert_eq!(name().as_deref(), Some("One"));
            let panicked =
                catch_unwind(AssertUnwindSafe(|| run_for(Some(&other), || std::panic::panic_any(name()))));
            assert_eq!(
                *panicked.unwrap_err().downcast::<Option<String>>().unwrap(),
                Some("Other".to_owned())
            );
            assert_eq!(name().as_deref(), Some("One"));
            run_for(None, || assert_eq!(name().as_deref(), Some("One")));
        });
        assert_eq!(name(), None);
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn a_future_runs_for_the_job_that_made_it() {
        let name = || job().map(|job| job.name.clone());
        let future = run_for(Some(&job_of("Maker")), || {
            carried(async move {
                let before = name();
                futures_lite::future::yield_now().await;
                (before, name())
            })
        });
        let maker = Some("Maker".to_owned());
        assert_eq!(futures_lite::future::block_on(future), (maker.clone(), maker));
        assert_eq!(name(), None);
    }
}
