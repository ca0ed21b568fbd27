//! How far the clock of this host is from Redis's, and who is told.
//!
//! No time that goes to Redis is this host's, so clocks that differ harm no job. But the log is stamped by this one, Ruby
//! programs on this host schedule by it, and a person who compares the two should know. It is logged when it is first seen,
//! when it has changed by much, and when it has gone; and it stands in the figures of the process.

use std::cell::Cell;

use crate::limits::CLOCK_SKEW_MAX_S;

/// What was told of the skew, in seconds: above 0 the clock of this host is ahead.
#[derive(Debug, Default)]
pub(super) struct Skew {
    told: Cell<Option<f64>>,
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
enum News {
    /// It is there, or is now very different.
    Is(f64),
    /// It has gone.
    Gone,
}

impl Skew {
    /// What was last told; `None`: there is none.
    pub(super) fn told(&self) -> Option<f64> {
        self.told.get()
    }

    /// Notes what it is now, and logs what is new. In a cluster this is the largest of all nodes.
    pub(super) fn note(&self, skew: f64) {
        let skew_s = (skew * 1e3).round() / 1e3;
        match news(self.told.get(), skew_s) {
            None => {}
            Some(News::Is(_)) => {
                self.told.set(Some(skew_s));
                tracing::warn!(
                    skew_s,
                    "the clock of this host is not that of redis: times of jobs go by redis's clock, those in this log by \
                     this host's; run a time service (chrony, systemd-timesyncd) on both hosts"
                );
            }
            Some(News::Gone) => {
                self.told.set(None);
                tracing::info!(skew_s, "the clock of this host is that of redis again");
            }
        }
    }
}

/// What is new about a skew of which that was told. Changes count from half of what was told on, so that clocks which drift
/// apart are not told of each second.
fn news(told: Option<f64>, skew: f64) -> Option<News> {
    match told {
        None => (skew.abs() > CLOCK_SKEW_MAX_S).then_some(News::Is(skew)),
        // Below by some margin, or a skew on the edge would come and go.
        Some(_) if skew.abs() < CLOCK_SKEW_MAX_S / 2.0 => Some(News::Gone),
        Some(told) => ((skew - told).abs() > told.abs() / 2.0).then_some(News::Is(skew)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_is_told_once_and_again_when_it_is_another_or_gone() {
        let mut told = None;
        let steps = [
            (0.0, None),
            (1.0, None),
            (-1.1, Some(News::Is(-1.1))),
            (-0.9, None),
            (-1.6, None),
            (-60.0, Some(News::Is(-60.0))),
            (-60.1, None),
            (60.0, Some(News::Is(60.0))),
            (29.0, Some(News::Is(29.0))),
            (0.4, Some(News::Gone)),
            (0.9, None),
        ];
        for (skew, expected) in steps {
            let news = news(told, skew);
            assert_eq!(news, expected, "{skew} after {told:?}");
            told = match news {
                Some(News::Is(skew)) => Some(skew),
                Some(News::Gone) => None,
                None => told,
            };
        }
    }
}
