//! `jiggler-uring cancel JID`.

use std::io::Write;

use super::{database::Database, error::Error, show};
use crate::client;
use crate::limits::CANCEL_EXAMINED;
use crate::store::entries::{Place, Set};

/// Asks every worker to end the job with this jid, and reports how many were asked. Whether one of them runs it shows in
/// its log and in the dead set. A job in one of the sets does not run, which is said; they are asked all the same, since
/// another with its jid may run. Round trips: those of a look at the sets, and one.
///
/// # Errors
/// [`Error::DoesNotRun`]; [`Error::NobodyListens`]; [`Error::Connect`]; [`Error::Cancel`]; [`Error::Output`].
pub(crate) fn cancel(db: &Database, jid: &str, out: &mut dyn Write) -> Result<(), Error> {
    // Looked up first: a job that was ended is in the dead set.
    let set = set_of(db, jid);
    let failed = |cause| Error::Cancel { jid: jid.to_owned(), cause };
    let mut client = match db.client() {
        Err(client::Error::Connect(error)) => return Err(Error::Connect(error)),
        other => other.map_err(failed)?,
    };
    let asked = client.cancel(jid).map_err(failed)?;
    if let Some(set) = set {
        return Err(Error::DoesNotRun { jid: jid.to_owned(), set });
    }
    match asked {
        0 => Err(Error::NobodyListens { jid: jid.to_owned() }),
        1 => Ok(writeln!(out, "asked 1 worker to end job {jid}, if it runs there")?),
        workers => Ok(writeln!(out, "asked {workers} workers to end job {jid}, if one of them runs it")?),
    }
}

/// The set it is in, as far as this user may look.
fn set_of(db: &Database, jid: &str) -> Option<Set> {
    let places = Set::ALL.into_iter().map(Place::Set);
    match show::find(db, places, (jid, CANCEL_EXAMINED), &mut Vec::new()) {
        Ok(Some((Place::Set(set), _))) => Some(set),
        // Whatever is the matter, to end the job is tried, which says what it is.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::{database, nowhere};
    use crate::own_redis::OwnRedis;

    #[test]
    fn that_nobody_listens_is_an_error_but_not_misuse() {
        let redis = OwnRedis::start();
        let error = cancel(&database(&redis), "j", &mut Vec::new()).unwrap_err();
        assert!(matches!(&error, Error::NobodyListens { jid } if jid == "j") && !error.is_usage(), "{error}");
        let nowhere = nowhere();
        assert!(matches!(cancel(&nowhere, "j", &mut Vec::new()), Err(Error::Connect(_))));
    }

    #[test]
    fn a_job_in_a_set_does_not_run_and_what_to_do_instead_is_said() {
        let redis = OwnRedis::start();
        for (set, jid, instead) in [
            (
                &b"jiggler:set:scheduled"[..],
                "s",
                "in the scheduled set, where nothing runs; `jiggler-uring delete s` removes it, `jiggler-uring kill s` moves",
            ),
            (
                b"jiggler:set:retries",
                "r",
                "in the retry set, where nothing runs; `jiggler-uring delete r` removes it",
            ),
            (
                b"jiggler:set:dead",
                "d",
                "in the dead set, where nothing runs; `jiggler-uring delete d` removes it",
            ),
        ] {
            let job = format!(r#"{{"name":"N","args":[],"jid":"{jid}"}}"#);
            redis.run(&[b"ZADD", set, b"1795299800.5", job.as_bytes()]);
            let error = cancel(&database(&redis), jid, &mut Vec::new()).unwrap_err();
            assert!(error.to_string().contains(instead) && !error.is_usage(), "{error}");
            assert_eq!(error.to_string().contains("kill"), jid != "d", "{error}");
        }
    }
}
