//! What comes to the queues: a shop with one flood.

use fastrand::Rng;

/// When the flood begins, in seconds.
pub(super) const FLOOD_AT: f64 = 10.0;

/// Jobs of the flood.
const FLOOD_JOBS: u32 = 60_000;

/// In how many seconds they come.
const FLOOD_S: f64 = 2.0;

/// A kind of queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// 100 jobs of 0.1 s a second.
    Busy,
    /// 60,000 jobs of 0.2 s at once, and nothing else.
    Flooded,
    /// Two jobs of 10 s a second.
    Slow,
    /// A job of 50 ms a second.
    Quiet,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Busy, Self::Flooded, Self::Slow, Self::Quiet];

    pub(super) const fn number(self) -> usize {
        match self {
            Self::Busy => 0,
            Self::Flooded => 1,
            Self::Slow => 2,
            Self::Quiet => 3,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Flooded => "flooded",
            Self::Slow => "slow",
            Self::Quiet => "quiet",
        }
    }

    /// Seconds that a job takes.
    pub(super) const fn run_s(self) -> f64 {
        match self {
            Self::Busy => 0.1,
            Self::Flooded => 0.2,
            Self::Slow => 10.0,
            Self::Quiet => 0.05,
        }
    }

    /// Within how many seconds its jobs are to start, under `target`.
    pub(super) const fn target_s(self) -> Option<f64> {
        match self {
            Self::Busy | Self::Quiet => Some(1.0),
            Self::Flooded | Self::Slow => None,
        }
    }

    /// Jobs a second.
    const fn rate(self) -> f64 {
        match self {
            Self::Busy => 100.0,
            Self::Flooded => FLOOD_JOBS as f64 / FLOOD_S,
            Self::Slow => 2.0,
            Self::Quiet => 1.0,
        }
    }
}

/// The jobs of all queues, at random moments that a seed decides.
#[derive(Debug, Clone)]
pub(super) struct Load {
    /// The kind of each queue, and what decides when its jobs come: whatever happens to others, it comes to the same.
    queues: Vec<(Kind, Rng)>,
}

impl Load {
    /// Of so many queues: one in ten is busy, four are slow, one is flooded, the others are quiet. The flooded one comes
    /// before most others where the order counts.
    pub(super) fn new(seed: u64, queues: usize) -> Self {
        let busy = queues / 10;
        let kind = |queue: usize| match queue {
            _ if queue == busy => Kind::Flooded,
            _ if queue.is_multiple_of(10) || queue < busy => Kind::Busy,
            _ if queue % 12 == 7 => Kind::Slow,
            _ => Kind::Quiet,
        };
        let mut seeds = Rng::with_seed(seed);
        Self { queues: (0..queues).map(|queue| (kind(queue), seeds.fork())).collect() }
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.queues.iter().map(|(kind, _)| *kind).collect()
    }

    /// When the first job of a queue comes, in seconds.
    pub(super) fn first(&mut self, queue: usize) -> Option<f64> {
        match self.queues[queue].0 {
            Kind::Flooded => Some(FLOOD_AT),
            _ => self.next(queue, 0.0),
        }
    }

    /// When the one after this comes; `None`: there is none.
    pub(super) fn next(&mut self, queue: usize, at: f64) -> Option<f64> {
        let (kind, random) = &mut self.queues[queue];
        let next = at - (1.0 - random.f64()).ln() / kind.rate();
        (*kind != Kind::Flooded || next < FLOOD_AT + FLOOD_S).then_some(next)
    }
}
