//! A shard without Redis: what it says of it, once at the begin and once at the end, and how long a stop tries.
//!
//! A stop owes Redis what runs, what is not acked and what is to be handed back; for that it tries until the deadline and
//! [`STOP_GRACE`] more. A shard that owes nothing ends at the first attempt that fails after the stop was asked for.

use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::denied;
use super::link::{Link, LinkError, Sent};
use super::state::Shard;
use crate::limits::{STOP_GRACE, STOP_PATIENCE};
use crate::mesh::Ending;
use crate::shutdown::Phase;

/// What is said where Redis is there, and denies.
const DENIED: &str = "redis denies this worker's user what a shard does; trying again";

/// The outage a shard stands in, if any.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Since when, and how many attempts have failed.
    begun: Option<(Instant, u64)>,
    /// Whether an attempt was denied a right.
    is_denied: bool,
}

impl Outage {
    pub(super) fn is_on(&self) -> bool {
        self.begun.is_some()
    }

    /// An attempt has ended with an error.
    pub(super) fn failed(&mut self, shard: &Shard, error: &LinkError) {
        let was_denied = self.is_denied;
        self.is_denied |= matches!(error, LinkError::Denied { .. });
        match &mut self.begun {
            Some((_, attempts)) => {
                *attempts += 1;
                if self.is_denied && !was_denied {
                    tracing::error!(shard = shard.options.shard, %error, "{DENIED}");
                }
            }
            None => {
                let what = if self.is_denied { DENIED } else { "redis is gone; trying again" };
                let queue = shard.options.realm.queue();
                tracing::error!(shard = shard.options.shard, queue, %error, "{what}");
                shard.options.stats.disconnects.add(1);
                match &shard.crew {
                    Some(crew) => crew.outage_begins(&shard.options.stats),
                    None => shard.options.stats.outage_since.mark(),
                }
                self.begun = Some((Instant::now(), 1));
            }
        }
    }

    /// Why no attempt is of use yet: a right that was denied is still missing, as far as Redis tells. A stop tries without.
    pub(super) async fn denial(&self, shard: &Shard) -> Result<(), LinkError> {
        if !self.is_denied || shard.phase.get().ends() {
            return Ok(());
        }
        match denied::lacking(shard).await? {
            Some(line) => Err(LinkError::Denied { denial: "rights are still missing".to_owned(), line }),
            None => Ok(()),
        }
    }

    /// Redis has answered a turn, or nothing is to be said to it. A connection alone does not end an outage: Redis may
    /// take it and refuse each turn.
    pub(super) fn over(&mut self, shard: &Shard) {
        self.is_denied = false;
        if let Some((since, attempts)) = self.begun.take() {
            let seconds = since.elapsed().as_secs_f64();
            match &shard.crew {
                Some(crew) => crew.outage_ends(&shard.options.stats),
                None => shard.options.stats.outage_since.clear(),
            }
            let queue = shard.options.realm.queue();
            tracing::info!(shard = shard.options.shard, queue, seconds, attempts, "redis is back");
        }
    }
}

/// An attempt to work over a connection, as it was begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    began: Instant,
    /// Whether it is made in an outage: another failed before it.
    again: bool,
    /// Whether a turn whose reply was lost carries what ended.
    reports: bool,
}

impl Attempt {
    pub(super) fn new(outage: &Outage, sent: &Sent) -> Self {
        let reports = sent.iter().any(|turn| !turn.settled.is_empty());
        Self { began: Instant::now(), again: outage.begun.is_some(), reports }
    }

    /// Resolves when this attempt is to be given up, because the shard is stopping and Redis does not answer.
    pub(super) async fn given_up(self, shard: &Shard) {
        loop {
            let now = Instant::now();
            match self.last_moment(shard) {
                None => shard.phase_changed.wait().await,
                Some(at) if at <= now => return,
                Some(at) => sleep_unless_phase_changes(shard, at - now).await,
            }
        }
    }

    fn last_moment(self, shard: &Shard) -> Option<Instant> {
        let Phase::Stopping { deadline } = shard.phase.get() else { return None };
        // While Redis answers there is nothing to give up, and when it ceases to, the call is late within STOP_PATIENCE.
        if !self.again || shard.options.stats.outage_since.age().is_none() {
            return None;
        }
        let last = deadline + STOP_GRACE;
        if self.reports || shard.owes() {
            return Some(last);
        }
        let asked = shard.stop_asked_at.get().unwrap_or(self.began);
        Some(last.min(asked.max(self.began) + STOP_PATIENCE))
    }

    /// How a stopping shard ends after this attempt has failed; `None`: another one is due.
    pub(super) fn ending(self, shard: &Shard, sent: &Sent) -> Option<Ending> {
        let Phase::Stopping { deadline } = shard.phase.get() else { return None };
        if self.again && !self.reports && !shard.owes() {
            return Some(Ending::Unheard);
        }
        let over = self.again && Instant::now() >= deadline + STOP_GRACE;
        over.then(|| Ending::LeftBehind { jobs: shard.unreported(sent) })
    }
}

pub(super) async fn sleep_unless_phase_changes(shard: &Shard, pause: Duration) {
    let timer = async {
        Timer::new(pause).await;
    };
    futures_lite::future::or(shard.phase_changed.wait(), timer).await;
}

impl Shard {
    /// Takes over a phase that control has told. From the moment a stop is asked for no answer is awaited for long: a
    /// connection that died unnoticed must leave time for another.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        if phase.ends() {
            if self.stop_asked_at.get().is_none() {
                self.stop_asked_at.set(Some(Instant::now()));
            }
            if let Some(stopper) = &*self.link_stopper.borrow() {
                stopper.hurry(STOP_PATIENCE);
            }
        }
        self.work.raise();
        self.phase_changed.raise();
    }

    /// Notes the connection that the shard works over from now on.
    pub(super) fn stands_on(&self, link: &Link) {
        let stopper = link.conn.stopper();
        if self.phase.get().ends() {
            stopper.hurry(STOP_PATIENCE);
        }
        *self.link_stopper.borrow_mut() = Some(stopper);
    }

    /// Whether Redis is to be told of anything, as far as the shard knows: a job that runs, waits for a slot or has ended.
    /// A job whose delivery was lost is none of these; a reaper finds it.
    fn owes(&self) -> bool {
        !(self.tasks.borrow().is_empty()
            && self.live.borrow().is_empty()
            && self.settlement.borrow().is_empty())
    }

    /// Jobs whose end Redis does not know: those that have not ended, and those whose end could not be reported.
    pub(super) fn unreported(&self, sent: &Sent) -> usize {
        let unended: usize = self.live.borrow().values().map(|batch| batch.unended()).sum();
        let ended =
            self.settlement.borrow().ended() + sent.iter().map(|turn| turn.settled.ended()).sum::<u64>();
        unended + usize::try_from(ended).unwrap_or(usize::MAX)
    }
}
