//! jiggler-uring.
// L0 base
pub mod ids;
pub mod limits;
pub mod time;

// L1 formats, L2 transport
pub mod resp;
pub mod wire;

// L3 store
pub mod store;

// L4 api
pub mod client;

// L5 runtime
pub mod admin;

#[cfg(test)]
mod test_redis;
