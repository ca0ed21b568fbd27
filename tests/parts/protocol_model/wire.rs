//! What travels between a shard and Redis, and what is left of it when a connection dies.

use super::batch::Settlement;
use super::scenario::Payload;

/// The number of a call. The calls of one shard that change something are numbered in the order in which they are sent.
pub(crate) type Number = u8;

/// The name of a list in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Name {
    Turn(Number),
    Wait,
}

impl Name {
    pub(crate) fn numbers(&mut self, visit: &mut dyn FnMut(&mut Number)) {
        if let Self::Turn(number) = self {
            visit(number);
        }
    }
}

/// What a turn reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TurnCall {
    pub(crate) number: Number,
    /// The turn sent before, if its reply had not arrived yet; otherwise 0.
    pub(crate) after: Number,
    pub(crate) wanted: u8,
    pub(crate) settled: Settlement,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Request {
    Turn(TurnCall),
    Resume {
        up_to: Number,
    },
    List,
    Reconcile {
        number: Number,
        name: Name,
        keep: Vec<Payload>,
        settled: Vec<Payload>,
    },
    /// With a fence, if calls may still come late.
    Leave {
        number: Number,
        fence: bool,
    },
}

/// Why a call was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    /// A reaper was here.
    Fenced,
    /// The shard itself has left.
    Left,
    Stale,
    /// Redis does not know the script.
    Noscript,
    /// Any other error.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    Jobs(Vec<Payload>),
    /// The last turn that ran.
    Ran(Number),
    Batches(Vec<Number>),
    HandedBack(usize),
    Left,
    Refused(Refusal),
}

/// What may still come out of a dead connection, in order, or never.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Stray {
    Calls {
        shard: u8,
        requests: Vec<Request>,
    },
    /// A blocking move.
    Move {
        shard: u8,
    },
}

impl Stray {
    pub(crate) fn shard(&self) -> u8 {
        match self {
            Self::Calls { shard, .. } | Self::Move { shard } => *shard,
        }
    }
}

impl Request {
    pub(crate) fn numbers(&mut self, visit: &mut dyn FnMut(&mut Number)) {
        match self {
            Self::Turn(call) => {
                visit(&mut call.number);
                visit(&mut call.after);
                call.settled.numbers(visit);
            }
            Self::Resume { up_to } => visit(up_to),
            Self::Reconcile { number, name, .. } => {
                visit(number);
                name.numbers(visit);
            }
            Self::Leave { number, .. } => visit(number),
            Self::List => {}
        }
    }
}

impl Reply {
    pub(crate) fn numbers(&mut self, visit: &mut dyn FnMut(&mut Number)) {
        match self {
            Self::Ran(number) => visit(number),
            Self::Batches(numbers) => numbers.iter_mut().for_each(visit),
            Self::Jobs(_) | Self::HandedBack(_) | Self::Left | Self::Refused(_) => {}
        }
    }
}
