//! What happens to jobs that fail: retry policies, verdicts of handlers, hooks for failures and deaths; in a custom worker.
//!
//! ```text
//! cargo run --release --example retry_policies
//! ```
//!
//! and in another terminal, with the same program (or `jiggler-uring`, or a Ruby program):
//!
//! ```text
//! cargo run --release --example retry_policies -- enqueue CallApi '[429, 2.5]' --retries 3
//! cargo run --release --example retry_policies -- enqueue AwaitExport '["march", 4]'
//! cargo run --release --example retry_policies -- summary
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use jiggler_uring::io::timer;
use jiggler_uring::{Ctx, Exponential, JobError, JobResult, Registry, RetryPolicy, options};

/// The state of one core.
#[derive(Default)]
struct App {
    /// How often each export was looked for.
    looks: RefCell<HashMap<String, u32>>,
}

/// A job for an API that answers with this status, and perhaps with when to come back: what to do with each answer.
async fn call_api(status: u16, retry_after_s: Option<f64>) -> JobResult {
    // `?` on any error: the job fails with it, and its policy decides.
    let pause = Duration::try_from_secs_f64(retry_after_s.unwrap_or(60.0))?;
    match status {
        200..=201 => Ok(()),
        // Accepted, not done yet. Nothing has failed: it runs again later and uses no attempt.
        202 => Err(JobError::snooze(pause)),
        // The server knows better than any policy when to come back.
        429 => Err(JobError::retry_in(pause, JobError::new("TooManyRequests", "slow down"))),
        // There is nothing left to do, and nobody needs to know.
        404 | 410 => Err(JobError::discard(JobError::new("Gone", "deleted meanwhile"))),
        // No retry heals this, and somebody should look at it.
        401 | 403 => Err(JobError::dead(JobError::new("Forbidden", "the key was revoked"))),
        504 => {
            timer::sleep(pause).await;
            Err(JobError::new("GatewayTimeout", "no answer"))
        }
        _ => Err(JobError::new("ApiError", format!("status {status}"))),
    }
}

/// A job that comes back until an export is ready, which it is at the look with this number.
async fn await_export(ctx: Ctx<App>, name: String, ready_at_look: u32) -> JobResult {
    let look = {
        let mut looks = ctx.state().looks.borrow_mut();
        let look = looks.entry(name).or_default();
        *look += 1;
        *look
    };
    if look < ready_at_look {
        return Err(JobError::snooze(Duration::from_millis(100)));
    }
    Ok(())
}

/// A job whose policy depends on the error.
async fn charge(order: u64, problem: String) -> JobResult {
    Err(JobError::new(problem, format!("order {order}")))
}

/// A job that never succeeds.
async fn sync(account: u64) -> JobResult {
    Err(JobError::new("Offline", format!("account {account}")))
}

fn main() -> ExitCode {
    let growing = Exponential { base: Duration::from_secs(15), factor: 3.0, max: Duration::from_secs(3_600) };
    jiggler_uring::worker(move |_core| async move {
        let by_error = RetryPolicy::by(|retry, error| match error.class() {
            "CardDeclined" => None,
            _ => Some(Duration::from_secs(10) * retry),
        });
        Registry::new(App::default())
            // 15 s, 45 s, 135 s, … up to an hour; each up to a quarter longer, so that jobs that failed together spread
            // out.
            .job("CallApi", options(call_api).retry_policy(RetryPolicy::exponential(growing).jitter(0.25)))
            .job("AwaitExport", await_export)
            .job("Charge", options(charge).retry_queue("charges-again").retry_policy(by_error))
            // The number is for producers that do not set one.
            .job("Sync", options(sync).retry_policy(RetryPolicy::fixed(Duration::from_secs(30))).retries(3))
            .on_failure(|job| {
                let jiggler_uring::FailedJob { name, jid, attempt, will_be_retried, .. } = job;
                let error = format!("{}: {}", job.error_class, job.error_message);
                eprintln!("reported: {name} {jid} attempt {attempt}, retried: {will_be_retried}, {error}");
            })
            .on_death(|job| {
                eprintln!("died: {} {} {}: {}", job.name, job.jid, job.error_class, job.error_message);
            })
    })
    .run()
}
