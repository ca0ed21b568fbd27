//! What is paused, as commands that show something else as well read it.

use super::{database::Database, error::Error};
use crate::acts::pause::Look;
use crate::net::blocking::BlockingConnection;
use crate::resp::Requests;
use crate::store::paused;
use crate::wire::paused::Paused;

/// What is paused now, without what is over.
///
/// # Errors
/// [`Error::Connect`].
pub(super) fn paused_now(db: &Database) -> Result<Paused, Error> {
    let mut conn = BlockingConnection::connect(&paused::url(&db.url, db.keys))?;
    Ok(look(db, &mut conn)?.all())
}

/// What is paused now. One round trip.
pub(super) fn look(db: &Database, conn: &mut BlockingConnection) -> Result<Look, Error> {
    let mut requests = Requests::new();
    Look::write(db.keys, db.url.database(), &mut requests);
    Ok(Look::read(&conn.call(&requests)?)?)
}
