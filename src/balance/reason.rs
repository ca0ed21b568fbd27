//! Why a queue has the slots that it has, in words for operators.

use std::fmt;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// Operators have paused it.
    Paused,
    /// There are fewer slots than queues: those with jobs take turns.
    Turns,
    /// All queues get as many.
    Even,
    /// Nothing waits in it.
    Idle,
    /// This many seconds of work wait, or run.
    Backlog {
        /// Seconds of work.
        work_s: f64,
        /// Which part of the work of all queues that is.
        part: f64,
    },
    /// With fewer slots its jobs would start too late.
    Target {
        /// Seconds of work.
        work_s: f64,
        /// Within how many seconds its jobs are to start.
        target_s: f64,
    },
    /// It would get more, but this is its maximum.
    Maximum,
    /// It would get fewer, but this is its minimum.
    Minimum,
    /// The rest is for queues whose names end with `-io`.
    NotIo,
    /// Other processes give it this many, which is its due.
    Elsewhere {
        /// Slots.
        slots: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Paused => f.write_str("paused"),
            Self::Turns => f.write_str("fewer slots than queues: those with jobs take turns"),
            Self::Even => f.write_str("an even share"),
            Self::Idle => f.write_str("nothing waits"),
            Self::Backlog { work_s, part } => {
                write!(f, "{work_s:.1} s of work, {:.0} % of all", part * 100.0)
            }
            Self::Target { work_s, target_s } => {
                write!(f, "{work_s:.1} s of work, to start within {target_s} s")
            }
            Self::Maximum => f.write_str("its maximum"),
            Self::Minimum => f.write_str("its minimum"),
            Self::NotIo => f.write_str("the rest is for queues named -io"),
            Self::Elsewhere { slots } => write!(f, "other processes give it {slots}"),
        }
    }
}
