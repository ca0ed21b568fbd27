//! Tasks beside a job, on its core: several waits at once.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::handler::{JobError, panicked};

/// Runs a future on this core, beside the caller. Await the [`Task`] for its result; drop it to end it.
///
/// ```
/// use std::time::Duration;
///
/// use jiggler_uring::io::{spawn, timer};
/// use jiggler_uring::testing::block_on;
///
/// block_on(async {
///     let tasks: Vec<_> = (1..=3_u64)
///         .map(|number| {
///             spawn(async move {
///                 timer::sleep(Duration::from_millis(1)).await;
///                 number * number
///             })
///         })
///         .collect();
///     let mut squares = Vec::new();
///     for task in tasks {
///         squares.push(task.await?); // all three wait at the same time
///     }
///     assert_eq!(squares, [1, 4, 9]);
///     Ok::<_, jiggler_uring::JobError>(())
/// })?;
/// # Ok::<_, jiggler_uring::JobError>(())
/// ```
///
/// A job that ends early is dropped, and what it has spawned with it, unless that is [detached](Task::detach): such a task
/// runs on until its future ends or the core does, which waits for jobs only.
///
/// # Panics
/// Outside of handlers, factories and [`block_on`](crate::testing::block_on).
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    Task(glommio::spawn_local(Guarded(Some(Box::pin(future)))))
}

/// A future that runs beside others; made by [`spawn`].
#[must_use = "a task that is dropped ends"]
pub struct Task<T>(glommio::Task<Result<T, JobError>>);

impl<T: 'static> Task<T> {
    /// Lets it run on without anybody waiting for it. A panic in it goes unnoticed, except for its line in the log.
    pub fn detach(self) {
        self.0.detach();
    }
}

/// The result, or its panic as an error of class `JigglerUring::Panic`.
impl<T> Future for Task<T> {
    type Output = Result<T, JobError>;

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(ctx)
    }
}

/// A future whose panics end it and nothing else, in its destructor too (P7): no executor could catch them there.
struct Guarded<F>(Option<Pin<Box<F>>>);

impl<F: Future> Future for Guarded<F> {
    type Output = Result<F::Output, JobError>;

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = self.0.as_mut() else {
            return Poll::Ready(Err(JobError::new("Bug", "a finished task was polled again")));
        };
        let result = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(ctx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => Ok(result),
            Err(panic) => Err(panicked(panic)),
        };
        let future = self.0.take();
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(future))).map_err(panicked);
        Poll::Ready(dropped.and(result))
    }
}

impl<F> Drop for Guarded<F> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take() {
            let _panic_of_a_task_nobody_waits_for = catch_unwind(AssertUnwindSafe(move || drop(future)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::io::timer;
    use crate::job::failure::CLASS_PANIC;
    use crate::testing::block_on;

    struct Bomb(Rc<Cell<u32>>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            panic!("in a drop");
        }
    }

    #[test]
    fn a_panic_ends_the_task_alone_in_a_poll_and_in_a_drop() {
        block_on(async {
            let ended: Result<(), JobError> = spawn(async { panic!("in a task") }).await;
            let error = ended.unwrap_err();
            assert_eq!((error.class(), error.message()), (CLASS_PANIC, "in a task"));
            let dropped = Rc::new(Cell::new(0));
            let bomb = Bomb(Rc::clone(&dropped));
            let waits = spawn(async move {
                let _bomb = bomb;
                std::future::pending::<()>().await;
            });
            drop(waits);
            // The executor drops the future when it comes to it.
            let ended = async {
                while dropped.get() == 0 {
                    timer::sleep(Duration::from_millis(1)).await;
                }
            };
            assert!(timer::timeout(Duration::from_secs(10), ended).await.is_ok());
            assert_eq!(spawn(async { 7 }).await.ok(), Some(7));
        });
    }
}
