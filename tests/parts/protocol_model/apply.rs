//! What each step does to the world.

use super::actions::{Action, Outcome};
use super::link::Heard;
use super::pauses::Pausing;
use super::redis::{Lease, Redis};
use super::scenario::{Kind, Payload, Scenario};
use super::shard::{End, Link, Shard, Stage, Wire};
use super::wire::{Name, Refusal, Reply, Request, Stray};
use super::world::{Broken, Life, STARTS_MAX, World};

impl World {
    /// The world after a step that [`World::actions`] offers.
    pub(crate) fn apply(&self, scenario: &Scenario, action: Action) -> Self {
        let mut world = self.clone();
        match action {
            Action::Execute(..)
            | Action::Move(_)
            | Action::ExecuteStray(_)
            | Action::DropStray(_)
            | Action::Due => world.apply_redis(scenario, action),
            Action::LoseLink(_)
            | Action::LoseWait(_)
            | Action::PoisonStrikes(_)
            | Action::Crash(_)
            | Action::Pause(_)
            | Action::Unpause(_)
            | Action::Lapse(_)
            | Action::ForgetLease(_)
            | Action::Stop(_) => world.apply_fault(scenario, action),
            Action::PauseQueue
            | Action::ResumeQueue
            | Action::GoDeaf(_)
            | Action::Listen(_)
            | Action::ReadPauses(_)
            | Action::Heed(_) => world.apply_pause(scenario, action),
            Action::Renew(at) => world.renew(scenario, at),
            Action::Launch(at) => world.launch(scenario, at),
            Action::Adopt(at) => world.set_lease(at, Lease::Over),
            Action::Name(at, member) => world.begin_to_reap(scenario, at, member),
            Action::Reap(at) => world.reap(scenario, at),
            Action::Farewell(at) => world.farewell(scenario, at),
            _ => world.apply_shard(scenario, action),
        }
        self.touched(scenario, action).for_each(|shard| world.renumber(shard));
        world
    }

    /// The shards in which the step may leave numbers that are not the smallest.
    fn touched(&self, scenario: &Scenario, action: Action) -> std::ops::Range<u8> {
        match action {
            Action::ExecuteStray(at) | Action::DropStray(at) => {
                let shard = self.strays[at].shard();
                shard..shard + 1
            }
            Action::Due
            | Action::Renew(_)
            | Action::Name(..)
            | Action::Adopt(_)
            | Action::Lapse(_)
            | Action::ForgetLease(_)
            | Action::Pause(_)
            | Action::Unpause(_)
            | Action::PauseQueue
            | Action::ResumeQueue
            | Action::GoDeaf(_)
            | Action::Listen(_)
            | Action::ReadPauses(_)
            | Action::Stop(_) => 0..0,
            Action::Farewell(at) | Action::Launch(at) | Action::PoisonStrikes(at) | Action::Crash(at) => {
                scenario.shards_of(at)
            }
            Action::Reap(at) => {
                let reaping = &self.process(at).reaping;
                reaping.as_ref().map_or(0..0, |reaping| scenario.shards_of(reaping.member))
            }
            Action::Execute(at, _)
            | Action::Move(at)
            | Action::Connect(at)
            | Action::SendTurn(at)
            | Action::Receive(at)
            | Action::Start(at)
            | Action::End(at, ..)
            | Action::AckStragglers(at)
            | Action::Ask(at)
            | Action::ReceiveMoved(at)
            | Action::Disarm(at)
            | Action::Unblock(at)
            | Action::Sweep(at)
            | Action::StrayTimeOver(at)
            | Action::HandBack(at)
            | Action::Heed(at)
            | Action::BreakOff(at)
            | Action::Leave(at)
            | Action::LoseLink(at)
            | Action::LoseWait(at) => at..at + 1,
        }
    }

    fn apply_redis(&mut self, scenario: &Scenario, action: Action) {
        match action {
            Action::Execute(at, outcome) => {
                let request = self.shard_mut(at).out.remove(0);
                let reply = self.execute(scenario, at, &request, outcome);
                self.shard_mut(at).replies.push(reply);
            }
            Action::Move(at) => {
                let before = self.watched_move(at);
                let wire = match self.redis.move_one(at) {
                    Ok(Some(job)) => Wire::Moved(job),
                    Ok(None) => Wire::Asked,
                    Err(_) => Wire::Refused,
                };
                self.note_change(before);
                self.shard_mut(at).waiter.wire = wire;
            }
            Action::ExecuteStray(at) => match &mut self.strays[at] {
                Stray::Move { shard } => {
                    let shard = *shard;
                    self.strays.remove(at);
                    let before = self.watched_move(shard);
                    let _refused = self.redis.move_one(shard);
                    self.note_change(before);
                }
                Stray::Calls { shard, requests } => {
                    let shard = *shard;
                    let request = requests.remove(0);
                    if requests.is_empty() {
                        self.strays.remove(at);
                    }
                    let _nobody_listens = self.execute(scenario, shard, &request, Outcome::Runs);
                }
            },
            Action::DropStray(at) => {
                self.strays.remove(at);
            }
            Action::Due => self.redis.due(scenario),
            _ => {}
        }
    }

    fn execute(&mut self, scenario: &Scenario, at: u8, request: &Request, outcome: Outcome) -> Reply {
        let fails_at = match outcome {
            Outcome::Runs => None,
            Outcome::Refused => {
                self.faults.refusals -= 1;
                return Reply::Refused(Refusal::Error);
            }
            Outcome::Forgotten => {
                self.faults.flushes -= 1;
                return Reply::Refused(Refusal::Noscript);
            }
            Outcome::FailsAt(job) => {
                self.faults.failures -= 1;
                Some(job)
            }
        };
        let before = self.watched(at);
        let reply = match request {
            Request::Turn(call) => self.redis.turn(scenario, at, call, fails_at).map(Reply::Jobs),
            Request::Resume { up_to } => self.redis.resume(scenario, at, *up_to).map(Reply::Ran),
            Request::List => {
                let home = &self.redis.homes[usize::from(at)];
                let refused = || Err(Refusal::Error);
                if home.fence.is_some() { refused() } else { Ok(Reply::Batches(home.noted.clone())) }
            }
            Request::Reconcile { number, name, keep, settled } => {
                self.redis.reconcile(scenario, at, (*number, *name), keep, settled).map(Reply::HandedBack)
            }
            Request::Leave { number, fence } => {
                self.redis.leave(scenario, at, *number, *fence).map(|()| Reply::Left)
            }
        };
        self.note_change(before);
        reply.unwrap_or_else(Reply::Refused)
    }

    /// What Redis holds before a call of a shard whose jobs were given to others.
    fn watched(&self, shard: u8) -> Option<Redis> {
        (self.past.reaped & (1 << shard) != 0).then(|| self.redis.clone())
    }

    /// The same before a blocking move. Into a wait list that has more than one call of the reaper takes, it may still
    /// bring a job, which the reaper takes away with the others.
    fn watched_move(&self, shard: u8) -> Option<Redis> {
        let home = &self.redis.homes[usize::from(shard)];
        self.watched(shard).filter(|_| home.is_closed || home.wait.is_empty())
    }

    /// Such a call must change nothing.
    fn note_change(&mut self, before: Option<Redis>) {
        if before.is_some_and(|before| self.redis != before) {
            self.past.broken = Some(Broken::FencedChanges);
        }
    }

    fn apply_shard(&mut self, scenario: &Scenario, action: Action) {
        match action {
            Action::Receive(at) => return self.receive(scenario, at),
            Action::Start(at) => return self.start(scenario, at),
            Action::End(at, batch, job) => {
                let payload = self.shard(at).live[batch].jobs[job].0;
                let known = scenario.knows(scenario.process_of(at), payload.job);
                if self.shard_mut(at).end(scenario, (batch, job), known) {
                    self.past.succeeded |= 1 << payload.job;
                }
                return;
            }
            Action::HandBack(at) | Action::BreakOff(at) => {
                let running = matches!(action, Action::BreakOff(_));
                if !running && !self.is_stopping(scenario, at) && !self.shard(at).is_returning() {
                    self.faults.hand_backs -= 1;
                }
                let broken_off = self.shard_mut(at).hand_back(running);
                return self.excuse(&broken_off);
            }
            _ => {}
        }
        let (Action::Connect(at)
        | Action::SendTurn(at)
        | Action::AckStragglers(at)
        | Action::Ask(at)
        | Action::ReceiveMoved(at)
        | Action::Disarm(at)
        | Action::Unblock(at)
        | Action::Sweep(at)
        | Action::StrayTimeOver(at)
        | Action::Leave(at)) = action
        else {
            return;
        };
        let stopping = self.is_stopping(scenario, at);
        let shard = self.shard_mut(at);
        match action {
            Action::Connect(_) => shard.connect(),
            Action::SendTurn(_) => {
                if let Some(wanted) = shard.plan(scenario, !stopping) {
                    shard.send_turn(wanted);
                }
            }
            Action::AckStragglers(_) => shard.ack_stragglers(),
            Action::Ask(_) => shard.waiter.wire = Wire::Asked,
            Action::ReceiveMoved(_) => {
                if let Wire::Moved(job) = shard.waiter.wire {
                    shard.take_in(Name::Wait, vec![job]);
                    shard.waiter.armed = false;
                }
                shard.waiter.wire = Wire::Quiet;
                shard.idle = false;
            }
            Action::Disarm(_) => (shard.waiter.armed, shard.idle) = (false, false),
            Action::Unblock(_) => shard.waiter.wire = Wire::Quiet,
            Action::Sweep(_) => shard.sync(Stage::Sweep, vec![Name::Wait]),
            Action::StrayTimeOver(_) => (shard.waiter.unswept, shard.waiter.strayed) = (true, false),
            Action::Leave(_) => shard.leave(),
            _ => {}
        }
    }

    fn is_stopping(&self, scenario: &Scenario, shard: u8) -> bool {
        self.process(scenario.process_of(shard)).stopping
    }

    /// There is a reason to run these again.
    pub(crate) fn excuse(&mut self, payloads: &[Payload]) {
        payloads.iter().for_each(|payload| self.past.begun &= !payload.bit());
    }

    fn start(&mut self, scenario: &Scenario, at: u8) {
        let shard = self.shard_mut(at);
        let Some(job) = shard.startable(scenario) else { return };
        let heeded = shard.pausing == Pausing::Heeded;
        let payload = shard.start(scenario, job);
        if heeded || self.past.began_paused & (1 << scenario.process_of(at)) != 0 {
            self.past.broken = Some(Broken::StartsPaused);
        }
        if scenario.jobs[usize::from(payload.job)] == Kind::Poison {
            let starts = &mut self.past.starts[usize::from(payload.job)];
            *starts += 1;
            if *starts > STARTS_MAX {
                self.past.broken = Some(Broken::PoisonStarts);
            }
        }
        // If a shard's jobs were given to others, what it runs is run again there; and what has no handler does not run.
        if self.past.reaped & (1 << at) == 0 && scenario.knows(scenario.process_of(at), payload.job) {
            if self.past.begun & payload.bit() != 0 {
                self.past.broken = Some(Broken::RunAgain);
            }
            self.past.begun |= payload.bit();
        }
    }

    fn receive(&mut self, scenario: &Scenario, at: u8) {
        let fetching = !self.is_stopping(scenario, at);
        match self.shard_mut(at).receive(scenario, fetching) {
            Heard::Fine => {}
            Heard::Lost => self.lose_link(at),
            Heard::Fenced(refusal) => {
                if refusal == Refusal::Stale {
                    self.past.broken = Some(Broken::StaleAlive);
                }
                // Its jobs are cancelled; the process ends and would start over under another identity.
                self.leave_strays(at);
                *self.shard_mut(at) = Shard { ended: Some(End::Fenced), ..Shard::default() };
                self.processes[usize::from(scenario.process_of(at))].stopping = true;
            }
        }
    }

    fn lose_link(&mut self, at: u8) {
        let requests = self.shard_mut(at).lose_link();
        self.stray(at, requests);
    }

    /// What a dead connection holds of calls that change anything.
    fn stray(&mut self, shard: u8, mut requests: Vec<Request>) {
        requests.retain(|request| *request != Request::List);
        if !requests.is_empty() {
            self.strays.push(Stray::Calls { shard, requests });
        }
    }

    pub(crate) fn leave_strays(&mut self, at: u8) {
        let shard = self.shard(at);
        let asked = shard.waiter.wire == Wire::Asked;
        if shard.link != Link::Down {
            self.lose_link(at);
        }
        if asked {
            self.strays.push(Stray::Move { shard: at });
        }
    }

    fn apply_fault(&mut self, scenario: &Scenario, action: Action) {
        match action {
            Action::LoseLink(at) => {
                self.faults.losses -= 1;
                self.lose_link(at);
            }
            Action::LoseWait(at) => {
                self.faults.losses -= 1;
                if self.shard_mut(at).lose_wait(scenario) {
                    self.strays.push(Stray::Move { shard: at });
                }
            }
            Action::PoisonStrikes(at) => self.crash(scenario, at),
            Action::Crash(at) => {
                self.faults.crashes -= 1;
                self.crash(scenario, at);
            }
            Action::Pause(at) => {
                self.faults.pauses -= 1;
                self.processes[usize::from(at)].life = Life::Paused;
            }
            Action::Unpause(at) => self.processes[usize::from(at)].life = Life::Running,
            Action::Lapse(at) => {
                if self.is_running(at) {
                    self.faults.lapses -= 1;
                }
                self.set_lease(at, Lease::Over);
            }
            Action::ForgetLease(at) => {
                self.faults.forgotten_leases -= 1;
                self.set_lease(at, Lease::None);
            }
            Action::Stop(at) => {
                self.faults.stops -= 1;
                self.processes[usize::from(at)].stopping = true;
            }
            _ => {}
        }
    }
}
