//! An operator pauses the queue and resumes it: what is stored, the bell, and what each process and shard makes of it, as in
//! `src/control/paused.rs` and `src/shard/pausing.rs`.

use super::actions::Action;
use super::batch::State;
use super::scenario::{Mutant, Scenario};
use super::shard::{Link, Shard};
use super::world::{Life, World};

/// What a process knows of the bell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Bell {
    #[default]
    Silent,
    /// It rang, so what is stored will be read.
    Rang,
    /// The connection that hears it is lost.
    Deaf,
}

/// What a shard knows of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Pausing {
    #[default]
    Runs,
    /// The queue is paused: nothing more is asked for.
    Told,
    /// And nothing of it waits or is at hand.
    Heeded,
}

impl World {
    pub(crate) fn actions_of_pauses(&self, scenario: &Scenario, actions: &mut Vec<Action>) {
        if self.redis.paused {
            actions.push(Action::ResumeQueue);
        } else if self.faults.holds > 0 {
            actions.push(Action::PauseQueue);
        }
        for at in 0..scenario.processes {
            let process = self.process(at);
            if process.life != Life::Running {
                continue;
            }
            match process.bell {
                Bell::Rang => actions.push(Action::ReadPauses(at)),
                Bell::Deaf => actions.push(Action::Listen(at)),
                Bell::Silent if self.faults.deafness > 0 => actions.push(Action::GoDeaf(at)),
                Bell::Silent => {}
            }
            for at in scenario.shards_of(at) {
                let shard = self.shard(at);
                let is_quiet = shard.waiter.is_quiet() || scenario.lacks(Mutant::PausedStaysArmed);
                if shard.pausing == Pausing::Told && shard.is_free() && is_quiet && shard.ended.is_none() {
                    actions.push(Action::Heed(at));
                }
            }
        }
    }

    pub(crate) fn apply_pause(&mut self, scenario: &Scenario, action: Action) {
        match action {
            Action::PauseQueue => {
                self.faults.holds -= 1;
                self.redis.paused = true;
                self.ring();
            }
            Action::ResumeQueue => {
                self.redis.paused = false;
                self.past.began_paused = 0;
                self.ring();
            }
            Action::GoDeaf(at) => {
                self.faults.deafness -= 1;
                self.processes[usize::from(at)].bell = Bell::Deaf;
            }
            Action::Listen(at) => {
                let forgets = scenario.lacks(Mutant::ListensWithoutReading);
                self.processes[usize::from(at)].bell = if forgets { Bell::Silent } else { Bell::Rang };
            }
            Action::ReadPauses(at) => {
                self.processes[usize::from(at)].bell = Bell::Silent;
                let paused = self.redis.paused;
                scenario.shards_of(at).for_each(|at| self.shard_mut(at).pause(paused));
            }
            Action::Heed(at) => self.shard_mut(at).heed(),
            _ => {}
        }
    }

    fn ring(&mut self) {
        for process in &mut self.processes {
            if process.bell == Bell::Silent {
                process.bell = Bell::Rang;
            }
        }
    }
}

impl Shard {
    /// What a process reads before its shards fetch, and whenever the bell rings.
    pub(crate) fn pause(&mut self, paused: bool) {
        match (paused, self.pausing) {
            (true, Pausing::Runs) => self.pausing = Pausing::Told,
            (false, Pausing::Told | Pausing::Heeded) => (self.pausing, self.idle) = (Pausing::Runs, false),
            _ => {}
        }
    }

    /// The waits have ended: what has come and not started goes back.
    fn heed(&mut self) {
        self.pausing = Pausing::Heeded;
        if self.link == Link::Up && self.count(State::Unstarted) > 0 {
            self.hand_back(false);
        }
    }
}
