//! What a failure makes of a job: another attempt, or the dead set.
//!
//! Pure: times come in, a verdict goes out, `settle` acts on it. The result is, member for member, what the gem
//! `jiggler` 0.1.0 writes, so that its page and its servers go on with it.
//!
//! ```text
//!  fails, attempts left ──► retry set ── due ──► its retry queue ──► runs again
//!  fails, none left ──────► dead set
//! ```

use std::time::Duration;

use crate::job::amend::{AmendError, FieldValue, amend};
use crate::job::failure::ErrorInfo;
use crate::job::fields;
use crate::job::parse::{FirstFailure, History};

/// How a failed job is retried.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy<'q> {
    /// The queue the poller moves the job to once it is due.
    pub retry_queue: &'q str,
    /// The pause before retry n, n from 1.
    pub delay: fn(attempt: u32) -> Duration,
}

impl<'q> RetryPolicy<'q> {
    /// The gem's policy, with a retry queue.
    #[must_use]
    pub fn gem(retry_queue: &'q str) -> Self {
        Self { retry_queue, delay: gem_delay }
    }
}

/// The gem's pause before retry n: n⁴ + 15 s, without jitter (16 s, 31 s, 96 s, 271 s, …).
#[must_use]
pub fn gem_delay(attempt: u32) -> Duration {
    Duration::from_secs(u64::from(attempt).saturating_pow(4).saturating_add(15))
}

/// The readings of the clock that go into a verdict, Unix seconds. Ruby reads its clock anew for each, so its times
/// differ by microseconds; ours are one reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureTimes {
    /// When the job failed, as it is noted at its first failure.
    pub failed_at: f64,
    /// From when on the pause counts.
    pub paused_from: f64,
    /// When the job failed, as it is noted at the failure of a retry that is retried.
    pub retried_at: f64,
    /// When it went to the dead set.
    pub died_at: f64,
}

impl FailureTimes {
    /// All of them at one moment.
    #[must_use]
    pub fn at(now: f64) -> Self {
        Self { failed_at: now, paused_from: now, retried_at: now, died_at: now }
    }
}

/// What is to be done with a failed job. Until it is done the job stays in flight.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes to the retry set.
    Retry {
        /// Score: when it is due, Unix seconds.
        at: f64,
        /// Member.
        payload: Vec<u8>,
    },
    /// It goes to the dead set.
    Dead {
        /// Score: when it died, Unix seconds.
        at: f64,
        /// Member.
        payload: Vec<u8>,
    },
}

/// Decides what becomes of a job that failed. `raw` are its bytes as they were fetched, `history` what
/// [`crate::job::parse`] read from them.
///
/// At exhaustion only the error is refreshed: `attempt`, `retry_at` and `queue` stay those of the last planned retry,
/// and a job that dies at its first failure has none of them.
///
/// # Errors
///
/// [`AmendError`] when `raw` is no JSON object: such bytes never ran and belong to `job::bad`.
pub fn decide(
    raw: &[u8],
    history: History,
    policy: &RetryPolicy<'_>,
    error: &ErrorInfo<'_>,
    times: FailureTimes,
) -> Result<Verdict, AmendError> {
    let attempt = history.attempt.saturating_add(1);
    let at = times.paused_from + (policy.delay)(attempt).as_secs_f64();
    let mut changes: Vec<(&str, FieldValue<'_>)> = Vec::with_capacity(7);
    if history.first_failure == FirstFailure::Unknown {
        changes.push((fields::STARTED_AT, FieldValue::Float(times.failed_at)));
    }
    changes.push((fields::ERROR_MESSAGE, FieldValue::Text(error.stored_message())));
    changes.push((fields::ERROR_CLASS, FieldValue::Text(&error.class)));
    if attempt > history.retries {
        return Ok(Verdict::Dead { at: times.died_at, payload: amend(raw, &changes)? });
    }
    changes.push((fields::RETRY_AT, FieldValue::Float(at)));
    changes.push((fields::ATTEMPT, FieldValue::Count(attempt.into())));
    changes.push((fields::QUEUE, FieldValue::Text(policy.retry_queue)));
    if attempt > 1 {
        changes.push((fields::RETRIED_AT, FieldValue::Float(times.retried_at)));
    }
    Ok(Verdict::Retry { at, payload: amend(raw, &changes)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::parse::Parser;
    use crate::limits::RETRIES_MAX;

    fn fail(raw: &str, now: f64) -> Verdict {
        let history = Parser::new().parse(raw.as_bytes()).unwrap().history;
        let error = ErrorInfo::new("E", "m");
        decide(raw.as_bytes(), history, &RetryPolicy::gem("q"), &error, FailureTimes::at(now)).unwrap()
    }

    fn text(payload: &[u8]) -> &str {
        std::str::from_utf8(payload).unwrap()
    }

    #[test]
    fn the_gems_pauses_grow_with_the_fourth_power() {
        let pauses: Vec<u64> = (1..=4).map(|attempt| gem_delay(attempt).as_secs()).collect();
        assert_eq!(pauses, [16, 31, 96, 271]);
        assert_eq!(gem_delay(RETRIES_MAX).as_secs(), 1_000_000_000_015);
        assert_eq!(gem_delay(u32::MAX).as_secs(), u64::MAX);
    }

    #[test]
    fn a_job_is_retried_as_often_as_it_asks_and_then_dies() {
        let mut raw = r#"{"name":"N","args":[1.0e+21],"retries":3,"x":{"y":[]}}"#.to_owned();
        for attempt in 1..=3_u32 {
            let now = 1_000.5 * f64::from(attempt);
            let Verdict::Retry { at, payload } = fail(&raw, now) else {
                panic!("attempt {attempt} of 3 is planned")
            };
            assert_eq!(at, now + gem_delay(attempt).as_secs_f64());
            raw = text(&payload).to_owned();
            assert!(raw.contains(&format!(r#""attempt":{attempt},"queue":"q""#)), "{raw}");
            assert_eq!(raw.contains("retried_at"), attempt > 1, "{raw}");
        }
        let Verdict::Dead { at, payload } = fail(&raw, 5_000.0) else { panic!("no attempt is left") };
        assert_eq!(at, 5_000.0);
        assert_eq!(
            text(&payload),
            r#"{"name":"N","args":[1.0e+21],"retries":3,"x":{"y":[]},"started_at":1000.5,"error_message":"m","error_class":"E","retry_at":3097.5,"attempt":3,"queue":"q","retried_at":3001.5}"#
        );
    }

    #[test]
    fn a_job_without_retries_dies_at_its_first_failure() {
        for raw in [
            r#"{"name":"N"}"#,
            r#"{"name":"N","retries":0}"#,
            r#"{"name":"N","retries":null}"#,
            r#"{"name":"N","retries":-1}"#,
        ] {
            assert!(matches!(fail(raw, 1.0), Verdict::Dead { .. }), "{raw}");
        }
    }

    #[test]
    fn a_null_first_failure_is_overwritten_in_place() {
        let Verdict::Dead { payload, .. } = fail(r#"{"started_at":null,"name":"N"}"#, 2.0) else {
            panic!("no retries")
        };
        assert_eq!(text(&payload), r#"{"started_at":2.0,"name":"N","error_message":"m","error_class":"E"}"#);
    }
}
