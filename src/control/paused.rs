//! What operators have paused: read when the process starts, when the bell rings, and when it begins to listen anew; the
//! shards are told whenever that changes, and when a pause is over by itself.
//!
//! Queues that Sidekiq's programs have paused are read with each heartbeat, which rings here when they have changed.
//!
//! Nothing is polled: without a bell and without a pause that ends, this task sleeps. Each look has a connection of its own,
//! because there is one in many days.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::actor::Actor;
use super::options::ControlOptions;
use super::state::Control;
use crate::limits::{CONTROL_CHUNK_BYTES, PAUSE_END_LOOK, PAUSED_BYTES_MAX, PAUSED_PATIENCE};
use crate::mesh::ToShard;
use crate::net::{Backoff, ConnOptions, Connection, Error};
use crate::resp::{ReplyLimits, Requests};
use crate::store::paused;
use crate::wire::client_name;
use crate::wire::paused::{Paused, PausedNow};

/// What this process knows of it.
pub(super) struct Pauses {
    control: Rc<Control>,
    /// As last read.
    stored: Paused,
    /// As the shards know it.
    told: Arc<PausedNow>,
    backoff: Backoff,
}

/// Reads it for the first time, before the shards may fetch, and tells them. Gives up after a while, or when a stop is asked
/// for: a process that does not know what is paused serves everything, and learns it later.
pub(super) async fn begin(control: &Rc<Control>) -> Pauses {
    let mut pauses = Pauses {
        control: Rc::clone(control),
        stored: Paused::default(),
        told: Arc::default(),
        backoff: Backoff::new(u64::from(std::process::id()) + 2),
    };
    let began = Instant::now();
    while !control.phase().ends() && !pauses.look().await {
        if began.elapsed() >= PAUSED_PATIENCE {
            tracing::warn!("it is not known yet what is paused, so all queues are served until it is");
            break;
        }
        Timer::new(pauses.backoff.pause()).await;
    }
    pauses
}

/// Starts listening for changes.
pub(super) fn spawn(pauses: Pauses) -> Actor {
    Actor::spawn(pauses.run())
}

impl Pauses {
    async fn run(mut self) {
        loop {
            match self.until_end() {
                None => self.control.pauses_rang().wait().await,
                Some(pause) if pause.is_zero() => {
                    self.tell().await;
                    continue;
                }
                // A pause that is over is none, whatever is still stored.
                Some(pause) if !self.control.pauses_rang().wait_for(pause).await => {
                    self.tell().await;
                    continue;
                }
                Some(_) => {}
            }
            while !self.look().await {
                Timer::new(self.backoff.pause()).await;
            }
        }
    }

    /// How long until a pause that the shards know of is over; `None`: none of them is over by itself.
    fn until_end(&self) -> Option<Duration> {
        let now = self.control.now();
        if *self.told != self.now() {
            return Some(Duration::ZERO);
        }
        let left = self.stored.next_end(now)? - now;
        Some(Duration::try_from_secs_f64(left).unwrap_or(PAUSE_END_LOOK).min(PAUSE_END_LOOK))
    }

    /// Reads what is paused, and tells the shards. Returns whether there was an answer: one that cannot be used is logged,
    /// and what was known stays.
    async fn look(&mut self) -> bool {
        match self.read().await {
            Ok(stored) => {
                self.backoff.reset();
                self.stored = stored;
                self.tell().await;
                true
            }
            Err(Error::Redis(error)) if !error.kind().may_heal() => {
                tracing::warn!(%error, "cannot read what is paused; what was known stays");
                true
            }
            Err(error @ (Error::Unexpected { .. } | Error::Decode(_))) => {
                tracing::warn!(%error, "what is stored as paused is not ours; what was known stays");
                true
            }
            Err(error) => {
                // Tasks that need Redis more log its outages.
                tracing::debug!(%error, "could not read what is paused; trying again");
                false
            }
        }
    }

    async fn read(&self) -> Result<Paused, Error> {
        let ControlOptions { url, keys, uuid, .. } = &self.control.options;
        let options = ConnOptions {
            name: client_name(uuid, None, "paused"),
            limits: ReplyLimits { bytes_max: PAUSED_BYTES_MAX, ..ReplyLimits::default() },
            chunk_bytes: CONTROL_CHUNK_BYTES,
        };
        let mut conn = Connection::open(&paused::url(url, *keys), &options).await?;
        let mut requests = Requests::new();
        paused::ask(*keys, url.database(), &mut requests);
        let replies = conn.call(&requests).await?;
        let reply = replies.first().ok_or(Error::Closed)?;
        Ok(paused::read(reply)?)
    }

    /// What is paused now, by ours and by programs of others.
    fn now(&self) -> PausedNow {
        let mut now = self.stored.now(self.control.now());
        now.queues.extend(self.control.paused_by_others());
        now
    }

    /// Tells the shards what is paused now, if they do not know.
    async fn tell(&mut self) {
        let now = self.now();
        if *self.told == now {
            return;
        }
        let names = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        tracing::info!(
            queues = names(&now.queues),
            classes = names(&now.classes),
            "what is paused has changed"
        );
        self.told = Arc::new(now);
        self.control.note_paused(&self.told);
        self.control.shards.send_all(&ToShard::Paused(Arc::clone(&self.told))).await;
    }
}
