//! When a poller looks, what it says of itself then, and how long it leads.

use std::time::Duration;

use super::lead::{Lead, Terms};
use super::state::Control;
use crate::limits::{LEAD_POLLS, LEAD_RENEWAL, LEAD_SLACK, POLL_JITTER};
use crate::store::due::{Due, DueLook};

/// What a poller says of itself at a look.
pub(super) fn look_of<'c>(control: &'c Control, lead: &Lead) -> DueLook<'c> {
    DueLook {
        uuid: &control.options.uuid,
        lead: lead.terms().lasts,
        may_lead: lead.may_lead(),
        told: None,
        paces: &control.options.paces,
    }
}

/// How the pollers' lead is kept: it outlasts two renewals, and a follower asks for it at each of its looks.
pub(super) fn terms(poll_interval: Duration) -> Terms {
    let renewal = poll_interval.saturating_mul(LEAD_POLLS).min(LEAD_RENEWAL);
    let lasts = renewal * 2 + LEAD_SLACK;
    let ask_max = poll_interval.min(lasts);
    Terms { lasts, renewal, ask_min: ask_max.mul_f64(1.0 - POLL_JITTER), ask_max }
}

/// How long to sleep after a look. Only the leader wakes for the next job.
pub(super) fn pause_after(due: &Due, look_interval: Duration) -> Duration {
    match *due {
        Due { more: true, .. } => Duration::ZERO,
        Due { leads: true, next_ms: Some(ms), .. } => Duration::from_millis(ms).min(look_interval),
        _ => look_interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_until_the_next_job_is_due_and_never_longer_than_the_interval() {
        let interval = Duration::from_secs(5);
        let pause = |leads, more, next_ms| {
            let due = Due {
                moved: 1,
                more,
                next_ms,
                held: 0,
                broken: String::new(),
                leads,
                unread: None,
                tick: None,
                unservable: Vec::new(),
            };
            pause_after(&due, interval)
        };
        assert_eq!(pause(true, true, Some(3)), Duration::ZERO);
        assert_eq!(pause(true, false, Some(120)), Duration::from_millis(120));
        assert_eq!(pause(true, false, Some(60_000)), interval);
        assert_eq!(pause(true, false, None), interval);
        // A follower leaves the next job to the leader, but not what is due already.
        assert_eq!(pause(false, false, Some(120)), interval);
        assert_eq!(pause(false, true, Some(3)), Duration::ZERO);
    }

    #[test]
    fn a_lead_outlasts_two_renewals_whatever_the_interval() {
        for seconds in [1, 5, 60, 3_600] {
            let interval = Duration::from_secs(seconds);
            let Terms { lasts, renewal, ask_min, ask_max } = terms(interval);
            assert!(renewal <= interval * LEAD_POLLS);
            assert!(lasts > renewal * 2);
            assert!(lasts <= LEAD_RENEWAL * 2 + LEAD_SLACK);
            assert!(ask_min < ask_max && ask_max <= interval && ask_max <= lasts);
        }
    }
}
