//! jiggler-uring.
// L0 base
pub mod ids;
pub mod limits;
pub mod time;

// L1 formats, L2 transport
pub mod resp;
pub mod wire;

#[cfg(test)]
mod test_redis;
