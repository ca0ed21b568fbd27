//! Handlers that take their arguments as one struct, which is a [`Job`].

use std::future::Future;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::call::{Handler, WithCtx};
use super::context::Ctx;
use super::job_options::JobOptions;
use super::result::IntoJobResult;
use crate::client::Job;
use crate::job::Args;
use crate::job::args::ArgsError;

/// An async function of a [`Job`], after an optional [`Ctx`]. `Marker` tells the shapes apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of the job `{J}`",
    label = "not an async function of a `{J}` (after an optional `Ctx<{S}>`)",
    note = "for a handler of plain arguments give the job's name in place of its type: `.job(\"Name\", handler)`",
    note = "its output must be `()` or `Result<(), E>` where `E` is an error or `JobError`"
)]
pub trait JobHandler<S, J, Marker>: 'static {
    /// How the output of its future becomes the job's result.
    #[doc(hidden)]
    type Kind: 'static;
    /// The future that calling the function returns.
    type Future: Future<Output: IntoJobResult<Self::Kind>> + 'static;

    /// Calls the function.
    #[doc(hidden)]
    fn call_with(&self, ctx: &dyn Fn() -> Ctx<S>, job: J) -> Self::Future;

    /// The options given with it; called once.
    #[doc(hidden)]
    fn take_options(&mut self) -> JobOptions<S> {
        JobOptions::default()
    }
}

impl<S, J, F, Fut, K> JobHandler<S, J, fn(J) -> K> for F
where
    F: Fn(J) -> Fut + 'static,
    Fut: Future<Output: IntoJobResult<K>> + 'static,
    K: 'static,
{
    type Kind = K;
    type Future = Fut;

    fn call_with(&self, _: &dyn Fn() -> Ctx<S>, job: J) -> Fut {
        self(job)
    }
}

impl<S, J, F, Fut, K> JobHandler<S, J, WithCtx<fn(J) -> K>> for F
where
    S: 'static,
    F: Fn(Ctx<S>, J) -> Fut + 'static,
    Fut: Future<Output: IntoJobResult<K>> + 'static,
    K: 'static,
{
    type Kind = K;
    type Future = Fut;

    fn call_with(&self, ctx: &dyn Fn() -> Ctx<S>, job: J) -> Fut {
        self(ctx(), job)
    }
}

/// A handler of a struct, as a handler of arguments.
#[doc(hidden)]
pub struct Whole<H, J> {
    pub(super) handler: H,
    pub(super) job: PhantomData<fn(J)>,
}

impl<S, J, M, H> Handler<S, (J, M)> for Whole<H, J>
where
    J: Job + DeserializeOwned + 'static,
    H: JobHandler<S, J, M>,
{
    type Kind = H::Kind;
    type Future = H::Future;

    fn call(&self, ctx: &dyn Fn() -> Ctx<S>, args: &mut Args<'_>) -> Result<Self::Future, ArgsError> {
        let job = args.deserialize()?;
        Ok(self.handler.call_with(ctx, job))
    }
}
