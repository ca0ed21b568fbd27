//! What operators see of queues, jobs and processes: models, and their JSON.
//!
//! Each is made from what `store` has read and knows nothing of where it is shown: tables are the command line's business
//! (`admin`), pages a web server's. Nothing here reads Redis, prints or ends the process.

// Processes.
pub(crate) mod member;
// Queues.
pub(crate) mod queue;
// Jobs.
pub(crate) mod entry;
pub(crate) mod filter;
// All of it.
pub(crate) mod gem_summary;
pub(crate) mod state;
