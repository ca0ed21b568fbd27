//! Calm weather: no more faults strike, and what can happen happens in one order. Every job must come to its end.

use super::actions::{Action, Outcome};
use super::pauses::Pausing;
use super::redis::Lease;
use super::scenario::Scenario;
use super::world::{Life, World};

impl World {
    /// What happens next once no more faults strike. `None`: nothing does.
    pub(crate) fn calm(&self, scenario: &Scenario) -> Option<Action> {
        let mut actions = Vec::new();
        self.all_actions(scenario, &mut actions);
        actions.extend((0..self.strays.len()).map(Action::DropStray));
        let first = actions.into_iter().filter_map(|action| Some((self.rank(action)?, action)));
        first.min_by_key(|(rank, _)| *rank).map(|(_, action)| action).or_else(|| self.launch_helper(scenario))
    }

    /// In calm weather, events of a lower rank happen first; those without a rank never do.
    fn rank(&self, action: Action) -> Option<u8> {
        Some(match action {
            Action::Unpause(_) => 0,
            Action::ResumeQueue | Action::Listen(_) | Action::ReadPauses(_) => 1,
            Action::DropStray(_) => 1,
            Action::Execute(_, Outcome::Runs) | Action::Receive(_) | Action::ReceiveMoved(_) => 2,
            Action::Unblock(_) | Action::StrayTimeOver(_) | Action::Farewell(_) => 3,
            Action::Connect(_) | Action::Sweep(_) => 4,
            // The living keep their lease, and the dead are taken care of.
            Action::Renew(at) if self.lease(at) != Lease::Valid => 5,
            Action::Lapse(at) if self.process(at).life == Life::Gone => 6,
            Action::Reap(_) | Action::Name(..) | Action::Adopt(_) => 7,
            Action::PoisonStrikes(_) => 8,
            Action::End(..) => 9,
            Action::Heed(_) => 10,
            Action::HandBack(_) if self.faults.hand_backs == 0 => 10,
            Action::Start(_) => 11,
            Action::HandBack(_) => 12,
            Action::SendTurn(_) => 13,
            Action::Due | Action::Move(_) => 14,
            Action::Disarm(at) if self.shards_stop(at) || self.shard(at).pausing == Pausing::Told => 15,
            Action::Leave(_) => 16,
            Action::Ask(_) => 17,
            _ => return None,
        })
    }

    fn shards_stop(&self, shard: u8) -> bool {
        let per_process = self.shards.len() / self.processes.len();
        self.processes[usize::from(shard) / per_process].stopping
    }

    /// Starts a process if none is working.
    fn launch_helper(&self, scenario: &Scenario) -> Option<Action> {
        let works = |process: &u8| self.works(scenario, *process) && !self.process(*process).stopping;
        if self.is_done(scenario) || (0..scenario.processes).any(|process| works(&process)) {
            return None;
        }
        let free = (0..scenario.processes).rev().find(|process| self.is_forgotten(scenario, *process));
        free.map(Action::Launch)
    }
}
