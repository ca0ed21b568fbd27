//! jiggler-uring.
// L0 base
pub mod limits;
// L1 formats
pub mod wire;
// L6 process
pub mod boot;
pub mod cli;
pub mod config;
pub mod embedded;
