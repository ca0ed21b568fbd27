//! A handler of something else under the type of a job.
//~ is not a handler of the job `Mail`
//~ not an async function of a `Mail`
//~ `.job("Name", handler)`

use jiggler_uring::{Job, Registry};

pub struct Mail;

impl Job for Mail {
    const NAME: &'static str = "Mail";
}

async fn send(to: String) {
    drop(to);
}

pub fn registry() -> Registry {
    Registry::new(()).job(Mail::JOB, send)
}
