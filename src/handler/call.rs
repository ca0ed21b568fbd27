//! Which functions are handlers: async ones of 0 to 8 positional parameters, with an optional leading [`Ctx`].

use std::future::Future;

use serde::de::DeserializeOwned;

use super::arity::for_each_arity;
use super::context::Ctx;
use super::job_options::JobOptions;
use super::result::IntoJobResult;
use crate::job::Args;
use crate::job::args::ArgsError;

/// An async function that can run a job.
///
/// Implemented for every `Fn(A1, …, An) -> impl Future` with n from 0 to 8, and for the same with a leading
/// [`Ctx<S>`](Ctx). Each parameter is one element of the job's `args` array, decoded by [`serde`]; missing trailing
/// elements are `None` for an `Option`, an error otherwise; too many are an error, unless the last parameter is a
/// [`Rest`]. `Marker` tells the shapes apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job handler",
    label = "not an async function of 0 to 8 deserializable arguments (after an optional `Ctx<{S}>`)",
    note = "every parameter must own its data and implement `serde::Deserialize`: `String`, not `&str`",
    note = "only the last parameter may be a `Rest<T>`, and only the first a `Ctx` of this registry's state",
    note = "it must be an `async fn`, or return a future, whose output is `()` or `Result<(), E>` where `E` is an error \
            or `JobError`"
)]
pub trait Handler<S, Marker>: 'static {
    /// How the output of its future becomes the job's result.
    #[doc(hidden)]
    type Kind: 'static;
    /// The future that calling the function returns.
    type Future: Future<Output: IntoJobResult<Self::Kind>> + 'static;

    /// Decodes the arguments and calls the function. `ctx` is called only if the function takes a context.
    ///
    /// # Errors
    /// An error that names the position, what was expected and what was found.
    #[doc(hidden)]
    fn call(&self, ctx: &dyn Fn() -> Ctx<S>, args: &mut Args<'_>) -> Result<Self::Future, ArgsError>;

    /// The options given with it; called once.
    #[doc(hidden)]
    fn take_options(&mut self) -> JobOptions<S> {
        JobOptions::default()
    }
}

/// The last parameter of a handler that takes any number of arguments: everything the parameters before it left over,
/// like Ruby's `perform(subject, *addresses)`.
///
/// ```
/// use jiggler_uring::{Registry, Rest};
///
/// async fn send_mail(subject: String, Rest(addresses): Rest<String>) {
///     println!("{subject}: {} mails", addresses.len());
/// }
///
/// let registry = Registry::new(()).job("SendMail", send_mail);
/// # drop(registry);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest<T>(pub Vec<T>);

/// The last parameter of a handler: one argument, or the [`Rest`].
#[doc(hidden)]
pub trait LastParameter: Sized {
    /// Decodes the argument, or the rest.
    ///
    /// # Errors
    /// As [`Args::take`].
    fn take(args: &mut Args<'_>) -> Result<Self, ArgsError>;
}

impl<T: DeserializeOwned> LastParameter for T {
    fn take(args: &mut Args<'_>) -> Result<Self, ArgsError> {
        args.take()
    }
}

impl<T: DeserializeOwned> LastParameter for Rest<T> {
    fn take(args: &mut Args<'_>) -> Result<Self, ArgsError> {
        args.take_rest().map(Self)
    }
}

/// Marks a function whose first parameter is the context.
#[doc(hidden)]
pub struct WithCtx<F>(F);

macro_rules! handlers {
    ($($($arg:ident)* $(, $last:ident)?;)*) => { $(
        impl<S, F, Fut, K, $($arg,)* $($last)?> Handler<S, fn($($arg,)* $($last)?) -> K> for F
        where
            F: Fn($($arg,)* $($last)?) -> Fut + 'static,
            Fut: Future<Output: IntoJobResult<K>> + 'static,
            K: 'static,
            $($arg: DeserializeOwned,)*
            $($last: LastParameter,)?
        {
            type Kind = K;
            type Future = Fut;

            #[allow(non_snake_case, unused_variables, reason = "one name serves as type and value")]
            fn call(&self, ctx: &dyn Fn() -> Ctx<S>, args: &mut Args<'_>) -> Result<Fut, ArgsError> {
                $(let $arg = args.take::<$arg>()?;)*
                $(let $last = <$last as LastParameter>::take(args)?;)?
                args.finish()?;
                Ok(self($($arg,)* $($last)?))
            }
        }

        impl<S, F, Fut, K, $($arg,)* $($last)?> Handler<S, WithCtx<fn($($arg,)* $($last)?) -> K>> for F
        where
            S: 'static,
            F: Fn(Ctx<S>, $($arg,)* $($last)?) -> Fut + 'static,
            Fut: Future<Output: IntoJobResult<K>> + 'static,
            K: 'static,
            $($arg: DeserializeOwned,)*
            $($last: LastParameter,)?
        {
            type Kind = K;
            type Future = Fut;

            #[allow(non_snake_case, reason = "one name serves as type and value")]
            fn call(&self, ctx: &dyn Fn() -> Ctx<S>, args: &mut Args<'_>) -> Result<Fut, ArgsError> {
                $(let $arg = args.take::<$arg>()?;)*
                $(let $last = <$last as LastParameter>::take(args)?;)?
                args.finish()?;
                Ok(self(ctx(), $($arg,)* $($last)?))
            }
        }
    )* };
}

for_each_arity!(handlers);
