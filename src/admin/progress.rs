//! `jiggler-uring progress JID [--json]`: what a job last reported of itself.

use std::io::Write;

use super::{
    database::Database,
    error::Error,
    format::{Format, write_json},
    table::printable,
};
use crate::client::{self, Progress};
use crate::view::span::span;

/// Reads the progress of a job and writes it. One round trip, and one more for the clock of Redis.
///
/// # Errors
/// [`Error::NoProgress`]; [`Error::Connect`], [`Error::Progress`]; [`Error::Output`].
pub(crate) fn progress(db: &Database, jid: &str, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let Some((progress, now)) = reported(db, jid)? else {
        return Err(Error::NoProgress { jid: printable(jid) });
    };
    match format {
        Format::Text => writeln!(out, "{}", text(&progress, now))?,
        Format::Json => write_json(&progress, out)?,
    }
    Ok(())
}

/// What the job reported, if it did, and Unix time by the clock of Redis.
pub(super) fn reported(db: &Database, jid: &str) -> Result<Option<(Progress, f64)>, Error> {
    let failed = |cause| match cause {
        client::Error::Connect(error) => Error::Connect(error),
        cause => Error::Progress { jid: printable(jid), cause },
    };
    let mut client = db.client().map_err(failed)?;
    let Some(progress) = client.progress(jid).map_err(failed)? else { return Ok(None) };
    let now = client.due_in(std::time::Duration::ZERO).map_err(failed)?;
    Ok(Some((progress, now)))
}

/// The progress in one line: "30 of 100 (30 %), 4 s ago: copying".
pub(super) fn text(progress: &Progress, now: f64) -> String {
    let Progress { done, total, note, at } = progress;
    let note = if note.is_empty() { String::new() } else { format!(": {}", printable(note)) };
    format!("{done} of {total} ({:.0} %), {} ago{note}", progress.percent(), span(now - at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::test_database::database, own_redis::OwnRedis};

    #[test]
    fn what_a_job_reported_is_shown_with_its_age_and_that_it_reported_nothing_is_an_error() {
        let redis = OwnRedis::start();
        let shown = |jid: &str, format| {
            let mut out = Vec::new();
            progress(&database(&redis), jid, format, &mut out).map(|()| String::from_utf8(out).unwrap())
        };
        assert!(matches!(shown("j", Format::Text), Err(Error::NoProgress { .. })));
        let json = br#"{"done":30,"total":100,"note":"copying \u001b[2J","at":1.5}"#;
        redis.run(&[b"SET", b"jiggler:uring:progress:j", json]);
        let text = shown("j", Format::Text).unwrap();
        assert!(
            text.starts_with("30 of 100 (30 %), ") && text.ends_with(" ago: copying \\u{1b}[2J\n"),
            "{text}"
        );
        let value: serde_json::Value = serde_json::from_str(&shown("j", Format::Json).unwrap()).unwrap();
        assert_eq!((&value["done"], &value["total"]), (&30.into(), &100.into()));
    }
}
