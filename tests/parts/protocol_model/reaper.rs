//! What a reaper calls, like `reap.lua`, `free.lua`, `bury.lua` and `release.lua`.

use std::rc::Rc;

use super::redis::{Fence, Home, Lease, Redis, insert};
use super::scenario::{Mutant, Payload, Scenario};
use super::wire::{Name, Number};

/// After this many recoveries a job is a suspect, put back apart from others.
const SUSPECT_RECOVERIES: u8 = 1;

/// Most recoveries of a job; at the next death it is poison.
const RECOVERIES_MAX: u8 = 3;

/// How a reaping ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reaped {
    Jobs(Jobs),
    Alive,
    Gone,
}

/// What a shard had in flight: to run again, and to be buried.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Jobs {
    pub(crate) back: Vec<Payload>,
    pub(crate) poison: Vec<Payload>,
    /// Jobs are left for another call.
    pub(crate) more: bool,
}

impl Redis {
    /// `reap.lua`.
    pub(crate) fn reap(&mut self, scenario: &Scenario, process: u8, shard: u8) -> Reaped {
        match self.leases[usize::from(process)] {
            Lease::None => return Reaped::Gone,
            Lease::Valid if !scenario.lacks(Mutant::ReapsTheLiving) => return Reaped::Alive,
            Lease::Valid | Lease::Over => {}
        }
        let home = Rc::make_mut(&mut self.homes[usize::from(shard)]);
        let (jobs, more) = home.take_newest(scenario);
        let has_fence = !(scenario.lacks(Mutant::NoFence) || more && scenario.lacks(Mutant::FencedLast));
        match (has_fence, more) {
            (true, true) => home.begin_fence(),
            (true, false) => home.set_fence(Fence::Reaped),
            (false, true) => {}
            (false, false) => home.noted.clear(),
        }
        let mut reaped = Jobs { more, ..Jobs::default() };
        for job in &jobs {
            let count = &mut self.recoveries[usize::from(job.job)];
            let nth = *count + 1;
            if !scenario.lacks(Mutant::NotCounted) && !scenario.lacks(Mutant::CountedLater) {
                *count = nth;
            }
            if nth > RECOVERIES_MAX {
                reaped.poison.push(*job);
            } else if nth > SUSPECT_RECOVERIES && !scenario.lacks(Mutant::SuspectsTogether) {
                home.suspects.push(*job);
                reaped.back.push(*job);
            } else {
                self.queue.push(*job);
                reaped.back.push(*job);
            }
        }
        if !scenario.lacks(Mutant::PoisonNotKept) {
            home.poison.extend(&reaped.poison);
        }
        Reaped::Jobs(reaped)
    }

    /// `free.lua`, for one job of these shards. Returns whether there is one.
    pub(crate) fn free(&mut self, mut shards: std::ops::Range<u8>) -> bool {
        shards.any(|shard| {
            let home = Rc::make_mut(&mut self.homes[usize::from(shard)]);
            let job = home.suspects.pop();
            self.queue.extend(job);
            job.is_some()
        })
    }

    /// Whether a suspect that was let go still waits, or is in flight in one of these shards.
    pub(crate) fn has_free_suspect(&self, shards: impl Iterator<Item = u8>) -> bool {
        let is_suspect = |job: &Payload| self.recoveries[usize::from(job.job)] > SUSPECT_RECOVERIES;
        let mut in_flight = shards.flat_map(|shard| {
            let home = &self.homes[usize::from(shard)];
            home.lists.iter().flat_map(|(_, list)| list).chain(&home.wait)
        });
        self.queue.iter().any(is_suspect) || in_flight.any(is_suspect)
    }

    /// Poison of one shard goes to the dead set, in one step.
    pub(crate) fn bury(&mut self, shard: u8) {
        for job in std::mem::take(&mut Rc::make_mut(&mut self.homes[usize::from(shard)]).poison) {
            insert(&mut self.dead, job);
        }
    }

    /// `release.lua`.
    pub(crate) fn release(&mut self, process: u8) {
        let lease = &mut self.leases[usize::from(process)];
        if *lease == Lease::Over {
            *lease = Lease::None;
        }
    }
}

impl Home {
    /// The newest jobs in flight, the newest first, as many as one call takes; and whether others are left.
    fn take_newest(&mut self, scenario: &Scenario) -> (Vec<Payload>, bool) {
        let mut names: Vec<Name> = self.noted.iter().copied().map(Name::Turn).collect();
        names.sort_unstable_by_key(|name| match name {
            Name::Turn(number) => *number,
            Name::Wait => Number::MAX,
        });
        if !scenario.lacks(Mutant::WaitListNotReaped) {
            names.push(Name::Wait);
        }
        let mut jobs = Vec::new();
        let mut more = false;
        for name in names.into_iter().rev() {
            let Some(list) = self.list_mut(name) else { continue };
            let fit = (usize::from(scenario.reap_jobs) - jobs.len()).min(list.len());
            jobs.extend(list.drain(list.len() - fit..).rev());
            more |= !list.is_empty();
        }
        self.lists.retain(|(_, list)| !list.is_empty());
        (jobs, more)
    }

    /// Some of the jobs are taken away. The fence names the batches, and the wait list stays one until it is empty.
    fn begin_fence(&mut self) {
        (self.fence, self.ran, self.barred) = (Some(Fence::Reaped), 0, 0);
        self.is_closed |= self.wait.is_empty();
    }
}
