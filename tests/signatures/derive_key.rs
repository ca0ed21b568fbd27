//! An attribute that no job has.
//~ a job has no attribute `que`; it may have name, queue, retries, timeout, retry_queue, retry_policy

use jiggler_uring::Job;

#[derive(Job)]
#[job(que = "mails")]
pub struct Mail;
