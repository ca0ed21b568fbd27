//! `/api/v1`: what commands print with `--json`, for programs that cannot run them. It is read-only.
//!
//! ```text
//!  route ──► answer ──► desk ──► Redis: the fleet (kept for a moment), entries of a queue or a set
//!                   └─► fleet, cron, history, job, jobs ──► the forms of `view`, as commands write them
//! ```
//!
//! Two things differ from the commands, because others read over the network: secrets in payloads are hidden as on pages
//! (`view::redacted`), and every answer is bounded; what is left out is counted in it. The forms are described in
//! `openapi.json`, which is served, too.
//!
//! Not responsible for who may read (`web::access`).

mod answer;
mod cron;
mod fleet;
mod history;
mod job;
mod jobs;

pub(super) use answer::{Refusal, answer, is_at};
