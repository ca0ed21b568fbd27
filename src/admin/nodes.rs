//! Visits every server there is: the one of a url, or in a Redis Cluster each primary, one after the other.

use super::{database::Database, error::Error, paused};
use crate::{
    limits::CLUSTER_PRIMARIES_MAX,
    net::{
        self,
        blocking::{BlockingConnection, BlockingOptions},
        cluster::{question, read_slots},
    },
    resp::{Place, encode::Requests, url::RedisUrl},
    store::survey::{Scope, Summary, Survey},
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
    let mut whole = Summary::default();
    for node in each(&db.url, &BlockingOptions::default())? {
        let mut conn = BlockingConnection::connect(&node)?;
        let found = read(&mut conn, Survey::once(scope, db.keys))?;
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

/// Surveys one server until everything has been read.
pub(super) fn read(conn: &mut BlockingConnection, mut survey: Survey) -> Result<Summary, Error> {
    while look(conn, &mut survey)? {}
    Ok(survey.finish())
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
