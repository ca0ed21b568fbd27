//! The keys of the protocol and its scripts, each atomic, as in `src/store/scripts/*.lua`.
//!
//! One queue. Oversize lists, counters and the trimming of the dead set are left out: `tests/parts/model` has them.

use std::rc::Rc;

use super::batch::To;
use super::scenario::{LEFT_MAX, Mutant, Payload, Scenario};
use super::wire::{Name, Number, Refusal, TurnCall};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Redis {
    /// The last one is taken next.
    pub(crate) queue: Vec<Payload>,
    /// Including jobs that are scheduled, or not pushed yet.
    pub(crate) retries: Vec<Payload>,
    /// What is stored says that the queue is paused.
    pub(crate) paused: bool,
    pub(crate) dead: Vec<Payload>,
    /// By shard.
    pub(crate) homes: Vec<Rc<Home>>,
    /// By process.
    pub(crate) leases: Vec<Lease>,
    /// By job.
    pub(crate) recoveries: Vec<u8>,
}

/// The keys of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Home {
    /// The index is a string.
    pub(crate) fence: Option<Fence>,
    /// The wait list is one: no blocking move changes anything.
    pub(crate) is_closed: bool,
    /// `t`: the last turn that ran.
    pub(crate) ran: Number,
    /// `b`: calls up to this one never will run.
    pub(crate) barred: Number,
    /// Batches that the index names, or the fence until all jobs are taken away.
    pub(crate) noted: Vec<Number>,
    pub(crate) lists: Vec<(Number, Vec<Payload>)>,
    pub(crate) wait: Vec<Payload>,
    /// To be put back one by one.
    pub(crate) suspects: Vec<Payload>,
    /// To be buried.
    pub(crate) poison: Vec<Payload>,
}

/// Why nothing a shard does changes anything any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fence {
    /// It has left.
    Left,
    /// Its jobs were taken over.
    Reaped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lease {
    None,
    Valid,
    Over,
}

impl Home {
    /// What every numbered call checks first.
    fn check(&self, scenario: &Scenario) -> Result<(), Refusal> {
        match self.fence {
            None => Ok(()),
            Some(Fence::Left) => Err(Refusal::Left),
            Some(Fence::Reaped) if scenario.lacks(Mutant::FencesLookAlike) => Err(Refusal::Left),
            Some(Fence::Reaped) => Err(Refusal::Fenced),
        }
    }

    pub(crate) fn list_mut(&mut self, name: Name) -> Option<&mut Vec<Payload>> {
        match name {
            Name::Wait => Some(&mut self.wait),
            Name::Turn(number) => {
                self.lists.iter_mut().find(|(found, _)| *found == number).map(|(_, list)| list)
            }
        }
    }

    /// Like `LREM ... 1`: takes one occurrence out; an empty list is not a key.
    fn remove(&mut self, name: Name, payload: Payload) {
        if let Some(list) = self.list_mut(name)
            && let Some(at) = list.iter().position(|found| *found == payload)
        {
            list.remove(at);
        }
        self.lists.retain(|(_, list)| !list.is_empty());
    }

    fn unlink(&mut self, number: Number) {
        self.lists.retain(|(found, _)| *found != number);
        self.noted.retain(|found| *found != number);
    }

    fn last(&self) -> Number {
        self.ran.max(self.barred)
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = Payload> {
        let lists = self.lists.iter().flat_map(|(_, list)| list);
        lists.chain(&self.wait).chain(&self.suspects).chain(&self.poison).copied()
    }

    pub(crate) fn numbers(&mut self, visit: &mut dyn FnMut(&mut Number)) {
        visit(&mut self.ran);
        visit(&mut self.barred);
        self.noted.iter_mut().for_each(&mut *visit);
        self.lists.iter_mut().for_each(|(number, _)| visit(number));
    }
}

pub(super) fn insert(set: &mut Vec<Payload>, payload: Payload) {
    if let Err(at) = set.binary_search(&payload) {
        set.insert(at, payload);
    }
}

impl Redis {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let jobs = 0..u8::try_from(scenario.jobs.len()).unwrap();
        let payloads: Vec<Payload> = jobs.clone().map(|job| Payload { job, attempt: 0, left: 0 }).collect();
        let (queue, retries) = payloads.split_at(usize::from(scenario.queued));
        Self {
            queue: queue.to_vec(),
            retries: retries.to_vec(),
            paused: false,
            dead: Vec::new(),
            homes: vec![Rc::default(); usize::from(scenario.shards())],
            leases: vec![Lease::None; usize::from(scenario.processes)],
            recoveries: jobs.map(|_| scenario.recovered).collect(),
        }
    }

    /// `turn.lua`. `fails_at`: the move at which a set turns out to be of another type.
    pub(crate) fn turn(
        &mut self,
        scenario: &Scenario,
        shard: u8,
        call: &TurnCall,
        fails_at: Option<usize>,
    ) -> Result<Vec<Payload>, Refusal> {
        let Self { queue, retries, dead, homes, .. } = self;
        let home = Rc::make_mut(&mut homes[usize::from(shard)]);
        home.check(scenario)?;
        if home.last() >= call.number && !scenario.lacks(Mutant::TurnNotStale) {
            return Err(Refusal::Stale);
        }
        if call.after > home.ran && !scenario.lacks(Mutant::TurnsNotChained) {
            return Err(Refusal::Error);
        }
        if scenario.lacks(Mutant::BarRemovedFirst) {
            home.barred = 0;
        }
        if fails_at.is_some() && !scenario.lacks(Mutant::MovesNotCheckedFirst) {
            return Err(Refusal::Error);
        }
        for (at, job) in call.settled.moves.iter().enumerate() {
            if fails_at == Some(at) {
                return Err(Refusal::Error);
            }
            let left = (job.raw.left + 1).min(LEFT_MAX);
            let (set, payload) = match job.to {
                To::Retry => (&mut *retries, Payload { attempt: 1, ..job.raw }),
                To::Left => (&mut *retries, Payload { left, ..job.raw }),
                To::Dead => (&mut *dead, job.raw),
            };
            insert(set, payload);
            home.remove(job.from, job.raw);
        }
        home.ran = call.number;
        call.settled.singles.iter().for_each(|(name, payload)| home.remove(*name, *payload));
        call.settled.wholes.iter().for_each(|number| home.unlink(*number));
        let mut jobs = queue.split_off(queue.len().saturating_sub(usize::from(call.wanted)));
        jobs.reverse();
        if !jobs.is_empty() {
            home.lists.push((call.number, jobs.clone()));
            if !scenario.lacks(Mutant::BatchNotNoted) {
                home.noted.push(call.number);
            }
        }
        Ok(jobs)
    }

    /// `resume.lua`: returns the last turn that ran.
    pub(crate) fn resume(
        &mut self,
        scenario: &Scenario,
        shard: u8,
        up_to: Number,
    ) -> Result<Number, Refusal> {
        let home = Rc::make_mut(&mut self.homes[usize::from(shard)]);
        home.check(scenario)?;
        if !scenario.lacks(Mutant::ResumeBarsNothing) {
            home.barred = home.barred.max(up_to);
        }
        Ok(home.ran)
    }

    /// `reconcile.lua`: returns how many were handed back.
    pub(crate) fn reconcile(
        &mut self,
        scenario: &Scenario,
        shard: u8,
        (number, name): (Number, Name),
        keep: &[Payload],
        settled: &[Payload],
    ) -> Result<usize, Refusal> {
        let Self { queue, homes, .. } = self;
        let home = Rc::make_mut(&mut homes[usize::from(shard)]);
        home.check(scenario)?;
        if home.last() >= number && !scenario.lacks(Mutant::ReconcileNotNumbered) {
            return Err(Refusal::Stale);
        }
        let Some(list) = home.list_mut(name) else { return Ok(0) };
        let (kept, rest): (Vec<_>, Vec<_>) = list.drain(..).partition(|job| keep.contains(job));
        let back: Vec<_> = rest.into_iter().filter(|job| !settled.contains(job)).collect();
        let gone = kept.is_empty();
        *list = kept;
        if let (true, Name::Turn(number)) = (gone, name) {
            home.unlink(number);
        }
        queue.extend(back.iter().rev());
        Ok(back.len())
    }

    /// `leave.lua`: the end of a shard that has nothing in flight. What its wait list holds goes back.
    pub(crate) fn leave(
        &mut self,
        scenario: &Scenario,
        shard: u8,
        number: Number,
        fence: bool,
    ) -> Result<(), Refusal> {
        let Self { queue, homes, .. } = self;
        let home = Rc::make_mut(&mut homes[usize::from(shard)]);
        home.check(scenario)?;
        if home.last() >= number {
            return Err(Refusal::Stale);
        }
        queue.extend(home.wait.drain(..).rev());
        if fence && !scenario.lacks(Mutant::LeavesNoFence) {
            home.set_fence(Fence::Left);
        } else {
            (home.ran, home.barred) = (0, 0);
            home.noted.clear();
        }
        Ok(())
    }

    /// The blocking move, once the queue has a job.
    pub(crate) fn move_one(&mut self, shard: u8) -> Result<Option<Payload>, Refusal> {
        let home = Rc::make_mut(&mut self.homes[usize::from(shard)]);
        if self.queue.is_empty() {
            return Ok(None);
        }
        if home.is_closed {
            return Err(Refusal::Error);
        }
        let job = self.queue.pop();
        home.wait.extend(job);
        Ok(job)
    }

    /// `due.lua`, for one job: one that was left to others is taken next.
    pub(crate) fn due(&mut self, scenario: &Scenario) {
        if self.retries.is_empty() {
            return;
        }
        let job = self.retries.remove(0);
        if job.left > 0 && !scenario.lacks(Mutant::LeftGoesBehind) {
            self.queue.push(job);
        } else {
            self.queue.insert(0, job);
        }
    }

    /// Whether a job that was left to others is due, and would be taken after one that was not.
    pub(crate) fn is_one_overtaken(&self) -> bool {
        self.queue.iter().skip_while(|job| job.left == 0).any(|job| job.left == 0)
    }

    /// Every place of every job.
    pub(crate) fn places(&self) -> impl Iterator<Item = Payload> {
        let shared = self.queue.iter().chain(&self.retries).chain(&self.dead).copied();
        shared.chain(self.homes.iter().flat_map(|home| home.jobs()))
    }
}

impl Home {
    pub(super) fn set_fence(&mut self, fence: Fence) {
        (self.fence, self.ran, self.barred) = (Some(fence), 0, 0);
        self.is_closed = true;
        self.noted.clear();
        // A list under the same key is gone with it.
        self.wait.clear();
    }
}
