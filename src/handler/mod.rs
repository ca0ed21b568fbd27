//! The handler API: what a job's code looks like, and how a shard starts it.
//!
//! A handler is a plain async function with positional arguments, like Ruby's `perform(id, width)`, registered by
//! name. It need not be `Send`: it never leaves the core it started on. State is built once per core and shared
//! through `Rc`.
//!
//! ```
//! use std::cell::Cell;
//!
//! use jiggler_uring::{Ctx, JobResult, Registry};
//!
//! struct App {
//!     sent: Cell<u64>,
//! }
//!
//! // `{"name":"SendMail","args":["ada@example.org"]}`; `cc` may be missing.
//! async fn send_mail(ctx: Ctx<App>, to: String, cc: Option<String>) -> JobResult {
//!     if !to.contains('@') {
//!         return Err(jiggler_uring::JobError::new("BadAddress", format!("no address: {to}")));
//!     }
//!     ctx.state().sent.set(ctx.state().sent.get() + 1 + u64::from(cc.is_some()));
//!     Ok(())
//! }
//!
//! let registry = Registry::new(App { sent: Cell::new(0) }).job("SendMail", send_mail);
//! assert_eq!(registry.names().collect::<Vec<_>>(), ["SendMail"]);
//! ```
//!
//! A failed job's [`RetryPolicy`] decides what happens to it, unless the handler does:
//!
//! | a handler returns | the job | `processed` | `failures` |
//! |---|---|---|---|
//! | an error | retry set while it has retries, after its policy's pause; otherwise dead set | + 1 | + 1 |
//! | [`JobError::retry_in`] | retry set while it has retries, after this pause; otherwise dead set | + 1 | + 1 |
//! | [`JobError::dead`] | dead set at once | + 1 | + 1 |
//! | [`JobError::discard`] | acked: gone | + 1 | |
//! | [`JobError::snooze`] | retry set, to run again as if it had not run | | |
//!
//! Cost of a job that never waits: one parse, one lookup, its arguments, one poll. The handler keeps the future's
//! memory and reuses it ([`pool`]). A job that waits becomes a task of the shard.
//!
//! Not here: fetching, acks and retries ([`crate::shard`]), enqueueing ([`crate::client`]).

// What users write.
mod arity;
mod blocking;
mod call;
mod class;
mod context;
mod error;
mod job_options;
mod key;
mod middleware;
mod options;
mod policy;
mod registry;
mod result;
#[cfg(feature = "tokio")]
mod tokio_jobs;
mod typed;
// What a handler may ask for.
mod cancel;
mod desk;
mod fair;
mod send_ctx;
mod services;
// How a shard runs it.
mod companions;
mod entry;
mod gate;
mod handlers;
mod pool;
mod routes;

pub use blocking::BlockingHandler;
pub use call::{Handler, Rest};
pub use cancel::CancelFlag;
pub use companions::CompanionPriority;
pub use context::{Ctx, JobInfo};
pub use desk::{Enqueued, NotShared};
pub use error::{JobError, JobResult, Verdict};
pub(crate) use fair::give_way;
pub use fair::yield_if_needed;
pub use key::JobKey;
pub use middleware::Next;
pub use options::{WithOptions, options};
pub use policy::{Exponential, RetryPolicy};
pub use registry::Registry;
pub use result::IntoJobResult;
pub(crate) use result::{Boxed, Converted};
pub use send_ctx::SendCtx;
#[cfg(feature = "tokio")]
pub use tokio_jobs::TokioHandler;
pub use typed::JobHandler;

pub(crate) use entry::{Call, Entry, JobRef};
pub(crate) use error::{Outside, Unrun};
pub(crate) use gate::Gate;
pub(crate) use handlers::{Handlers, TearDown};
pub(crate) use policy::course;
pub(crate) use pool::{JobFuture, Started, panicked};
pub use routes::Pattern;
pub(crate) use routes::{Remote, Route, RouteOptions};
