//! What the Ruby gem `jiggler` and we write into Redis under which key. Pure: no socket, no clock.

pub mod keys;
pub mod queue_name;

pub use queue_name::{DEFAULT_QUEUE, QueueName, QueueNameError};
