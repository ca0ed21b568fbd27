//! A job whose name a process does not know, as it is left to others: it waits in the retry set, or where Sidekiq's programs
//! look on, in the schedule, and then returns to the consuming end of its queue, so that any worker may take it next.
//!
//! Pure: bytes and times. Since when it is left is in the payload, so it is one time for a whole fleet, however many of its
//! processes do not know the name and however often they start. A Ruby server passes both members on unchanged.
//!
//! Invariant: no attempt is used, and nothing but `retry_at`, `queue` and the two members changes.

use std::time::Duration;

use super::amend::{AmendError, FieldValue, amend};
use super::schema::Schema;

/// Since when a job is left to others, in Unix seconds; `None` if it is not, or not any more: it has run since, which plans
/// another time for it, or the last look at it was longer ago than it may be left at all, as when an operator retries one
/// that has died. Sidekiq writes no time of a planned retry, but that of the failure.
#[must_use]
pub fn left_since(schema: Schema, raw: &[u8], now: f64, within: Duration) -> Option<f64> {
    let names = schema.names();
    let time = |name| schema.time_of(raw, name);
    let (since, until) = (time(names.left_since)?, time(names.left_until)?);
    let failed_at = time(names.retried_at).or_else(|| time(names.first_failed_at));
    let is_planned_so = time(names.retry_at) == Some(until) && failed_at.is_none_or(|at| at <= since);
    (is_planned_so && since <= now && now - until < within.as_secs_f64()).then_some(since)
}

/// The payload of a job that is left to others until this Unix time.
///
/// # Errors
///
/// [`AmendError`] when `raw` is not a JSON object: such bytes were never parsed.
pub fn leave(schema: Schema, raw: &[u8], since: f64, until: f64, queue: &str) -> Result<Vec<u8>, AmendError> {
    let (names, schema) = (schema.names(), schema.of_payload(raw));
    // The last member is by which `due.lua` knows such a job.
    let changes = [
        (names.retry_at, schema.time(until)),
        (names.queue, FieldValue::Text(queue)),
        (names.left_since, schema.time(since)),
        (names.left_until, schema.time(until)),
    ];
    amend(raw, &changes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Course, ErrorInfo, FailureTimes, Fate, Parser, Plan, decide};
    use crate::wire::Dialect;

    const WITHIN: Duration = Duration::from_secs(600);

    fn left(raw: &str, since: f64, until: f64) -> String {
        String::from_utf8(leave(Schema::Jiggler, raw.as_bytes(), since, until, "img").unwrap()).unwrap()
    }

    fn since(raw: &str, now: f64) -> Option<f64> {
        left_since(Schema::Jiggler, raw.as_bytes(), now, WITHIN)
    }

    #[test]
    fn the_first_time_counts_however_often_a_job_is_left() {
        let raw = r#"{"name":"N","args":[1.0e+21],"jid":"j"}"#;
        assert_eq!(since(raw, 100.0), None);
        let once = left(raw, 100.5, 101.5);
        let members = r#","retry_at":101.5,"queue":"img","left_since":100.5,"left_until":101.5}"#;
        assert_eq!(once, format!("{}{members}", raw.trim_end_matches('}')));
        assert_eq!(since(&once, 101.75), Some(100.5));
        let twice = left(&once, 100.5, 103.25);
        assert_eq!(twice, once.replace("101.5", "103.25"));
        assert_eq!(since(&twice, 103.5), Some(100.5));
        let history = Parser::new(Schema::Jiggler).parse(twice.as_bytes()).unwrap().history;
        assert_eq!((history.attempt, history.retries), (0, 0));
    }

    #[test]
    fn a_run_or_a_long_rest_begins_the_time_anew() {
        let once = left(r#"{"name":"N","args":[],"retries":3}"#, 100.5, 101.5);
        let history = Parser::new(Schema::Jiggler).parse(once.as_bytes()).unwrap().history;
        let course = Course::Retry { after: Duration::from_secs(16) };
        let plan =
            Plan { schema: Schema::Jiggler, queue: "img", retry_queue: "img", course, backtrace: None };
        let error = ErrorInfo::new("E", "boom");
        let fate = decide(once.as_bytes(), history, &plan, &error, FailureTimes::at(102.0)).unwrap();
        let Fate::Retry { payload, .. } = fate else { panic!("{fate:?}") };
        assert_eq!(since(std::str::from_utf8(&payload).unwrap(), 118.5), None);

        let raw = br#"{"class":"N","args":[],"retry":3,"retry_count":0,"failed_at":90.5}"#;
        let sidekiq = Schema::of(Dialect::Sidekiq);
        let once = leave(sidekiq, raw, 100.5, 101.5, "img").unwrap();
        let history = Parser::new(sidekiq).parse(&once).unwrap().history;
        assert_eq!(left_since(sidekiq, &once, 101.75, WITHIN), Some(100.5));
        let plan = Plan { schema: sidekiq, ..plan };
        let fate = decide(&once, history, &plan, &error, FailureTimes::at(102.0)).unwrap();
        let Fate::Retry { payload, .. } = fate else { panic!("{fate:?}") };
        assert_eq!(left_since(sidekiq, &payload, 118.5, WITHIN), None);

        let once = left(r#"{"name":"N","args":[],"retries":3}"#, 100.5, 101.5);
        assert_eq!(since(&once, 701.25), Some(100.5));
        assert_eq!(since(&once, 701.75), None, "an operator retries it");
        assert_eq!(since(&once, 99.0), None, "a clock went back");
    }
}
