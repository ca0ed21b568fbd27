//! The faults of a round, drawn by chance: of processes, of their lines, of Redis and of the nodes of a cluster.

use std::time::Duration;

use fastrand::Rng;
use jiggler_uring::internal::limits::CALL_TIMEOUT;

use super::plan::{Plan, Severity, Step};
use crate::fault_proxy::{Pieces, Then, Way};

/// Rights that are withdrawn: calls of the engine itself, and those that its scripts make half-way.
const RIGHTS: &[&str] = &[
    "evalsha", "blmove", "lmove", "lpush", "rpush", "del", "lrem", "ltrim", "hset", "hdel", "zadd", "zrem",
    "incrby",
];

/// Nodes agree again some time after one of them is back.
const AGREE_TIME: Duration = Duration::from_secs(3);

/// A queue moves to another node within this time on a quiet machine.
const MOVE_TIME: Duration = Duration::from_millis(500);

impl Plan {
    pub(super) fn fill(&mut self, random: &mut Rng) {
        let count = self.workers.len();
        // One lane for each worker and one for Redis: faults of one lane do not overlap, those of different lanes do.
        let mut lanes: Vec<Duration> = (0..=count).map(|_| millis(random, 100..800)).collect();
        if self.severity == Severity::Long {
            // The others stay whole for a while: a reaper must have been connected for as long as a lease.
            let at = lanes[0];
            lanes[0] = self.long_silence(random, 0, at);
            for lane in &mut lanes[1..] {
                *lane = at + Duration::from_secs(24);
            }
        }
        loop {
            let lane = random.usize(0..=count);
            let at = lanes[lane];
            if lanes.iter().all(|lane| *lane >= self.length) {
                return;
            }
            if at >= self.length {
                continue;
            }
            let end = match (lane == count, self.nodes > 0) {
                (true, false) => self.redis_fault(random, at),
                (true, true) => self.node_fault(random, at),
                (false, false) => self.fault(random, lane, at),
                (false, true) => self.process_fault(random, lane, at),
            };
            let quiet = if lane == count { 500..4_000 } else { 100..2_500 };
            lanes[lane] = end + millis(random, quiet);
        }
    }

    fn long_silence(&mut self, random: &mut Rng, place: usize, at: Duration) -> Duration {
        // Lines to the nodes of a cluster have no proxy that could hold them.
        let (begin, ends) = if random.bool() || self.nodes > 0 {
            (Step::Pause(place), &[Step::Resume(place)][..])
        } else {
            (Step::Hold(place), &[Step::Clear(place), Step::Forget(place)][..])
        };
        let length = millis(random, 25_000..29_000);
        let end = ends[random.usize(..ends.len())];
        self.lasting(place..place + 1, at, begin, length, end)
    }

    /// A fault that begins, lasts and ends, in which the places hear nothing of Redis.
    fn lasting(
        &mut self,
        places: std::ops::Range<usize>,
        at: Duration,
        begin: Step,
        length: Duration,
        end: Step,
    ) -> Duration {
        self.steps.push((at, begin));
        self.steps.push((at + length, end));
        // A forgotten connection is found to be dead by the next call over it, when that is not answered.
        let unnoticed = if matches!(end, Step::Forget(_)) { CALL_TIMEOUT } else { Duration::ZERO };
        for silence in &mut self.silence[places] {
            *silence += length + unnoticed;
        }
        at + length
    }

    /// A fault of a process, wherever its Redis is.
    fn process_fault(&mut self, random: &mut Rng, place: usize, at: Duration) -> Duration {
        let rough = matches!(self.severity, Severity::Rough | Severity::Long);
        let one = place..place + 1;
        match random.u8(0..10) {
            0..4 if rough => {
                let away = millis(random, 50..1_500);
                self.lasting(one, at, Step::Kill(place), away, Step::Start(place))
            }
            0..6 => {
                let away = millis(random, 300..2_000);
                self.lasting(one, at, Step::Terminate(place), away, Step::Start(place))
            }
            6..8 => {
                let most = if rough { 6_000 } else { 1_000 };
                let length = millis(random, 50..most);
                self.lasting(one, at, Step::Pause(place), length, Step::Resume(place))
            }
            _ => {
                // The log has a queue and a thread of its own, so this silences nobody.
                let end = at + millis(random, 300..4_000);
                self.steps.push((at, Step::StopLog(place)));
                self.steps.push((end, Step::ReadLog(place)));
                end
            }
        }
    }

    /// A fault of a process or of its line.
    fn fault(&mut self, random: &mut Rng, place: usize, at: Duration) -> Duration {
        let one = place..place + 1;
        match random.u8(0..20) {
            0..8 => self.process_fault(random, place, at),
            8..10 if self.severity != Severity::Short => {
                let end = if random.bool() { Step::Clear(place) } else { Step::Forget(place) };
                let length = millis(random, 200..8_000);
                self.lasting(one, at, Step::Hold(place), length, end)
            }
            10 => {
                let length = millis(random, 100..1_500);
                self.lasting(one, at, Step::Refuse(place), length, Step::Clear(place))
            }
            11 | 12 => {
                let step = Step::Delay(place, millis(random, 1..150));
                self.temporary(random, at, step, place)
            }
            13 | 14 => {
                let pieces = if random.bool() { Pieces::Bytes } else { Pieces::Random };
                self.temporary(random, at, Step::Split(place, pieces), place)
            }
            15 => {
                self.steps.push((at, Step::Cut(place)));
                at
            }
            _ => {
                let way = if random.u8(0..3) == 0 { Way::Requests } else { Way::Replies };
                let then = if way == Way::Replies && random.bool() { Then::Garble } else { Then::Cut };
                let most = if random.bool() { 200 } else { 20_000 };
                self.steps.push((at, Step::After(place, way, random.usize(0..most), then)));
                at
            }
        }
    }

    /// A change of the weather that silences nobody.
    fn temporary(&mut self, random: &mut Rng, at: Duration, step: Step, place: usize) -> Duration {
        let end = at + millis(random, 300..4_000);
        self.steps.push((at, step));
        self.steps.push((end, Step::Clear(place)));
        end
    }

    fn redis_fault(&mut self, random: &mut Rng, at: Duration) -> Duration {
        let all = 0..self.workers.len();
        match random.u8(0..12) {
            kind @ (0 | 1) => {
                let begin = if kind == 0 { Step::KillRedis(0) } else { Step::StopRedis(0) };
                let most = if self.severity == Severity::Short { 500 } else { 3_000 };
                let away = millis(random, 20..most);
                self.lasting(all, at, begin, away, Step::StartRedis(0))
            }
            2 if self.severity != Severity::Short => {
                let length = millis(random, 100..4_000);
                self.lasting(all, at, Step::PauseRedis(0), length, Step::ResumeRedis(0))
            }
            3..6 => {
                self.steps.push((at, Step::FlushScripts(0)));
                at
            }
            6..8 if self.severity != Severity::Short => {
                let right = RIGHTS[random.usize(..RIGHTS.len())];
                let length = millis(random, 100..3_000);
                self.lasting(all, at, Step::Withdraw(right), length, Step::GiveBack(right))
            }
            8 | 9 => {
                let (queue, end) = (random.usize(..self.queues), at + millis(random, 20..2_000));
                self.steps.push((at, Step::PauseQueue(queue)));
                self.steps.push((end, Step::ResumeQueue(queue)));
                end
            }
            _ => {
                self.steps.push((at, Step::KillClients(0)));
                at
            }
        }
    }

    /// A fault of the cluster or of one of its nodes.
    fn node_fault(&mut self, random: &mut Rng, at: Duration) -> Duration {
        let all = 0..self.workers.len();
        let node = random.usize(..self.nodes);
        let length = millis(random, 50..3_000);
        let end = match random.u8(0..10) {
            kind @ (0 | 1) => {
                let begin = if kind == 0 { Step::KillRedis(node) } else { Step::StopRedis(node) };
                self.lasting(all.clone(), at, begin, length, Step::StartRedis(node))
            }
            2 => self.lasting(all.clone(), at, Step::PauseRedis(node), length, Step::ResumeRedis(node)),
            3 => {
                self.steps.push((at, Step::FlushScripts(node)));
                return at;
            }
            4..7 => {
                self.steps.push((at, Step::MoveQueue(random.usize(..self.queues))));
                // It takes its time, and nothing else happens to the nodes meanwhile.
                return at + MOVE_TIME;
            }
            _ => {
                self.steps.push((at, Step::KillClients(node)));
                return at;
            }
        };
        // The others have missed the node and serve nothing until they have heard of it again.
        for silence in &mut self.silence[all] {
            *silence += AGREE_TIME;
        }
        end + AGREE_TIME
    }
}

fn millis(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}
