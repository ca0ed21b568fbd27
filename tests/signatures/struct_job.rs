//! A struct that is not a job.
//~ no associated item named `JOB` found for struct `Mail`
//~ `jiggler_uring::Job`

use jiggler_uring::{Job, Registry};

#[derive(Debug)]
pub struct Mail;

async fn send(mail: Mail) {
    drop(mail);
}

pub fn registry() -> Registry {
    Registry::new(()).job(Mail::JOB, send)
}

pub fn name<J: Job>() -> &'static str {
    J::NAME
}
