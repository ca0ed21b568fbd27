//! A shard without Redis: what it says of it, once when it begins and once when it ends, and how long a stop tries.
//!
//! A stop owes Redis what runs, what is not acked and what is to be handed back; for that it tries until the deadline and
//! [`STOP_GRACE`] more. A shard that owes nothing ends at the first attempt that fails after the stop was asked for.

use std::time::Instant;

use super::denied;
use super::link::LinkError;
use super::state::Shard;
use super::turns::Turns;
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
                    tracing::error!(shard = shard.options().shard, %error, "{DENIED}");
                }
            }
            None => {
                let what = if self.is_denied { DENIED } else { "redis is gone; trying again" };
                let queue = shard.options().realm.queue();
                tracing::error!(shard = shard.options().shard, queue, %error, "{what}");
                shard.options().stats.disconnects.add(1);
                match shard.slots().share() {
                    Some(share) => share.crew().outage_begins(&shard.options().stats),
                    None => shard.options().stats.outage_since.mark(),
                }
                self.begun = Some((Instant::now(), 1));
            }
        }
    }

    /// Why no attempt is of use yet: a right that was denied is still missing, as far as Redis tells. A stop tries without.
    pub(super) async fn denial(&self, shard: &Shard) -> Result<(), LinkError> {
        if !self.is_denied || shard.phases().now().ends() {
            return Ok(());
        }
        match denied::lacking(shard.options()).await? {
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
            match shard.slots().share() {
                Some(share) => share.crew().outage_ends(&shard.options().stats),
                None => shard.options().stats.outage_since.clear(),
            }
            let queue = shard.options().realm.queue();
            tracing::info!(shard = shard.options().shard, queue, seconds, attempts, "redis is back");
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
    pub(super) fn new(outage: &Outage, turns: &Turns) -> Self {
        Self { began: Instant::now(), again: outage.is_on(), reports: turns.report() }
    }

    /// Resolves when this attempt is to be given up, because the shard is stopping and Redis does not answer.
    pub(super) async fn given_up(self, shard: &Shard) {
        loop {
            let now = Instant::now();
            match self.last_moment(shard) {
                None => shard.phases().change().await,
                Some(at) if at <= now => return,
                Some(at) => shard.phases().sleep(at - now).await,
            }
        }
    }

    fn last_moment(self, shard: &Shard) -> Option<Instant> {
        let Phase::Stopping { deadline } = shard.phases().now() else { return None };
        let last = deadline + STOP_GRACE;
        // While Redis answers there is nothing to give up before, and when it ceases to, the call is late within
        // STOP_PATIENCE.
        let answers = !self.again || shard.options().stats.outage_since.age().is_none();
        if answers || self.reports || shard.owes() {
            return Some(last);
        }
        let asked = shard.phases().stop_asked_at().unwrap_or(self.began);
        Some(last.min(asked.max(self.began) + STOP_PATIENCE))
    }

    /// How a stopping shard ends after this attempt has failed; `None`: another one is due.
    pub(super) fn ending(self, shard: &Shard, turns: &Turns) -> Option<Ending> {
        let Phase::Stopping { deadline } = shard.phases().now() else { return None };
        if self.again && !self.reports && !shard.owes() {
            return Some(Ending::Unheard);
        }
        let over = Instant::now() >= deadline + STOP_GRACE;
        over.then(|| Ending::LeftBehind { jobs: unreported(shard, turns) })
    }
}

/// Jobs whose end Redis does not know: those that have not ended, and those whose end could not be reported.
pub(super) fn unreported(shard: &Shard, turns: &Turns) -> usize {
    let ended = shard.ledger().ended() + turns.ended();
    shard.hand().unended() + usize::try_from(ended).unwrap_or(usize::MAX)
}
