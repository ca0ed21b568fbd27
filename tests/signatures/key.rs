//! What is neither a name nor a type.
//~ no job can be registered under
//~ neither a name nor the `JOB` of a type

use jiggler_uring::Registry;

async fn send(to: String) {
    drop(to);
}

pub fn registry() -> Registry {
    Registry::new(()).job(7, send)
}
