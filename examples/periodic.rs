//! A worker that declares periodic jobs. Of all its processes one pushes each tick, once; the schedule goes with the last of
//! them.
//!
//! ```sh
//! cargo run --example periodic -- -q default,ticks
//! jiggler-uring cron list
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what its jobs do")]

use std::process::ExitCode;
use std::time::Duration;

use jiggler_uring::cron::{CatchUp, CronEntry, CronError};
use jiggler_uring::{Ctx, NewJob, Registry};
use serde::Deserialize;

/// The member of the payload that tells of the tick. `key` is the same for any two jobs of one tick: a job that must not
/// take effect twice remembers it.
#[derive(Deserialize)]
struct Tick {
    tick: String,
    key: String,
}

async fn tick(ctx: Ctx<()>) {
    if let Some(Tick { tick, key }) = ctx.member("cron") {
        println!("for {tick}, as {key}");
    }
}

async fn report(kind: String, tick: String) {
    println!("the {kind} report of {tick}");
}

fn nightly() -> Result<CronEntry, CronError> {
    let job = NewJob::new("Report", &["daily"])?.retries(5)?;
    // After an outage at three o'clock it is made up for once; and not all databases are asked in the same minute.
    let entry = CronEntry::new("nightly report", "0 3 * * *", "Europe/Berlin", job)?;
    Ok(entry.catch_up(CatchUp::Last)?.jitter(Duration::from_secs(600))?.tick_argument())
}

fn main() -> ExitCode {
    jiggler_uring::worker(async |_core| {
        let each_second = NewJob::new("Tick", &())?.queue_named("ticks")?;
        let registry = Registry::new(()).job("Tick", tick).job("Report", report);
        Ok::<_, CronError>(registry.cron("* * * * * *", "UTC", each_second).periodic(nightly()?))
    })
    .run()
}
