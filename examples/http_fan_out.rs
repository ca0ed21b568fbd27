//! A worker whose jobs wait for many HTTP answers at the same time, over their core's ring.
//!
//! ```sh
//! cargo run --example http_fan_out --features http,tls -- --cores 1 --concurrency 1000
//! jiggler-uring enqueue Fetch '["http://127.0.0.1:8080/"]' --count 1000
//! jiggler-uring enqueue FanOut '[["https://www.rust-lang.org/", "https://redis.io/"]]' --retries 3
//! ```

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Duration;

use jiggler_uring::io::http::{Client, Error};
use jiggler_uring::io::spawn;
use jiggler_uring::{Ctx, JobError, JobResult, Registry};

/// What the jobs of one core share: one client, and so its kept-alive connections.
struct App {
    http: Client,
    bytes: Cell<u64>,
}

/// One request per job. An unsuccessful answer fails the job.
async fn fetch(ctx: Ctx<App>, url: String) -> JobResult {
    let answer = ctx.state().http.get(&url).send().await?.error_for_status()?;
    let body = answer.bytes().await?;
    ctx.state().bytes.set(ctx.state().bytes.get() + body.len() as u64);
    Ok(())
}

/// Many requests in one job, all at the same time.
async fn fan_out(ctx: Ctx<App>, urls: Vec<String>) -> JobResult {
    let ask = |url: &String| {
        let request = ctx.state().http.get(url).timeout(Duration::from_secs(10));
        spawn(async move { request.send().await?.error_for_status()?.bytes().await })
    };
    let mut failed = Vec::new();
    // Each is under way once all are spawned; a job that is dropped drops what it has spawned.
    for ask in urls.iter().map(ask).collect::<Vec<_>>() {
        let result: Result<_, Error> = ask.await?;
        failed.extend(result.err().map(|error| error.to_string()));
    }
    match failed.len() {
        0 => Ok(()),
        count => Err(JobError::new("FanOut", format!("{count} of {}: {}", urls.len(), failed.join("; ")))),
    }
}

fn main() -> ExitCode {
    jiggler_uring::worker(|_core| async {
        let app = App { http: Client::new(), bytes: Cell::new(0) };
        Registry::new(app).job("Fetch", fetch).job("FanOut", fan_out)
    })
    .run()
}
