//! What an operator requests on the command line: push jobs, show the state, the jobs and the processes, act on jobs,
//! control processes.
//!
//! Functions over a blocking connection and a writer. Parsing flags and choosing exit codes is the command line's business,
//! reading Redis the store's.

// Pushing.
pub(crate) mod bulk;
pub(crate) mod enqueue;
// Looking.
pub(crate) mod groups;
pub(crate) mod history;
pub(crate) mod jobs;
pub(crate) mod processes;
pub(crate) mod progress;
pub(crate) mod queues;
pub(crate) mod show;
pub(crate) mod summary;
pub(crate) mod top;
pub(crate) mod why;
// Acting.
pub(crate) mod act;
pub(crate) mod cancel;
pub(crate) mod cron;
pub(crate) mod pause;
pub(crate) mod prune;
pub(crate) mod steer;

// What they share.
mod confirm;
mod database;
mod denied;
mod error;
mod format;
mod hint;
mod job_rows;
mod nodes;
mod page;
mod paused;
mod session;
mod table;
#[cfg(test)]
mod test_database;
mod ticker;

pub(crate) use confirm::Confirmation;
pub(crate) use database::Database;
pub(crate) use denied::explained;
pub(crate) use error::Error;
pub(crate) use format::Format;
pub(crate) use nodes::{Lookup, read};
