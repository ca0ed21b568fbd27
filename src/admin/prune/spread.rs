//! Pruning a Redis Cluster, where each queue has sets and counters of its own beside it, and each heartbeat lies somewhere.
//!
//! One realm after the other, each over a connection to its node: a few round trips for each queue. What one realm had
//! is added to what the others had, so it is told as if it were one Redis; if a node is away in between, what went until
//! then is told before the error, and to run the command again is safe.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use super::{Found, What, delete, forget, told};
use crate::{
    admin::{Consent, Error, nodes, session::Session, ticker::Ticker},
    resp::url::RedisUrl,
    store::{
        entries::Place,
        operate::Pruned,
        survey::{Scope, Summary},
    },
    wire::Realm,
};

/// Deletes it and says what was deleted.
pub(super) fn prune(url: &RedisUrl, what: &What, consent: Consent, out: &mut dyn Write) -> Result<(), Error> {
    let summary = nodes::survey(url, Scope::Everything)?;
    let found = Found::of(&summary, what);
    if !found.is_agreed(consent, out)? {
        return Ok(());
    }
    // Of each key that was found, once any of its kind is gone.
    let mut counts: Vec<Option<u64>> = vec![None; found.keys.len()];
    let result = delete_in_realms(url, &summary, &found, &mut counts);
    for ((pruned, _), count) in found.keys.iter().zip(counts) {
        if let Some(count) = count {
            writeln!(out, "deleted {}", told(pruned, count))?;
        }
    }
    result?;
    let mut forgotten = 0;
    for key in &found.heartbeats {
        forgotten += forget(&mut Session::open_at_key(url, key)?, key)?;
    }
    found.tell_forgotten(forgotten, out)
}

/// In each realm that has any of it. What is of no one queue is in all of them.
fn delete_in_realms(
    url: &RedisUrl,
    summary: &Summary,
    found: &Found,
    counts: &mut [Option<u64>],
) -> Result<(), Error> {
    let mut of_queue: BTreeMap<&str, usize> = BTreeMap::new();
    let mut of_all = Vec::new();
    for (at, (pruned, _)) in found.keys.iter().enumerate() {
        match pruned {
            Pruned::Jobs(Place::Queue(queue)) => _ = of_queue.insert(queue.as_str(), at),
            Pruned::Jobs(Place::Set(_)) | Pruned::Failures | Pruned::Processed => of_all.push(at),
        }
    }
    let mut names: BTreeSet<&str> = of_queue.keys().copied().collect();
    if !of_all.is_empty() {
        names.extend(summary.realms.iter().map(String::as_str));
    }
    let mut ticker = Ticker::new();
    for (done, name) in names.iter().enumerate() {
        let mut session = Session::open(url, Realm::of_queue(name))?;
        for at in of_queue.get(name).into_iter().chain(&of_all) {
            *counts[*at].get_or_insert(0) += delete(&mut session, &found.keys[*at].0)?;
        }
        ticker.tell(|_| format!("pruned {done} of {} queues", names.len()));
    }
    Ok(())
}
