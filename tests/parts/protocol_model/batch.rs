//! What a shard knows of its jobs: batches and what is settled, as in `src/shard/{batch,settle}.rs`.

use super::scenario::Payload;
use super::wire::{Name, Number};

/// Jobs that came together. Each one from a wait list is its own batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Batch {
    pub(crate) name: Name,
    pub(crate) jobs: Vec<(Payload, State)>,
    /// Jobs were given up and Redis has not been informed.
    pub(crate) returning: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Unstarted,
    Running,
    /// It succeeded; nothing reports that yet.
    Owed,
    /// It succeeded, and Redis is being told to drop it.
    Dropping,
    /// It succeeded, and its ack is in the settlement or done.
    Acked,
    /// It failed, and its move is in the settlement or done.
    Moving,
    GivenUp,
}

/// Where a job goes that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum To {
    /// To the retry set, as another attempt.
    Retry,
    /// To the retry set, to be looked at by others.
    Left,
    Dead,
}

/// A job that did not succeed goes to a set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Move {
    pub(crate) from: Name,
    pub(crate) raw: Payload,
    pub(crate) to: To,
}

/// What a turn reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Settlement {
    pub(crate) moves: Vec<Move>,
    pub(crate) singles: Vec<(Name, Payload)>,
    pub(crate) wholes: Vec<Number>,
}

/// What is reported to Redis about one list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Known {
    pub(crate) keep: Vec<Payload>,
    pub(crate) settled: Vec<Payload>,
}

impl Batch {
    pub(crate) fn new(name: Name, payloads: Vec<Payload>) -> Self {
        let jobs = payloads.into_iter().map(|payload| (payload, State::Unstarted)).collect();
        Self { name, jobs, returning: false }
    }

    pub(crate) fn count(&self, state: State) -> usize {
        self.jobs.iter().filter(|job| job.1 == state).count()
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.count(State::Unstarted) + self.count(State::Running) == 0
    }

    pub(crate) fn replace(&mut self, from: State, to: State) -> Vec<Payload> {
        let jobs = self.jobs.iter_mut().filter(|job| job.1 == from);
        jobs.map(|job| {
            job.1 = to;
            job.0
        })
        .collect()
    }

    /// Gives up the jobs in that state. Returns which.
    pub(crate) fn give_up(&mut self, state: State) -> Vec<Payload> {
        let given_up = self.replace(state, State::GivenUp);
        self.returning |= !given_up.is_empty();
        given_up
    }

    pub(crate) fn known(&mut self, known: &mut Known) {
        for (payload, state) in &mut self.jobs {
            match state {
                State::Unstarted | State::Running => known.keep.push(*payload),
                State::Owed | State::Dropping => {
                    *state = State::Dropping;
                    known.settled.push(*payload);
                }
                State::Acked | State::Moving | State::GivenUp => {}
            }
        }
    }

    pub(crate) fn heard(&mut self) {
        self.returning = false;
        self.replace(State::Dropping, State::Acked);
    }
}

impl Settlement {
    pub(crate) fn is_empty(&self) -> bool {
        self.moves.is_empty() && self.singles.is_empty() && self.wholes.is_empty()
    }

    /// Puts one that did not arrive ahead of this.
    pub(crate) fn report_again(&mut self, mut unsent: Self) {
        unsent.moves.append(&mut self.moves);
        unsent.singles.append(&mut self.singles);
        unsent.wholes.append(&mut self.wholes);
        *self = unsent;
    }

    pub(crate) fn numbers(&mut self, visit: &mut dyn FnMut(&mut Number)) {
        self.moves.iter_mut().for_each(|job| job.from.numbers(visit));
        self.singles.iter_mut().for_each(|single| single.0.numbers(visit));
        self.wholes.iter_mut().for_each(visit);
    }
}
