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
//! by others: they are bounded, what is not visible in them is escaped (`words`), what is secret is left out
//! (`view::redacted`), and the templates escape every value for HTML.
//!
//! What people have done goes another way: a page asks, its form comes back with a token, and a task does it over a
//! connection of its own and notes it.
//!
//! ```text
//!  act ──► deed: what, and which role ──► tasks: once ──► carry_out: acts, step by step ──► the audit log
//! ```
//!
//! Not responsible for who may read and act (`web::access`).

// What is read.
mod ask;
mod desk;
mod fleet;
mod link;
mod place;
mod recent;
mod trend;
mod wanted;
// How it is said.
mod chart;
mod lately;
mod verdict;
mod words;
// What is done.
mod carry_out;
mod deed;
mod tasks;
// The pages.
mod act;
mod again;
mod audit;
mod errors;
mod frame;
mod history;
mod job;
mod jobs;
mod overview;
mod paging;
mod periodic;
mod processes;
mod queues;
mod task;
// What changes on open pages.
mod live;
// From a request to its page.
mod answer;

pub(crate) use answer::{Request, answer, answer_form, takes_form};
pub(crate) use ask::{Ask, AskError};
pub(crate) use desk::{Desk, Open};
pub(crate) use jobs::ORDERS;
pub(crate) use link::{DeskError, Patience};
pub(crate) use live::{Events, Live};
pub(crate) use periodic::{names as periodic_names, read as periodic_jobs, rows as periodic_rows};
pub(crate) use place::{PLACES, queue as queue_asked, read as place_asked};
pub(crate) use wanted::Wanted;
