//! The task that sends jobs to retry sets of other realms, until the lane ends. See [`super::abroad`].
//!
//! This is rare, so a connection is opened for each series and closed afterwards.

use std::rc::Rc;

use glommio::timer::Timer;

use super::settle;
use super::state::Shard;
use crate::limits::LOCAL_CHUNK_BYTES;
use crate::net::{Backoff, ConnOptions, Connection, Error};
use crate::resp::{ReplyLimits, Requests};
use crate::store::enqueue;
use crate::wire::client_name;

/// Sends what arrives until it is dropped.
pub(super) async fn carry(shard: Rc<Shard>) {
    let mut backoff = Backoff::new(shard.options().shard as u64 + 77);
    loop {
        let queue = shard.abroad().next_queue().await;
        match carry_to(&shard, &queue).await {
            Ok(()) => backoff.reset(),
            Err(error) => {
                let from = shard.options().realm.queue();
                tracing::warn!(from, queue, %error, "cannot move jobs to another queue's retry set yet; trying again");
                Timer::new(backoff.pause()).await;
            }
        }
    }
}

/// Sends all jobs for one queue over one connection: one round trip for each
/// [`PUSH_JOBS_MAX`](crate::limits::PUSH_JOBS_MAX).
async fn carry_to(shard: &Shard, queue: &str) -> Result<(), Error> {
    let options = ConnOptions {
        name: client_name(&shard.options().uuid, Some(shard.options().shard), "abroad"),
        limits: ReplyLimits::default(),
        chunk_bytes: LOCAL_CHUNK_BYTES,
    };
    let keys = shard.options().realm.keys();
    let realm = keys.queue_realm(queue);
    let url = shard.options().url.at_key(keys.queue(queue).as_bytes());
    let mut conn = Connection::open(&url, &options).await?;
    loop {
        let jobs = shard.abroad().bound_for(queue);
        if jobs.is_empty() {
            return Ok(());
        }
        let mut requests = Requests::new();
        for (_, _, retry) in &jobs {
            enqueue::retry_in(&realm, &mut requests, retry.score, &retry.payload);
        }
        conn.send(&requests).await?;
        for (batch, at, retry) in jobs {
            enqueue::scheduled(&conn.reply().await?)?;
            if shard.abroad().arrived(&retry) {
                settle::abroad(shard, &batch, at, retry.counts);
                shard.work().raise();
            }
        }
    }
}
