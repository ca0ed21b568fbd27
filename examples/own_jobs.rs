//! A worker with a job of its own: typed arguments, state per core, the whole command line.
//!
//! ```sh
//! cargo run --example own_jobs -- --cores 2
//! jiggler-uring enqueue LineItem '[17, 4.2]' --retries 5
//! jiggler-uring enqueue LineItem '[18, -1.0, "returned"]' --retries 5
//! ```

use std::cell::Cell;
use std::process::ExitCode;

use jiggler_uring::{Ctx, JobError, JobResult, Registry};

/// What the jobs of one core share. It needs no lock: no other core sees it.
struct App {
    tax: f64,
    booked: Cell<u64>,
}

/// In Ruby: `LineItem.enqueue(17, 4.2)`. The note may be missing.
async fn line_item(ctx: Ctx<App>, id: u64, net: f64, note: Option<String>) -> JobResult {
    if net < 0.0 {
        // Retried after 16, 31, 96, … seconds while retries are left, then dead.
        return Err(JobError::new("NegativeAmount", format!("item {id}: {net}")));
    }
    let app = ctx.state();
    app.booked.set(app.booked.get() + 1);
    let (gross, note) = (net * app.tax, note.unwrap_or_default());
    eprintln!("{} {id}: {gross:.2} {note} ({} on this core)", ctx.job().jid, app.booked.get());
    Ok(())
}

fn main() -> ExitCode {
    jiggler_uring::worker(|_core| async {
        let app = App { tax: 1.19, booked: Cell::new(0) };
        Registry::new(app).job("LineItem", line_item)
    })
    .version(env!("CARGO_PKG_VERSION"))
    .run()
}
