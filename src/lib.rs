//! jiggler-uring.
// L0 base
pub mod ids;
pub mod limits;
pub mod time;
// L1 formats
pub mod job;
pub mod wire;
