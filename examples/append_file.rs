//! A worker whose jobs append to one file, from all cores: each line is whole, and written before its job is acked.
//!
//! ```sh
//! export JOURNAL=/tmp/journal.log
//! cargo run --release --example append_file -- --cores 2 --concurrency 400
//! jiggler-uring enqueue Record '["signed in", 17]' --count 100000
//! ```

use std::process::ExitCode;

use jiggler_uring::io::fs::AppendFile;
use jiggler_uring::{Ctx, JobError, JobResult, Registry};

struct App {
    journal: AppendFile,
}

/// The line contains the jid, so that a job that ran twice can be told from two jobs.
async fn record(ctx: Ctx<App>, event: String, user: u64) -> JobResult {
    let line = format!("{} {user} {event}\n", ctx.job().jid);
    ctx.state().journal.append(line.as_bytes()).await?;
    Ok(())
}

fn main() -> ExitCode {
    jiggler_uring::worker(|_core| async {
        let path = std::env::var("JOURNAL").unwrap_or_else(|_| "journal.log".to_owned());
        // Written: a power failure may take the last lines. open_with(path, Durability::Synced) survives that too.
        let app = App { journal: AppendFile::open(path).await? };
        Ok::<_, JobError>(Registry::new(app).job("Record", record))
    })
    .run()
}
