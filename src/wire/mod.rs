//! The shared formats: what stands in Redis and who else reads it. Pure: no socket, no clock.

pub mod queue_name;

pub use queue_name::{DEFAULT_QUEUE, QueueName, QueueNameError};
