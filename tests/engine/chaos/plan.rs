//! What one round does: workers, and a schedule of faults. All of it follows from the seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use jiggler_uring::internal::limits::CALL_TIMEOUT;

use crate::fault_proxy::{Pieces, Then, Way};

/// Nodes of the cluster in the rounds that have one.
const CLUSTER_NODES: usize = 3;

/// Nodes agree again some time after one of them is back.
const AGREE_TIME: Duration = Duration::from_secs(3);

/// A queue moves to another node within this time on a quiet machine.
const MOVE_TIME: Duration = Duration::from_millis(500);

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
    /// Nobody reads its log.
    StopLog(usize),
    ReadLog(usize),
    // From here on the number is that of a node: 0, but in a cluster.
    KillRedis(usize),
    StopRedis(usize),
    StartRedis(usize),
    PauseRedis(usize),
    ResumeRedis(usize),
    FlushScripts(usize),
    KillClients(usize),
    /// A command that workers may not run any more.
    Withdraw(&'static str),
    GiveBack(&'static str),
    /// The queue of this number, with all it has, goes to another node.
    MoveQueue(usize),
}

/// Rights that are withdrawn: calls of the engine itself, and those that its scripts make half-way.
const RIGHTS: &[&str] = &[
    "evalsha", "blmove", "lmove", "lpush", "rpush", "del", "lrem", "ltrim", "hset", "hdel", "zadd", "zrem",
    "incrby",
];

/// A round.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) severity: Severity,
    pub(crate) at_least_once: bool,
    /// Nodes of a cluster; 0: one Redis.
    pub(crate) nodes: usize,
    pub(crate) queues: usize,
    /// Jobs of up to 8 MB are among the others.
    pub(crate) large: bool,
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
        let nodes = if !poison && random.u8(0..5) == 0 { CLUSTER_NODES } else { 0 };
        Self { large: random.u8(0..3) == 0, ..Self::on(nodes, seed, severity, at_least_once, poison) }
    }

    /// A round on one Redis, without large jobs.
    pub(crate) fn with(seed: u64, severity: Severity, at_least_once: bool, poison: bool) -> Self {
        Self::on(0, seed, severity, at_least_once, poison)
    }

    fn on(nodes: usize, seed: u64, severity: Severity, at_least_once: bool, poison: bool) -> Self {
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
            nodes,
            queues: if nodes > 0 { nodes } else { random.usize(1..=2) },
            large: false,
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
            "seed={} mode={mode} severity={:?} poison={} large={} nodes={} workers={} queues={} faults={}",
            self.seed,
            self.severity,
            self.has_poison(),
            self.large,
            self.nodes.max(1),
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
            let end = match (lane == count, self.nodes > 0) {
                (true, false) => self.redis_fault(random, at),
                (true, true) => self.node_fault(random, at),
                (false, false) => self.fault(random, lane, at),
                (false, true) => self.process_fault(random, lane, at),
            };
            let quiet = if lane == count { 500..4_000 } else { 100..2_500 };
            lanes[lane] = end + millis(random, quiet);
        }
    }

    fn long_silence(&mut self, random: &mut Rng, place: usize, at: Duration) -> Duration {
        // Lines to the nodes of a cluster have no proxy that could hold them.
        let (begin, ends) = if random.bool() || self.nodes > 0 {
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

    /// A fault of a process, wherever its Redis is.
    fn process_fault(&mut self, random: &mut Rng, place: usize, at: Duration) -> Duration {
        let rough = matches!(self.severity, Severity::Rough | Severity::Long);
        let one = place..place + 1;
        match random.u8(0..10) {
            0..4 if rough => {
                let away = millis(random, 50..1_500);
                self.lasting(one, at, Step::Kill(place), away, Step::Start(place))
            }
            0..6 => {
                let away = millis(random, 300..2_000);
                self.lasting(one, at, Step::Terminate(place), away, Step::Start(place))
            }
            6..8 => {
                let most = if rough { 6_000 } else { 1_000 };
                let length = millis(random, 50..most);
                self.lasting(one, at, Step::Pause(place), length, Step::Resume(place))
            }
            _ => {
                // The log has a queue and a thread of its own, so this silences nobody.
                let end = at + millis(random, 300..4_000);
                self.steps.push((at, Step::StopLog(place)));
                self.steps.push((end, Step::ReadLog(place)));
                end
            }
        }
    }

    /// A fault of a process or of its line.
    fn fault(&mut self, random: &mut Rng, place: usize, at: Duration) -> Duration {
        let one = place..place + 1;
        match random.u8(0..20) {
            0..8 => self.process_fault(random, place, at),
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
        match random.u8(0..10) {
            kind @ (0 | 1) => {
                let begin = if kind == 0 { Step::KillRedis(0) } else { Step::StopRedis(0) };
                let most = if self.severity == Severity::Short { 500 } else { 3_000 };
                let away = millis(random, 20..most);
                self.lasting(all, at, begin, away, Step::StartRedis(0))
            }
            2 if self.severity != Severity::Short => {
                let length = millis(random, 100..4_000);
                self.lasting(all, at, Step::PauseRedis(0), length, Step::ResumeRedis(0))
            }
            3..6 => {
                self.steps.push((at, Step::FlushScripts(0)));
                at
            }
            6..8 if self.severity != Severity::Short => {
                let right = RIGHTS[random.usize(..RIGHTS.len())];
                let length = millis(random, 100..3_000);
                self.lasting(all, at, Step::Withdraw(right), length, Step::GiveBack(right))
            }
            _ => {
                self.steps.push((at, Step::KillClients(0)));
                at
            }
        }
    }

    /// A fault of the cluster or of one of its nodes.
    fn node_fault(&mut self, random: &mut Rng, at: Duration) -> Duration {
        let all = 0..self.workers.len();
        let node = random.usize(..self.nodes);
        let length = millis(random, 50..3_000);
        let end = match random.u8(0..10) {
            kind @ (0 | 1) => {
                let begin = if kind == 0 { Step::KillRedis(node) } else { Step::StopRedis(node) };
                self.lasting(all.clone(), at, begin, length, Step::StartRedis(node))
            }
            2 => self.lasting(all.clone(), at, Step::PauseRedis(node), length, Step::ResumeRedis(node)),
            3 => {
                self.steps.push((at, Step::FlushScripts(node)));
                return at;
            }
            4..7 => {
                self.steps.push((at, Step::MoveQueue(random.usize(..self.queues))));
                // It takes its time, and nothing else happens to the nodes meanwhile.
                return at + MOVE_TIME;
            }
            _ => {
                self.steps.push((at, Step::KillClients(node)));
                return at;
            }
        };
        // The others have missed the node and serve nothing until they have heard of it again.
        for silence in &mut self.silence[all] {
            *silence += AGREE_TIME;
        }
        end + AGREE_TIME
    }

    /// Whether workers may not run some command for a while.
    pub(crate) fn withdraws_rights(&self) -> bool {
        self.steps.iter().any(|(_, step)| matches!(step, Step::Withdraw(_)))
    }

    /// Whether a job may be lost at most once: some connection or process ended in disorder.
    pub(crate) fn may_lose_at_most_once(&self) -> bool {
        let harmless = |step: &Step| {
            use Step::{Clear, Delay, FlushScripts, Pause, PauseRedis, Resume, ResumeRedis, Split, Start};
            matches!(step, Start(_) | Pause(_) | Resume(_) | Delay(..) | Split(..) | Clear(_))
                || matches!(step, PauseRedis(_) | ResumeRedis(_) | FlushScripts(_))
                || matches!(step, Step::Terminate(_) | Step::StopLog(_) | Step::ReadLog(_))
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
            "CHAOS_SEED={} {:?}, {mode}, {} nodes, {} queues, {:?}",
            self.seed,
            self.severity,
            self.nodes.max(1),
            self.queues,
            self.length
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
