//! What one round does: workers, and a schedule of faults. All of it follows from the seed.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

use crate::fault_proxy::{Pieces, Then, Way};

/// Nodes of the cluster in the rounds that have one.
const CLUSTER_NODES: usize = 3;

/// More than a shard waits for by itself: one connection hears of them all.
const MANY_QUEUES: usize = 12;

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
    /// An operator pauses the queue of this number.
    PauseQueue(usize),
    ResumeQueue(usize),
    /// The queue of this number, with all it has, goes to another node.
    MoveQueue(usize),
}

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
        let plan = match nodes {
            0 => Self::with(seed, severity, at_least_once, poison),
            _ => Self::on(nodes, seed, severity, at_least_once, poison),
        };
        Self { large: random.u8(0..3) == 0, ..plan }
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
            queues: if nodes > 0 { nodes } else { random.choice([1, 2, MANY_QUEUES]).unwrap_or(1) },
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
                || matches!(step, Step::PauseQueue(_) | Step::ResumeQueue(_))
        };
        !self.steps.iter().all(|(_, step)| harmless(step))
    }
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
