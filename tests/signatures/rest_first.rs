//! A rest that leaves nothing for the parameters after it.
//~ only the last parameter may be a `Rest<T>`

use jiggler_uring::{Registry, Rest};

async fn add(_: Rest<u64>, _: u64) {}

pub fn registry() -> Registry {
    Registry::new(()).job("Add", add)
}
