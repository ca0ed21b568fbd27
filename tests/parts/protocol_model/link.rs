//! How a shard handles a reply, as in `src/shard/{link,drive}.rs`.

use super::batch::Batch;
use super::pauses::Pausing;
use super::scenario::{Mutant, Scenario};
use super::shard::{End, Link, Shard, Stage};
use super::wire::{Name, Number, Refusal, Reply, Request};

/// What a reply means for the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    Fine,
    /// The connection is given up.
    Lost,
    /// Its jobs run elsewhere.
    Fenced(Refusal),
}

impl Shard {
    /// Takes in the oldest reply.
    pub(crate) fn receive(&mut self, scenario: &Scenario, fetching: bool) -> Heard {
        match self.replies.remove(0) {
            // The call arrived, its answer did not.
            Reply::Refused(Refusal::Left) if self.leaving => self.ended = Some(End::Clean),
            Reply::Refused(refusal @ (Refusal::Fenced | Refusal::Left | Refusal::Stale)) => {
                return Heard::Fenced(refusal);
            }
            Reply::Refused(Refusal::Error) => return Heard::Lost,
            // It has not run; the script is loaded again.
            Reply::Refused(Refusal::Noscript) => {
                let turn = self.sent.remove(0);
                self.settlement.report_again(turn.settled);
            }
            Reply::Jobs(jobs) => {
                let turn = self.sent.remove(0);
                if turn.wanted > 0 && jobs.is_empty() && fetching && self.pausing == Pausing::Runs {
                    (self.idle, self.waiter.armed) = (true, true);
                }
                self.take_in(Name::Turn(turn.number), jobs);
            }
            Reply::Ran(last) => {
                self.resume(scenario, last);
                self.call(Stage::List, vec![Request::List]);
            }
            Reply::Batches(numbers) => self.hand_back_unknown(scenario, &numbers),
            Reply::HandedBack(count) => {
                self.idle &= count == 0;
                if self.out.is_empty() && self.replies.is_empty() {
                    self.heard();
                }
            }
            Reply::Left => self.ended = Some(End::Clean),
        }
        Heard::Fine
    }

    pub(crate) fn take_in(&mut self, name: Name, jobs: Vec<super::scenario::Payload>) {
        if !jobs.is_empty() {
            self.live.push(Batch::new(name, jobs));
            self.live.sort_by_key(|batch| batch.name);
        }
    }

    /// A turn whose reply was lost has run, or it is reported again.
    fn resume(&mut self, scenario: &Scenario, last: Number) {
        while let Some(turn) = self.sent.pop() {
            let again = turn.number > last || scenario.lacks(Mutant::AlwaysReportedAgain);
            if again && !scenario.lacks(Mutant::NeverReportedAgain) {
                self.settlement.report_again(turn.settled);
            }
        }
    }

    fn hand_back_unknown(&mut self, scenario: &Scenario, numbers: &[Number]) {
        let is_known = |number: &Number| {
            let live = self.live.iter().any(|batch| batch.name == Name::Turn(*number));
            live || self.settlement.wholes.contains(number)
        };
        let unknown: Vec<Number> = numbers.iter().copied().filter(|number| !is_known(number)).collect();
        if unknown.is_empty() || scenario.lacks(Mutant::UnknownLeft) {
            return self.sync_live();
        }
        let mut requests = Vec::new();
        for number in unknown {
            let name = Name::Turn(number);
            let number = self.next_number();
            requests.push(Request::Reconcile { number, name, keep: Vec::new(), settled: Vec::new() });
        }
        self.call(Stage::Unknown, requests);
    }

    fn sync_live(&mut self) {
        let names: Vec<Name> =
            self.live.iter().map(|batch| batch.name).filter(|name| *name != Name::Wait).collect();
        if names.is_empty() {
            self.link = Link::Up;
        } else {
            self.sync(Stage::SyncLive, names);
        }
    }

    /// Every reply to a call is in.
    fn heard(&mut self) {
        let Link::Calling(stage) = self.link else { return };
        if stage == Stage::Unknown {
            return self.sync_live();
        }
        let (names, _) = std::mem::take(&mut self.syncing);
        for batch in self.live.iter_mut().filter(|batch| names.contains(&batch.name)) {
            batch.heard();
        }
        let heard = |batch: &mut Batch| names.contains(&batch.name) && batch.is_settled();
        let closed: Vec<Batch> = self.live.extract_if(.., heard).collect();
        closed.into_iter().for_each(|batch| self.close(batch));
        if stage == Stage::Sweep {
            self.waiter.unswept = false;
        }
        self.link = Link::Up;
    }
}
