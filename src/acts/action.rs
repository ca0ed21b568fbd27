//! What to do with jobs, and whether there is room for it.

use crate::store::{operate::DeadSetCaps, survey::Process};
use crate::view::count;
use crate::wire::QueueName;

/// What to do with jobs.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Each goes to its queue at once, or to this one.
    Retry(Option<QueueName>),
    /// Each goes to the dead set. Its limits are those of the workers, or these if none runs.
    Kill(DeadSetCaps, Excess),
    /// Each is gone for good.
    Delete,
}

/// What to do with more jobs than the dead set keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Nothing is moved.
    Refuse,
    /// The oldest entries of the dead set are deleted.
    Trim,
}

/// The dead set has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the dead set has {} and keeps {jobs_max}, so {jobs} more would push the oldest out: use --trim, or \
     raise max_dead_jobs of the workers; nothing more was moved",
    count::entries(*entries)
)]
pub struct DeadSetFull {
    /// Entries it has.
    pub entries: u64,
    /// Jobs that were to go there.
    pub jobs: u64,
    /// Entries it keeps.
    pub jobs_max: u64,
}

impl Action {
    pub(crate) const fn verb(&self) -> &'static str {
        match self {
            Self::Retry(_) => "retry",
            Self::Kill(..) => "kill",
            Self::Delete => "delete",
        }
    }

    /// The same, with the caps that the workers of the fleet use: a command that trimmed the dead set by its own caps would
    /// delete what nobody asked it to delete.
    #[must_use]
    pub(crate) fn with_caps_of<'p>(self, fleet: impl Iterator<Item = &'p Process>) -> Self {
        let Self::Kill(own, excess) = self else { return self };
        Self::Kill(caps_of(fleet).unwrap_or(own), excess)
    }

    /// Whether jobs run again.
    pub(crate) const fn is_retry(&self) -> bool {
        matches!(self, Self::Retry(_))
    }

    /// Whether the dead set must have room for the jobs: it is not to be trimmed.
    pub(crate) const fn needs_room(&self) -> bool {
        matches!(self, Self::Kill(_, Excess::Refuse))
    }

    /// Refuses to move this many jobs to a dead set with this many entries if they exceed the room it has.
    ///
    /// # Errors
    /// [`DeadSetFull`].
    pub(crate) fn check_room(&self, entries: u64, jobs: u64) -> Result<(), DeadSetFull> {
        let Self::Kill(DeadSetCaps { jobs_max, .. }, Excess::Refuse) = self else { return Ok(()) };
        if jobs > 0 && entries.saturating_add(jobs) > *jobs_max {
            return Err(DeadSetFull { entries, jobs, jobs_max: *jobs_max });
        }
        Ok(())
    }
}

/// What the dead set keeps by these workers, the largest count if they differ; `None`: none of them says.
pub(crate) fn caps_of<'p>(fleet: impl Iterator<Item = &'p Process>) -> Option<DeadSetCaps> {
    let figures = fleet.filter_map(|process| process.figures.as_ref());
    let told = figures.filter(|figures| figures.dead_jobs_max > 0);
    told.fold(None, |most: Option<DeadSetCaps>, figures| {
        let (jobs_max, timeout_s) = most.map_or((0, 0), |most| (most.jobs_max, most.timeout_s));
        Some(DeadSetCaps {
            jobs_max: jobs_max.max(figures.dead_jobs_max),
            timeout_s: timeout_s.max(figures.dead_timeout_s),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_set_that_is_not_to_be_trimmed_takes_as_many_as_it_keeps() {
        let caps = DeadSetCaps { jobs_max: 10, timeout_s: 60 };
        let kill = |excess| Action::Kill(caps, excess);
        let table = [
            (kill(Excess::Refuse), 9, 1, true),
            (kill(Excess::Refuse), 9, 2, false),
            (kill(Excess::Refuse), u64::MAX, 1, false),
            (kill(Excess::Refuse), 11, 0, true),
            (kill(Excess::Trim), 9, 2, true),
            (Action::Delete, 9, 2, true),
        ];
        for (action, entries, jobs, fits) in table {
            assert_eq!(action.check_room(entries, jobs).is_ok(), fits, "{action:?} {entries} {jobs}");
        }
    }
}
