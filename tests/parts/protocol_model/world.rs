//! The whole world at one moment, and as much of its past as the properties need to know.

use std::rc::Rc;

use super::pauses::Bell;
use super::redis::{Lease, Redis};
use super::scenario::{Faults, Kind, LEFT_MAX, Mutant, Payload, Scenario};
use super::shard::Shard;
use super::wire::{Number, Stray};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) redis: Redis,
    pub(crate) processes: Vec<Process>,
    /// Shared between worlds that differ elsewhere.
    pub(crate) shards: Vec<Rc<Shard>>,
    pub(crate) strays: Vec<Stray>,
    /// Faults that may still strike.
    pub(crate) faults: Faults,
    pub(crate) past: Past,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) life: Life,
    pub(crate) stopping: bool,
    pub(crate) bell: Bell,
    pub(crate) reaping: Option<Reaping>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    New,
    Running,
    Paused,
    Gone,
}

/// How far a reaper is with one dead process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reaping {
    pub(crate) member: u8,
    pub(crate) step: ReapStep,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ReapStep {
    /// This shard of the process is next.
    Shard(u8),
    /// Only in the mutant that counts later: these were put back.
    Count(Vec<Payload>),
    /// Poison is to be buried; the payloads are those that nothing else keeps.
    Bury(Vec<Payload>),
    /// Suspects are to be put back.
    Free,
    Release,
}

/// What the properties need of the past.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Past {
    /// Payloads that ran since there was a reason to run them, as bits.
    pub(crate) begun: u8,
    /// Jobs that succeeded, as bits.
    pub(crate) succeeded: u8,
    /// How often each poison job was started; 0 for others.
    pub(crate) starts: Vec<u8>,
    /// Shards whose jobs were given to others, as bits.
    pub(crate) reaped: u8,
    /// Processes that began while the queue was paused, as bits; none once it is resumed.
    pub(crate) began_paused: u8,
    pub(crate) broken: Option<Broken>,
}

/// A property that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Broken {
    /// A job is nowhere and has not succeeded.
    Lost,
    /// A job is in two places.
    TwoPlaces,
    /// A job that was started is started again for no reason.
    RunAgain,
    /// A shard whose jobs were given to others has changed something.
    FencedChanges,
    /// A call over a living connection was refused as stale.
    StaleAlive,
    /// A job that kills nobody and does not fail for good is in the dead set.
    InnocentDead,
    /// The lease of a process that lives was not renewed.
    LeaseRefused,
    /// A poison job was started more often than it may.
    PoisonStarts,
    /// A job of a paused queue starts in a shard that has heeded the pause, or that began during it.
    StartsPaused,
    /// A job that others left is behind one that came later.
    Overtaken,
    /// Everything calmed down, and a job has not come to its end.
    Stuck,
}

/// How often a poison job may be started: once, and after each of three recoveries.
pub(crate) const STARTS_MAX: u8 = 4;

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let new = Process { life: Life::New, stopping: false, bell: Bell::Silent, reaping: None };
        let mut world = Self {
            redis: Redis::new(scenario),
            processes: vec![new; usize::from(scenario.processes)],
            shards: vec![Rc::default(); usize::from(scenario.shards())],
            strays: Vec::new(),
            faults: scenario.faults,
            past: Past { starts: vec![0; scenario.jobs.len()], ..Past::default() },
        };
        (0..scenario.started).for_each(|process| world.launch(scenario, process));
        world
    }

    pub(crate) fn shard(&self, shard: u8) -> &Shard {
        &self.shards[usize::from(shard)]
    }

    pub(crate) fn shard_mut(&mut self, shard: u8) -> &mut Shard {
        Rc::make_mut(&mut self.shards[usize::from(shard)])
    }

    pub(crate) fn process(&self, process: u8) -> &Process {
        &self.processes[usize::from(process)]
    }

    /// Whether the shards of a process do anything.
    pub(crate) fn works(&self, scenario: &Scenario, process: u8) -> bool {
        self.is_running(process) && scenario.only_reap & (1 << process) == 0
    }

    pub(crate) fn is_running(&self, process: u8) -> bool {
        self.process(process).life == Life::Running
    }

    pub(crate) fn lease(&self, process: u8) -> Lease {
        self.redis.leases[usize::from(process)]
    }

    pub(crate) fn set_lease(&mut self, process: u8, lease: Lease) {
        self.redis.leases[usize::from(process)] = lease;
    }

    /// Starts an identity: it has a lease before it fetches anything.
    pub(crate) fn launch(&mut self, scenario: &Scenario, process: u8) {
        self.processes[usize::from(process)] =
            Process { life: Life::Running, stopping: false, bell: Bell::Rang, reaping: None };
        self.set_lease(process, Lease::Valid);
        self.past.began_paused &= !(1 << process);
        self.past.began_paused |= u8::from(self.redis.paused) << process;
        for shard in scenario.shards_of(process) {
            self.redis.homes[usize::from(shard)] = Rc::default();
            self.shards[usize::from(shard)] = Rc::default();
            let knows = self.redis.paused && !scenario.lacks(Mutant::NotReadAtStart);
            self.shard_mut(shard).pause(knows);
            self.past.reaped &= !(1 << shard);
        }
    }

    /// Whether nothing is left of an identity except perhaps its lease, so that its place in this model may be given
    /// to a new one.
    pub(crate) fn is_forgotten(&self, scenario: &Scenario, process: u8) -> bool {
        let life = self.process(process).life;
        let mut shards = scenario.shards_of(process);
        let is_reaped =
            |other: &Process| other.reaping.as_ref().is_some_and(|reaping| reaping.member == process);
        life == Life::New
            || (life == Life::Gone
                && !self.processes.iter().any(is_reaped)
                && self.lease(process) != Lease::Valid
                && shards.all(|shard| {
                    self.redis.homes[usize::from(shard)].jobs().next().is_none()
                        && self.strays.iter().all(|stray| stray.shard() != shard)
                }))
    }

    /// Whether every job has come to its end.
    pub(crate) fn is_done(&self, scenario: &Scenario) -> bool {
        let ended = |job: usize| {
            let succeeds = matches!(scenario.jobs[job], Kind::Good | Kind::Flaky);
            !succeeds || self.past.succeeded & (1 << job) != 0
        };
        (0..scenario.jobs.len()).all(ended)
            && self.redis.places().all(|payload| self.redis.dead.contains(&payload))
    }

    /// What is wrong with this moment.
    pub(crate) fn broken(&self, scenario: &Scenario) -> Option<Broken> {
        if self.past.broken.is_some() {
            return self.past.broken;
        }
        let mut counts = [0_u8; 8];
        self.redis.places().for_each(|payload| counts[usize::from(payload.job)] += 1);
        for (job, count) in counts[..scenario.jobs.len()].iter().enumerate() {
            if *count > 1 {
                return Some(Broken::TwoPlaces);
            }
            if *count == 0 && self.past.succeeded & (1 << job) == 0 {
                return Some(Broken::Lost);
            }
        }
        let innocent = |payload: &Payload| match scenario.jobs[usize::from(payload.job)] {
            Kind::Good | Kind::Flaky => true,
            Kind::Foreign => payload.left < LEFT_MAX,
            Kind::Bad | Kind::Poison => false,
        };
        if self.redis.dead.iter().any(innocent) {
            return Some(Broken::InnocentDead);
        }
        // What is handed back, or put back for a process that died, is taken before all others.
        let in_order = scenario.faults == Faults::default();
        (in_order && self.redis.is_one_overtaken()).then_some(Broken::Overtaken)
    }

    /// Only the order of call numbers matters: renumbering from the smallest makes equal worlds equal.
    pub(crate) fn renumber(&mut self, shard: u8) {
        let mut numbers: Vec<Number> = Vec::with_capacity(16);
        self.numbers(shard, &mut |number| numbers.push(*number));
        numbers.push(0);
        numbers.sort_unstable();
        numbers.dedup();
        let rank = |number: Number| numbers.binary_search(&number).unwrap();
        self.numbers(shard, &mut |number| *number = u8::try_from(rank(*number)).unwrap());
    }

    fn numbers(&mut self, shard: u8, visit: &mut dyn FnMut(&mut Number)) {
        Rc::make_mut(&mut self.redis.homes[usize::from(shard)]).numbers(visit);
        self.shard_mut(shard).numbers(visit);
        for stray in &mut self.strays {
            if let Stray::Calls { shard: of, requests } = stray
                && *of == shard
            {
                requests.iter_mut().for_each(|request| request.numbers(visit));
            }
        }
    }
}
