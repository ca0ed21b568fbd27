//! A function that returns no future.
//~ is not a job handler
//~ it must be an `async fn`, or return a future

use jiggler_uring::Registry;

fn greet(name: String) {
    drop(name);
}

pub fn registry() -> Registry {
    Registry::new(()).job("Greet", greet)
}
