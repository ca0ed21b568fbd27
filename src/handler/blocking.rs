//! Handlers that block their thread: plain functions that run on the core's companion threads.

use std::rc::Rc;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::arity::for_each_arity;
use super::call::{LastParameter, WithCtx};
use super::companions::CompanionPriority;
use super::context::Ctx;
use super::job_options::JobOptions;
use super::registry::Registry;
use super::result::{Converted, IntoJobResult};
use super::send_ctx::SendCtx;
use crate::limits::io::COMPANION_THREADS_MAX;

/// A function that can run a job on a companion thread.
///
/// Implemented for every `Fn(A1, …, An) -> R + Send + Sync` with n from 0 to 8, and for the same with a leading
/// [`SendCtx`]. Parameters and results are those of a [`Handler`](super::Handler), and must be `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking job handler",
    label = "not a function of 0 to 8 deserializable arguments that are `Send` (after an optional `SendCtx`)",
    note = "an `async fn` is registered with `job`; what a function captures must be `Send + Sync`",
    note = "the result must be `()` or `Result<(), E>` where `E` is an error or `JobError`"
)]
pub trait BlockingHandler<S, Marker>: 'static {
    /// Registers itself.
    #[doc(hidden)]
    #[track_caller]
    fn register(self, name: &str, options: JobOptions<S>, registry: Registry<S>) -> Registry<S>;
}

impl<S: 'static> Registry<S> {
    /// Registers a plain function that computes, or calls a library that blocks its thread. It runs on a companion
    /// thread of the core, so the shard continues with its I/O and its other jobs meanwhile.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use jiggler_uring::{JobResult, Registry, SendCtx};
    ///
    /// struct Table {
    ///     factor: u64,
    /// }
    ///
    /// // A `SendCtx` may come first.
    /// fn checksum(ctx: SendCtx, path: String, rounds: u32) -> JobResult {
    ///     let mut sum = 0_u64;
    ///     for byte in std::fs::read(path)?.iter().cycle().take(rounds as usize) {
    ///         if ctx.is_cancelled() {
    ///             break;
    ///         }
    ///         sum = sum.rotate_left(5) ^ u64::from(*byte);
    ///     }
    ///     println!("{} {sum:x}", ctx.job().jid);
    ///     Ok(())
    /// }
    ///
    /// let table = Arc::new(Table { factor: 3 });
    /// let registry = Registry::new(())
    ///     .companion_threads(2)
    ///     .blocking("Checksum", checksum)
    ///     // State is what the function captures, or a part that the registry shares (`SendCtx::part`). Unlike an async
    ///     // handler's state, it may be used by several threads.
    ///     .blocking("Scale", move |number: u64| println!("{}", number * table.factor));
    /// # drop(registry);
    /// ```
    ///
    /// The arguments are decoded on the shard. Like any other job, it holds its slot from start to end; once
    /// [`companion_threads`](Self::companion_threads) such jobs are running, further ones wait in order for a thread.
    ///
    /// A thread cannot be interrupted. When a stopping process has waited for its `--shutdown-timeout`, a job that is still
    /// running is handed back so that another process runs it again. The original run may still finish before the
    /// process exits a moment later: as after a crash, such a job may have run twice.
    ///
    /// # Panics
    /// If the name is already taken.
    #[must_use]
    #[track_caller]
    pub fn blocking<M, H>(self, name: &str, handler: H) -> Self
    where
        H: BlockingHandler<S, M>,
    {
        handler.register(name, JobOptions::default(), self)
    }

    /// How many companion threads a core may have for [`blocking`](Self::blocking) jobs; the default is 4. Jobs that
    /// compute gain nothing from more than one; jobs that mostly wait in a blocking library may use as many as the
    /// core has slots. A thread is started when it is first needed.
    ///
    /// # Panics
    /// For 0, and for more than [`COMPANION_THREADS_MAX`].
    #[must_use]
    #[track_caller]
    pub fn companion_threads(self, threads: usize) -> Self {
        let in_bounds = (1..=COMPANION_THREADS_MAX).contains(&threads);
        assert!(in_bounds, "companion_threads({threads}): it must be 1 to {COMPANION_THREADS_MAX}");
        self.companions.set_threads(threads);
        self
    }

    /// How the kernel weighs the companion threads against the shard. By default they get the CPU time the shard
    /// leaves over.
    #[must_use]
    pub fn companion_priority(self, priority: CompanionPriority) -> Self {
        self.companions.set_priority(priority);
        self
    }
}

macro_rules! blocking_handlers {
    ($($($arg:ident)* $(, $last:ident)?;)*) => { $(
        #[allow(non_snake_case, reason = "one name serves as type and value")]
        impl<S, F, R, K, $($arg,)* $($last)?> BlockingHandler<S, fn($($arg,)* $($last)?) -> K> for F
        where
            S: 'static,
            F: Fn($($arg,)* $($last)?) -> R + Send + Sync + 'static,
            R: IntoJobResult<K>,
            K: 'static,
            $($arg: DeserializeOwned + Send + 'static,)*
            $($last: LastParameter + Send + 'static,)?
        {
            #[track_caller]
            fn register(self, name: &str, options: JobOptions<S>, registry: Registry<S>) -> Registry<S> {
                let (function, companions) = (Arc::new(self), Rc::clone(&registry.companions));
                let handler = move |$($arg: $arg,)* $($last: $last)?| {
                    let function = Arc::clone(&function);
                    let work = move || function($($arg,)* $($last)?).into_job_result();
                    Rc::clone(&companions).run(work)
                };
                registry.add::<fn($($arg,)* $($last)?) -> Converted, _>(name, handler, options)
            }
        }

        #[allow(non_snake_case, reason = "one name serves as type and value")]
        impl<S, F, R, K, $($arg,)* $($last)?> BlockingHandler<S, WithCtx<fn($($arg,)* $($last)?) -> K>> for F
        where
            S: 'static,
            F: Fn(SendCtx, $($arg,)* $($last)?) -> R + Send + Sync + 'static,
            R: IntoJobResult<K>,
            K: 'static,
            $($arg: DeserializeOwned + Send + 'static,)*
            $($last: LastParameter + Send + 'static,)?
        {
            #[track_caller]
            fn register(self, name: &str, options: JobOptions<S>, registry: Registry<S>) -> Registry<S> {
                let (function, companions) = (Arc::new(self), Rc::clone(&registry.companions));
                let handler = move |ctx: Ctx<S>, $($arg: $arg,)* $($last: $last)?| {
                    let (function, ctx) = (Arc::clone(&function), SendCtx::of(&ctx));
                    let work = move || function(ctx, $($arg,)* $($last)?).into_job_result();
                    Rc::clone(&companions).run(work)
                };
                registry.add::<WithCtx<fn($($arg,)* $($last)?) -> Converted>, _>(name, handler, options)
            }
        }
    )* };
}

for_each_arity!(blocking_handlers);
