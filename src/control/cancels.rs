//! Hears which running jobs are to end, and tells the shards; and what operators want of this process ([`super::steering`]).
//!
//! One connection a process that listens and never asks: no traffic while nobody cancels anything. What is said while it
//! is away is not heard; whoever cancels is told how many processes listened.

use std::rc::Rc;
use std::sync::Arc;

use glommio::timer::Timer;

use super::Control;
use crate::limits::{
    CANCEL_REFUSED_PAUSE, CANCEL_SILENCE_MAX, CANCELS_UNHEARD_MAX, CONTROL_CHUNK_BYTES, JID_BYTES_MAX,
    STEER_BYTES_MAX,
};
use crate::mesh::ToShard;
use crate::net::{Backoff, ConnOptions, Connection};
use crate::resp::{Error, Reply, ReplyLimits, Requests};
use crate::store::cancel;
use crate::store::steer::{self, Wish};

/// Listens until it is dropped.
pub(super) async fn run(control: Rc<Control>) {
    let mut backoff = Backoff::new(u64::from(std::process::id()) + 1);
    // Cancellations each shard was told of.
    let mut told = vec![0; control.shards.len()];
    loop {
        match listen(&control, &mut backoff, &mut told).await {
            Error::Redis(error) => {
                tracing::warn!(%error, "cancellations cannot be heard: redis refuses the subscription");
                Timer::new(CANCEL_REFUSED_PAUSE).await;
            }
            error => {
                // That Redis is away is said by those who need it more.
                tracing::debug!(%error, "cancellations are not heard for a moment");
                Timer::new(backoff.pause()).await;
            }
        }
    }
}

/// One connection's life; why it ended.
async fn listen(control: &Control, backoff: &mut Backoff, told: &mut [u64]) -> Error {
    let mut conn = match subscribe(control).await {
        Ok(conn) => conn,
        Err(error) => return error,
    };
    backoff.reset();
    loop {
        let message = match conn.message(CANCEL_SILENCE_MAX).await {
            Ok(message) => message,
            Err(error) => return error,
        };
        match steer::message(&message, control.options.url.database(), &control.options.uuid) {
            Ok(None) => {}
            Ok(Some(text)) => {
                steer(control, text).await;
                continue;
            }
            Err(error) => return error,
        }
        match cancel::wanted(&message) {
            Ok(Some(jid)) if !jid.is_empty() && jid.len() <= JID_BYTES_MAX => pass_on(control, jid, told),
            Ok(_) => tracing::warn!("a cancellation names no job: it must be a jid"),
            Err(error) => return error,
        }
    }
}

async fn subscribe(control: &Control) -> Result<Connection, Error> {
    let options = ConnOptions {
        name: format!("jiggler-uring:{}:cancel", control.options.uuid),
        limits: ReplyLimits::default(),
        chunk_bytes: CONTROL_CHUNK_BYTES,
    };
    let mut conn = Connection::open(&steer::url(&control.options.url), &options).await?;
    // It says nothing of itself, so it goes with upkeep's: a server that is gone, or none of ours any more, tells nothing.
    *control.listens.borrow_mut() = Some(conn.stopper());
    let mut requests = Requests::new();
    let database = control.options.url.database();
    cancel::subscribe(database, &mut requests);
    steer::subscribe(database, &control.options.uuid, &mut requests);
    let mut confirmed = conn.call(&requests).await?.into_iter().map(Reply::into_result);
    confirmed.next().transpose()?;
    match confirmed.next().transpose() {
        Ok(_) => Ok(conn),
        // Rights given before there was this channel.
        Err(Error::Redis(error)) => {
            tracing::warn!(%error, "`quiet` and `stop` cannot be heard: redis refuses the subscription; signals work");
            Ok(conn)
        }
        Err(error) => Err(error),
    }
}

async fn steer(control: &Control, text: &str) {
    match Wish::parse(text) {
        Some(wish) => control.obey(wish).await,
        None => {
            let end = text.floor_char_boundary(STEER_BYTES_MAX);
            tracing::warn!(
                message = &text[..end],
                "a message to this process asks for nothing that it knows"
            );
        }
    }
}

/// Tells every shard: which of them runs the job, if any, only they know.
fn pass_on(control: &Control, jid: &str, told: &mut [u64]) {
    tracing::info!(jid, "asked to cancel a job");
    let jid: Arc<str> = jid.into();
    for (shard, (link, told)) in control.shards.iter().zip(told).enumerate() {
        let unheard = told.saturating_sub(control.options.stats[shard].cancels_heard.get());
        // A shard that is held up hears nothing, and the phases must find room in its channel.
        let room = unheard < CANCELS_UNHEARD_MAX;
        if room && link.try_send(ToShard::Cancel(Arc::clone(&jid))).is_ok() {
            *told += 1;
        } else {
            tracing::warn!(shard, jid = &*jid, "a shard could not be told of a cancellation; is it held up?");
        }
    }
}
