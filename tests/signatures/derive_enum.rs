//! What has no fields in an order cannot be a job.
//~ only a struct can be a job

use jiggler_uring::Job;

#[derive(Job)]
pub enum Mail {
    One,
}
