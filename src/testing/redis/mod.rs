//! Tests with a real Redis: a server private to a test, and a worker that runs jobs on it inside the test.

mod private;
mod worker;

pub use private::{PrivateRedis, StartError};
pub use worker::RedisWorker;
