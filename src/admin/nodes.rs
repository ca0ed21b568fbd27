//! Looking at every server there is: the one of a url, or in a Redis Cluster each primary, one after the other.

use super::Error;
use crate::{
    limits::CLUSTER_PRIMARIES_MAX,
    net::{
        self,
        blocking::{BlockingConnection, BlockingOptions},
        cluster::{question, read_slots},
    },
    resp::{Place, encode::Requests, url::RedisUrl},
    store::inspect::{Inspection, Summary},
};

/// A url for each server: primaries in the order of their slots. A cluster is asked in one round trip.
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

/// The state of all servers together. Round trips for each: see [`Inspection`].
///
/// # Errors
/// [`Error::Connect`], [`Error::Inspect`].
pub(super) fn inspect(url: &RedisUrl) -> Result<Summary, Error> {
    let mut whole = Summary::default();
    for node in each(url, &BlockingOptions::default())? {
        let mut conn = BlockingConnection::connect(&node)?;
        let inspection = if url.is_cluster() { Inspection::of_node() } else { Inspection::default() };
        whole.add(read(&mut conn, inspection)?);
    }
    Ok(whole)
}

/// Reads the state of one server.
pub(super) fn read(conn: &mut BlockingConnection, mut inspection: Inspection) -> Result<Summary, Error> {
    let mut requests = Requests::new();
    while inspection.write(&mut requests) {
        let replies = conn.call(&requests)?;
        inspection.accept(&replies)?;
        requests.clear();
    }
    Ok(inspection.finish())
}
