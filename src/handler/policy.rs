//! How long a failed job pauses before its next attempt, and how a handler's verdict changes that.
//!
//! Pure except for functions that users provide: the random number comes in, a course goes out, and `job::retry`
//! turns it into bytes. Payloads stay in the gem's format whatever the policy: a Ruby server may run the retry.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::error::{JobError, Verdict};
use super::pool::caught;
use crate::job::retry::next_attempt;
use crate::job::{Course, History, Schema};
use crate::limits::{RETRY_DELAY_MAX, RETRY_JITTER};

/// When a failed job runs again, while its payload's `retries` allow it. Set for a job with
/// [`options`](super::options).
///
/// ```
/// use std::time::Duration;
///
/// use jiggler_uring::{Exponential, Registry, RetryPolicy, options};
///
/// async fn charge(_order: u64) {}
/// async fn sync(_account: u64) {}
/// async fn import(_file: String) {}
///
/// let growing = Exponential { base: Duration::from_secs(2), factor: 3.0, max: Duration::from_secs(3_600) };
/// let growing = RetryPolicy::exponential(growing).jitter(0.5);
/// let by_error = RetryPolicy::by(|retry, error| match error.class() {
///     "BadFile" => None, // no pause makes it a good one: to the dead set
///     _ => Some(Duration::from_secs(10) * retry),
/// });
/// let registry = Registry::new(())
///     .job("Charge", charge) // the gem's: 16 s, 31 s, 96 s, 271 s, … and up to a tenth more
///     .job("Sync", options(sync).retry_policy(growing)) // 2 s, 6 s, 18 s, … and up to half more
///     .job("Import", options(import).retry_policy(by_error));
/// # drop(registry);
/// ```
///
/// Jitter spreads the retries of jobs that failed together, say in an outage of something they all need: each pause
/// is lengthened by a random part of at most a given fraction, never shortened. [`gem`](Self::gem) and
/// [`exponential`](Self::exponential) use a tenth, [`fixed`](Self::fixed) and [`by`](Self::by) none;
/// [`jitter`](Self::jitter) changes any of them. No pause is longer than ten years
/// ([`RETRY_DELAY_MAX`](crate::limits::RETRY_DELAY_MAX)).
#[derive(Clone)]
pub struct RetryPolicy {
    pauses: Pauses,
    jitter: f64,
}

/// Pauses that grow by a factor: `base`, `base × factor`, `base × factor²`, …
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exponential {
    /// The pause before the first retry.
    pub base: Duration,
    /// The factor from one pause to the next; at least 1.
    pub factor: f64,
    /// The longest pause, before jitter.
    pub max: Duration,
}

type PauseFn = dyn Fn(u32, &JobError) -> Option<Duration>;

#[derive(Clone)]
enum Pauses {
    Gem,
    Fixed(Duration),
    Exponential(Exponential),
    By(Rc<PauseFn>),
}

impl RetryPolicy {
    /// The gem's: n⁴ + 15 seconds before retry n, the default of every job. With a jitter of a tenth, so the gem's
    /// own pause is the shortest.
    #[must_use]
    pub const fn gem() -> Self {
        Self { pauses: Pauses::Gem, jitter: RETRY_JITTER }
    }

    /// The same pause before each retry, without jitter.
    #[must_use]
    pub const fn fixed(pause: Duration) -> Self {
        Self { pauses: Pauses::Fixed(pause), jitter: 0.0 }
    }

    /// Growing pauses, with a jitter of a tenth.
    ///
    /// # Panics
    /// If the factor is below 1 or not a number.
    #[must_use]
    pub fn exponential(pauses: Exponential) -> Self {
        let factor = pauses.factor;
        assert!(factor >= 1.0, "the factor of a retry policy must be at least 1, not {factor}");
        Self { pauses: Pauses::Exponential(pauses), jitter: RETRY_JITTER }
    }

    /// Calls a function for each pause, without jitter. It receives the number of the retry, 1 for the first (the
    /// `attempt` of [`JobInfo`](crate::JobInfo) and of the log is 0 for the first run), and why the job failed, and
    /// returns the pause, or `None` for no more retries: the job dies.
    ///
    /// It runs on the shard and must be quick. It is not called if the job has no retries left. If it panics, that is
    /// logged and the gem's pause is used.
    #[must_use]
    pub fn by(pause: impl Fn(u32, &JobError) -> Option<Duration> + 'static) -> Self {
        Self { pauses: Pauses::By(Rc::new(pause)), jitter: 0.0 }
    }

    /// The same policy with each pause lengthened by a random part, at most this fraction of it: 0.0 for none, 1.0
    /// for up to twice the pause.
    ///
    /// # Panics
    /// If the fraction is not between 0.0 and 1.0.
    #[must_use]
    pub fn jitter(mut self, fraction: f64) -> Self {
        assert!((0.0..=1.0).contains(&fraction), "jitter must be between 0.0 and 1.0, not {fraction}");
        self.jitter = fraction;
        self
    }

    /// The pause before retry `attempt`; `None` for no retry. `random` is between 0 and 1.
    fn pause(&self, schema: Schema, attempt: u32, error: &JobError, random: f64) -> Option<Duration> {
        let (of_gem, spread) = schema.pause(attempt);
        let pause = match (&self.pauses, spread) {
            // Whole seconds, as the gem adds them.
            (Pauses::Gem, Some(spread)) if self.jitter > 0.0 => {
                let more = Duration::from_secs(spread.mul_f64(random).as_secs());
                return Some(of_gem.saturating_add(more).min(RETRY_DELAY_MAX));
            }
            (Pauses::Gem, _) => of_gem,
            (Pauses::Fixed(pause), _) => *pause,
            (Pauses::Exponential(pauses), _) => pauses.pause(attempt),
            (Pauses::By(pause), _) => caught(|| pause(attempt, error)).unwrap_or_else(|panic| {
                let panic = panic.message();
                tracing::error!(attempt, %error, panic, "a retry policy panicked; using the gem's pause");
                Some(of_gem)
            })?,
        };
        // Bounded before and after: the bounds keep the arithmetic from overflowing.
        let pause = pause.min(RETRY_DELAY_MAX);
        Some(pause.mul_f64(1.0 + self.jitter * random).min(RETRY_DELAY_MAX))
    }
}

impl Exponential {
    fn pause(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.base.as_secs_f64() * self.factor.powi(exponent);
        // What a duration cannot hold is longer than the longest pause; and zero times infinity is zero.
        if seconds.is_nan() {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(seconds).map_or(self.max, |pause| pause.min(self.max))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::gem()
    }
}

impl fmt::Debug for RetryPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pauses {
            Pauses::Gem => f.write_str("Gem")?,
            Pauses::Fixed(pause) => write!(f, "Fixed({pause:?})")?,
            Pauses::Exponential(pauses) => write!(f, "{pauses:?}")?,
            Pauses::By(_) => f.write_str("By(…)")?,
        }
        write!(f, " with jitter {}", self.jitter)
    }
}

/// What follows a job's error: its verdict, or the policy's answer if there is none. `random` is between 0 and 1.
pub(crate) fn course(
    schema: Schema,
    policy: &RetryPolicy,
    error: &JobError,
    history: History,
    random: f64,
) -> Course {
    let attempt = next_attempt(history);
    match error.verdict() {
        Verdict::ByPolicy if attempt > history.retries => Course::Die,
        Verdict::ByPolicy => match policy.pause(schema, attempt, error, random) {
            Some(after) => Course::Retry { after },
            None => Course::Die,
        },
        Verdict::RetryIn(after) => Course::Retry { after: after.min(RETRY_DELAY_MAX) },
        Verdict::Snooze(after) => Course::Snooze { after: after.min(RETRY_DELAY_MAX) },
        Verdict::Discard => Course::Discard,
        Verdict::Dead => Course::Die,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::job::parse::FirstFailure;
    use crate::limits::RETRIES_MAX;

    const JIGGLER: Schema = Schema::of(crate::wire::Dialect::Jiggler);

    const YEARS_10: u64 = 10 * 365 * 24 * 3_600;

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn error() -> JobError {
        JobError::new("E", "m")
    }

    fn exponential(base: u64, factor: f64, max: u64) -> RetryPolicy {
        RetryPolicy::exponential(Exponential { base: secs(base), factor, max: secs(max) })
    }

    /// The pauses before retries 1 to 5, at the lower and the upper end of the jitter.
    #[track_caller]
    fn check(policy: &RetryPolicy, shortest: [u64; 5], longest: [u64; 5]) {
        for (random, expected) in [(0.0, shortest), (1.0, longest)] {
            let pauses: Vec<u128> = (1..=5)
                .map(|attempt| policy.pause(JIGGLER, attempt, &error(), random).unwrap().as_millis())
                .collect();
            assert_eq!(pauses, expected.map(u128::from), "{policy:?}, random {random}");
        }
    }

    #[test]
    fn every_policy_pauses_as_it_says() {
        let gem = [16_000, 31_000, 96_000, 271_000, 640_000];
        check(&RetryPolicy::gem(), gem, [17_600, 34_100, 105_600, 298_100, 704_000]);
        check(&RetryPolicy::default().jitter(0.0), gem, gem);
        check(&RetryPolicy::fixed(secs(7)), [7_000; 5], [7_000; 5]);
        check(&RetryPolicy::fixed(secs(7)).jitter(1.0), [7_000; 5], [14_000; 5]);
        check(&RetryPolicy::fixed(Duration::ZERO).jitter(1.0), [0; 5], [0; 5]);
        let doubling = [2_000, 4_000, 8_000, 16_000, 20_000];
        check(&exponential(2, 2.0, 20), doubling, [2_200, 4_400, 8_800, 17_600, 22_000]);
        check(&exponential(2, 2.0, 20).jitter(0.0), doubling, doubling);
        check(&exponential(3, 1.0, 20).jitter(0.0), [3_000; 5], [3_000; 5]);
        check(&exponential(0, f64::INFINITY, 20), [0; 5], [0; 5]);
        let linear = RetryPolicy::by(|attempt, _| Some(secs(10) * attempt));
        let tens = [10_000, 20_000, 30_000, 40_000, 50_000];
        check(&linear, tens, tens);
        check(&linear.jitter(0.5), tens, tens.map(|pause| pause + pause / 2));
    }

    #[test]
    fn the_gems_pause_is_that_of_the_gem_whose_programs_share_the_redis() {
        let sidekiq = Schema::of(crate::wire::Dialect::Sidekiq);
        let pauses = |policy: RetryPolicy, random| {
            [1, 2, 3].map(|attempt| policy.pause(sidekiq, attempt, &error(), random).unwrap().as_secs())
        };
        assert_eq!(pauses(RetryPolicy::gem(), 0.0), [15, 16, 31]);
        assert_eq!(pauses(RetryPolicy::gem(), 0.99), [24, 35, 60]);
        assert_eq!(pauses(RetryPolicy::gem().jitter(0.0), 0.99), [15, 16, 31]);
        assert_eq!(pauses(RetryPolicy::fixed(secs(7)), 0.99), [7, 7, 7]);
    }

    #[test]
    fn no_pause_is_longer_than_the_bound_whatever_is_asked_for() {
        for policy in [
            RetryPolicy::gem().jitter(1.0),
            RetryPolicy::fixed(Duration::MAX).jitter(1.0),
            exponential(YEARS_10, 1e300, u64::MAX).jitter(1.0),
            RetryPolicy::by(|_, _| Some(Duration::MAX)).jitter(1.0),
        ] {
            for attempt in [RETRIES_MAX, u32::MAX] {
                for random in [0.0, 0.5, 1.0] {
                    assert_eq!(
                        policy.pause(JIGGLER, attempt, &error(), random),
                        Some(secs(YEARS_10)),
                        "{policy:?}"
                    );
                }
            }
        }
        assert_eq!(exponential(1, 1.5, 60).pause(JIGGLER, u32::MAX, &error(), 0.0), Some(secs(60)));
    }

    #[test]
    fn jitter_lies_between_its_ends() {
        let policy = RetryPolicy::fixed(secs(100)).jitter(0.2);
        for step in 0..=10 {
            let pause = policy.pause(JIGGLER, 1, &error(), f64::from(step) / 10.0).unwrap().as_secs_f64();
            assert!((pause - (100.0 + 2.0 * f64::from(step))).abs() < 1e-6, "{pause}");
        }
    }

    #[test]
    fn mistakes_in_a_policy_are_refused_where_they_are_made() {
        for fraction in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let refused = caught(|| RetryPolicy::gem().jitter(fraction)).unwrap_err();
            assert!(refused.message().starts_with("jitter must be between 0.0 and 1.0"), "{refused}");
        }
        for factor in [0.9, -2.0, f64::NAN] {
            let refused = caught(|| exponential(1, factor, 2)).unwrap_err();
            assert!(refused.message().contains("must be at least 1"), "{refused}");
        }
    }

    #[test]
    fn a_policy_that_panics_gives_the_gems_pause() {
        let policy = RetryPolicy::by(|_, _| panic!("on purpose"));
        assert_eq!(policy.pause(JIGGLER, 2, &error(), 1.0), Some(secs(31)));
    }

    #[test]
    fn a_verdict_goes_before_the_policy_and_the_policy_decides_without_one() {
        let none = RetryPolicy::by(|_, error| (error.class() != "Fatal").then_some(secs(5)));
        let die = Course::Die;
        let retry = |seconds| Course::Retry { after: secs(seconds) };
        let table = [
            // error, attempt, retries, course
            (error(), 0, 0, die),
            (error(), 0, 1, retry(5)),
            (error(), 1, 1, die),
            (error(), 4, 5, retry(5)),
            (JobError::new("Fatal", "m"), 0, 5, die),
            // `job::retry` decides whether one is left.
            (JobError::retry_in(secs(3), error()), 0, 5, retry(3)),
            (JobError::retry_in(Duration::MAX, error()), 0, 5, retry(YEARS_10)),
            (JobError::dead(error()), 0, 5, die),
            (JobError::discard(error()), 0, 5, Course::Discard),
            (JobError::discard(error()), 5, 5, Course::Discard),
            (JobError::snooze(secs(9)), 5, 5, Course::Snooze { after: secs(9) }),
            (JobError::snooze(Duration::MAX), 0, 0, Course::Snooze { after: secs(YEARS_10) }),
            (JobError::dead(JobError::snooze(secs(9))), 0, 0, die),
        ];
        for (error, attempt, retries, expected) in table {
            let history = History { retries, attempt, first_failure: FirstFailure::Unknown };
            assert_eq!(
                course(JIGGLER, &none, &error, history, 0.5),
                expected,
                "{error}, attempt {attempt} of {retries}"
            );
        }
    }

    #[test]
    fn a_function_gets_the_retry_and_the_error_and_only_if_one_is_left() {
        let asked = Rc::new(Cell::new(0));
        let policy = RetryPolicy::by({
            let asked = Rc::clone(&asked);
            move |attempt, error| {
                assert_eq!(error.message(), "m");
                asked.set(attempt);
                Some(Duration::ZERO)
            }
        });
        for (attempt, retries, expected) in [(0, 0, 0), (0, 3, 1), (2, 3, 3), (3, 3, 0)] {
            asked.set(0);
            course(JIGGLER, &policy, &error(), History { retries, attempt, ..History::default() }, 0.0);
            assert_eq!(asked.get(), expected);
        }
    }
}
