//! A command that Redis denied its user: which right is missing, and the line that grants it.

use super::{database::Database, error::Error};
use crate::{
    client,
    net::{self, blocking::BlockingConnection, error::HandshakeError},
    resp::{self, RedisError, RedisErrorKind},
    store::{denied, rights::Role, survey::SurveyError},
};

/// The same error, with the way out if it is a denial. Asks Redis once more which of the role's rights the user lacks; if
/// the user may not ask that either, the text of the denial has to do.
#[must_use]
pub(crate) fn explained(db: &Database, role: Role, error: Error) -> Error {
    let Some(denial) = denial(&error) else { return error };
    let words = denial.message().to_owned();
    let line =
        lacking(db, role).ok().flatten().unwrap_or_else(|| denied::by_words(&db.url, role, db.keys, &words));
    Error::Denied { cause: Box::new(error), line }
}

fn lacking(db: &Database, role: Role) -> Result<Option<String>, net::Error> {
    let reply = BlockingConnection::connect(&db.url)?.call_one(&denied::question(role, db.keys))?;
    Ok(denied::lacking(&db.url, role, db.keys, &reply)?)
}

/// Redis's words, if it denied the user something.
fn denial(error: &Error) -> Option<&RedisError> {
    match error {
        Error::Enqueue { cause, .. } | Error::Cancel { cause, .. } | Error::Progress { cause, .. } => {
            of_client(cause)
        }
        Error::BulkPush { cause, .. } => of_client(cause),
        Error::Script { cause, .. } | Error::Connect(cause) => of_call(cause),
        Error::Survey(SurveyError::Reply { cause: resp::Error::Redis(error), .. }) => of_kind(error),
        _ => None,
    }
}

fn of_client(error: &client::Error) -> Option<&RedisError> {
    match error {
        client::Error::Redis(cause) | client::Error::Connect(cause) => of_call(cause),
        client::Error::Bulk { cause, .. } => of_client(cause),
        _ => None,
    }
}

fn of_call(error: &net::Error) -> Option<&RedisError> {
    match error {
        net::Error::Redis(error) | net::Error::Handshake(HandshakeError::Refused { cause: error, .. }) => {
            of_kind(error)
        }
        _ => None,
    }
}

fn of_kind(error: &RedisError) -> Option<&RedisError> {
    (error.kind() == RedisErrorKind::NoPerm).then_some(error)
}
