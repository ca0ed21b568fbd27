//! The registry of one core: what a factory may return, and what becomes of one that fails.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::mpsc::Receiver;

use futures_lite::FutureExt;
use thiserror::Error;

use super::placement::Core;
use crate::handler::{Boxed, Converted, Handlers, JobError, Registry, panicked};
use crate::runner::OnCores;

/// What the factory of a [`worker`](crate::worker) may return: a [`Registry`], or a `Result` of one whose error a
/// [`JobError`] can be made of. `Kind` tells boxed errors from others and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a worker's factory returns",
    label = "neither a `Registry` nor a `Result` of one",
    note = "return the `Registry`, or `Result<Registry<_>, E>` where `E` is an error or `JobError`"
)]
pub trait IntoRegistry<Kind = Converted> {
    /// The state of a core.
    type State: 'static;

    /// The registry.
    ///
    /// # Errors
    /// Why there is none.
    #[doc(hidden)]
    fn into_registry(self) -> Result<Registry<Self::State>, JobError>;
}

impl<S: 'static> IntoRegistry for Registry<S> {
    type State = S;

    fn into_registry(self) -> Result<Self, JobError> {
        Ok(self)
    }
}

impl<S: 'static, E: Into<JobError>> IntoRegistry for Result<Registry<S>, E> {
    type State = S;

    fn into_registry(self) -> Result<Registry<S>, JobError> {
        self.map_err(Into::into)
    }
}

impl<S: 'static> IntoRegistry<Boxed> for Result<Registry<S>, Box<dyn StdError + Send + Sync>> {
    type State = S;

    fn into_registry(self) -> Result<Registry<S>, JobError> {
        self.map_err(JobError::from_boxed)
    }
}

/// A registry that is being built.
pub(super) type Building<S> = Pin<Box<dyn Future<Output = Result<Registry<S>, JobError>>>>;

/// The same factory, with one kind of result.
pub(super) fn converted<F, Fut, K>(
    factory: F,
) -> impl Fn(Core) -> Building<<Fut::Output as IntoRegistry<K>>::State> + Clone + Send + 'static
where
    F: Fn(Core) -> Fut + Clone + Send + 'static,
    Fut: Future<Output: IntoRegistry<K>> + 'static,
    K: 'static,
{
    move |core| {
        let registry = factory(core);
        Box::pin(async move { registry.await.into_registry() })
    }
}

/// Why a core has no registry.
#[derive(Debug, Error)]
pub(super) enum Unbuilt {
    /// The factory panicked: the program must be changed.
    #[error("the registry of core {core} has a mistake: {message} ({place})")]
    Mistake { core: usize, message: String, place: String },
    /// It declares periodic jobs that it cannot run.
    #[error(
        "{reasons}; register a handler, add jobs that another program runs by `cron add`, or start without them by \
         --ignore-bad-cron"
    )]
    Unrunnable { reasons: String },
    /// The factory returned an error. Another attempt may succeed.
    #[error("the registry of core {core} cannot be built: {error}")]
    Failed { core: usize, error: String },
}

thread_local! {
    /// Where this thread panicked last.
    static PANIC_PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the place of a panic, for the error of a factory.
pub(super) fn note_panic(place: &str) {
    PANIC_PLACE.with_borrow_mut(|last| place.clone_into(last));
}

/// Calls the factory; never panics.
pub(super) async fn build<F, Fut>(factory: &F, runners: &OnCores, core: Core) -> Result<Handlers, Unbuilt>
where
    F: Fn(Core) -> Fut,
    Fut: Future<Output: IntoRegistry>,
{
    let built = AssertUnwindSafe(async { factory(core).await.into_registry().map(Registry::into_handlers) });
    let (core, cores) = (core.index, core.count);
    match built.catch_unwind().await {
        Ok(Ok(handlers)) => Ok(runners.join(handlers, cores)),
        Ok(Err(error)) => Err(Unbuilt::Failed { core, error: error.to_string() }),
        Err(panic) => {
            let message = panicked(panic).message().to_owned();
            Err(Unbuilt::Mistake { core, message, place: PANIC_PLACE.take() })
        }
    }
}

/// Waits until every core has its registry, or ended without a word. Returns the first failure.
pub(super) fn first_failure(built: &Receiver<Result<(), Unbuilt>>) -> Option<Unbuilt> {
    built.iter().find_map(Result::err)
}
