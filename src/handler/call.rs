//! Which functions are handlers: async ones of 0 to 8 positional parameters, with an optional leading [`Ctx`].

use std::future::Future;

use serde::de::DeserializeOwned;

use super::{Ctx, JobError, JobResult};
use crate::job::Args;

/// An async function that can run a job.
///
/// Implemented for every `Fn(A1, …, An) -> impl Future` with n from 0 to 8, and for the same with a leading
/// [`Ctx<S>`](Ctx). Each parameter is one element of the job's `args` array, decoded by [`serde`]; missing trailing
/// elements are `None` for an `Option`, an error otherwise; too many are an error. `Marker` tells the shapes apart and is
/// always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no job handler",
    label = "not an async function of 0 to 8 deserializable arguments (after an optional `Ctx<{S}>`)",
    note = "every parameter must implement `serde::de::DeserializeOwned`; the result must be `()` or `Result<(), E>` \
            where `E` is an error or `JobError`"
)]
pub trait Handler<S, Marker>: 'static {
    /// What calling the function gives.
    type Future: Future<Output: IntoJobResult> + 'static;

    /// Decodes the arguments and calls the function. `ctx` is asked for only if the function wants it.
    ///
    /// # Errors
    /// An `ArgumentError` that names the position, what was expected and what was found.
    #[doc(hidden)]
    fn call(&self, ctx: &dyn Fn() -> Ctx<S>, args: &mut Args<'_>) -> Result<Self::Future, JobError>;
}

/// What a handler may return: `()`, or a `Result` whose error can become a [`JobError`].
pub trait IntoJobResult {
    /// The job's result.
    #[doc(hidden)]
    fn into_job_result(self) -> JobResult;
}

impl IntoJobResult for () {
    fn into_job_result(self) -> JobResult {
        Ok(())
    }
}

impl<E: Into<JobError>> IntoJobResult for Result<(), E> {
    fn into_job_result(self) -> JobResult {
        self.map_err(Into::into)
    }
}

/// Marks a function whose first parameter is the context.
#[doc(hidden)]
pub struct WithCtx<F>(F);

macro_rules! handlers {
    ($($($arg:ident)*;)*) => { $(
        impl<S, F, Fut, $($arg,)*> Handler<S, fn($($arg,)*)> for F
        where
            F: Fn($($arg,)*) -> Fut + 'static,
            Fut: Future<Output: IntoJobResult> + 'static,
            $($arg: DeserializeOwned,)*
        {
            type Future = Fut;

            #[allow(non_snake_case, unused_variables, reason = "one name serves as type and value")]
            fn call(&self, ctx: &dyn Fn() -> Ctx<S>, args: &mut Args<'_>) -> Result<Fut, JobError> {
                $(let $arg = parameter::<$arg>(args)?;)*
                no_more(args)?;
                Ok(self($($arg,)*))
            }
        }

        impl<S, F, Fut, $($arg,)*> Handler<S, WithCtx<fn($($arg,)*)>> for F
        where
            S: 'static,
            F: Fn(Ctx<S>, $($arg,)*) -> Fut + 'static,
            Fut: Future<Output: IntoJobResult> + 'static,
            $($arg: DeserializeOwned,)*
        {
            type Future = Fut;

            #[allow(non_snake_case, reason = "one name serves as type and value")]
            fn call(&self, ctx: &dyn Fn() -> Ctx<S>, args: &mut Args<'_>) -> Result<Fut, JobError> {
                $(let $arg = parameter::<$arg>(args)?;)*
                no_more(args)?;
                Ok(self(ctx(), $($arg,)*))
            }
        }
    )* };
}

handlers! {
    ;
    A1;
    A1 A2;
    A1 A2 A3;
    A1 A2 A3 A4;
    A1 A2 A3 A4 A5;
    A1 A2 A3 A4 A5 A6;
    A1 A2 A3 A4 A5 A6 A7;
    A1 A2 A3 A4 A5 A6 A7 A8;
}

/// The class under which a job with unfit arguments is stored; Ruby's name for it.
const ARGUMENT_ERROR: &str = "ArgumentError";

fn parameter<T: DeserializeOwned>(args: &mut Args<'_>) -> Result<T, JobError> {
    args.take::<T>().map_err(|error| JobError::new(ARGUMENT_ERROR, error.to_string()))
}

fn no_more(args: &Args<'_>) -> Result<(), JobError> {
    args.finish().map_err(|error| JobError::new(ARGUMENT_ERROR, error.to_string()))
}
