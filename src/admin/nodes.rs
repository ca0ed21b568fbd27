//! Visits every server there is: the one of a url, or in a Redis Cluster each primary, one after the other.

use std::io::{self, Write};

use super::{database::Database, error::Error, paused};
use crate::{
    limits::CLUSTER_PRIMARIES_MAX,
    net::{
        self,
        blocking::{BlockingConnection, BlockingOptions},
        cluster::{question, read_slots},
    },
    resp::{Place, encode::Requests, url::RedisUrl},
    store::survey::{Scope, Summary, Survey, WalkReason},
};

/// A url for each server: primaries in the order of their slots. A cluster is queried in one round trip.
///
/// # Errors
/// [`Error::Connect`]
pub(super) fn each(url: &RedisUrl, options: &BlockingOptions) -> Result<Vec<RedisUrl>, Error> {
    let Place::Cluster(cluster) = url.place() else { return Ok(vec![url.clone()]) };
    let mut last = net::Error::Closed;
    for endpoint in cluster.hosts() {
        let asked = BlockingConnection::connect_with(&url.node_at(endpoint.clone()), options)
            .and_then(|mut conn| conn.call_one(&question()))
            .and_then(|reply| Ok(read_slots(&reply, endpoint)?));
        match asked {
            Ok(ranges) => {
                let mut primaries = Vec::new();
                for primary in ranges.into_iter().filter_map(|range| range.nodes.into_iter().next()) {
                    if !primaries.contains(&primary) && primaries.len() < CLUSTER_PRIMARIES_MAX {
                        primaries.push(primary);
                    }
                }
                return Ok(primaries.into_iter().map(|primary| url.primary_at(primary)).collect());
            }
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

/// What all servers together hold, each surveyed over a separate connection. Round trips for each: see [`Survey::once`].
///
/// # Errors
/// [`Error::Connect`], [`Error::Survey`].
pub(super) fn survey(db: &Database, scope: Scope) -> Result<Summary, Error> {
    survey_by(db, scope, Lookup::Register)
}

/// Where to look for queues and processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// In the register, if somebody has filled it.
    Register,
    /// Among all keys of the database, however many there are.
    AllKeys,
}

impl Lookup {
    /// The one for commands that may be told to look.
    pub(crate) const fn of(look: bool) -> Self {
        if look { Self::AllKeys } else { Self::Register }
    }
}

/// The same, looking where it is told to.
///
/// # Errors
/// [`Error::Connect`], [`Error::Survey`].
pub(super) fn survey_by(db: &Database, scope: Scope, lookup: Lookup) -> Result<Summary, Error> {
    let mut whole = Summary::default();
    for node in each(&db.url, &BlockingOptions::default())? {
        let mut conn = BlockingConnection::connect(&node)?;
        let survey = Survey::once(scope, db.keys);
        let survey = if lookup == Lookup::AllKeys { survey.through_all_keys() } else { survey };
        let found = read(&mut conn, survey)?;
        if !db.keys.is_cluster() {
            return Ok(found);
        }
        whole.add(found);
    }
    if scope == Scope::Everything {
        whole.paused = paused::paused_now(db)?;
    }
    Ok(whole)
}

/// Surveys one server until everything has been read. Says on standard error when it looks through all keys unasked.
///
/// # Errors
/// [`Error::Connect`], [`Error::Survey`].
pub(crate) fn read(conn: &mut BlockingConnection, mut survey: Survey) -> Result<Summary, Error> {
    let mut has_told = false;
    while look(conn, &mut survey)? {
        if !has_told && let Some(note) = survey.walks().and_then(note_of) {
            has_told = true;
            // Whether anybody reads it changes nothing.
            let _ = writeln!(io::stderr(), "note: {note}");
        }
    }
    Ok(survey.finish())
}

/// What to say while all keys are looked through, unless that was asked for.
fn note_of(reason: WalkReason<'_>) -> Option<String> {
    match reason {
        WalkReason::Asked => None,
        WalkReason::First => Some(
            "nobody has noted yet which queues and processes this database has, so all its keys are looked through once; \
             the next command need not"
                .to_owned(),
        ),
        WalkReason::Unreadable(error) => Some(format!(
            "the register of queues and processes cannot be read ({error}), so all keys are looked through; delete that key \
             or grant that right, and the next command need not"
        )),
    }
}

/// One look: one round trip. `false` if everything has been read, and nothing was sent.
pub(super) fn look(conn: &mut BlockingConnection, survey: &mut Survey) -> Result<bool, Error> {
    let mut requests = Requests::new();
    if !survey.write(&mut requests) {
        return Ok(false);
    }
    survey.accept(&conn.call(&requests)?)?;
    Ok(true)
}
