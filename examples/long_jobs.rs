//! Jobs that take their time: a timeout, progress, pushing further jobs from inside one, cancellation, fairness while
//! computing, code around every job, and teardown of a core's state.
//!
//! ```sh
//! cargo run --example long_jobs -- --cores 2
//! cargo run --example long_jobs -- enqueue Import '["addresses.csv", 20]'
//! ```

use std::cell::Cell;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiggler_uring::io::timer::sleep;
use jiggler_uring::{Ctx, Job, JobError, JobResult, Next, Registry, Rest, options, yield_if_needed};
use serde::{Deserialize, Serialize};

/// The state of one core.
#[derive(Default)]
struct App {
    runs: Cell<u64>,
}

/// One row of an import: a job as a struct, pushed and handled by this program.
#[derive(Serialize, Deserialize)]
struct ImportRow {
    file: String,
    row: u64,
    note: Option<String>,
}

impl Job for ImportRow {
    const NAME: &'static str = "ImportRow";
    const QUEUE: &'static str = "rows";
    const RETRIES: Option<u32> = Some(2);
}

/// Pushes a job for each row and reports its progress.
async fn import(ctx: Ctx<App>, file: String, rows: u64) -> JobResult {
    for row in 0..rows {
        ctx.enqueue(&ImportRow { file: file.clone(), row, note: None }).await?;
        ctx.progress(row + 1, rows, &file);
    }
    Ok(())
}

async fn import_row(ctx: Ctx<App>, row: ImportRow) -> JobResult {
    if row.file.is_empty() {
        return Err(JobError::new("NoFile", format!("row {} of nothing", row.row)));
    }
    tracing::debug!(file = row.file, number = row.row, note = row.note, trace = ?ctx.trace(), "imported");
    Ok(())
}

/// Waits; its timeout ends it if that takes longer than 0.2 s.
async fn fetch(seconds: f64) -> JobResult {
    sleep(Duration::try_from_secs_f64(seconds)?).await;
    Ok(())
}

/// Waits for a day, unless somebody cancels it: `Client::cancel(jid)`.
async fn watch(ctx: Ctx<App>) {
    ctx.progress(0, 1, "watching");
    sleep(Duration::from_secs(24 * 3_600)).await;
}

/// Works through items until the process is asked to stop; then it hands back the rest of its work in good order.
async fn crawl(ctx: Ctx<App>, from: u64) -> JobResult {
    for item in from.. {
        if ctx.is_stopping() {
            return Err(JobError::snooze(Duration::ZERO));
        }
        ctx.progress(item, u64::MAX, "crawling");
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Computes for this long. If it is polite, the other jobs of the core run meanwhile; if not, the log names it.
async fn compute(seconds: f64, manners: Option<String>) -> JobResult {
    let time = Duration::try_from_secs_f64(seconds)?;
    let began = Instant::now();
    let mut number = 1_u64;
    while began.elapsed() < time {
        for step in 0..1_000 {
            number = number.rotate_left(5) ^ step;
        }
        if manners.as_deref() == Some("polite") {
            yield_if_needed().await;
        }
    }
    std::hint::black_box(number);
    Ok(())
}

/// Takes any number of arguments.
async fn add(ctx: Ctx<App>, Rest(numbers): Rest<u64>) -> JobResult {
    let sum = numbers.iter().sum::<u64>();
    Err(JobError::discard(JobError::new("Sum", format!("{sum} (on core {})", ctx.shard()))))
}

/// Around every job: counts it, and rejects those of a tenant that has not paid.
async fn around(ctx: Ctx<App>, next: Next) -> JobResult {
    let runs = &ctx.state().runs;
    runs.set(runs.get() + 1);
    if ctx.member::<String>("tenant").as_deref() == Some("broke") {
        return Err(JobError::dead(JobError::new("PaymentRequired", "this tenant has not paid")));
    }
    let began = Instant::now();
    let result = next.await;
    tracing::debug!(name = ctx.job().name, milliseconds = began.elapsed().as_millis(), ?result, "ran");
    result
}

fn main() -> ExitCode {
    jiggler_uring::worker(|core| async move {
        Registry::new(App::default())
            .job("Import", import)
            .job(ImportRow::JOB, import_row)
            .job("Fetch", options(fetch).timeout(Duration::from_millis(200)))
            .job("Watch", watch)
            .job("Crawl", crawl)
            .job("Compute", compute)
            .job("Add", add)
            .middleware(around)
            .on_stop(async move |app| {
                tracing::info!(
                    core = core.index,
                    runs = app.runs.get(),
                    "tearing down the state of this core"
                );
            })
    })
    .run()
}
