//! What the Ruby gem `jiggler` and we write into Redis under which key.
//!
//! Responsible for the spelling of keys and for the heartbeat. Not for job payloads (`job`), nor for the commands that
//! touch the keys (`store`).

pub mod heartbeat;
pub mod keys;
