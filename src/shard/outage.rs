//! A shard without Redis: what it logs when the outage starts, when its cause changes and when it ends, and how long a
//! stop tries.
//!
//! A connection that was closed while idle is not an outage: another is opened at once. If that fails, it is one.
//!
//! A stop owes Redis what runs, what is not acked and what is to be handed back; it tries until the deadline and
//! [`STOP_GRACE`] more. A shard that owes nothing ends at the first attempt that fails after the stop was requested.

use std::time::{Duration, Instant};

use super::denied;
use super::link::LinkError;
use super::state::Shard;
use super::turns::Turns;
use crate::limits::{DENIED_FORGOTTEN, DENIED_PAUSE_MAX, DENIED_PAUSE_MIN, STOP_GRACE, STOP_PATIENCE};
use crate::mesh::Ending;
use crate::wire::Causes;

/// The outage a shard is in, if any.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Since when, and how many attempts have failed.
    begun: Option<(Instant, u64)>,
    /// Whether an attempt was denied a right.
    is_denied: bool,
    /// What was logged.
    causes: Causes,
    /// Whether the previous connection was closed while idle, and nothing has failed since.
    has_rested: bool,
    /// Denials in a row for which the server cannot tell what is missing, and the time of the last. An answered turn does
    /// not end the row, because one that is denied half of what it does is answered now and then.
    unnamed: Option<(u32, Instant)>,
}

impl Outage {
    pub(super) fn is_on(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether an attempt has ended because its connection was closed while idle: then another is to be opened at once,
    /// and nothing is logged.
    pub(super) fn has_merely_rested(&mut self, shard: &Shard, error: &LinkError) -> bool {
        let LinkError::Lost(lost) = error else { return false };
        if self.is_on() || !lost.is_of_idleness() {
            return false;
        }
        tracing::debug!(shard = shard.options().shard, error = %lost, "opening another connection");
        self.has_rested = true;
        true
    }

    /// Whether the previous connection ended because it was idle; cleared by the call.
    pub(super) fn take_rest(&mut self, shard: &Shard) -> bool {
        let has_rested = std::mem::take(&mut self.has_rested);
        if has_rested {
            shard.options().stats.idle_closes.add(1);
        }
        has_rested
    }

    /// An attempt has ended with an error.
    pub(super) fn failed(&mut self, shard: &Shard, error: &LinkError) {
        self.is_denied |= matches!(error, LinkError::Denied { .. });
        if let LinkError::Denied { is_named: false, .. } = error {
            self.note_unnamed(Instant::now());
        }
        self.has_rested = false;
        let (number, queue) = (shard.options().shard, shard.options().realm.queue());
        let cause = error.cause();
        shard.options().stats.outage_cause.set(cause.number());
        if let Some((_, attempts)) = &mut self.begun {
            *attempts += 1;
        } else {
            shard.options().stats.disconnects.add(1);
            match shard.slots().share() {
                Some(share) => share.crew().outage_begins(&shard.options().stats),
                None => shard.options().stats.outage_since.mark(),
            }
            self.begun = Some((Instant::now(), 1));
        }
        if self.causes.are_news(cause, Instant::now()) {
            tracing::error!(shard = number, queue, %error, "{cause}; trying again");
        }
    }

    fn note_unnamed(&mut self, now: Instant) {
        let row = self.unnamed.filter(|(_, last)| now.duration_since(*last) < DENIED_FORGOTTEN);
        self.unnamed = Some((row.map_or(1, |(count, _)| count.saturating_add(1)), now));
    }

    /// The shortest pause before the next attempt, where the server cannot tell whether the denied right is back (before
    /// Redis 7.0): trying costs what a denied turn leaves half done.
    pub(super) fn pause(&self) -> Duration {
        match self.unnamed {
            Some((count, _)) if self.is_denied => {
                DENIED_PAUSE_MIN.saturating_mul(1 << (count - 1).min(16)).min(DENIED_PAUSE_MAX)
            }
            _ => Duration::ZERO,
        }
    }

    /// Why no attempt is useful yet: a denied right is still missing, as far as Redis can tell. A stop tries without
    /// asking.
    pub(super) async fn denial(&self, shard: &Shard) -> Result<(), LinkError> {
        if !self.is_denied || shard.phases().now().ends() {
            return Ok(());
        }
        match denied::lacking(shard.options()).await? {
            Some(line) => {
                let denial = "rights are still missing".to_owned();
                Err(LinkError::Denied { denial, line, is_named: true })
            }
            None => Ok(()),
        }
    }

    /// Redis has answered a turn, or there is nothing to send. A connection alone does not end an outage: Redis may
    /// accept it and refuse each turn.
    pub(super) fn over(&mut self, shard: &Shard) {
        self.is_denied = false;
        if let Some((since, attempts)) = self.begun.take() {
            self.causes = Causes::default();
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

/// An attempt to work over a connection, with the state in which it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    began: Instant,
    /// Whether it is made during an outage: another failed before it.
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
            let (now, deadline) = (Instant::now(), shard.phases().now().deadline());
            let (Some(last), Some(deadline)) = (self.last_moment(shard), deadline) else {
                shard.phases().change().await;
                continue;
            };
            if last <= now {
                return;
            }
            let late = deadline <= now;
            if late {
                shard.phases().hurry();
            }
            shard.phases().sleep(if late { last } else { last.min(deadline) } - now).await;
        }
    }

    fn last_moment(self, shard: &Shard) -> Option<Instant> {
        let last = shard.phases().now().deadline()? + STOP_GRACE;
        // While Redis answers there is no need to give up earlier, and when it stops answering, the call is late within
        // STOP_PATIENCE.
        let answers = !self.again || shard.options().stats.outage_since.age().is_none();
        if answers || self.reports || shard.owes() {
            return Some(last);
        }
        let asked = shard.phases().stop_asked_at().unwrap_or(self.began);
        Some(last.min(asked.max(self.began) + STOP_PATIENCE))
    }

    /// How a stopping shard ends after this attempt has failed; `None` if another one is due.
    pub(super) fn ending(self, shard: &Shard, turns: &Turns) -> Option<Ending> {
        let deadline = shard.phases().now().deadline()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_after_denials_that_nobody_can_name_grow_up_to_a_bound_and_are_forgotten() {
        let mut outage = Outage { is_denied: true, ..Outage::default() };
        assert_eq!(outage.pause(), Duration::ZERO);
        let mut now = Instant::now();
        let mut expected = DENIED_PAUSE_MIN;
        for _ in 0..40 {
            outage.note_unnamed(now);
            assert_eq!(outage.pause(), expected);
            now += expected;
            expected = (expected * 2).min(DENIED_PAUSE_MAX);
        }
        outage.note_unnamed(now + DENIED_FORGOTTEN);
        assert_eq!(outage.pause(), DENIED_PAUSE_MIN);
        outage.is_denied = false;
        assert_eq!(outage.pause(), Duration::ZERO);
    }
}
