//! Everything that can happen next.

use super::batch::State;
use super::pauses::Pausing;
use super::redis::Lease;
use super::scenario::{Faults, Kind, Mutant, Scenario};
use super::shard::{Link, Wire};
use super::wire::{Request, Stray};
use super::world::{Life, ReapStep, World};

/// One step of the world. The number is a shard's or a process's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    // Redis.
    /// Carries out the oldest call of a shard.
    Execute(u8, Outcome),
    /// Carries out a blocking move.
    Move(u8),
    /// Carries out the oldest call that a dead connection still held: the position among the strays.
    ExecuteStray(usize),
    /// Nothing more comes out of a dead connection.
    DropStray(usize),
    /// The poller of any process moves a due job.
    Due,
    // A shard.
    Connect(u8),
    SendTurn(u8),
    Receive(u8),
    Start(u8),
    /// A running job comes to its end: batch and job.
    End(u8, usize, usize),
    AckStragglers(u8),
    Ask(u8),
    ReceiveMoved(u8),
    Disarm(u8),
    /// A blocking move ends without a job.
    Unblock(u8),
    Sweep(u8),
    /// A stray move can no longer come.
    StrayTimeOver(u8),
    HandBack(u8),
    /// A stopping shard's time is up: running jobs are aborted.
    BreakOff(u8),
    Leave(u8),
    // A process.
    Renew(u8),
    /// A process learns that another's lease has expired.
    Name(u8, u8),
    /// A process without a lease that has jobs in flight is given an expired one.
    Adopt(u8),
    Reap(u8),
    /// Every shard has ended.
    Farewell(u8),
    Launch(u8),
    // A pause of the queue.
    PauseQueue,
    ResumeQueue,
    /// A process no longer hears the bell.
    GoDeaf(u8),
    /// It hears it again.
    Listen(u8),
    ReadPauses(u8),
    Heed(u8),
    // What happens to them.
    LoseLink(u8),
    LoseWait(u8),
    /// A poison job takes its process down.
    PoisonStrikes(u8),
    Crash(u8),
    Pause(u8),
    Unpause(u8),
    Lapse(u8),
    ForgetLease(u8),
    Stop(u8),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Runs,
    Refused,
    Forgotten,
    /// One of its moves fails.
    FailsAt(usize),
}

impl World {
    /// What can happen next, as far as it must be told apart.
    ///
    /// A step that concerns only its shard is taken at once: taken later, after steps of others, it leads to the same
    /// worlds. The only alternative tried is what would undo it: the loss of the reply it takes in.
    pub(crate) fn actions(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        for shard in 0..scenario.shards() {
            if let Some((action, loss)) = self.urgent(scenario, shard) {
                actions.push(action);
                actions.extend(loss.filter(|_| self.may_lose(scenario, shard)));
                return;
            }
        }
        self.all_actions(scenario, actions);
    }

    /// What a shard does before anything else, and the fault that could come first.
    fn urgent(&self, scenario: &Scenario, at: u8) -> Option<(Action, Option<Action>)> {
        let shard = self.shard(at);
        if !self.works(scenario, scenario.process_of(at)) || shard.ended.is_some() {
            return None;
        }
        let Faults { stops, hand_backs, holds, .. } = scenario.faults;
        let never_hands_back = stops == 0 && hand_backs == 0 && holds == 0;
        let waiter = &shard.waiter;
        if !shard.replies.is_empty() {
            Some((Action::Receive(at), Some(Action::LoseLink(at))))
        } else if matches!(waiter.wire, Wire::Moved(_) | Wire::Refused) {
            Some((Action::ReceiveMoved(at), Some(Action::LoseWait(at))))
        } else if shard.link == Link::Down {
            Some((Action::Connect(at), None))
        } else if never_hands_back && shard.startable(scenario).is_some() {
            Some((Action::Start(at), None))
        } else if never_hands_back && waiter.may_ask() && !waiter.strayed {
            Some((Action::Ask(at), None))
        } else {
            None
        }
    }

    fn may_lose(&self, scenario: &Scenario, shard: u8) -> bool {
        self.faults.losses > 0 && scenario.is_victim(scenario.process_of(shard))
    }

    pub(crate) fn all_actions(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        for process in 0..scenario.processes {
            self.actions_of_process(scenario, process, actions);
            for shard in scenario.shards_of(process) {
                self.actions_of_redis(scenario, shard, actions);
                if self.works(scenario, process) && self.shard(shard).ended.is_none() {
                    self.actions_of_shard(scenario, shard, actions);
                }
            }
        }
        for (at, stray) in self.strays.iter().enumerate() {
            if matches!(stray, Stray::Calls { .. }) || !self.redis.queue.is_empty() {
                actions.push(Action::ExecuteStray(at));
            }
            // Otherwise it is as if it never came.
            let gone = self.process(scenario.process_of(stray.shard())).life == Life::Gone;
            if gone || (matches!(stray, Stray::Move { .. }) && self.shard(stray.shard()).waiter.strayed) {
                actions.push(Action::DropStray(at));
            }
        }
        if !self.redis.retries.is_empty() {
            actions.push(Action::Due);
        }
        if scenario.faults.holds > 0 {
            self.actions_of_pauses(scenario, actions);
        }
    }

    fn actions_of_redis(&self, scenario: &Scenario, at: u8, actions: &mut Vec<Action>) {
        let shard = self.shard(at);
        if let Some(request) = shard.out.first() {
            actions.push(Action::Execute(at, Outcome::Runs));
            if let Request::Turn(turn) = request {
                if self.faults.refusals > 0 {
                    actions.push(Action::Execute(at, Outcome::Refused));
                }
                if self.faults.flushes > 0 {
                    actions.push(Action::Execute(at, Outcome::Forgotten));
                }
                if self.faults.failures > 0 {
                    let moves = 0..turn.settled.moves.len();
                    actions.extend(moves.map(|job| Action::Execute(at, Outcome::FailsAt(job))));
                }
            }
        }
        if shard.waiter.wire == Wire::Asked && !self.redis.queue.is_empty() {
            actions.push(Action::Move(at));
        }
        if self.may_lose(scenario, at) && shard.link != Link::Down {
            actions.push(Action::LoseLink(at));
        }
        if self.may_lose(scenario, at) && shard.waiter.wire != Wire::Quiet {
            actions.push(Action::LoseWait(at));
        }
    }

    fn actions_of_shard(&self, scenario: &Scenario, at: u8, actions: &mut Vec<Action>) {
        let shard = self.shard(at);
        let stopping = self.process(scenario.process_of(at)).stopping;
        if shard.link == Link::Down {
            actions.push(Action::Connect(at));
        }
        if !shard.replies.is_empty() {
            actions.push(Action::Receive(at));
        }
        if shard.plan(scenario, !stopping).is_some() {
            actions.push(Action::SendTurn(at));
        }
        // A stopping shard hands back what it has not started.
        if !stopping && shard.startable(scenario).is_some() {
            actions.push(Action::Start(at));
        }
        for (number, batch) in shard.live.iter().enumerate() {
            for (job, (payload, state)) in batch.jobs.iter().enumerate() {
                if *state == State::Running {
                    let kind = scenario.jobs[usize::from(payload.job)];
                    actions.push(match kind {
                        Kind::Poison => Action::PoisonStrikes(scenario.process_of(at)),
                        _ => Action::End(at, number, job),
                    });
                }
            }
        }
        if shard.live.iter().any(|batch| !batch.is_settled() && batch.count(State::Owed) > 0) {
            actions.push(Action::AckStragglers(at));
        }
        self.actions_of_waiter(scenario, at, actions);
        if shard.is_free() {
            self.actions_of_free_shard(scenario, at, stopping, actions);
        }
    }

    fn actions_of_waiter(&self, scenario: &Scenario, at: u8, actions: &mut Vec<Action>) {
        let waiter = &self.shard(at).waiter;
        let stopping = self.process(scenario.process_of(at)).stopping;
        match waiter.wire {
            Wire::Quiet if waiter.may_ask() => actions.push(Action::Ask(at)),
            // The block ends early when there will be a stray move to look for.
            Wire::Asked if !waiter.armed || waiter.strayed => actions.push(Action::Unblock(at)),
            Wire::Moved(_) | Wire::Refused => actions.push(Action::ReceiveMoved(at)),
            Wire::Quiet | Wire::Asked => {}
        }
        let strays = |stray: &Stray| *stray == Stray::Move { shard: at };
        if waiter.strayed && !waiter.unswept && waiter.wire == Wire::Quiet && !self.strays.iter().any(strays)
        {
            actions.push(Action::StrayTimeOver(at));
        }
        let held = self.shard(at).pausing == Pausing::Told && !scenario.lacks(Mutant::PausedStaysArmed);
        if waiter.armed && (stopping || held || self.faults.hand_backs > 0) {
            actions.push(Action::Disarm(at));
        }
    }

    fn actions_of_free_shard(&self, scenario: &Scenario, at: u8, stopping: bool, actions: &mut Vec<Action>) {
        let shard = self.shard(at);
        let careless = scenario.lacks(Mutant::HandsBackWhileWaiting);
        let is_quiet = shard.waiter.is_quiet() || careless;
        if shard.waiter.unswept {
            actions.push(Action::Sweep(at));
        }
        let unstarted = shard.count(State::Unstarted) > 0;
        let may = stopping || self.faults.hand_backs > 0;
        if is_quiet && (shard.is_returning() || (may && unstarted)) {
            actions.push(Action::HandBack(at));
        }
        if stopping && is_quiet && shard.count(State::Running) > 0 {
            actions.push(Action::BreakOff(at));
        }
        if stopping && is_quiet && shard.live.is_empty() && shard.settlement.is_empty() {
            actions.push(Action::Leave(at));
        }
    }

    fn actions_of_process(&self, scenario: &Scenario, at: u8, actions: &mut Vec<Action>) {
        let process = self.process(at);
        let lease = self.lease(at);
        let lives = matches!(process.life, Life::Running | Life::Paused);
        let victim = scenario.is_victim(at);
        let may_lapse = process.life != Life::Running || (victim && self.faults.lapses > 0);
        if lease == Lease::Valid && may_lapse {
            actions.push(Action::Lapse(at));
        }
        if lease == Lease::Valid && victim && lives && self.faults.forgotten_leases > 0 {
            actions.push(Action::ForgetLease(at));
        }
        if self.may_be_adopted(scenario, at) {
            actions.push(Action::Adopt(at));
        }
        if lives && scenario.killed & (1 << at) != 0 && self.faults.crashes > 0 {
            actions.push(Action::Crash(at));
        }
        if process.life == Life::Paused {
            actions.push(Action::Unpause(at));
        }
        let alive = self.processes.iter().filter(|other| matches!(other.life, Life::Running | Life::Paused));
        let is_wanted = at + 1 < scenario.processes && alive.count() < usize::from(scenario.started);
        if is_wanted && self.is_forgotten(scenario, at) {
            actions.push(Action::Launch(at));
        }
        if process.life != Life::Running {
            return;
        }
        if victim && self.faults.pauses > 0 {
            actions.push(Action::Pause(at));
        }
        if victim && self.faults.stops > 0 && !process.stopping {
            actions.push(Action::Stop(at));
        }
        if self.may_renew(scenario, at) {
            actions.push(Action::Renew(at));
        }
        if let Some(reaping) = &process.reaping {
            if reaping.step != ReapStep::Free || !self.has_free_suspect(scenario) {
                actions.push(Action::Reap(at));
            }
        } else {
            let over = |other: &u8| *other != at && self.lease(*other) == Lease::Over;
            actions.extend((0..scenario.processes).filter(over).map(|other| Action::Name(at, other)));
        }
        if scenario.shards_of(at).all(|shard| self.shard(shard).ended.is_some()) {
            actions.push(Action::Farewell(at));
        }
    }

    /// Whether a search for jobs in flight without a lease finds this process: it has to be missing for a minute, in
    /// which a process at work would have renewed its lease. Only a forgotten lease may rely on it: P3 does not allow
    /// minutes.
    fn may_be_adopted(&self, scenario: &Scenario, at: u8) -> bool {
        let holds = |shard: u8| {
            let home = &self.redis.homes[usize::from(shard)];
            home.jobs().next().is_some()
        };
        scenario.faults.forgotten_leases > 0
            && self.lease(at) == Lease::None
            && matches!(self.process(at).life, Life::Paused | Life::Gone)
            && !scenario.lacks(Mutant::NeverAdopted)
            && scenario.shards_of(at).any(holds)
    }

    /// Whether a suspect that was let go has yet to be taken or to come to its end in a process that lives, or a turn
    /// may still come late and take one for a dead process. The pauses that a reaper makes between suspects are
    /// assumed to be long enough for that.
    fn has_free_suspect(&self, scenario: &Scenario) -> bool {
        let lives = |shard: &u8| self.process(scenario.process_of(*shard)).life != Life::Gone;
        let turns = |stray: &Stray| match stray {
            Stray::Calls { requests, .. } => requests.iter().any(|call| matches!(call, Request::Turn(_))),
            Stray::Move { .. } => true,
        };
        self.redis.has_free_suspect((0..scenario.shards()).filter(lives)) || self.strays.iter().any(turns)
    }

    /// Whether a renewal would change anything: the lease, or that it is refused when it must not be.
    fn may_renew(&self, scenario: &Scenario, process: u8) -> bool {
        let mut shards = scenario.shards_of(process);
        let fence = self.redis.homes[usize::from(shards.start)].fence;
        let reaped = shards.clone().any(|shard| self.past.reaped & (1 << shard) != 0);
        let works = shards.any(|shard| self.shard(shard).ended.is_none());
        match fence {
            None => self.lease(process) != Lease::Valid,
            Some(_) => works && !reaped,
        }
    }
}
