//! The payload of a running job: it is among what the shard that runs it has in flight.

use crate::{
    admin::{database::Database, error::Error},
    job::Parser,
    limits::{BATCH_JOBS_MAX, SHOW_BATCHES_MAX},
    net::blocking::BlockingConnection,
    resp::Requests,
    store::{
        entries::{Entry, Place},
        flight,
        survey::Summary,
        turn::{BatchName, QueueKeys},
    },
    view::{entry::JobEntry, shown::Running},
    wire::heartbeat_key::split_queues,
};

/// The payload of a job that processes say they run, and its queue. `None` if it has ended meanwhile, if nothing in Redis
/// keeps it (at most once), or if a program of others runs it. For each queue of such a process two round trips, and one for
/// each batch; two to connect: once, in a cluster for each queue.
///
/// # Errors
/// [`Error::Connect`].
pub(super) fn payload(
    db: &Database,
    fleet: &Summary,
    runs: &[Running],
    jid: &str,
) -> Result<Option<(Place, Entry)>, Error> {
    let (mut shared, mut parser) = (None, Parser::new(db.schema));
    for run in runs {
        let Some(shard) = run.shard else { continue };
        let Some(process) = fleet.processes.values().find(|process| process.uuid == run.process) else {
            continue;
        };
        for queue in split_queues(&process.queues) {
            let Ok(name) = queue.name.parse() else { continue };
            let place = Place::Queue(name);
            let keys = QueueKeys::new(db.keys, queue.name, &run.process, shard);
            let conn = match &mut shared {
                Some(conn) if !db.keys.is_cluster() => conn,
                _ => shared.insert(BlockingConnection::connect(&db.at_key(&keys.list).url)?),
            };
            let is_wanted = |entry: &Entry| JobEntry::new(&place, entry, &mut parser).id() == jid;
            if let Some(entry) = among(conn, &keys, is_wanted)? {
                return Ok(Some((place, entry)));
            }
        }
    }
    Ok(None)
}

/// The first job that a shard has in flight from one queue and that is the wanted one.
fn among(
    conn: &mut BlockingConnection,
    queue: &QueueKeys,
    mut is_wanted: impl FnMut(&Entry) -> bool,
) -> Result<Option<Entry>, Error> {
    let mut requests = Requests::new();
    flight::list_batches(queue, &mut requests);
    let mut numbers = flight::read_batches(&conn.call_one(&requests)?)?;
    // A job that runs for long is in an old one. One at a time: each may have a megabyte.
    numbers.sort_unstable();
    let numbered = numbers.into_iter().take(SHOW_BATCHES_MAX).map(BatchName::Turn);
    for batch in std::iter::once(BatchName::Wait).chain(numbered) {
        requests.clear();
        flight::list_jobs(queue, batch, BATCH_JOBS_MAX, &mut requests);
        let reply = conn.call_one(&requests)?;
        for payload in flight::read_jobs(&reply)? {
            let (size, bytes) = (payload.len() as u64, reply.slice(payload));
            let entry = Entry { newer: 0, size, score: None, bytes };
            if is_wanted(&entry) {
                return Ok(Some(entry));
            }
        }
    }
    Ok(None)
}
