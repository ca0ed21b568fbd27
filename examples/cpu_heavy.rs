//! A worker whose jobs compute for seconds, alongside jobs that must start at once: the former are registered as
//! `blocking`, so they run on companion threads, which use what the core's shard leaves.
//!
//! ```sh
//! cargo run --release --example cpu_heavy -- --cores 1
//! jiggler-uring enqueue Primes '[30000000]' --count 4
//! jiggler-uring enqueue Ping '["hello"]'   # answers while the four compute
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiggler_uring::{Ctx, JobError, JobResult, Registry, SendCtx};

/// How many numbers to try between two checks whether anybody is still waiting.
const STRIDE: u64 = 10_000;

/// Counts the primes below `limit`, the slow way.
fn primes(ctx: &SendCtx, total: &AtomicU64, limit: u64) -> JobResult {
    let mut count = 0_u64;
    for number in 2..limit {
        if number % STRIDE == 0 && ctx.is_cancelled() {
            // The worker is stopping and has handed the job back: what is computed here is of no use to anybody.
            return Err(JobError::new("Cancelled", format!("at {number} of {limit}")));
        }
        let divisors = (2..).take_while(|divisor| divisor * divisor <= number);
        count += u64::from(divisors.into_iter().all(|divisor| number % divisor != 0));
    }
    let total = total.fetch_add(count, Ordering::Relaxed) + count;
    eprintln!("{} {count} primes below {limit}, {total} in total", ctx.job().jid);
    Ok(())
}

/// A light job: it runs on the shard itself.
async fn ping(ctx: Ctx<()>, text: String) {
    eprintln!("{} {text}", ctx.job().jid);
}

fn main() -> ExitCode {
    // The companions of all cores share what a blocking function captures.
    let total = Arc::new(AtomicU64::new(0));
    jiggler_uring::worker(move |_core| {
        let total = Arc::clone(&total);
        async move {
            Registry::new(())
                .companion_threads(2)
                .blocking("Primes", move |ctx: SendCtx, limit: u64| primes(&ctx, &total, limit))
                .job("Ping", ping)
        }
    })
    .run()
}
