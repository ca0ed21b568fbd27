//! What becomes of a job that did not succeed: another attempt, a later run, the dead set, or nothing more.
//!
//! Pure: the course chosen by policy and handler and the times go in, the job's fate comes out, `settle` acts on it. A
//! retry or a death is, member for member, what the gem `jiggler` 0.1.0 writes, so that its page and its servers can
//! continue with it; a job that dies carries its queue as well, which the gem leaves out at a first failure. Not here: how
//! long a pause is beyond the gem's own (`handler::policy`).
//!
//! ```text
//!  Retry, attempts left ──► retry set ── due ──► its retry queue ──► runs again, attempt + 1
//!  Retry, none left ──┐
//!  Die ───────────────┴───► dead set
//!  Snooze ────────────────► retry set ── due ──► its own queue ──► runs again, same attempt
//!  Discard ───────────────► gone
//!
//!  In the dialect of Sidekiq a job snoozes in the schedule, and a payload may ask to be forgotten instead of being dead.
//! ```

use std::time::Duration;

use crate::job::amend::{AmendError, amend};
use crate::job::failure::ErrorInfo;
use crate::job::parse::{FirstFailure, History};
use crate::job::scan;
use crate::job::schema::{Failure, PlannedRetry, Schema};
use crate::limits::RETRIES_MAX;

/// What should follow a run that did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Another attempt after a pause, if the job has one left; otherwise it dies.
    Retry {
        /// The pause before it.
        after: Duration,
    },
    /// To the dead set, however many attempts are left.
    Die,
    /// Another run after a pause, which counts neither as a failure nor as an attempt.
    Snooze {
        /// The pause before it.
        after: Duration,
    },
    /// Nothing: the job is acked.
    Discard,
}

/// Where a job that did not succeed continues, and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'q> {
    /// How its payload is written.
    pub schema: Schema,
    /// The queue it came from: where a snoozed job runs again, and a dead one when it is retried by hand.
    pub queue: &'q str,
    /// The queue the poller moves a retry to once it is due.
    pub retry_queue: &'q str,
    /// What follows.
    pub course: Course,
    /// Where the failure comes from, for payloads that keep that.
    pub backtrace: Option<&'q str>,
}

/// The gem's pause before retry n: n⁴ + 15 s, without jitter (16 s, 31 s, 96 s, 271 s, …).
#[must_use]
pub fn gem_delay(attempt: u32) -> Duration {
    Schema::default().pause(attempt).0
}

/// The clock readings that go into a verdict, in Unix seconds. Ruby reads its clock anew for each, so its times differ by
/// microseconds; ours are one reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureTimes {
    /// When the job failed, as recorded at its first failure.
    pub failed_at: f64,
    /// When the pause starts.
    pub paused_from: f64,
    /// When the job failed, as recorded when a failed retry is retried.
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

/// What to do with a job that did not succeed. Until it is done the job stays in flight.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It failed and goes to the retry set.
    Retry {
        /// Score: when it is due, Unix seconds.
        at: f64,
        /// Member.
        payload: Vec<u8>,
    },
    /// It failed and goes to the dead set.
    Dead {
        /// Score: when it died, Unix seconds.
        at: f64,
        /// Member.
        payload: Vec<u8>,
    },
    /// It did not fail and goes to the retry set.
    Snooze {
        /// Score: when it is due, Unix seconds.
        at: f64,
        /// Member.
        payload: Vec<u8>,
    },
    /// It is acked.
    Discard,
    /// It failed, and its payload asks not to be kept.
    Forgotten,
}

/// The dead entry of a job that did not run: its bytes and, where a failure would be, why it is dead, so that readers of
/// the dead set show a reason. `None`: it already says why it failed, or it is not a JSON object; its bytes then stay.
#[must_use]
pub fn killed(schema: Schema, raw: &[u8], error: &ErrorInfo<'_>, now: f64) -> Option<Vec<u8>> {
    scan::members(raw).ok()?;
    let has = |name: &str| last_value(raw, name).is_some_and(|value| value != b"null");
    let (names, schema) = (schema.names(), schema.of_payload(raw));
    if has(names.error_class) {
        return None;
    }
    let first_at = (!has(names.first_failed_at)).then_some(now);
    amend(raw, &schema.failure(Failure { error, first_at, backtrace: None })).ok()
}

/// Decides what becomes of a job that did not succeed. `raw` are its bytes as fetched, `history` what [`crate::job::parse`]
/// read from them.
///
/// At exhaustion only the error is refreshed: `attempt` and `retry_at` stay those of the last planned retry, and a job that
/// dies at its first failure has neither. Its `queue` is the one it came from, so that an operator who retries it brings it
/// to those who run such jobs. A snoozed job keeps its bytes except for `retry_at` and `queue`, which every member of the
/// retry set has: the poller reads the latter, and the former keeps two jobs with equal bytes two members.
///
/// # Errors
///
/// [`AmendError`] when `raw` is not a JSON object: such bytes never ran and belong to `job::bad`.
pub fn decide(
    raw: &[u8],
    history: History,
    plan: &Plan<'_>,
    error: &ErrorInfo<'_>,
    times: FailureTimes,
) -> Result<Fate, AmendError> {
    let schema = plan.schema.of_payload(raw);
    let after = match plan.course {
        Course::Discard => return Ok(Fate::Discard),
        Course::Snooze { after } => {
            let at = times.paused_from + after.as_secs_f64();
            return Ok(Fate::Snooze { at, payload: amend(raw, &schema.snooze(at, plan.queue))? });
        }
        Course::Retry { after } => Some(after),
        Course::Die => None,
    };
    let attempt = next_attempt(history);
    let first_at = (history.first_failure == FirstFailure::Unknown).then_some(times.failed_at);
    let backtrace = schema.backtrace(raw, plan.backtrace);
    let mut changes = schema.failure(Failure { error, first_at, backtrace: backtrace.as_deref() });
    let at = times.paused_from + after.unwrap_or_default().as_secs_f64();
    let retried_at = (attempt > 1).then_some(times.retried_at);
    let retry = PlannedRetry { at, attempt, queue: plan.retry_queue, retried_at };
    if after.is_some() && attempt <= history.retries && schema.is_in_time(raw, times.failed_at) {
        schema.retry(retry, &mut changes);
        return Ok(Fate::Retry { at, payload: amend(raw, &changes)? });
    }
    if schema.is_forgotten(raw) {
        return Ok(Fate::Forgotten);
    }
    schema.death(plan.queue, retry, &mut changes);
    Ok(Fate::Dead { at: times.died_at, payload: amend(raw, &changes)? })
}

/// The number of the attempt that would follow: 1 for the first retry.
#[must_use]
pub fn next_attempt(history: History) -> u32 {
    history.attempt.saturating_add(1)
}

/// A job's history where a worker sets a number of retries for payloads that name none (no `retries`, or null). A number in
/// the payload takes precedence: Ruby's client always writes one, ours if told.
#[must_use]
pub fn with_default_retries(schema: Schema, raw: &[u8], history: History, retries: u32) -> History {
    if schema.retries_by_time(raw) {
        return History { retries: RETRIES_MAX, ..history };
    }
    History { retries: retries_in(schema, raw, history.retries, retries), ..history }
}

/// How many retries a job has: `read` is what the parser read from its payload, 0 if that names none, in which case the
/// worker's `default` applies.
#[must_use]
pub fn retries_in(schema: Schema, raw: &[u8], read: u32, default: u32) -> u32 {
    if default == 0 || read > 0 || names_retries(schema, raw) { read } else { default }
}

fn names_retries(schema: Schema, raw: &[u8]) -> bool {
    last_value(raw, schema.names().retries).is_some_and(|value| value != b"null")
}

/// The text of a member's value; of duplicates, that of the last.
fn last_value<'r>(raw: &'r [u8], name: &str) -> Option<&'r [u8]> {
    let members = scan::members(raw).unwrap_or_default();
    let last = members.into_iter().rfind(|member| scan::key_is(&raw[member.key.clone()], name))?;
    raw.get(last.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::parse::Parser;

    #[test]
    fn a_killed_job_gets_a_reason_if_it_has_none_and_keeps_its_bytes() {
        let error = ErrorInfo::new("JigglerUring::Killed", "by hand");
        let check = |raw: &str, expected: Option<&str>| {
            let dead = killed(Schema::Jiggler, raw.as_bytes(), &error, 5.5)
                .map(|dead| String::from_utf8(dead).unwrap());
            assert_eq!(dead.as_deref(), expected, "{raw}");
        };
        check(
            r#"{"name":"N","args":[1.0e+21, {}],"x":1}"#,
            Some(
                r#"{"name":"N","args":[1.0e+21, {}],"x":1,"started_at":5.5,"error_message":"by hand","error_class":"JigglerUring::Killed"}"#,
            ),
        );
        check(
            r#"{"started_at":1.5,"error_class":null}"#,
            Some(r#"{"started_at":1.5,"error_class":"JigglerUring::Killed","error_message":"by hand"}"#),
        );
        check(r#"{"name":"N","error_class":"E"}"#, None);
        check("[1]", None);
        check("{", None);
    }

    fn history(raw: &str) -> History {
        Parser::default().parse(raw.as_bytes()).unwrap().history
    }

    fn follow(raw: &str, course: Course, now: f64) -> Fate {
        let plan = Plan { schema: Schema::Jiggler, queue: "own", retry_queue: "q", course, backtrace: None };
        let error = ErrorInfo::new("E", "m");
        decide(raw.as_bytes(), history(raw), &plan, &error, FailureTimes::at(now)).unwrap()
    }

    fn fail(raw: &str, now: f64) -> Fate {
        let after = gem_delay(next_attempt(history(raw)));
        follow(raw, Course::Retry { after }, now)
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
            let Fate::Retry { at, payload } = fail(&raw, now) else {
                panic!("attempt {attempt} of 3 is planned")
            };
            assert_eq!(at, now + gem_delay(attempt).as_secs_f64());
            raw = text(&payload).to_owned();
            assert!(raw.contains(&format!(r#""attempt":{attempt},"queue":"q""#)), "{raw}");
            assert_eq!(raw.contains("retried_at"), attempt > 1, "{raw}");
        }
        let Fate::Dead { at, payload } = fail(&raw, 5_000.0) else { panic!("no attempt is left") };
        assert_eq!(at, 5_000.0);
        assert_eq!(
            text(&payload),
            r#"{"name":"N","args":[1.0e+21],"retries":3,"x":{"y":[]},"started_at":1000.5,"error_message":"m","error_class":"E","retry_at":3097.5,"attempt":3,"queue":"own","retried_at":3001.5}"#
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
            assert!(matches!(fail(raw, 1.0), Fate::Dead { .. }), "{raw}");
        }
    }

    #[test]
    fn what_no_type_can_hold_survives_a_retry() {
        let raw = r#"{"name":"N","args":["\ud800",1e400,[]],"retries":1,"b":9007199254740993}"#;
        let Fate::Retry { payload, .. } = fail(raw, 1.0) else { panic!("one retry is left") };
        assert!(text(&payload).starts_with(&raw[..raw.len() - 1]), "{}", text(&payload));
    }

    #[test]
    fn a_null_first_failure_is_overwritten_in_place() {
        let Fate::Dead { payload, .. } = fail(r#"{"started_at":null,"name":"N"}"#, 2.0) else {
            panic!("no retries")
        };
        assert_eq!(
            text(&payload),
            r#"{"started_at":2.0,"name":"N","error_message":"m","error_class":"E","queue":"own"}"#
        );
    }

    #[test]
    fn every_course_ends_where_it_says_with_the_bytes_it_says() {
        let fresh = r#"{"name":"N","args":[1.0e+21],"retries":2}"#;
        let once = r#"{"name":"N","retries":2,"started_at":1.5,"error_message":"x","error_class":"X","retry_at":7.0,"attempt":1,"queue":"r"}"#;
        let last = once.replace(r#""attempt":1"#, r#""attempt":2"#);
        let after = Duration::from_millis(2_500);
        let (retry, snooze) = (Course::Retry { after }, Course::Snooze { after });
        let table = [
            (
                fresh,
                retry,
                'r',
                r#"{"name":"N","args":[1.0e+21],"retries":2,"started_at":100.0,"error_message":"m","error_class":"E","retry_at":102.5,"attempt":1,"queue":"q"}"#,
            ),
            (
                once,
                retry,
                'r',
                r#"{"name":"N","retries":2,"started_at":1.5,"error_message":"m","error_class":"E","retry_at":102.5,"attempt":2,"queue":"q","retried_at":100.0}"#,
            ),
            (
                &last,
                retry,
                'd',
                r#"{"name":"N","retries":2,"started_at":1.5,"error_message":"m","error_class":"E","retry_at":7.0,"attempt":2,"queue":"own"}"#,
            ),
            (
                fresh,
                Course::Die,
                'd',
                r#"{"name":"N","args":[1.0e+21],"retries":2,"started_at":100.0,"error_message":"m","error_class":"E","queue":"own"}"#,
            ),
            (
                once,
                Course::Die,
                'd',
                r#"{"name":"N","retries":2,"started_at":1.5,"error_message":"m","error_class":"E","retry_at":7.0,"attempt":1,"queue":"own"}"#,
            ),
            (
                fresh,
                snooze,
                's',
                r#"{"name":"N","args":[1.0e+21],"retries":2,"retry_at":102.5,"queue":"own"}"#,
            ),
            (
                once,
                snooze,
                's',
                r#"{"name":"N","retries":2,"started_at":1.5,"error_message":"x","error_class":"X","retry_at":102.5,"attempt":1,"queue":"own"}"#,
            ),
            (&last, snooze, 's', &last.replace("7.0", "102.5").replace(r#""queue":"r""#, r#""queue":"own""#)),
            (fresh, Course::Discard, '-', ""),
            (&last, Course::Discard, '-', ""),
        ];
        for (raw, course, where_to, bytes) in table {
            let (went, score, payload) = match follow(raw, course, 100.0) {
                Fate::Retry { at, payload } => ('r', at, payload),
                Fate::Dead { at, payload } => ('d', at, payload),
                Fate::Snooze { at, payload } => ('s', at, payload),
                Fate::Discard | Fate::Forgotten => ('-', 0.0, Vec::new()),
            };
            assert_eq!((went, text(&payload)), (where_to, bytes), "{course:?} of {raw}");
            let expected = match went {
                'd' => 100.0,
                '-' => 0.0,
                _ => 102.5,
            };
            assert_eq!(score, expected, "{course:?} of {raw}");
        }
    }

    #[test]
    fn a_payload_that_names_its_retries_keeps_them() {
        for (raw, retries) in [
            (r#"{"name":"N"}"#, 4),
            (r#"{"name":"N","retries":null}"#, 4),
            (r#"{"name":"N","retries":0}"#, 0),
            (r#"{"name":"N","r\u0065tries":0}"#, 0),
            (r#"{"name":"N","retries":null,"retries":0}"#, 0),
            (r#"{"name":"N","retries":0,"retries":null}"#, 4),
            (r#"{"name":"N","retries":-1}"#, 0),
            (r#"{"name":"N","retries":"2"}"#, 2),
            (r#"{"name":"N","retries":9}"#, 9),
            (r#"{"name":"N","args":[{"retries":1}]}"#, 4),
        ] {
            assert_eq!(
                with_default_retries(Schema::Jiggler, raw.as_bytes(), history(raw), 4).retries,
                retries,
                "{raw}"
            );
            assert_eq!(
                with_default_retries(Schema::Jiggler, raw.as_bytes(), history(raw), 0),
                history(raw),
                "{raw}"
            );
        }
    }
}
