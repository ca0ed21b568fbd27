//! One shard: what it knows, and what it does by itself, as in `src/shard/{state,drive,wait,stop}.rs`.

use super::batch::{Batch, Known, Move, Settlement, State, To};
use super::pauses::Pausing;
use super::scenario::{Kind, LEFT_MAX, Mutant, Payload, Scenario};
use super::wire::{Name, Number, Reply, Request, TurnCall};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Shard {
    /// The highest number given to a call.
    pub(crate) issued: Number,
    pub(crate) live: Vec<Batch>,
    pub(crate) settlement: Settlement,
    /// Turns whose replies are due.
    pub(crate) sent: Vec<TurnCall>,
    pub(crate) link: Link,
    /// On their way to Redis, and back.
    pub(crate) out: Vec<Request>,
    pub(crate) replies: Vec<Reply>,
    /// Lists being reported to Redis right now, and what was taken out of the settlement for it.
    pub(crate) syncing: (Vec<Name>, Vec<(Name, Payload)>),
    pub(crate) idle: bool,
    /// Calls may be left in a connection that was given up.
    pub(crate) lost: bool,
    /// It has asked Redis to end it.
    pub(crate) leaving: bool,
    pub(crate) waiter: Waiter,
    pub(crate) pausing: Pausing,
    /// It has ended, whether or not anything is left in flight.
    pub(crate) ended: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Link {
    #[default]
    Down,
    /// A call is under way; no turn is.
    Calling(Stage),
    Up,
}

/// What a call is for. The first four follow each other over a new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Resume,
    List,
    Unknown,
    SyncLive,
    Sweep,
    HandBack,
    Leave,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Waiter {
    pub(crate) armed: bool,
    pub(crate) wire: Wire,
    /// A connection was lost that may have moved a job.
    pub(crate) unswept: bool,
    /// Its request may still be carried out.
    pub(crate) strayed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Wire {
    #[default]
    Quiet,
    /// A blocking move is on its way, or blocks.
    Asked,
    /// It has moved this job; the reply is on its way.
    Moved(Payload),
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Clean,
    Fenced,
}

impl Waiter {
    pub(crate) fn may_ask(&self) -> bool {
        self.armed && !self.unswept && self.wire == Wire::Quiet
    }

    pub(crate) fn is_quiet(&self) -> bool {
        !self.armed && self.wire == Wire::Quiet
    }
}

impl Shard {
    pub(crate) fn count(&self, state: State) -> usize {
        self.live.iter().map(|batch| batch.count(state)).sum()
    }

    pub(crate) fn is_returning(&self) -> bool {
        self.live.iter().any(|batch| batch.returning)
    }

    /// Whether nothing of its own is in transit over its connection.
    pub(crate) fn is_free(&self) -> bool {
        self.link == Link::Up && self.sent.is_empty()
    }

    pub(crate) fn next_number(&mut self) -> Number {
        self.issued += 1;
        self.issued
    }

    pub(crate) fn connect(&mut self) {
        self.call(Stage::Resume, vec![Request::Resume { up_to: self.issued }]);
    }

    /// How many jobs the next turn asks for, if one may be sent.
    pub(crate) fn plan(&self, scenario: &Scenario, fetching: bool) -> Option<u8> {
        let depth = usize::from(scenario.turns_in_flight);
        if self.link != Link::Up || self.waiter.unswept || self.is_returning() || self.sent.len() >= depth {
            return None;
        }
        let runs = self.pausing == Pausing::Runs || scenario.lacks(Mutant::PausedIsFetched);
        if fetching && runs && !self.idle {
            let coming: u8 = self.sent.iter().map(|turn| turn.wanted).sum();
            let held = self.count(State::Unstarted) + self.count(State::Running);
            let room = i32::from(scenario.slots + scenario.read_ahead) - i32::from(coming) - held as i32;
            if let Ok(room @ 1..) = u8::try_from(room) {
                return Some(room.min(scenario.batch));
            }
        }
        (self.sent.is_empty() && !self.settlement.is_empty()).then_some(0)
    }

    pub(crate) fn send_turn(&mut self, wanted: u8) {
        let after = self.sent.last().map_or(0, |turn| turn.number);
        let settled = std::mem::take(&mut self.settlement);
        let turn = TurnCall { number: self.next_number(), after, wanted, settled };
        self.out.push(Request::Turn(turn.clone()));
        self.sent.push(turn);
    }

    /// The job that starts next, if there is a slot: batch and job.
    pub(crate) fn startable(&self, scenario: &Scenario) -> Option<(usize, usize)> {
        if self.count(State::Running) >= usize::from(scenario.slots) {
            return None;
        }
        self.live.iter().enumerate().find_map(|(batch, found)| {
            let job = found.jobs.iter().position(|job| job.1 == State::Unstarted)?;
            Some((batch, job))
        })
    }

    pub(crate) fn start(&mut self, scenario: &Scenario, (batch, job): (usize, usize)) -> Payload {
        let batch = &mut self.live[batch];
        let (payload, state) = &mut batch.jobs[job];
        *state = State::Running;
        if scenario.lacks(Mutant::AckBeforeRun) {
            self.settlement.singles.push((batch.name, *payload));
        }
        *payload
    }

    /// A running job comes to its end, or one whose name is not known does not run. Returns whether it succeeded.
    pub(crate) fn end(&mut self, scenario: &Scenario, (batch, job): (usize, usize), known: bool) -> bool {
        let found = &mut self.live[batch];
        let raw = found.jobs[job].0;
        let to = match scenario.jobs[usize::from(raw.job)] {
            Kind::Flaky if raw.attempt == 0 => Some(To::Retry),
            Kind::Bad => Some(To::Dead),
            Kind::Foreign if !known => Some(unknown(scenario, raw)),
            _ => None,
        };
        if let Some(to) = to {
            self.settlement.moves.push(Move { from: found.name, raw, to });
        }
        let failed = to.is_some();
        found.jobs[job].1 = if failed { State::Moving } else { State::Owed };
        if found.is_settled() && !found.returning {
            let found = self.live.remove(batch);
            self.close(found);
        }
        !failed
    }

    /// Every job of the batch is settled: only its ack is left.
    pub(crate) fn close(&mut self, mut batch: Batch) {
        match batch.name {
            Name::Turn(number) => {
                if !self.settlement.wholes.contains(&number) {
                    self.settlement.wholes.push(number);
                }
            }
            Name::Wait => {
                let owed = batch.replace(State::Owed, State::Acked);
                self.settlement.singles.extend(owed.into_iter().map(|payload| (Name::Wait, payload)));
            }
        }
    }

    /// The acks that wait for the rest of their batch are sent alone.
    pub(crate) fn ack_stragglers(&mut self) {
        for batch in self.live.iter_mut().filter(|batch| !batch.is_settled()) {
            let owed = batch.replace(State::Owed, State::Acked);
            self.settlement.singles.extend(owed.into_iter().map(|payload| (batch.name, payload)));
        }
    }

    /// Hands back what has not started, and what runs if the shard's time is up. Returns which jobs were aborted.
    pub(crate) fn hand_back(&mut self, running: bool) -> Vec<Payload> {
        let mut broken_off = Vec::new();
        for batch in &mut self.live {
            batch.give_up(State::Unstarted);
            if running {
                broken_off.extend(batch.give_up(State::Running));
            }
        }
        let mut names: Vec<Name> =
            self.live.iter().filter(|batch| batch.returning).map(|batch| batch.name).collect();
        names.dedup();
        self.sync(Stage::HandBack, names);
        broken_off
    }

    /// Reports to Redis what is known of these lists.
    pub(crate) fn sync(&mut self, stage: Stage, names: Vec<Name>) {
        let mut requests = Vec::new();
        for &name in &names {
            let mut known = Known::default();
            self.live.iter_mut().filter(|batch| batch.name == name).for_each(|batch| batch.known(&mut known));
            let moves = self.settlement.moves.iter().filter(|job| job.from == name);
            known.keep.extend(moves.map(|job| job.raw));
            let singles: Vec<_> = self.settlement.singles.extract_if(.., |single| single.0 == name).collect();
            known.settled.extend(singles.iter().map(|single| single.1));
            self.syncing.1.extend(singles);
            let Known { keep, settled } = known;
            requests.push(Request::Reconcile { number: self.next_number(), name, keep, settled });
        }
        self.syncing.0 = names;
        self.call(stage, requests);
    }

    pub(crate) fn leave(&mut self) {
        self.leaving = true;
        let (number, fence) = (self.next_number(), self.lost);
        self.call(Stage::Leave, vec![Request::Leave { number, fence }]);
    }

    pub(crate) fn call(&mut self, stage: Stage, requests: Vec<Request>) {
        self.link = Link::Calling(stage);
        self.out = requests;
    }

    /// The connection is gone. Returns what had not reached Redis.
    pub(crate) fn lose_link(&mut self) -> Vec<Request> {
        for batch in &mut self.live {
            batch.replace(State::Dropping, State::Owed);
        }
        let (_, singles) = std::mem::take(&mut self.syncing);
        self.settlement.singles.extend(singles);
        (self.link, self.idle, self.waiter.armed, self.lost) = (Link::Down, false, false, true);
        self.replies.clear();
        std::mem::take(&mut self.out)
    }

    /// The waiting connection is gone. Returns whether its request may still be carried out.
    pub(crate) fn lose_wait(&mut self, scenario: &Scenario) -> bool {
        let asked = self.waiter.wire == Wire::Asked;
        self.waiter.wire = Wire::Quiet;
        self.waiter.unswept = !scenario.lacks(Mutant::NotSwept);
        self.waiter.strayed = !scenario.lacks(Mutant::NotSwept) && !scenario.lacks(Mutant::SweptOnce);
        (self.idle, self.lost) = (false, true);
        asked
    }

    pub(crate) fn numbers(&mut self, visit: &mut dyn FnMut(&mut Number)) {
        visit(&mut self.issued);
        self.live.iter_mut().for_each(|batch| batch.name.numbers(visit));
        self.settlement.numbers(visit);
        for turn in &mut self.sent {
            visit(&mut turn.number);
            visit(&mut turn.after);
            turn.settled.numbers(visit);
        }
        self.out.iter_mut().for_each(|request| request.numbers(visit));
        self.replies.iter_mut().for_each(|reply| reply.numbers(visit));
        self.syncing.0.iter_mut().for_each(|name| name.numbers(visit));
        self.syncing.1.iter_mut().for_each(|single| single.0.numbers(visit));
    }
}

/// What becomes of a job whose name is not known here: it is left to others, for a while.
fn unknown(scenario: &Scenario, raw: Payload) -> To {
    let may_be_left = raw.left < LEFT_MAX || scenario.lacks(Mutant::LeftForever);
    if may_be_left && !scenario.lacks(Mutant::UnknownFails) { To::Left } else { To::Dead }
}
