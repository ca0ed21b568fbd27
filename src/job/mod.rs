//! One job as bytes: reading a payload, changing it, deciding what follows from a failure.
//!
//! Pure: no socket, no clock, no runtime. What must stay unchanged (raw arguments, unknown fields, the order of members) is
//! never re-serialised: reading works on a scratch copy, writing replaces spans of the original bytes.

// How payloads are written, then reading, then writing.
mod schema;

pub mod args;
pub mod parse;
pub mod trace;

pub mod amend;
pub mod anew;
pub mod bad;
pub mod failure;
pub mod history;
pub mod left;
pub mod lost;
pub mod retry;

mod forward;
mod members;
mod nodes;
mod refusal;
mod scan;

pub use amend::AmendError;
pub use args::Args;
pub use bad::{bury_in_parts, bury_unparsable};
pub use failure::{DeadJob, ErrorInfo, FailedJob};
pub use members::{member, member_of_head, members_of_head, text_of_head};
pub use parse::{BadPayload, History, Parser};
pub use retry::{Course, FailureTimes, Fate, Plan, decide};
pub(crate) use schema::is_reserved;
pub use schema::{FAILURE_BACKTRACE, FAILURE_HISTORY, MemberNames, RAW_BASE64, Schema, TimeUnit};
pub use trace::{BadTraceContext, TraceContext};
