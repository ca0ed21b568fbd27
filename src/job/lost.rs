//! A job whose child process died, as it goes back to its queue: how often that has happened is in its payload.
//!
//! Pure: bytes and times. What a whole process had in flight when it died is counted in Redis by who reaps it; here the
//! engine lives, and writes the count where it moves the job. A Ruby server passes the member on unchanged.
//!
//! Invariant: no attempt is used, and nothing changes but this member and those that say when it is back.

use super::amend::{AmendError, FieldValue, amend};
use super::left::leave;
use super::members::member;
use super::schema::Schema;

/// How often a child process died with the job in hand.
const CHILD_DEATHS: &str = "child_deaths";

/// How often a child has died with this job.
#[must_use]
pub fn child_deaths(raw: &[u8]) -> u64 {
    member::<u64>(raw, CHILD_DEATHS).unwrap_or(0)
}

/// The payload of a job that goes back after one more death, until this Unix time; it is next in its queue then.
///
/// # Errors
///
/// [`AmendError`] when `raw` is not a JSON object: such bytes were never parsed.
pub fn after_death(
    schema: Schema,
    raw: &[u8],
    now: f64,
    until: f64,
    queue: &str,
) -> Result<Vec<u8>, AmendError> {
    let deaths = child_deaths(raw).saturating_add(1);
    // Those that say when it is back come last: `due.lua` knows such a job by them.
    leave(schema, &amend(raw, &[(CHILD_DEATHS, FieldValue::Count(deaths))])?, now, until, queue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_death_is_counted_and_nothing_else_changes() {
        let raw = r#"{"name":"N","args":[1.0e+21],"jid":"j"}"#;
        let once = after_death(Schema::Jiggler, raw.as_bytes(), 100.5, 101.5, "img").unwrap();
        let text = std::str::from_utf8(&once).unwrap();
        let members =
            r#","child_deaths":1,"retry_at":101.5,"queue":"img","left_since":100.5,"left_until":101.5}"#;
        assert_eq!(text, format!("{}{members}", raw.trim_end_matches('}')));
        let twice = after_death(Schema::Jiggler, &once, 102.5, 103.5, "img").unwrap();
        assert_eq!((child_deaths(raw.as_bytes()), child_deaths(&once), child_deaths(&twice)), (0, 1, 2));
    }
}
