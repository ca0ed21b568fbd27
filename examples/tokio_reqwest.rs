//! A worker whose jobs use a library that needs tokio, here unmodified reqwest, on a runtime next to the shards.
//!
//! ```sh
//! cargo run --example tokio_reqwest --features tokio -- --cores 1
//! jiggler-uring enqueue Fetch '["http://127.0.0.1:8080/"]' --retries 3
//! ```

use std::process::ExitCode;
use std::time::Duration;

use jiggler_uring::{JobResult, Registry, SendCtx};

/// Plain reqwest. A job shares what its function captures with other jobs; a reqwest client is made for that.
async fn fetch(ctx: SendCtx, http: reqwest::Client, url: String) -> JobResult {
    let body = http.get(&url).send().await?.error_for_status()?.bytes().await?;
    eprintln!("{} {url}: {} bytes", ctx.job().jid, body.len());
    Ok(())
}

fn main() -> ExitCode {
    let http = match reqwest::Client::builder().timeout(Duration::from_secs(10)).build() {
        Ok(http) => http,
        Err(error) => {
            eprintln!("no http client: {error}");
            return ExitCode::FAILURE;
        }
    };
    jiggler_uring::worker(move |_core| {
        let http = http.clone();
        async move {
            let fetch = move |ctx: SendCtx, url: String| fetch(ctx, http.clone(), url);
            Registry::new(()).tokio("Fetch", fetch)
        }
    })
    .run()
}
