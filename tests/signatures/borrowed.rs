//! A parameter that borrows.
//~ is no job handler
//~ every parameter must own its data and implement `serde::Deserialize`: `String`, not `&str`

use jiggler_uring::Registry;

async fn greet(name: &'static str) {
    drop(name);
}

pub fn registry() -> Registry {
    Registry::new(()).job("Greet", greet)
}
