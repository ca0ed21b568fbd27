//! What the Ruby gem `jiggler` and we write into Redis under which key. Pure: no socket, no clock.
//!
//! Responsible for the spelling of keys, of queue names and of the heartbeat. Not for job payloads (`job`), nor for
//! the commands that touch the keys (`store`).

pub mod keys;
pub mod queue_name;

pub use queue_name::{DEFAULT_QUEUE, QueueName, QueueNameError};
