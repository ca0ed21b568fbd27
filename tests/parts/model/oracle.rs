//! The promises, checked against everything in Redis.

use std::collections::BTreeMap;

use jiggler_uring::internal::store::turn::Destination;
use jiggler_uring::internal::wire::in_flight;

use super::state::{Content, Database};
use super::world::{Verdict, World, ensure};

/// Checks every promise that holds after every step.
pub(crate) fn check(world: &mut World<'_>) -> Verdict {
    let db = Database::read(world.conn);
    conserved(world, &db)
        .and_then(|()| in_flight(world, &db))
        .and_then(|()| failures(world, &db))
        .and_then(|()| counters(world, &db))
        .map_err(|error| format!("{error}\nin redis:\n{db:?}"))
}

/// Each accepted job is in exactly one list until it has run and was acked, or was moved to a set.
fn conserved(world: &World<'_>, db: &Database) -> Verdict {
    let mut there: BTreeMap<&[u8], u64> = BTreeMap::new();
    for content in db.0.values() {
        if let Content::List(elements) = content {
            elements.iter().for_each(|raw| *there.entry(raw).or_default() += 1);
        }
    }
    for payload in &world.payloads {
        let found = there.remove(&*payload.raw).unwrap_or(0);
        let expected = payload.accepted - payload.ended;
        ensure(found == expected, || {
            format!(
                "{found} of {expected} remaining jobs are there: {}",
                payload.raw[..60.min(payload.raw.len())].escape_ascii()
            )
        })?;
    }
    ensure(there.is_empty(), || "a list holds a job that nobody pushed".to_owned())
}

/// Every in-flight list holds exactly what was taken and has not ended, and a lost shard could find it.
fn in_flight(world: &World<'_>, db: &Database) -> Verdict {
    let mut expected: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for stay in world.stays.iter().filter(|stay| !stay.ended) {
        expected.entry(&stay.key).or_default().push(&stay.raw);
    }
    for (key, content) in db.own_keys(world.keys) {
        let Content::List(elements) = content else { continue };
        let mut found: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
        let mut wanted = expected.remove(key.as_str()).unwrap_or_default();
        found.sort_unstable();
        wanted.sort_unstable();
        ensure(found == wanted, || {
            format!("{key} holds {} jobs, not {}, or others", found.len(), wanted.len())
        })?;
        let (index, batch) = key.rsplit_once(':').ok_or_else(|| format!("{key} is not a batch"))?;
        let fenced = matches!(db.0.get(index), Some(Content::Text(_)));
        let findable = batch == in_flight::WAIT_LIST_BATCH || fenced || db.index_has(index, batch);
        ensure(findable, || format!("{key} is not in the index, so a lost reply would strand it"))?;
    }
    ensure(expected.is_empty(), || format!("in-flight lists are gone: {:?}", expected.keys()))
}

/// The sets hold every failure once, and nothing else.
fn failures(world: &World<'_>, db: &Database) -> Verdict {
    for (set, to) in
        [(world.keys.names().retries, Destination::Retries), (world.keys.names().dead, Destination::Dead)]
    {
        let mut found = db.set(set).to_vec();
        let of_set = world.moved.iter().filter(|(destination, _)| *destination == to);
        let mut wanted: Vec<Vec<u8>> = of_set.map(|(_, payload)| payload.clone()).collect();
        found.sort_unstable();
        wanted.sort_unstable();
        ensure(found == wanted, || {
            format!("{set} holds {} entries, not {}, or others", found.len(), wanted.len())
        })?;
    }
    Ok(())
}

/// Counters are exact, whatever replies were lost.
fn counters(world: &World<'_>, db: &Database) -> Verdict {
    for (key, wanted) in
        [(world.keys.names().processed, world.processed), (world.keys.names().failures, world.failed)]
    {
        let found = db.counter(key);
        ensure(found == wanted, || format!("{key} is {found}, not {wanted}"))?;
    }
    Ok(())
}

/// What came back to the queue is to the right of what waited, and is taken oldest first. Lists as they were before.
pub(crate) fn handed_back_in_order(queue: &[Vec<u8>], batch: &[Vec<u8>], after: &[Vec<u8>]) -> Verdict {
    ensure(after.len() >= queue.len() && after[..queue.len()] == *queue, || {
        "handing back disturbed what waited".to_owned()
    })?;
    let mut batch = batch.iter();
    // The queue is taken from its right end.
    for job in after[queue.len()..].iter().rev() {
        ensure(batch.any(|before| before == job), || "jobs came back in another order".to_owned())?;
    }
    Ok(())
}

/// Where a registry of queues is kept, each queue that has got jobs back is in it.
pub(crate) fn registered(world: &World<'_>, db: &Database, list: &str) -> Verdict {
    let Some(registries) = &world.keys.names().registries else { return Ok(()) };
    let name = list.strip_prefix(world.keys.names().list_prefix).unwrap_or_default();
    let is_known = db.set(registries.queues).iter().any(|known| known == name.as_bytes());
    ensure(is_known, || format!("{list} has jobs again, and no page would show it"))
}

/// A drained system holds sets, counters, fences, and what crashed or fenced shards left; nothing more.
pub(crate) fn nothing_left(world: &mut World<'_>) -> Verdict {
    let db = Database::read(world.conn);
    let living: Vec<&[u8]> =
        world.shards.iter().flat_map(|shard| shard.context.queues.iter()).map(|keys| &*keys.index).collect();
    for (key, content) in db.own_keys(world.keys) {
        if matches!(content, Content::Text(text) if text == b"left") {
            continue;
        }
        let left = living.iter().any(|index| key.as_bytes().starts_with(index));
        ensure(!left, || format!("{key} is left behind\n{db:?}"))?;
    }
    let queues = db.0.keys().filter(|key| key.starts_with(world.keys.names().list_prefix)).count();
    ensure(queues == 0, || format!("a queue is left\n{db:?}"))
}
