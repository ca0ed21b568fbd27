//! For testing your own jobs: run them in the test's thread, without Redis, and check the outcome.
//!
//! ```
//! use jiggler_uring::testing::{self, TestWorker};
//! use jiggler_uring::{Ctx, Job, JobError, JobResult, Registry};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Welcome {
//!     user: u64,
//! }
//! impl Job for Welcome {
//!     const NAME: &'static str = "Welcome";
//!     const QUEUE: &'static str = "mails";
//! }
//!
//! async fn sign_up(ctx: Ctx<()>, user: u64) -> JobResult {
//!     if user == 0 {
//!         return Err(JobError::new("NoUser", "user 0 is nobody"));
//!     }
//!     ctx.enqueue(&Welcome { user }).await?;
//!     Ok(())
//! }
//! async fn welcome(_job: Welcome) {}
//!
//! // In a #[test]:
//! testing::block_on(async {
//!     let worker = TestWorker::new(Registry::new(()).job("SignUp", sign_up).job(Welcome::JOB, welcome));
//!
//!     let run = worker.run_named("SignUp", &(7,)).await;
//!     assert!(run.outcome.is_done());
//!     let pushed = worker.pushed();
//!     assert_eq!((&*pushed[0].name, &*pushed[0].queue, pushed[0].args()), ("Welcome", "mails", Some((7,))));
//!
//!     let runs = worker.drain().await; // what was pushed runs, and what that pushes
//!     assert_eq!(runs.len(), 1);
//!
//!     let run = worker.run_named("SignUp", &(0,)).await; // pushed without retries
//!     assert_eq!(run.outcome.error().unwrap().class(), "NoUser");
//!     assert!(run.outcome.is_dead());
//! });
//! ```
//!
//! Pauses take no time: [`TestWorker::run_to_end`] makes all runs of a job, [`TestWorker::advance`] lets an hour pass and
//! runs what becomes due. [`TestWorker::state`] is the state that the handlers share, [`Run::pushed`] what a run has pushed.
//!
//! ```
//! use std::cell::Cell;
//!
//! use jiggler_uring::testing::{self, TestWorker};
//! use jiggler_uring::{Ctx, JobError, JobResult, NewJob, Registry, options};
//!
//! async fn import(ctx: Ctx<Cell<u32>>) -> JobResult {
//!     ctx.state().set(ctx.state().get() + 1);
//!     if ctx.job().attempt < 2 {
//!         return Err(JobError::new("Offline", "try again"));
//!     }
//!     Ok(())
//! }
//!
//! testing::block_on(async {
//!     let worker = TestWorker::new(Registry::new(Cell::new(0)).job("Import", options(import).retries(5)));
//!     let runs = worker.run_to_end(&NewJob::new("Import", &()).unwrap()).await;
//!     assert!(runs.len() == 3 && runs[2].outcome.is_done());
//!     assert_eq!(worker.state().get(), 3);
//!     assert!(worker.run_attempt(&NewJob::new("Import", &()).unwrap(), 2).await.outcome.is_done());
//! });
//! ```
//!
//! A handler can also be called directly, as a function: with [`Ctx::new`](crate::Ctx::new) if it takes a context.
//! Programs that push jobs can be tested against a real server, private to the test: [`PrivateRedis`]; and jobs on it, with
//! the same assertions: [`redis::RedisWorker`].

pub mod redis;
mod run;
mod worker;

use std::future::Future;

use glommio::{LocalExecutorBuilder, Placement};

use crate::limits::EXECUTOR_IO_BYTES;

pub use redis::{PrivateRedis, StartError};
pub(crate) use run::{Bench, payload_of};
pub use run::{Outcome, Run};
pub use worker::{TestWorker, Waiting};

/// Runs a future to completion in this thread, on the kind of executor that handlers run on: files, sockets, timers
/// and [`LocalClient`](crate::LocalClient)s work in it.
///
/// # Panics
/// If the kernel provides no io_uring, or this thread is already inside such an executor.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let builder =
        LocalExecutorBuilder::new(Placement::Unbound).name("test").io_memory(EXECUTOR_IO_BYTES).make();
    match builder {
        Ok(executor) => executor.run(future),
        #[expect(clippy::panic, reason = "for tests only, which it makes fail")]
        Err(error) => panic!("cannot start an executor here: {error}"),
    }
}
