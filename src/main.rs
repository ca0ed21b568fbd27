//! The command line of jiggler-uring.
fn main() {}
