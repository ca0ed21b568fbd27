//! The jobs of the stock program: harmless ones, for a first try and for load tests.
//!
//! | job | arguments | what it does |
//! |---|---|---|
//! | `Noop` | any | nothing |
//! | `Sleep` | seconds | waits, without blocking its core |
//! | `Fib` | n ≤ 45 | computes the n-th Fibonacci number the slow way, on a companion thread |
//! | `Fail` | message | fails with that message |

use std::time::Duration;

use serde::Deserialize;

use crate::handler::{JobError, JobResult, Registry};
use crate::io::timer;
use crate::job::failure::CLASS_BAD_ARGUMENTS;
use crate::limits::{FIB_MAX, SLEEP_SECONDS_MAX};
use crate::server::Core;

/// Builds the stock registry for one core.
pub async fn registry(_core: Core) -> Registry {
    Registry::new(()).job("Noop", noop).job("Sleep", sleep).blocking("Fib", fib).job("Fail", fail).yielding()
}

/// Ignored arguments, up to the number a handler may have.
type Ignored = Option<Anything>;

/// Any JSON value, not kept.
struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

async fn noop(_: Ignored, _: Ignored, _: Ignored, _: Ignored) {}

async fn sleep(seconds: f64) -> JobResult {
    if !(0.0..=SLEEP_SECONDS_MAX).contains(&seconds) {
        let message = format!("seconds must be between 0 and {SLEEP_SECONDS_MAX}, not {seconds}");
        return Err(JobError::new(CLASS_BAD_ARGUMENTS, message));
    }
    timer::sleep(Duration::from_secs_f64(seconds)).await;
    Ok(())
}

fn fib(n: u64) -> JobResult {
    if n > FIB_MAX {
        return Err(JobError::new(CLASS_BAD_ARGUMENTS, format!("n must be at most {FIB_MAX}, not {n}")));
    }
    let number = slow_fib(n);
    tracing::debug!(n, number, "computed");
    Ok(())
}

async fn fail(message: Option<String>) -> JobResult {
    Err(JobError::new("JobFailed", message.unwrap_or_else(|| "asked to fail".to_owned())))
}

/// Like the published benchmark: fib(0) = fib(1) = 1, by double recursion.
fn slow_fib(n: u64) -> u64 {
    if n <= 1 { 1 } else { slow_fib(n - 1) + slow_fib(n - 2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fib_counts_as_the_published_benchmark_does() {
        assert_eq!((0..8).map(slow_fib).collect::<Vec<_>>(), [1, 1, 2, 3, 5, 8, 13, 21]);
    }
}
