//! What may happen: the steps of a case, and how cases are drawn.

use proptest::prelude::*;

/// One case: a fleet and what happens to it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) queues: usize,
    pub(crate) shards: usize,
    pub(crate) steps: Vec<Step>,
}

/// Positions are taken modulo what exists.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A producer pushes `copies` of one payload: a new one, or one that was pushed before, byte for byte.
    Push { queue: usize, copies: usize, like: Option<usize>, bytes: usize },
    /// A shard runs jobs, reports what is settled and fetches.
    Turn {
        shard: usize,
        wanted: usize,
        first: usize,
        /// The most that is fetched from each of the first queues; empty: no limit.
        limits: Vec<usize>,
        outcomes: Vec<Outcome>,
        stragglers: bool,
        fate: Fate,
    },
    /// A shard's blocking move delivers one job, if one waits.
    Wait { shard: usize, queue: usize, seen: bool },
    /// A shard hands back what it has not run.
    HandBack { shard: usize },
    /// A shard loses its connection, with calls in it that reach Redis later.
    Reconnect { shard: usize },
    /// A process is killed; what it had in flight stays there. Another takes its place.
    Crash { shard: usize },
    /// A reaper presumes the shard dead: its home index becomes a mark.
    Fence { shard: usize },
}

/// What a job that a shard holds does next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    GoesOn,
    Succeeds,
    IsRetried,
    Dies,
}

/// What becomes of a turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fate {
    /// It runs, its reply arrives.
    Seen,
    /// It runs, its reply does not arrive.
    ReplyLost,
    /// It never arrives.
    NeverSent,
    /// It arrives when its shard has abandoned it and resumed over another connection.
    Late,
    /// Redis has lost its scripts.
    Noscript,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(Outcome::Succeeds),
        2 => Just(Outcome::GoesOn),
        1 => Just(Outcome::IsRetried),
        1 => Just(Outcome::Dies),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        5 => Just(Fate::Seen),
        2 => Just(Fate::ReplyLost),
        1 => Just(Fate::NeverSent),
        2 => Just(Fate::Late),
        1 => Just(Fate::Noscript),
    ]
}

/// Mostly small; now and then so large that a batch is cut by its bytes, or consists of one job.
fn payload_bytes() -> impl Strategy<Value = usize> {
    prop_oneof![200 => 0_usize..200, 1 => Just(1_800_000_usize), 1 => Just(4_500_000_usize)]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let limits = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(0..5_usize, 1..4)];
    let outcomes = prop::collection::vec(outcome(), 0..8);
    let turn = (0..2_usize, 0..7_usize, 0..3_usize, limits, outcomes, any::<bool>(), fate());
    prop_oneof![
        5 => (0..3_usize, 1..4_usize, prop::option::weighted(0.3, 0..9_usize), payload_bytes())
            .prop_map(|(queue, copies, like, bytes)| Step::Push { queue, copies, like, bytes }),
        10 => turn.prop_map(|(shard, wanted, first, limits, outcomes, stragglers, fate)| {
            Step::Turn { shard, wanted, first, limits, outcomes, stragglers, fate }
        }),
        3 => (0..2_usize, 0..3_usize, any::<bool>())
            .prop_map(|(shard, queue, seen)| Step::Wait { shard, queue, seen }),
        2 => (0..2_usize).prop_map(|shard| Step::HandBack { shard }),
        1 => (0..2_usize).prop_map(|shard| Step::Reconnect { shard }),
        1 => (0..2_usize).prop_map(|shard| Step::Crash { shard }),
        1 => (0..2_usize).prop_map(|shard| Step::Fence { shard }),
    ]
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    (1..4_usize, 1..3_usize, prop::collection::vec(step(), 1..30)).prop_map(|(queues, shards, steps)| Case {
        queues,
        shards,
        steps,
    })
}
