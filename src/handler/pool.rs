//! Where the futures of one handler live: polled once on the spot, their memory reused.
//!
//! Most short jobs are ready at their first poll. Such a job costs no task and, once warm, no allocation: its future
//! goes into a box that an earlier one left behind. A job that waits keeps its box, which moves into a task.
//!
//! Panics end here: in decoding, in any poll, in the drop of a future (P7).

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::context::Run;
use super::error::{JobError, JobResult};
use super::result::IntoJobResult;
use crate::job::failure::CLASS_PANIC;
use crate::limits::IDLE_FUTURES_MAX;
use crate::stats::here;

/// A job that has been started.
pub(crate) enum Started {
    /// It finished at the first poll.
    Done(JobResult),
    /// It waits. The first poll used no waker of its own, so the future must be polled again at once.
    Waiting(JobFuture),
}

/// A job's future, with panics caught.
pub(crate) type JobFuture = Pin<Box<dyn Future<Output = JobResult>>>;

type Slot<F> = Pin<Box<Option<F>>>;

/// The boxes of one handler's futures. `K` is the kind of their results.
pub(crate) struct FuturePool<F, K> {
    idle: Rc<RefCell<Vec<Slot<F>>>>,
    kind: PhantomData<fn() -> K>,
}

impl<F, K> FuturePool<F, K>
where
    F: Future + 'static,
    F::Output: IntoJobResult<K>,
    K: 'static,
{
    pub(crate) fn new() -> Self {
        Self { idle: Rc::new(RefCell::new(Vec::new())), kind: PhantomData }
    }

    /// Builds a future and polls it once.
    ///
    /// An `Err` from `build` is the job's result, and so is a panic in it. If the job waits, `run` returns what
    /// to notify when the job ends early.
    pub(crate) fn start(
        &self,
        build: impl FnOnce() -> Result<F, JobError>,
        run: impl FnOnce() -> Option<Rc<Run>>,
    ) -> Started {
        let future = match caught(build) {
            Ok(Ok(future)) => future,
            Ok(Err(error)) | Err(error) => return Started::Done(Err(error)),
        };
        let mut slot = self.idle.borrow_mut().pop().unwrap_or_else(|| Box::pin(None));
        slot.set(Some(future));
        let mut ctx = Context::from_waker(Waker::noop());
        match poll_slot::<F, K>(&mut slot, &mut ctx) {
            Poll::Ready(result) => {
                give_back(&self.idle, slot);
                Started::Done(result)
            }
            Poll::Pending => {
                let idle = Rc::clone(&self.idle);
                Started::Waiting(Box::pin(Waiting { slot: Some(slot), run: run(), idle, kind: self.kind }))
            }
        }
    }
}

/// A future that outlived its first poll; it returns its box when it ends.
struct Waiting<F, K> {
    slot: Option<Slot<F>>,
    run: Option<Rc<Run>>,
    idle: Rc<RefCell<Vec<Slot<F>>>>,
    kind: PhantomData<fn() -> K>,
}

impl<F, K> Future for Waiting<F, K>
where
    F: Future,
    F::Output: IntoJobResult<K>,
{
    type Output = JobResult;

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<JobResult> {
        let Some(slot) = self.slot.as_mut() else {
            return Poll::Ready(Err(JobError::new("Bug", "a finished job was polled again")));
        };
        let result = std::task::ready!(poll_slot::<F, K>(slot, ctx));
        if let Some(slot) = self.slot.take() {
            give_back(&self.idle, slot);
        }
        Poll::Ready(result)
    }
}

impl<F, K> Drop for Waiting<F, K> {
    /// A cancelled job ends in its destructors, where no executor could catch a panic: glommio aborts.
    fn drop(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            // First, so that the job's own destructors see it.
            if let Some(run) = &self.run {
                run.cancel.raise();
            }
            let _panic_of_a_job_nobody_waits_for = caught(|| slot.set(None));
        }
    }
}

/// Polls the future in `slot`, and empties the slot when the future is ready or has panicked.
fn poll_slot<F, K>(slot: &mut Slot<F>, ctx: &mut Context<'_>) -> Poll<JobResult>
where
    F: Future,
    F::Output: IntoJobResult<K>,
{
    let polled = caught(|| match slot.as_mut().as_pin_mut() {
        Some(future) => future.poll(ctx).map(IntoJobResult::<K>::into_job_result),
        None => Poll::Ready(Err(JobError::new("Bug", "a job without a future was polled"))),
    });
    let result = match polled {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(result)) => result,
        Err(panic) => Err(panic),
    };
    // The future's destructor is handler code too.
    match caught(|| slot.set(None)) {
        Ok(()) => Poll::Ready(result),
        Err(panic) => Poll::Ready(Err(panic)),
    }
}

fn give_back<F>(idle: &RefCell<Vec<Slot<F>>>, slot: Slot<F>) {
    let mut idle = idle.borrow_mut();
    if idle.len() < IDLE_FUTURES_MAX {
        idle.push(slot);
    }
}

/// Runs a piece of user code; a panic becomes an error.
pub(super) fn caught<T>(code: impl FnOnce() -> T) -> Result<T, JobError> {
    // State the code leaves half-done is its own problem: the future is dropped and never polled again, and state
    // shared by handlers is exposed just as it is when a thread panics.
    catch_unwind(AssertUnwindSafe(code)).map_err(panicked)
}

/// A panic as an error.
pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> JobError {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the panic carried no message".to_owned());
    // Dropping a panic payload may itself panic; such a payload is leaked instead.
    std::mem::forget(payload);
    let error = JobError::new(CLASS_PANIC, message);
    match here::take_backtrace() {
        Some(backtrace) => error.with_backtrace(backtrace),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::super::result::Converted;
    use super::*;

    fn start<F, K>(pool: &FuturePool<F, K>, future: F) -> Started
    where
        F: Future + 'static,
        F::Output: IntoJobResult<K>,
        K: 'static,
    {
        pool.start(|| Ok(future), || None)
    }

    #[test]
    fn a_ready_job_is_done_at_once_and_its_box_is_used_again() {
        let make = || std::future::ready(Ok::<(), JobError>(()));
        let pool = FuturePool::new();
        for _ in 0..3 {
            assert!(matches!(start(&pool, make()), Started::Done(Ok(()))));
            assert_eq!(pool.idle.borrow().len(), 1);
        }
    }

    #[test]
    fn a_waiting_job_keeps_its_box_until_it_ends() {
        let make = || futures_lite::future::yield_now();
        let pool = FuturePool::new();
        let Started::Waiting(future) = start(&pool, make()) else { panic!("it must wait") };
        assert_eq!(pool.idle.borrow().len(), 0);
        assert!(futures_lite::future::block_on(future).is_ok());
        assert_eq!(pool.idle.borrow().len(), 1);
    }

    #[test]
    fn a_panic_is_the_jobs_error_in_build_in_poll_and_in_drop() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                if !std::thread::panicking() {
                    panic!("in drop");
                }
            }
        }
        type Unnamed = Pin<Box<dyn Future<Output = ()>>>;
        let pool: FuturePool<Unnamed, Converted> = FuturePool::new();
        let cases: [(Unnamed, &str); 2] = [
            (Box::pin(async { panic!("in poll {}", 1) }), "in poll 1"),
            (
                Box::pin({
                    let bomb = Bomb;
                    std::future::poll_fn(move |_| {
                        let _keep = &bomb;
                        Poll::Ready(())
                    })
                }),
                "in drop",
            ),
        ];
        for (future, message) in cases {
            let Started::Done(Err(error)) = start(&pool, future) else { panic!("it must fail") };
            assert_eq!((error.class(), error.message()), (CLASS_PANIC, message));
        }
        let Started::Done(Err(error)) = pool.start(|| panic!("in build"), || None) else {
            panic!("it must fail")
        };
        assert_eq!(error.message(), "in build");
    }

    #[test]
    fn a_panic_takes_its_backtrace_along_and_leaves_none_for_the_next() {
        let panics = |backtrace: Option<&str>| {
            // As the panic hook of a worker does.
            here::note_backtrace(backtrace.map(str::to_owned));
            caught(|| panic!("at once")).err().unwrap()
        };
        assert_eq!(panics(Some("0: main")).backtrace(), Some("0: main"));
        assert_eq!(caught(|| panic!("again")).err().unwrap().backtrace(), None);
        assert_eq!(panics(None).backtrace(), None);
    }

    #[test]
    fn a_cancelled_job_may_panic_in_its_destructor() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        let pool = FuturePool::new();
        let job = async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        };
        let Started::Waiting(future) = start(&pool, job) else { panic!("it must wait") };
        drop(future);
    }
}
