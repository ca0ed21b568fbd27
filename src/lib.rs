//! jiggler-uring.
// L0 base
pub mod limits;

// L1 formats, L2 transport
pub mod resp;

#[cfg(test)]
mod test_redis;
