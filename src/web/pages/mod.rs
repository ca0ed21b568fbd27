//! Pages for people: what the queues do, which processes serve them, and any job. Written by this server, whole without
//! JavaScript; nothing else is loaded from anywhere.
//!
//! ```text
//!  route ──► answer ──► ask: what the address asks for, bounded
//!                   ├─► desk ──► Redis: the fleet (kept for a moment), entries of a queue or a set
//!                   └─► overview, queues, processes, jobs, job ──► a template, in the frame
//! ```
//!
//! A page that Redis does not answer in time shows what was known last, and says so. Names, arguments and errors are chosen
//! by others: they are bounded, what is not visible in them is escaped (`words`), what is secret is left out (`payload`),
//! and the templates escape every value for HTML.
//!
//! Not responsible for who may read (`web::access`). Nothing here changes anything in Redis.

// What is read.
mod ask;
mod desk;
mod fleet;
mod trend;
// How it is said.
mod payload;
mod verdict;
mod words;
// The pages.
mod frame;
mod job;
mod jobs;
mod overview;
mod processes;
mod queues;
// From a request to its page.
mod answer;

pub(crate) use answer::{Request, answer};
pub(crate) use desk::Desk;
