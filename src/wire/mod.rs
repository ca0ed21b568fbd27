//! What the Ruby gems `jiggler` and `sidekiq` and we write to Redis, and under which keys. Pure: no socket, no clock.
//!
//! Responsible for the spelling of keys, of queue names, of connection names, of the heartbeat and of a process's figures,
//! including the causes of outages. Not for job payloads (`job`), nor for the commands that touch the keys (`store`).

pub mod audit;
mod cause;
mod channels;
mod client_name;
mod dialect;
pub mod figures;
pub mod heartbeat;
pub mod heartbeat_key;
pub mod history;
pub mod in_flight;
mod in_progress;
pub mod keys;
pub mod lease;
pub mod list_name;
pub mod paused;
mod presence;
pub mod queue_name;
pub mod realm;
pub mod sidekiq_metrics;
pub mod sidekiq_process;
pub mod slots;

pub use cause::{Cause, Causes};
pub use client_name::client_name;
pub use dialect::Dialect;
pub use keys::Keyspace;
pub use list_name::{ListName, ListNameError};
pub use presence::{Presence, Shape};
pub use queue_name::{DEFAULT_QUEUE, QueueName, QueueNameError};
pub use realm::Realm;
