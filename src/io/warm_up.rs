//! Doing one thing a number of times, several at once: opening connections before they are needed.

use std::cell::Cell;
use std::rc::Rc;

use glommio::Task;

/// Runs `open` `count` times, at most `at_once` of them concurrently.
///
/// # Errors
/// The first error; runs not yet started by then do not start.
///
/// # Cancel-safety
/// Dropping the future drops what is in progress.
pub(super) async fn open_all<E: 'static>(
    count: usize,
    at_once: usize,
    open: impl AsyncFn() -> Result<(), E> + 'static,
) -> Result<(), E> {
    let (open, left) = (Rc::new(open), Rc::new(Cell::new(count)));
    let openers: Vec<Task<Result<(), E>>> = (0..count.min(at_once))
        .map(|_| {
            let (open, left) = (Rc::clone(&open), Rc::clone(&left));
            glommio::spawn_local(async move {
                while let Some(others) = left.get().checked_sub(1) {
                    left.set(others);
                    open().await.inspect_err(|_| left.set(0))?;
                }
                Ok(())
            })
        })
        .collect();
    let mut result = Ok(());
    for opener in openers {
        result = result.and(opener.await);
    }
    result
}

#[cfg(test)]
mod tests {
    use futures_lite::future::yield_now;
    use glommio::LocalExecutor;

    use super::*;

    #[test]
    fn all_are_opened_and_not_too_many_at_one_time() {
        LocalExecutor::default().run(async {
            let now = Rc::new(Cell::new(0_usize));
            let (most, done) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let open = {
                let (now, most, done) = (Rc::clone(&now), Rc::clone(&most), Rc::clone(&done));
                async move || {
                    now.set(now.get() + 1);
                    most.set(most.get().max(now.get()));
                    yield_now().await;
                    now.set(now.get() - 1);
                    done.set(done.get() + 1);
                    Ok::<(), ()>(())
                }
            };
            open_all(10, 3, open).await.unwrap();
            assert_eq!((done.get(), most.get()), (10, 3));
        });
    }

    #[test]
    fn the_first_failure_is_returned_and_ends_it() {
        LocalExecutor::default().run(async {
            let begun = Rc::new(Cell::new(0));
            let open = {
                let begun = Rc::clone(&begun);
                async move || {
                    begun.set(begun.get() + 1);
                    yield_now().await;
                    Err(begun.get())
                }
            };
            assert_eq!(open_all(10, 2, open).await, Err(2));
            assert_eq!(begun.get(), 2);
        });
    }
}
