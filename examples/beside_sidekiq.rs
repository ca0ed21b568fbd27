//! A worker for one class of a Rails application, beside the application's own Sidekiq. The class moves over by itself: its
//! producers stay as they are, and what this program does not know is left to Ruby.
//!
//! ```sh
//! export JOURNAL=/tmp/journal.log
//! cargo run --release --example beside_sidekiq -- --dialect sidekiq -q default
//! jiggler-uring enqueue Counted '[1, false]' --dialect sidekiq
//! ```
//!
//! What this was in Ruby:
//!
//! ```ruby
//! class Counted
//!   include Sidekiq::Job
//!   def perform(number, fails)
//!     File.write(ENV["JOURNAL"], "#{jid} #{number}\n", mode: "a")
//!     raise ArgumentError, "asked to fail" if fails && first_time?
//!   end
//! end
//! ```

use std::process::ExitCode;
use std::time::Duration;

use jiggler_uring::io::fs::AppendFile;
use jiggler_uring::io::timer;
use jiggler_uring::{Ctx, JobError, JobResult, Registry, RetryPolicy, options};

struct App {
    journal: AppendFile,
}

/// Fails at its first attempt, if it is asked to.
async fn counted(ctx: Ctx<App>, number: u64, fails: bool) -> JobResult {
    let (jid, attempt) = (ctx.job().jid.clone(), ctx.job().attempt);
    ctx.state().journal.append(format!("rust {jid} {number} {attempt}\n").as_bytes()).await?;
    // As the service would take that this calls.
    timer::sleep(Duration::from_millis(5)).await;
    if fails && attempt == 0 {
        return Err(JobError::new("ArgumentError", "asked to fail"));
    }
    Ok(())
}

fn main() -> ExitCode {
    jiggler_uring::worker(|_core| async {
        let path = std::env::var("JOURNAL").unwrap_or_else(|_| "journal.log".to_owned());
        let app = App { journal: AppendFile::open(path).await? };
        let soon = RetryPolicy::fixed(Duration::from_secs(1));
        Ok::<_, JobError>(Registry::new(app).job("Counted", options(counted).retry_policy(soon)))
    })
    .run()
}
