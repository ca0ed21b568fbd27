//! The model: queues that jobs come to, shards with slots that take them, in virtual time.
//!
//! What is modelled is which job a slot takes next. A shard learns of a job, and takes it, at once; what that costs the real
//! engine (`loadgen latency`) is microseconds, and here waits are seconds. Once a second the balancer of the engine looks at
//! lengths and run times and gives slots; they are spread over the shards by the engine, too.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use hdrhistogram::Histogram;
use jiggler_uring::internal::{Balancer, QueueNow, Spread, Wish};

use super::Rule;
use super::load::{Kind, Load};
use crate::error::Error;

/// Digits kept of each wait.
const DIGITS: u8 = 3;

/// Longest wait that is told from a longer one: a day, in microseconds.
const LONGEST_US: u64 = 86_400_000_000;

/// How much the last run weighs in the mean time that jobs of a queue take.
const LAST_RUN: f64 = 0.1;

/// What happens at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The balancer looks.
    Look,
    /// A job comes to this queue.
    Comes { queue: usize },
    /// A job of this queue ends.
    Ends { shard: usize, queue: usize },
}

struct Queue {
    kind: Kind,
    /// When each waiting job came, in microseconds.
    waiting: VecDeque<u64>,
    /// Mean seconds of a job.
    run_s: Option<f64>,
    /// Slots that its jobs hold.
    running: usize,
    /// Seconds of work that came, and that was done, while there was too much of it.
    came_s: f64,
    done_s: f64,
}

struct Shard {
    free: usize,
    running: Vec<usize>,
    /// What each queue has earned under `weighted`, in jobs.
    credit: Vec<f64>,
    /// The queue after the one that was served last, under a balancer: equals take turns.
    next: usize,
}

/// How slots are shared out.
enum Sharing {
    /// In the order of the queues.
    Strict,
    /// By weights, which are equal here.
    Weighted,
    /// By a balancer.
    Balanced { balancer: Balancer, spread: Spread },
}

/// Waits of the jobs of one kind, and how its queues fared.
pub(super) struct Waits {
    pub(super) kind: Kind,
    /// From coming to starting, in microseconds.
    pub(super) started: Histogram<u64>,
    /// Jobs that had not been started when the time was over.
    pub(super) left: u64,
    /// The longest wait of those, in microseconds.
    pub(super) left_longest_us: u64,
    /// For each second, the longest wait of the jobs that started in it, in seconds.
    pub(super) by_second: Vec<f64>,
}

/// What a run has shown.
pub(super) struct Shown {
    pub(super) waits: Vec<Waits>,
    /// Jain's index over all queues of which part of the work that came was done: 1 if all fared alike.
    pub(super) fairness: f64,
}

/// See the module.
pub(super) struct Fleet {
    sharing: Sharing,
    queues: Vec<Queue>,
    shards: Vec<Shard>,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    load: Load,
    waits: Vec<Waits>,
    end_us: u64,
}

const fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

impl Fleet {
    pub(super) fn new(
        rule: Rule,
        shards: usize,
        slots: usize,
        mut load: Load,
        seconds: u64,
    ) -> Result<Self, Error> {
        let kinds = load.kinds();
        let names: Vec<String> = (0..kinds.len()).map(|queue| format!("q{queue}")).collect();
        let wish = |kind: &Kind| Wish {
            target_s: (rule == Rule::Target).then(|| kind.target_s()).flatten(),
            ..Wish::default()
        };
        let wishes: Vec<(&str, Wish)> =
            names.iter().map(String::as_str).zip(kinds.iter().map(wish)).collect();
        let sharing = match rule.balance() {
            None if rule == Rule::Strict => Sharing::Strict,
            None => Sharing::Weighted,
            Some(balance) => Sharing::Balanced {
                balancer: Balancer::new(balance, shards * slots, &wishes),
                spread: Spread::new(vec![slots; shards], kinds.len()),
            },
        };
        let mut events = BinaryHeap::new();
        events.push(Reverse((0, Event::Look)));
        for queue in 0..kinds.len() {
            if let Some(at) = load.first(queue) {
                events.push(Reverse((micros(at), Event::Comes { queue })));
            }
        }
        let queue = |kind: &Kind| Queue {
            kind: *kind,
            waiting: VecDeque::new(),
            run_s: None,
            running: 0,
            came_s: 0.0,
            done_s: 0.0,
        };
        let shard =
            |_| Shard { free: slots, running: vec![0; kinds.len()], credit: vec![0.0; kinds.len()], next: 0 };
        let queues = kinds.iter().map(queue).collect();
        let waits = Kind::ALL.into_iter().map(|kind| Waits::new(kind, seconds)).collect::<Result<_, _>>()?;
        let end_us = seconds * 1_000_000;
        Ok(Self { sharing, queues, shards: (0..shards).map(shard).collect(), events, load, waits, end_us })
    }

    /// Runs it to its end. `is_stopped` is asked once a second of its time.
    pub(super) fn run(mut self, mut look: impl FnMut(u64) -> Result<(), Error>) -> Result<Shown, Error> {
        while let Some(Reverse((at, event))) = self.events.pop() {
            if at >= self.end_us {
                break;
            }
            match event {
                Event::Look => {
                    look(at / 1_000_000)?;
                    self.balance();
                    self.events.push(Reverse((at + 1_000_000, Event::Look)));
                    (0..self.shards.len()).for_each(|shard| self.fill(shard, at));
                }
                Event::Comes { queue } => self.come(queue, at),
                Event::Ends { shard, queue } => {
                    self.shards[shard].free += 1;
                    self.shards[shard].running[queue] -= 1;
                    self.queues[queue].running -= 1;
                    self.fill(shard, at);
                }
            }
        }
        Ok(self.shown())
    }

    fn balance(&mut self) {
        let Sharing::Balanced { balancer, spread } = &mut self.sharing else { return };
        let now = |queue: &Queue| QueueNow {
            length: queue.waiting.len() as u64,
            running: queue.running,
            run_s: queue.run_s,
            ..QueueNow::default()
        };
        let given = balancer.look(&self.queues.iter().map(now).collect::<Vec<_>>());
        spread.assign(&given.iter().map(|one| one.slots).collect::<Vec<_>>());
    }

    fn come(&mut self, queue: usize, at: u64) {
        self.queues[queue].waiting.push_back(at);
        let kind = self.queues[queue].kind;
        self.queues[queue].came_s += kind.run_s();
        if let Some(next) = self.load.next(queue, at as f64 / 1e6) {
            self.events.push(Reverse((micros(next), Event::Comes { queue })));
        }
        // The shard with the most room, as the one that waits in Redis for longest would be.
        let shards = 0..self.shards.len();
        let may = shards.filter(|&shard| self.may_take(shard, queue));
        if let Some(shard) = may.max_by_key(|&shard| (self.shards[shard].free, Reverse(shard))) {
            self.start(shard, queue, at);
        }
    }

    fn may_take(&self, shard: usize, queue: usize) -> bool {
        let one = &self.shards[shard];
        one.free > 0
            && match &self.sharing {
                Sharing::Balanced { spread, .. } => one.running[queue] < spread.row(shard)[queue],
                Sharing::Strict | Sharing::Weighted => true,
            }
    }

    /// Starts jobs in all slots that are free and may take one.
    fn fill(&mut self, shard: usize, at: u64) {
        while self.shards[shard].free > 0 {
            let Some(queue) = self.choose(shard) else { return };
            self.start(shard, queue, at);
        }
    }

    fn choose(&mut self, shard: usize) -> Option<usize> {
        let has_jobs = |queue: &usize| !self.queues[*queue].waiting.is_empty();
        match &self.sharing {
            Sharing::Strict => (0..self.queues.len()).find(has_jobs),
            Sharing::Weighted => {
                let busy: Vec<usize> = (0..self.queues.len()).filter(has_jobs).collect();
                let credit = &mut self.shards[shard].credit;
                for queue in &busy {
                    credit[*queue] += 1.0 / busy.len() as f64;
                }
                let best = busy.into_iter().max_by(|one, other| credit[*one].total_cmp(&credit[*other]))?;
                credit[best] -= 1.0;
                Some(best)
            }
            Sharing::Balanced { .. } => {
                let (count, first) = (self.queues.len(), self.shards[shard].next);
                let mut order = (0..count).map(|after| (first + after) % count);
                let found = order.find(|queue| has_jobs(queue) && self.may_take(shard, *queue))?;
                self.shards[shard].next = found + 1;
                Some(found)
            }
        }
    }

    fn start(&mut self, shard: usize, queue: usize, at: u64) {
        let Some(came) = self.queues[queue].waiting.pop_front() else { return };
        let kind = self.queues[queue].kind;
        self.waits[kind.number()].note(at - came, at);
        let run_s = kind.run_s();
        let one = &mut self.queues[queue];
        one.running += 1;
        one.done_s += run_s;
        one.run_s = Some(one.run_s.map_or(run_s, |mean| mean + (run_s - mean) * LAST_RUN));
        self.shards[shard].free -= 1;
        self.shards[shard].running[queue] += 1;
        self.events.push(Reverse((at + micros(run_s), Event::Ends { shard, queue })));
    }

    fn shown(mut self) -> Shown {
        for queue in &self.queues {
            let waits = &mut self.waits[queue.kind.number()];
            waits.left += queue.waiting.len() as u64;
            if let Some(first) = queue.waiting.front() {
                waits.left_longest_us = waits.left_longest_us.max(self.end_us - first);
            }
        }
        let parts: Vec<f64> = self
            .queues
            .iter()
            .filter(|queue| queue.came_s > 0.0)
            .map(|queue| queue.done_s / queue.came_s)
            .collect();
        Shown { waits: self.waits, fairness: jain(&parts) }
    }
}

/// Jain's index of fairness.
fn jain(parts: &[f64]) -> f64 {
    let (sum, squares) =
        parts.iter().fold((0.0, 0.0), |(sum, squares), part| (sum + part, squares + part * part));
    if squares > 0.0 { sum * sum / (parts.len() as f64 * squares) } else { 1.0 }
}

impl Waits {
    fn new(kind: Kind, seconds: u64) -> Result<Self, Error> {
        let started = Histogram::new_with_bounds(1, LONGEST_US, DIGITS)
            .map_err(|error| Error::Latencies(error.to_string()))?;
        let by_second = vec![0.0; usize::try_from(seconds).unwrap_or(0)];
        Ok(Self { kind, started, left: 0, left_longest_us: 0, by_second })
    }

    fn note(&mut self, wait_us: u64, at: u64) {
        self.started.saturating_record(wait_us.max(1));
        let second = (at / 1_000_000) as usize;
        if let Some(longest) = self.by_second.get_mut(second) {
            *longest = longest.max(wait_us as f64 / 1e6);
        }
    }

    /// A percentile of the waits in seconds; those that were not started waited for longest.
    pub(super) fn percentile_s(&self, percentile: f64) -> f64 {
        let (started, all) = (self.started.len() as f64, self.started.len() as f64 + self.left as f64);
        let rank = all * percentile / 100.0;
        if rank > started {
            return self.left_longest_us as f64 / 1e6;
        }
        let quantile = if started > 0.0 { rank / started } else { 0.0 };
        self.started.value_at_quantile(quantile) as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_one_if_all_fare_alike_and_less_if_one_has_all() {
        assert!((jain(&[0.5, 0.5, 0.5]) - 1.0).abs() < 1e-9);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn every_rule_starts_or_counts_each_job_that_came() {
        const SECONDS: u64 = 30;
        let mut load = Load::new(7, 50);
        let mut came = 0;
        for queue in 0..50 {
            let mut next = load.first(queue);
            while let Some(at) = next.map(micros).filter(|at| *at < SECONDS * 1_000_000) {
                came += 1;
                next = load.next(queue, at as f64 / 1e6);
            }
        }
        for rule in Rule::ALL {
            // A quarter of the slots that what comes besides the flood would fill.
            let shown = Fleet::new(rule, 4, 10, Load::new(7, 50), SECONDS).unwrap().run(|_| Ok(())).unwrap();
            let jobs: u64 = shown.waits.iter().map(|waits| waits.started.len() + waits.left).sum();
            assert_eq!(jobs, came, "{rule:?}");
            assert!(shown.waits.iter().any(|waits| waits.left > 0), "{rule:?}: it was too little to share");
        }
    }
}
