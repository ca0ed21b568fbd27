//! `jiggler-uring cancel JID`.

use std::io::Write;

use super::{database::Database, error::Error};
use crate::client;

/// Asks every worker to end the job with this jid, and reports how many were asked. Whether one of them runs it shows in
/// its log and in the dead set. One round trip.
///
/// # Errors
/// [`Error::NobodyListens`]; [`Error::Connect`]; [`Error::Cancel`]; [`Error::Output`].
pub(crate) fn cancel(db: &Database, jid: &str, out: &mut dyn Write) -> Result<(), Error> {
    let failed = |cause| Error::Cancel { jid: jid.to_owned(), cause };
    let mut client = match db.client() {
        Err(client::Error::Connect(error)) => return Err(Error::Connect(error)),
        other => other.map_err(failed)?,
    };
    match client.cancel(jid).map_err(failed)? {
        0 => Err(Error::NobodyListens { jid: jid.to_owned() }),
        1 => Ok(writeln!(out, "asked 1 worker to end job {jid}, if it runs there")?),
        workers => Ok(writeln!(out, "asked {workers} workers to end job {jid}, if one of them runs it")?),
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
}
