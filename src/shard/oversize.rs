//! Burying payloads that are too large to be fetched: they got no further than the shard's oversize list.
//!
//! This is rare, so it uses its own connection, with its own bound, and closes it at once.

use std::rc::Rc;

use super::state::Shard;
use crate::job::{BadPayload, bury_in_parts};
use crate::limits::{BURIED_PART_BYTES_MAX, OVERSIZE_REPLY_BYTES_MAX, PAYLOAD_BYTES_MAX, READ_CHUNK_BYTES};
use crate::net::{ConnOptions, Connection, Error};
use crate::resp::{ReplyLimits, Requests, Value};
use crate::stats::Outcome;
use crate::store::flight::{self, Burial, Buried};
use crate::store::scripts::{self, Scripts};
use crate::wire::client_name;

/// Buries what is in the oversize list of one queue, in the background. After a failure the rest stays there, in flight:
/// it is tried again when the next one arrives, or handed back by a reaper.
///
/// One task per queue: two would read the same payload, and the slower one would take away the next one of that size.
pub(super) fn bury(shard: &Rc<Shard>, queue: usize) {
    if shard.burials().came(queue) {
        glommio::spawn_local(bury_all(Rc::clone(shard), queue)).detach();
    }
}

async fn bury_all(shard: Rc<Shard>, queue: usize) {
    while shard.burials().look(queue) {
        if let Err(error) = try_bury_all(&shard, queue).await {
            shard.held().bury_later(queue);
            let queue = &*shard.queue(queue).name;
            tracing::error!(queue, %error, "a payload above the size limit cannot be buried and stays in flight");
        }
    }
}

async fn try_bury_all(shard: &Shard, queue: usize) -> Result<(), Error> {
    let options = ConnOptions {
        name: client_name(&shard.options().uuid, Some(shard.options().shard), "oversize"),
        limits: ReplyLimits { bytes_max: OVERSIZE_REPLY_BYTES_MAX, ..ReplyLimits::default() },
        chunk_bytes: READ_CHUNK_BYTES,
    };
    let mut conn = Connection::open(&shard.options().url, &options).await?;
    let mut requests = Requests::new();
    let realm = &shard.options().realm;
    scripts::load(realm, &mut requests);
    let scripts = Scripts::read(realm.clone(), &conn.call(&requests).await?)?;
    loop {
        requests.clear();
        flight::read_oversize(shard.queue(queue), &mut requests);
        conn.send(&requests).await?;
        let reply = conn.reply().await?.into_result()?;
        let Value::Bulk(raw) = reply.value() else { return Ok(()) };
        let reason = BadPayload::TooLarge { bytes: raw.len(), max: PAYLOAD_BYTES_MAX };
        let name = &*shard.queue(queue).name;
        let now = shard.clock().now();
        let entries = bury_in_parts(shard.options().schema, raw, &reason, name, now, BURIED_PART_BYTES_MAX);
        let (bytes, entries_made) = (raw.len(), entries.len());
        tracing::warn!(
            queue = name,
            bytes,
            entries = entries_made,
            %reason,
            "a payload is not a job and goes to the dead set"
        );
        let burial = Burial {
            bytes: raw.len(),
            entries: &entries,
            now,
            cutoff: now - shard.turn_context().dead_timeout_s.get(),
            dead_jobs_max: shard.turn_context().dead_jobs_max.get(),
        };
        requests.clear();
        flight::bury(&scripts, shard.queue(queue), &burial, &mut requests);
        conn.send(&requests).await?;
        let reply = conn.reply().await?.into_result()?;
        if flight::read_burial(&reply)? == Buried::Uncounted {
            shard.held().count_later();
        }
        shard.options().stats.failed.add(1);
        shard.tally().other(queue).count(Outcome::Malformed);
    }
}
