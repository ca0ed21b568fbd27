//! A result that means neither success nor failure.
//~ is not a job handler
//~ whose output is `()` or `Result<(), E>` where `E` is an error or `JobError`

use jiggler_uring::Registry;

async fn count(number: u64) -> u64 {
    number + 1
}

pub fn registry() -> Registry {
    Registry::new(()).job("Count", count)
}
