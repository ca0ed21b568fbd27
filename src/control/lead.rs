//! Leads: what only one process of a fleet does. Sans-IO: who leads, when to renew, and when to ask again.
//!
//! ```text
//!            granted                    its time has passed (this process was paused), another leads, given up
//! Follows ──────────────► Leads ──────────────────────────────────────────────────────────────────────────────► Follows
//!                           │ an answer, or the connection, is lost           granted: Leads, refused: Follows
//!                           └──────────────────────────────────────► Unknown ────────────────────────────────►
//! ```
//!
//! A lead has a name, which the log shows, and Redis knows who holds it ([`crate::store::lead`]). There are two today: the
//! pollers' lead and the lead for the lists of Ruby servers. What is done under a lead must be safe to do twice: a leader
//! that was paused learns late that it no longer leads.

use std::time::{Duration, Instant};

/// How a lead is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// How long it lasts after each renewal.
    pub(super) lasts: Duration,
    /// Time between two renewals.
    pub(super) renewal: Duration,
    /// Shortest time before a process that does not lead asks again.
    pub(super) ask_min: Duration,
    /// Longest.
    pub(super) ask_max: Duration,
}

impl Terms {
    /// When a process that does not lead asks again: after the longest time less a random part of the difference, so that
    /// the fleet does not ask all at once. `random` is between 0 and 1.
    pub(super) fn ask_after(&self, random: f64) -> Duration {
        self.ask_max - self.ask_max.saturating_sub(self.ask_min).mul_f64(random)
    }
}

/// Whether this process leads. See the diagram at the top of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Follows,
    Leads,
    Unknown,
}

/// What to do about a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Ask for it: this process does not lead, as far as it knows.
    Ask,
    /// Renew it.
    Renew,
    /// Nothing yet: this process leads.
    Nothing,
}

/// One lead, as this process sees it.
#[derive(Debug)]
pub(super) struct Lead {
    // Fixed.
    name: &'static str,
    terms: Terms,
    // Learned from the answers.
    standing: Standing,
    /// When the last granted request was sent. Redis counts from a later moment, so the lead lasts at least this long from
    /// here on.
    granted_at: Instant,
}

impl Lead {
    /// A lead that this process does not have. `name`: what it is for, as the log shows it.
    pub(super) fn new(name: &'static str, terms: Terms, now: Instant) -> Self {
        Self { name, terms, standing: Standing::Follows, granted_at: now }
    }

    /// How it is kept.
    pub(super) fn terms(&self) -> Terms {
        self.terms
    }

    /// Whether this process leads, as far as it knows.
    pub(super) fn leads(&self) -> bool {
        self.standing == Standing::Leads
    }

    /// Whether this process may be leading: one that surely does not lead is spared a question.
    pub(super) fn may_lead(&self) -> bool {
        self.standing != Standing::Follows
    }

    /// What to do now. A lead whose time has passed is asked for as if it were new, because others could take it meanwhile.
    pub(super) fn due(&self, now: Instant) -> Due {
        match now.saturating_duration_since(self.granted_at) {
            _ if !self.leads() => Due::Ask,
            age if age >= self.terms.lasts => Due::Ask,
            age if age >= self.terms.renewal => Due::Renew,
            _ => Due::Nothing,
        }
    }

    /// When to renew it, if this process leads.
    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.leads().then(|| self.granted_at + self.terms.renewal)
    }

    /// Notes the answer to a request that was sent at `sent_at`.
    pub(super) fn answered(&mut self, granted: bool, sent_at: Instant) {
        if granted {
            self.granted_at = sent_at;
        }
        let standing = if granted { Standing::Leads } else { Standing::Follows };
        if self.standing != standing {
            self.standing = standing;
            tracing::debug!(lead = self.name, leads = granted, "who leads is settled");
        }
    }

    /// Notes that an answer, or the connection, was lost.
    pub(super) fn lost(&mut self) {
        self.standing = Standing::Unknown;
    }

    /// Gives it up. Returns whether there was anything to give up, which Redis must then learn; if that fails, the lead
    /// lapses.
    pub(super) fn give_up(&mut self) -> bool {
        std::mem::replace(&mut self.standing, Standing::Follows) == Standing::Leads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        lasts: Duration::from_secs(10),
        renewal: Duration::from_secs(3),
        ask_min: Duration::from_secs(4),
        ask_max: Duration::from_secs(6),
    };

    #[derive(Debug, Clone, Copy)]
    enum Event {
        /// The answer to a request sent at this second.
        Granted(u64),
        Refused(u64),
        Lost,
        GivenUp {
            tells_redis: bool,
        },
        Waits,
    }

    /// Second by second: what happens, then what is due and whether this process may be leading.
    #[test]
    fn a_lead_is_asked_for_kept_lost_and_given_up() {
        use Event::{GivenUp, Granted, Lost, Refused, Waits};
        let steps = [
            (0, Waits, Due::Ask, false),
            (0, Refused(0), Due::Ask, false),
            (5, Granted(5), Due::Nothing, true),
            (7, Waits, Due::Nothing, true),
            (8, Waits, Due::Renew, true),
            // The renewal was sent at 8 and answered at 9: it counts from 8.
            (9, Granted(8), Due::Nothing, true),
            (11, Waits, Due::Renew, true),
            (17, Waits, Due::Renew, true),
            // Paused: the time has passed.
            (18, Waits, Due::Ask, true),
            (18, Refused(18), Due::Ask, false),
            (20, Granted(20), Due::Nothing, true),
            (21, Lost, Due::Ask, true),
            (22, Granted(22), Due::Nothing, true),
            (23, GivenUp { tells_redis: true }, Due::Ask, false),
            (23, GivenUp { tells_redis: false }, Due::Ask, false),
            (24, Lost, Due::Ask, true),
            (24, GivenUp { tells_redis: false }, Due::Ask, false),
        ];
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        let mut lead = Lead::new("test", TERMS, start);
        for (second, event, due, may_lead) in steps {
            match event {
                Granted(sent) => lead.answered(true, at(sent)),
                Refused(sent) => lead.answered(false, at(sent)),
                Lost => lead.lost(),
                GivenUp { tells_redis } => assert_eq!(lead.give_up(), tells_redis, "at {second}: {event:?}"),
                Waits => {}
            }
            assert_eq!((lead.due(at(second)), lead.may_lead()), (due, may_lead), "at {second}: {event:?}");
            assert_eq!(lead.renew_at().is_some(), lead.leads());
        }
    }

    #[test]
    fn those_who_follow_ask_again_at_different_times() {
        assert_eq!(TERMS.ask_after(0.0), TERMS.ask_max);
        assert_eq!(TERMS.ask_after(0.5), Duration::from_secs(5));
        assert_eq!(TERMS.ask_after(1.0), TERMS.ask_min);
    }
}
