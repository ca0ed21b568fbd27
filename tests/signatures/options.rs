//! Options with every kind of handler.

use std::rc::Rc;
use std::time::Duration;

use jiggler_uring::{Ctx, JobResult, Next, Registry, RetryPolicy, SendCtx, options};

async fn sync(_: Ctx<Rc<u8>>, _: u64) {}
fn resize(_: SendCtx, _: String) {}
async fn around(_: Ctx<Rc<u8>>, next: Next) -> JobResult {
    next.await
}

pub fn registry() -> Registry<Rc<u8>> {
    let second = Duration::from_secs(1);
    Registry::new(Rc::new(7))
        .job("Sync", options(sync).timeout(second).retries(3).middleware(around))
        .job("Closure", options(|_: u64| async {}).retry_queue("later"))
        .blocking("Resize", options(resize).retry_policy(RetryPolicy::fixed(second)))
}
