//! The turns of a shard whose replies are outstanding.
//!
//! A turn keeps the order in which it serves the queues, because its reply names queues by their place in that order.
//! Orders are reused when a turn is done, so that a turn allocates none.

use std::collections::VecDeque;
use std::time::Instant;

use super::ledger::Report;
use super::order::Order;
use crate::limits::TURNS_IN_FLIGHT_MAX;

/// A turn that was sent, until its reply is read.
#[derive(Debug)]
pub(super) struct SentTurn {
    pub(super) number: u64,
    /// When.
    pub(super) sent_at: Instant,
    pub(super) wanted: usize,
    /// How many replies it has.
    pub(super) replies: usize,
    /// How it serves the queues.
    pub(super) order: Order,
    /// What it reports.
    pub(super) report: Report,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The oldest first; at most [`TURNS_IN_FLIGHT_MAX`].
    sent: VecDeque<SentTurn>,
    /// Orders that no turn uses, kept for their memory; at most as many as turns.
    spare: Vec<Order>,
}

impl Turns {
    /// An empty order.
    pub(super) fn spare_order(&mut self) -> Order {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back the order of a turn that is done.
    pub(super) fn reuse(&mut self, mut order: Order) {
        order.clear();
        if self.spare.len() < TURNS_IN_FLIGHT_MAX {
            self.spare.push(order);
        }
    }

    /// One more is under way.
    pub(super) fn push(&mut self, turn: SentTurn) {
        debug_assert!(self.sent.len() < TURNS_IN_FLIGHT_MAX, "more turns are under way than may be");
        self.sent.push_back(turn);
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// The oldest one.
    pub(super) fn oldest(&self) -> Option<&SentTurn> {
        self.sent.front()
    }

    /// The number of the newest one; 0 if none is under way.
    pub(super) fn newest(&self) -> u64 {
        self.sent.back().map_or(0, |turn| turn.number)
    }

    /// Takes away the oldest one.
    pub(super) fn take_oldest(&mut self) -> Option<SentTurn> {
        self.sent.pop_front()
    }

    /// Takes away the newest one.
    pub(super) fn take_newest(&mut self) -> Option<SentTurn> {
        self.sent.pop_back()
    }

    /// Whether any of them reports anything.
    pub(super) fn report(&self) -> bool {
        self.sent.iter().any(|turn| !turn.report.is_empty())
    }

    /// Jobs and payloads whose end they report.
    pub(super) fn ended(&self) -> u64 {
        self.sent.iter().map(|turn| turn.report.ended()).sum()
    }
}
