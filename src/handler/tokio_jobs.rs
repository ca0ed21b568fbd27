//! Handlers whose libraries need tokio: async functions on a runtime alongside the shards.
//!
//! One runtime per process, created when the first such job is registered: a worker thread for each CPU the process
//! may use, not pinned, so that the kernel puts them where there is room. Between a shard and a task there is only
//! tokio's own join handle; shards share nothing here but the runtime itself.

use std::future::Future;
use std::io;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::arity::for_each_arity;
use super::call::{LastParameter, WithCtx};
use super::context::Ctx;
use super::error::{JobError, JobResult};
use super::job_options::JobOptions;
use super::pool::caught;
use super::registry::Registry;
use super::result::{Converted, IntoJobResult};
use super::send_ctx::SendCtx;
use crate::job::failure::CLASS_COMPANION;
use crate::stats::here::carried;

/// An async function that can run a job on the tokio runtime.
///
/// Implemented for every `Fn(A1, …, An) -> impl Future + Send` with n from 0 to 8, and for the same with a leading
/// [`SendCtx`]. Parameters and results are those of a [`Handler`](super::Handler), and `Send`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job handler for tokio",
    label = "not an async function of 0 to 8 deserializable arguments that are `Send` (after an optional `SendCtx`)",
    note = "its future and what it captures must be `Send`; the result must be `()` or `Result<(), E>` where `E` is an \
            error or `JobError`"
)]
pub trait TokioHandler<S, Marker>: 'static {
    /// Registers itself.
    #[doc(hidden)]
    #[track_caller]
    fn register(self, name: &str, options: JobOptions<S>, registry: Registry<S>) -> Registry<S>;
}

impl<S: 'static> Registry<S> {
    /// Registers an async function that runs on a tokio runtime alongside the shards, for libraries that need one:
    /// reqwest, sqlx, the SDKs. The code running there is ordinary tokio code.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use jiggler_uring::{JobResult, Registry};
    ///
    /// async fn remind(name: String) -> JobResult {
    ///     tokio::time::sleep(Duration::from_millis(1)).await;
    ///     println!("do not forget, {name}");
    ///     Ok(())
    /// }
    ///
    /// let registry = Registry::new(()).tokio("Remind", remind);
    /// # drop(registry);
    /// ```
    ///
    /// The arguments are decoded on the shard, and the job holds its slot from start to end. Handing it between two
    /// threads costs a few microseconds each way, so what the ring can do itself ([`crate::io`]) is cheaper there.
    /// State is what the function captures. When the job is dropped (a stop, a timeout) its task is aborted at its
    /// await point.
    ///
    /// # Panics
    /// If the name is taken, or no runtime can be created.
    #[must_use]
    #[track_caller]
    pub fn tokio<M, H>(self, name: &str, handler: H) -> Self
    where
        H: TokioHandler<S, M>,
    {
        handler.register(name, JobOptions::default(), self)
    }

    /// Runs the [`tokio`](Self::tokio) jobs registered after this on a runtime of your own.
    #[must_use]
    pub fn tokio_runtime(mut self, runtime: Handle) -> Self {
        self.tokio = Some(runtime);
        self
    }
}

/// The runtime of a registry: its own, or the process's.
#[expect(clippy::panic, reason = "a machine that gives no threads, found when the program starts")]
fn runtime<S>(registry: &Registry<S>) -> Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = &registry.tokio {
        return runtime.clone();
    }
    let made = || make_runtime().unwrap_or_else(|error| panic!("cannot create a tokio runtime: {error}"));
    RUNTIME.get_or_init(made).handle().clone()
}

fn make_runtime() -> io::Result<Runtime> {
    // The main thread's CPUs: this thread is pinned to its shard's CPU, and the runtime's threads would inherit that.
    let cpus = sched_getaffinity(Some(rustix::process::getpid()))?;
    Builder::new_multi_thread()
        .worker_threads(cpus.count().max(1) as usize)
        .thread_name("tokio-jobs")
        .on_thread_start(move || spread(&cpus))
        .enable_all()
        .build()
}

fn spread(cpus: &CpuSet) {
    if let Err(error) = sched_setaffinity(None, cpus) {
        tracing::warn!(error = %error, "a thread of the tokio runtime stays pinned to a shard's cpu");
    }
}

/// A task of the runtime, aborted when dropped.
struct TokioTask(JoinHandle<JobResult>);

impl Future for TokioTask {
    type Output = JobResult;

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<JobResult> {
        Pin::new(&mut self.0).poll(ctx).map(|ended| match ended {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                // It began on another thread, and so did its backtrace.
                Ok(payload) => caught(|| resume_unwind(payload)).and_then(|result: JobResult| result),
                Err(error) => Err(JobError::new(CLASS_COMPANION, format!("the tokio runtime: {error}"))),
            },
        })
    }
}

impl Drop for TokioTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

macro_rules! tokio_handlers {
    ($($($arg:ident)* $(, $last:ident)?;)*) => { $(
        #[allow(non_snake_case, reason = "one name serves as type and value")]
        impl<S, F, Fut, K, $($arg,)* $($last)?> TokioHandler<S, fn($($arg,)* $($last)?) -> K> for F
        where
            S: 'static,
            F: Fn($($arg,)* $($last)?) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoJobResult<K>> + Send,
            K: 'static,
            $($arg: DeserializeOwned + Send + 'static,)*
            $($last: LastParameter + Send + 'static,)?
        {
            #[track_caller]
            fn register(self, name: &str, options: JobOptions<S>, registry: Registry<S>) -> Registry<S> {
                let (function, runtime) = (Arc::new(self), runtime(&registry));
                let handler = move |$($arg: $arg,)* $($last: $last)?| {
                    let function = Arc::clone(&function);
                    // Called on the runtime too: a library may need it before its first await.
                    let job = async move { function($($arg,)* $($last)?).await.into_job_result() };
                    TokioTask(runtime.spawn(carried(job)))
                };
                registry.add::<fn($($arg,)* $($last)?) -> Converted, _>(name, handler, options)
            }
        }

        #[allow(non_snake_case, reason = "one name serves as type and value")]
        impl<S, F, Fut, K, $($arg,)* $($last)?> TokioHandler<S, WithCtx<fn($($arg,)* $($last)?) -> K>> for F
        where
            S: 'static,
            F: Fn(SendCtx, $($arg,)* $($last)?) -> Fut + Send + Sync + 'static,
            Fut: Future<Output: IntoJobResult<K>> + Send,
            K: 'static,
            $($arg: DeserializeOwned + Send + 'static,)*
            $($last: LastParameter + Send + 'static,)?
        {
            #[track_caller]
            fn register(self, name: &str, options: JobOptions<S>, registry: Registry<S>) -> Registry<S> {
                let (function, runtime) = (Arc::new(self), runtime(&registry));
                let handler = move |ctx: Ctx<S>, $($arg: $arg,)* $($last: $last)?| {
                    let (function, ctx) = (Arc::clone(&function), SendCtx::of(&ctx));
                    let job = async move { function(ctx, $($arg,)* $($last)?).await.into_job_result() };
                    TokioTask(runtime.spawn(carried(job)))
                };
                registry.add::<WithCtx<fn($($arg,)* $($last)?) -> Converted>, _>(name, handler, options)
            }
        }
    )* };
}

for_each_arity!(tokio_handlers);

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use glommio::LocalExecutor;

    use super::*;
    use crate::handler::{Call, Handlers, JobRef, Started};
    use crate::io::timer;
    use crate::job::Parser;
    use crate::job::failure::{CLASS_BAD_ARGUMENTS, CLASS_PANIC};

    fn start(handlers: &Handlers, payload: &'static str) -> Started {
        let (mut parser, payload) = (Parser::default(), Bytes::from_static(payload.as_bytes()));
        let parsed = parser.parse(&payload).unwrap();
        let entry = handlers.find(parsed.name).unwrap();
        let call = Call {
            job: JobRef { name: parsed.name, jid: "j", queue: "q", attempt: 4 },
            retries: 5,
            default_retries: 0,
            payload: &payload,
            now: Instant::now(),
            args: parsed.args,
        };
        entry.start(call)
    }

    async fn run(handlers: &Handlers, payload: &'static str) -> JobResult {
        match start(handlers, payload) {
            Started::Done(result) => result,
            Started::Waiting(future) => future.await,
        }
    }

    fn shown(result: JobResult) -> (String, String) {
        let error = result.unwrap_err();
        (error.class().to_owned(), error.message().to_owned())
    }

    #[test]
    fn jobs_run_on_the_runtime_and_their_results_come_back() {
        async fn check(ctx: SendCtx, number: u64, note: Option<String>) -> JobResult {
            // A library that needs a runtime finds one, also before the first await.
            let timer = tokio::time::sleep(Duration::from_millis(1));
            timer.await;
            assert_eq!(std::thread::current().name(), Some("tokio-jobs"), "panics are results too");
            match note {
                Some(note) => Err(JobError::new("Noted", format!("{note} {number} {}", ctx.job().attempt))),
                None => Ok(()),
            }
        }
        async fn panics() {
            panic!("in tokio");
        }
        let registry = Registry::new(()).tokio("Check", check).tokio("Panic", panics);
        let handlers = registry.into_handlers();
        LocalExecutor::default().run(async {
            assert!(run(&handlers, r#"{"name":"Check","args":[1]}"#).await.is_ok());
            let noted = shown(run(&handlers, r#"{"name":"Check","args":[1,"n"]}"#).await);
            assert_eq!(noted, ("Noted".to_owned(), "n 1 4".to_owned()));
            let bad = shown(run(&handlers, r#"{"name":"Check","args":["x"]}"#).await);
            assert_eq!(bad.0, CLASS_BAD_ARGUMENTS);
            let panic = shown(run(&handlers, r#"{"name":"Panic","args":[]}"#).await);
            assert_eq!(panic, (CLASS_PANIC.to_owned(), "in tokio".to_owned()));
        });
    }

    #[test]
    fn a_dropped_job_is_aborted_at_its_await_point() {
        struct Told(Arc<std::sync::atomic::AtomicUsize>, usize);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.store(self.1, Ordering::SeqCst);
            }
        }
        let state = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let wait = {
            let state = Arc::clone(&state);
            move || {
                let state = Arc::clone(&state);
                async move {
                    let _told = Told(Arc::clone(&state), 2);
                    state.store(1, Ordering::SeqCst);
                    std::future::pending::<()>().await;
                }
            }
        };
        let handlers = Registry::new(()).tokio("Wait", wait).into_handlers();
        LocalExecutor::default().run(async {
            let waiting = start(&handlers, r#"{"name":"Wait","args":[]}"#);
            let Started::Waiting(future) = waiting else { panic!("it waits") };
            let job = glommio::spawn_local(future);
            while state.load(Ordering::SeqCst) != 1 {
                timer::sleep(Duration::from_millis(1)).await;
            }
            job.cancel().await;
            while state.load(Ordering::SeqCst) != 2 {
                timer::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    #[test]
    fn a_runtime_of_ones_own_is_used() {
        let own = Builder::new_multi_thread().worker_threads(1).thread_name("own").build().unwrap();
        async fn check() {
            assert_eq!(std::thread::current().name(), Some("own"));
        }
        let registry = Registry::new(()).tokio_runtime(own.handle().clone()).tokio("Check", check);
        let handlers = registry.into_handlers();
        LocalExecutor::default().run(async {
            assert!(run(&handlers, r#"{"name":"Check","args":[]}"#).await.is_ok());
        });
    }
}
