//! What one round does: workers, and a schedule of faults. All of it follows from the seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use jiggler_uring::internal::limits::CALL_TIMEOUT;

use crate::fault_proxy::{Pieces, Then, Way};

/// How bad a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Nothing that takes a lease to heal, and nothing that excuses a job that runs twice. Some ten seconds.
    Short,
    /// As above with held lines and forgotten connections.
    Gentle,
    /// Everything, except that no living process is silent for as long as its lease.
    Rough,
    /// Also silences that are longer than a lease.
    Long,
}

/// What a worker serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The queues of the round, with the program's own jobs.
    Plain,
    /// A queue in which a job that kills its process lies among others.
    Poisoned,
}

#[derive(Debug, Clone)]
pub(crate) struct WorkerPlan {
    pub(crate) role: Role,
    pub(crate) cores: usize,
    pub(crate) concurrency: usize,
    /// Reached over TCP instead of a unix socket.
    pub(crate) tcp: bool,
}

/// One step of the schedule. The number is the worker's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Kill(usize),
    Terminate(usize),
    /// Starts a worker where one was ended.
    Start(usize),
    Pause(usize),
    Resume(usize),
    Delay(usize, Duration),
    Split(usize, Pieces),
    Hold(usize),
    Refuse(usize),
    /// Ends delay, splitting, holding, refusing.
    Clear(usize),
    /// As above, but what was held is forgotten.
    Forget(usize),
    Cut(usize),
    After(usize, Way, usize, Then),
    KillRedis,
    StopRedis,
    StartRedis,
    PauseRedis,
    ResumeRedis,
    FlushScripts,
    KillClients,
}

/// A round.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) severity: Severity,
    pub(crate) at_least_once: bool,
    pub(crate) queues: usize,
    pub(crate) workers: Vec<WorkerPlan>,
    pub(crate) steps: Vec<(Duration, Step)>,
    /// How long jobs are pushed.
    pub(crate) length: Duration,
    /// Total time for which each place, and all places together, could not reach Redis.
    pub(crate) silence: Vec<Duration>,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let severity = match random.u8(0..20) {
            0..5 => Severity::Gentle,
            5..17 => Severity::Rough,
            _ => Severity::Long,
        };
        let at_least_once = random.u8(0..4) > 0;
        // At most once such a job does no more than it does at its first run.
        let poison = at_least_once && random.u8(0..3) == 0;
        Self::with(seed, severity, at_least_once, poison)
    }

    pub(crate) fn with(seed: u64, severity: Severity, at_least_once: bool, poison: bool) -> Self {
        let mut random = Rng::with_seed(seed.wrapping_add(1));
        let count = if severity == Severity::Short { 2 } else { random.usize(2..=3) };
        let worker = |random: &mut Rng, role: Role| WorkerPlan {
            role,
            cores: random.usize(1..=2),
            concurrency: random.usize(4..=16),
            tcp: random.bool(),
        };
        let mut workers: Vec<_> = (0..count).map(|_| worker(&mut random, Role::Plain)).collect();
        workers.extend(poison.then(|| worker(&mut random, Role::Poisoned)));
        let silence = vec![Duration::ZERO; workers.len()];
        let seconds = match severity {
            Severity::Short => 4,
            Severity::Gentle | Severity::Rough => random.u64(8..=14),
            Severity::Long => 32,
        };
        let mut plan = Self {
            seed,
            severity,
            at_least_once,
            queues: random.usize(1..=2),
            workers,
            steps: Vec::new(),
            length: Duration::from_secs(seconds),
            silence,
        };
        plan.fill(&mut random);
        plan.steps.sort_by_key(|(at, _)| *at);
        plan
    }

    /// What kind of round it is, for a line.
    pub(crate) fn summary(&self) -> String {
        let mode = if self.at_least_once { "at-least-once" } else { "at-most-once" };
        format!(
            "seed={} mode={mode} severity={:?} poison={} workers={} queues={} faults={}",
            self.seed,
            self.severity,
            self.has_poison(),
            self.workers.len(),
            self.queues,
            self.steps.len()
        )
    }

    pub(crate) fn has_poison(&self) -> bool {
        self.workers.iter().any(|worker| worker.role == Role::Poisoned)
    }

    fn fill(&mut self, random: &mut Rng) {
        let count = self.workers.len();
        // One lane for each worker and one for Redis: faults of one lane do not overlap, those of different lanes do.
        let mut lanes: Vec<Duration> = (0..=count).map(|_| millis(random, 100..800)).collect();
        if self.severity == Severity::Long {
            // The others stay whole for a while: a reaper must have been connected for as long as a lease.
            let at = lanes[0];
            lanes[0] = self.long_silence(random, 0, at);
            for lane in &mut lanes[1..] {
                *lane = at + Duration::from_secs(24);
            }
        }
        loop {
            let lane = random.usize(0..=count);
            let at = lanes[lane];
            if lanes.iter().all(|lane| *lane >= self.length) {
                return;
            }
            if at >= self.length {
                continue;
            }
            let end = if lane == count { self.redis_fault(random, at) } else { self.fault(random, lane, at) };
            let quiet = if lane == count { 500..4_000 } else { 100..2_500 };
            lanes[lane] = end + millis(random, quiet);
        }
    }

    fn long_silence(&mut self, random: &mut Rng, place: usize, at: Duration) -> Duration {
        let (begin, ends) = if random.bool() {
            (Step::Pause(place), &[Step::Resume(place)][..])
        } else {
            (Step::Hold(place), &[Step::Clear(place), Step::Forget(place)][..])
        };
        let length = millis(random, 25_000..29_000);
        let end = ends[random.usize(..ends.len())];
        self.lasting(place..place + 1, at, begin, length, end)
    }

    /// A fault that begins, lasts and ends, in which the places hear nothing of Redis.
    fn lasting(
        &mut self,
        places: std::ops::Range<usize>,
        at: Duration,
        begin: Step,
        length: Duration,
        end: Step,
    ) -> Duration {
        self.steps.push((at, begin));
        self.steps.push((at + length, end));
        // A forgotten connection is found to be dead by the next call over it, when that is not answered.
        let unnoticed = if matches!(end, Step::Forget(_)) { CALL_TIMEOUT } else { Duration::ZERO };
        for silence in &mut self.silence[places] {
            *silence += length + unnoticed;
        }
        at + length
    }

    fn fault(&mut self, random: &mut Rng, place: usize, at: Duration) -> Duration {
        let rough = matches!(self.severity, Severity::Rough | Severity::Long);
        let one = place..place + 1;
        match random.u8(0..20) {
            0..4 if rough => {
                let away = millis(random, 50..1_500);
                self.lasting(one, at, Step::Kill(place), away, Step::Start(place))
            }
            4..6 => {
                let away = millis(random, 300..2_000);
                self.lasting(one, at, Step::Terminate(place), away, Step::Start(place))
            }
            6..8 => {
                let most = if rough { 6_000 } else { 1_000 };
                let length = millis(random, 50..most);
                self.lasting(one, at, Step::Pause(place), length, Step::Resume(place))
            }
            8..10 if self.severity != Severity::Short => {
                let end = if random.bool() { Step::Clear(place) } else { Step::Forget(place) };
                let length = millis(random, 200..8_000);
                self.lasting(one, at, Step::Hold(place), length, end)
            }
            10 => {
                let length = millis(random, 100..1_500);
                self.lasting(one, at, Step::Refuse(place), length, Step::Clear(place))
            }
            11 | 12 => {
                let step = Step::Delay(place, millis(random, 1..150));
                self.temporary(random, at, step, place)
            }
            13 | 14 => {
                let pieces = if random.bool() { Pieces::Bytes } else { Pieces::Random };
                self.temporary(random, at, Step::Split(place, pieces), place)
            }
            15 => {
                self.steps.push((at, Step::Cut(place)));
                at
            }
            _ => {
                let way = if random.u8(0..3) == 0 { Way::Requests } else { Way::Replies };
                let then = if way == Way::Replies && random.bool() { Then::Garble } else { Then::Cut };
                let most = if random.bool() { 200 } else { 20_000 };
                self.steps.push((at, Step::After(place, way, random.usize(0..most), then)));
                at
            }
        }
    }

    /// A change of the weather that silences nobody.
    fn temporary(&mut self, random: &mut Rng, at: Duration, step: Step, place: usize) -> Duration {
        let end = at + millis(random, 300..4_000);
        self.steps.push((at, step));
        self.steps.push((end, Step::Clear(place)));
        end
    }

    fn redis_fault(&mut self, random: &mut Rng, at: Duration) -> Duration {
        let all = 0..self.workers.len();
        match random.u8(0..8) {
            kind @ (0 | 1) => {
                let begin = if kind == 0 { Step::KillRedis } else { Step::StopRedis };
                let most = if self.severity == Severity::Short { 500 } else { 3_000 };
                let away = millis(random, 20..most);
                self.lasting(all, at, begin, away, Step::StartRedis)
            }
            2 if self.severity != Severity::Short => {
                let length = millis(random, 100..4_000);
                self.lasting(all, at, Step::PauseRedis, length, Step::ResumeRedis)
            }
            3..6 => {
                self.steps.push((at, Step::FlushScripts));
                at
            }
            _ => {
                self.steps.push((at, Step::KillClients));
                at
            }
        }
    }

    /// Whether a job may be lost at most once: some connection or process ended in disorder.
    pub(crate) fn may_lose_at_most_once(&self) -> bool {
        let harmless = |step: &Step| {
            use Step::{Clear, Delay, FlushScripts, Pause, PauseRedis, Resume, ResumeRedis, Split, Start};
            matches!(
                step,
                Start(_) | Pause(_) | Resume(_) | Delay(..) | Split(..) | Clear(_) | PauseRedis | ResumeRedis
            ) || matches!(step, FlushScripts | Step::Terminate(_))
        };
        !self.steps.iter().all(|(_, step)| harmless(step))
    }
}

fn millis(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.at_least_once { "at least once" } else { "at most once" };
        write!(
            f,
            "CHAOS_SEED={} {:?}, {mode}, {} queues, {:?}",
            self.seed, self.severity, self.queues, self.length
        )?;
        for (place, worker) in self.workers.iter().enumerate() {
            write!(f, "\n  worker {place}: {worker:?}")?;
        }
        for (at, step) in &self.steps {
            write!(f, "\n  {:7.3} s  {step:?}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
