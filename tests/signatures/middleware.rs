//! Middleware that keeps the result to itself.
//~ cannot be the result of a job
//~ return `()`, or a `Result<(), E>`

use jiggler_uring::{Ctx, Next, Registry};

async fn around(_: Ctx<()>, next: Next) -> bool {
    next.await.is_ok()
}

pub fn registry() -> Registry {
    Registry::new(()).middleware(around)
}
