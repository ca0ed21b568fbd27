//! Slots by queue: how many of its slots a process gives to each of its queues, and why.
//!
//! Pure: it is told how long the queues are, how long their jobs take and what other processes give them, and answers with
//! an assignment and its reasons. It has no clock, knows no connection, and one look is one call.
//!
//! `even` divides the slots evenly. `adaptive` is the case study's "adaptive and successive" algorithm without its faults:
//! every queue keeps one slot, the rest is given by what waits; but what waits is measured in seconds of work, parts of
//! slots go to the largest remainder, so that they always add up, and a slot moves only for a reason that lasts
//! ([`Balancer`]). A queue may have a minimum, a maximum, and a target: within how many seconds its jobs are to start.
//!
//! With fewer slots than queues no queue can keep one: those with jobs take turns, look by look, and those without get none,
//! because the next look sees when that changes.
//!
//! Processes that serve the same queues each tell what they give. Without regard to the others each would give by the load,
//! which is right as long as all serve the same: so only what the others together give a queue beyond or below its part of
//! the load counts, and it is heeded in small steps that shrink with the number of slots elsewhere, because all processes
//! answer to the same news. What a target needs is divided by size among those who serve the queue. The steps that all make
//! together go a quarter of the way with each look, and do not swing while news is two looks old.

mod apportion;
mod balancer;
mod reason;
mod spread;

pub use balancer::{Balancer, Given, Rule};
pub use reason::Reason;
pub use spread::Spread;

/// What a queue is allowed, as its operator writes it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wish {
    /// Slots it keeps, however little waits; below 1 counts as 1.
    pub slots_min: usize,
    /// Slots it never exceeds; `None`: all of them.
    pub slots_max: Option<usize>,
    /// Seconds within which its jobs are to start.
    pub target_s: Option<f64>,
}

/// How many due jobs of a queue are moved to it a second, at most.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// The queue.
    pub queue: String,
    /// Jobs a second.
    pub per_second: f64,
}

/// What is known of a queue at one look.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct QueueNow {
    /// Jobs that wait in it.
    pub length: u64,
    /// Slots of this process that its jobs hold, or have held of late.
    pub running: usize,
    /// Seconds that one of its jobs takes, as measured; `None` before the first has ended.
    pub run_s: Option<f64>,
    /// Whether operators have paused it.
    pub is_paused: bool,
    /// What other processes give it.
    pub elsewhere: Elsewhere,
}

/// What other processes give a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Elsewhere {
    /// Slots.
    pub slots: usize,
    /// How many processes give them.
    pub processes: usize,
    /// The slots that these processes give to all queues.
    pub slots_all: usize,
}

impl Elsewhere {
    /// Slots beyond the one that each process keeps for the queue.
    fn rest(self) -> usize {
        self.slots.saturating_sub(self.processes)
    }
}

#[cfg(test)]
mod tests;
