//! What operators see of queues, jobs and processes: models, and their JSON.
//!
//! Each is made from what `store` has read and does not know where it is shown: tables are up to the command line
//! (`admin`), pages to a web server. Nothing here reads Redis, prints or ends the process.

// Processes.
pub(crate) mod member;
// Queues.
pub(crate) mod queue;
// Jobs.
pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod groups;
pub(crate) mod page;
pub(crate) mod periodic;
pub(crate) mod redacted;
pub(crate) mod shown;
// What a job waits for, and times and numbers in words.
pub(crate) mod count;
pub(crate) mod span;
pub(crate) mod why;
// The past.
pub(crate) mod history;
// All of it.
pub(crate) mod gem_summary;
pub(crate) mod state;
