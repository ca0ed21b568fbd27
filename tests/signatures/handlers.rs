//! Every shape a handler may have.

use jiggler_uring::{Ctx, JobError, JobResult, Registry, Rest};

async fn nothing() {}
async fn all(_: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: Option<String>) -> JobResult {
    Ok(())
}
async fn context(_: Ctx<String>, Rest(_): Rest<u64>) -> Result<(), std::io::Error> {
    Ok(())
}
fn future(_: Vec<u8>) -> impl Future<Output = Result<(), JobError>> {
    std::future::ready(Ok(()))
}

pub fn registry() -> Registry<String> {
    let shared = std::rc::Rc::new(7);
    Registry::new(String::new())
        .job("Nothing", nothing)
        .job("All", all)
        .job("Context", context)
        .job("Future", future)
        .job("Closure", |number: u64| async move { assert!(number > 0) })
        .job("AsyncClosure", async |_: Ctx<String>, _: u64| {})
        .job("NotSend", move |_: u64| {
            let shared = std::rc::Rc::clone(&shared);
            async move { drop(shared) }
        })
}
