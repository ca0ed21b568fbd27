//! Listens for what others want of this process: which running jobs to cancel, which it passes to the shards, what
//! operators ask for ([`super::steering`]), that someone watches it, that what is paused has changed
//! ([`super::paused`]), and what other processes give to their queues ([`super::others`]).
//!
//! Each process has one such connection, which listens and never asks: there is no traffic while nobody wants anything.
//! Messages sent while it is down are lost; the sender learns how many processes listened.

use std::rc::Rc;
use std::sync::Arc;

use glommio::timer::Timer;

use super::actor::Actor;
use super::options::ControlOptions;
use super::state::Control;
use super::steering;
use crate::limits::{
    CANCEL_REFUSED_PAUSE, CANCEL_SILENCE_MAX, CANCELS_UNHEARD_MAX, CONTROL_CHUNK_BYTES, JID_BYTES_MAX,
    STEER_BYTES_MAX,
};
use crate::mesh::ToShard;
use crate::net::{Backoff, ConnOptions, Connection, Error};
use crate::resp::{self, Reply, ReplyLimits, Requests};
use crate::store::cancel;
use crate::store::paused;
use crate::store::slots;
use crate::store::steer::{self, SteerRequest};
use crate::wire::client_name;
use crate::wire::slots::SlotsNews;

/// Starts listening.
pub(super) fn spawn(control: &Rc<Control>) -> Actor {
    Actor::spawn(run(Rc::clone(control)))
}

async fn run(control: Rc<Control>) {
    let mut backoff = Backoff::new(u64::from(std::process::id()) + 1);
    // Cancellations passed to each shard.
    let mut told = vec![0; control.shards.count()];
    loop {
        match listen(&control, &mut backoff, &mut told).await {
            Error::Redis(error) => {
                tracing::warn!(%error, "this process cannot receive cancellations: redis refused the subscription; trying again");
                Timer::new(CANCEL_REFUSED_PAUSE).await;
            }
            error => {
                // Tasks that need Redis more log its outages.
                tracing::debug!(%error, "lost the connection that receives cancellations; reconnecting");
                Timer::new(backoff.pause()).await;
            }
        }
    }
}

/// The life of one connection; returns why it ended.
async fn listen(control: &Control, backoff: &mut Backoff, told: &mut [u64]) -> Error {
    let mut conn = match subscribe(control).await {
        Ok(conn) => conn,
        Err(error) => return error,
    };
    backoff.reset();
    // What was said while nobody listened is lost.
    control.pauses_rang().raise();
    let ControlOptions { url, keys, uuid, .. } = &control.options;
    loop {
        let message = match conn.message(CANCEL_SILENCE_MAX).await {
            Ok(message) => message,
            Err(error) => return error,
        };
        match paused::is_bell(&message, *keys, url.database()) {
            Ok(false) => {}
            Ok(true) => {
                control.pauses_rang().raise();
                continue;
            }
            Err(error) => return error.into(),
        }
        match slots::heard(&message, *keys, url.database()) {
            Ok(None) => {}
            Ok(Some(text)) => {
                match SlotsNews::parse(text) {
                    Some(news) => control.hear_of_slots(news),
                    None => tracing::debug!("ignored a message about slots that is not of this version"),
                }
                continue;
            }
            Err(error) => return error.into(),
        }
        match steer::message(&message, *keys, url.database(), uuid) {
            Ok(None) => {}
            Ok(Some(text)) => {
                steer(control, text).await;
                continue;
            }
            Err(error) => return error.into(),
        }
        match cancel::wanted(&message) {
            Ok(Some(jid)) if !jid.is_empty() && jid.len() <= JID_BYTES_MAX => pass_on(control, jid, told),
            Ok(_) => tracing::warn!("ignored a cancellation that names no job; it must be a jid"),
            Err(error) => return error.into(),
        }
    }
}

async fn subscribe(control: &Control) -> Result<Connection, Error> {
    let options = ConnOptions {
        name: client_name(&control.options.uuid, None, "cancel"),
        limits: ReplyLimits::default(),
        chunk_bytes: CONTROL_CHUNK_BYTES,
    };
    let ControlOptions { url, keys, uuid, .. } = &control.options;
    let mut conn = Connection::open(&steer::url(url, *keys), &options).await?;
    // It never notices an outage by itself, so it ends with upkeep's connection: a server that is gone, or was demoted, is
    // silent.
    control.note_listening(conn.stopper());
    let mut requests = Requests::new();
    cancel::subscribe(*keys, url.database(), &mut requests);
    steer::subscribe(*keys, url.database(), uuid, &mut requests);
    paused::subscribe(*keys, url.database(), &mut requests);
    if control.options.balance.is_some() {
        slots::subscribe(*keys, url.database(), &mut requests);
    }
    let mut confirmed = conn.call(&requests).await?.into_iter().map(Reply::into_result);
    confirmed.next().transpose()?;
    match confirmed.collect::<Result<Vec<_>, _>>() {
        Ok(_) => Ok(conn),
        // The user's rights were granted before this channel existed.
        Err(resp::Error::Redis(error)) => {
            tracing::warn!(%error, "this process hears no `quiet`, `stop`, `pause` and `resume`: redis refused it; signals still work");
            Ok(conn)
        }
        Err(error) => Err(error.into()),
    }
}

async fn steer(control: &Control, text: &str) {
    if text == steer::WATCH {
        return control.watch();
    }
    match SteerRequest::parse(text) {
        Some(request) => steering::carry_out(control, request).await,
        None => {
            let end = text.floor_char_boundary(STEER_BYTES_MAX);
            tracing::warn!(message = &text[..end], "ignored an unknown request on the steering channel");
        }
    }
}

/// Tells every shard: only the shards know which of them runs the job, if any does.
fn pass_on(control: &Control, jid: &str, told: &mut [u64]) {
    tracing::info!(jid, "asked to cancel a job");
    let jid: Arc<str> = jid.into();
    for (shard, told) in told.iter_mut().enumerate() {
        let unheard = told.saturating_sub(control.options.stats[shard].cancels_heard.get());
        // A shard that is held up reads nothing, and the phases must find room in its channel.
        let room = unheard < CANCELS_UNHEARD_MAX;
        if room && control.shards.try_send(shard, ToShard::Cancel(Arc::clone(&jid))) {
            *told += 1;
        } else {
            tracing::warn!(shard, jid = &*jid, "a shard did not take a cancellation; does a job hold it up?");
        }
    }
}
