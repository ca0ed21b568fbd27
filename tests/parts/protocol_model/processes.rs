//! Processes: their lease, their end, and what a reaper does for them.

use super::reaper::{Jobs, Reaped};
use super::redis::{Fence, Lease};
use super::scenario::{Mutant, Scenario};
use super::shard::{End, Shard};
use super::world::{Broken, Life, ReapStep, Reaping, World};

impl World {
    /// `lease.lua`: refused to a process whose jobs were taken over, as its first shard shows.
    pub(crate) fn renew(&mut self, scenario: &Scenario, at: u8) {
        let mut shards = scenario.shards_of(at);
        let fence = self.redis.homes[usize::from(shards.start)].fence;
        let refused =
            fence == Some(Fence::Reaped) || (fence.is_some() && scenario.lacks(Mutant::LeftIsNotRenewed));
        if !refused {
            return self.set_lease(at, Lease::Valid);
        }
        if shards.all(|shard| self.past.reaped & (1 << shard) == 0) {
            self.past.broken = Some(Broken::LeaseRefused);
        }
    }

    pub(crate) fn crash(&mut self, scenario: &Scenario, at: u8) {
        for shard in scenario.shards_of(at) {
            self.leave_strays(shard);
            *self.shard_mut(shard) = Shard::default();
        }
        let process = &mut self.processes[usize::from(at)];
        (process.life, process.stopping, process.reaping) = (Life::Gone, false, None);
    }

    /// The lease goes only if nothing is left in flight.
    pub(crate) fn farewell(&mut self, scenario: &Scenario, at: u8) {
        let ended = |shard: u8| self.shard(shard).ended;
        if scenario.shards_of(at).all(|shard| ended(shard) == Some(End::Clean)) {
            self.set_lease(at, Lease::None);
        }
        self.crash(scenario, at);
    }

    /// The next step of a reaper.
    pub(crate) fn reap(&mut self, scenario: &Scenario, at: u8) {
        let Some(Reaping { member, step }) = self.processes[usize::from(at)].reaping.take() else { return };
        let next = match step {
            ReapStep::Shard(shard) => {
                let legitimate = self.lease(member) == Lease::Over;
                let Reaped::Jobs(Jobs { back, poison, more }) = self.redis.reap(scenario, member, shard)
                else {
                    return;
                };
                self.past.reaped |= 1 << shard;
                if legitimate {
                    self.excuse(&back);
                }
                match scenario.mutant {
                    Some(Mutant::CountedLater) => Some(ReapStep::Count(back)),
                    Some(Mutant::PoisonNotKept) => Some(ReapStep::Bury(poison)),
                    _ if more => Some(ReapStep::Shard(shard)),
                    _ => Some(self.next_reap_step(scenario, member, shard)),
                }
            }
            ReapStep::Count(back) => {
                let recoveries = &mut self.redis.recoveries;
                back.iter().for_each(|payload| recoveries[usize::from(payload.job)] += 1);
                Some(ReapStep::Bury(Vec::new()))
            }
            ReapStep::Bury(held) => {
                scenario.shards_of(member).for_each(|shard| self.redis.bury(shard));
                self.redis.dead.extend(held);
                let released = scenario.lacks(Mutant::ReleasedBeforeBurial);
                (!released).then_some(ReapStep::Free)
            }
            ReapStep::Free => {
                let more = self.redis.free(scenario.shards_of(member));
                Some(if more { ReapStep::Free } else { ReapStep::Release })
            }
            ReapStep::Release => {
                self.redis.release(member);
                let shards = scenario.shards_of(member);
                match scenario.mutant {
                    Some(Mutant::ReleasedFirst) => Some(ReapStep::Shard(shards.start)),
                    Some(Mutant::ReleasedEarly) if shards.len() > 1 => {
                        Some(ReapStep::Shard(shards.start + 1))
                    }
                    Some(Mutant::ReleasedBeforeBurial) => Some(ReapStep::Bury(Vec::new())),
                    _ => None,
                }
            }
        };
        self.processes[usize::from(at)].reaping = next.map(|step| Reaping { member, step });
    }

    /// A reaper turns to a process whose lease has expired.
    pub(crate) fn begin_to_reap(&mut self, scenario: &Scenario, at: u8, member: u8) {
        let first = scenario.shards_of(member).start;
        let early = scenario.lacks(Mutant::ReleasedFirst);
        let step = if early { ReapStep::Release } else { ReapStep::Shard(first) };
        self.processes[usize::from(at)].reaping = Some(Reaping { member, step });
    }

    /// What a reaper does when it has reaped this shard of the process.
    fn next_reap_step(&self, scenario: &Scenario, member: u8, shard: u8) -> ReapStep {
        let last = shard + 1 == scenario.shards_of(member).end;
        match (last, scenario.mutant) {
            (_, Some(Mutant::ReleasedEarly)) | (true, Some(Mutant::ReleasedBeforeBurial)) => {
                ReapStep::Release
            }
            (false, _) => ReapStep::Shard(shard + 1),
            (true, _) => ReapStep::Bury(Vec::new()),
        }
    }
}
