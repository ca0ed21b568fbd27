//! jiggler-uring.
// L0 base
pub mod limits;
