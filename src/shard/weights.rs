//! How many jobs of each queue a turn asks for when queues have weights: over time each gets its share of what is fetched,
//! as long as it has jobs, and none waits for another to be empty.
//!
//! Deficit round robin, in jobs. With each turn a queue that has jobs earns its part of what the turn wants, and what it is
//! allotted is taken off; what others left it no room for is given back. So shares are exact over a few turns, however small
//! these are: with one slot a queue of weight 1 beside one of 100 is served once in 101 jobs.
//!
//! A queue that was empty when last asked comes first, with no more than its share: what it has is seen at once, and
//! it saves up nothing meanwhile. Queues that are allotted nothing come last, for what the others do not fill; what one
//! that has run empty leaves goes to the others from the next turn on.

use std::cell::{Cell, RefCell};

use super::order::Order;

/// See the module.
#[derive(Debug)]
pub(super) struct Weights {
    queues: Box<[Share]>,
    /// Queues with jobs, while an order is made: kept for its memory.
    busy: RefCell<Vec<Allotted>>,
}

/// What one queue has.
#[derive(Debug)]
struct Share {
    weight: f64,
    /// Jobs it has earned and not been allotted.
    credit: Cell<f64>,
    /// Whether it had jobs when last asked.
    is_busy: Cell<bool>,
}

/// What a queue with jobs gets in one turn.
#[derive(Debug)]
struct Allotted {
    queue: usize,
    /// What it had earned.
    credit: f64,
    jobs: usize,
}

impl Weights {
    /// `weights`: of each queue; below 1 counts as 1.
    pub(super) fn new(weights: impl Iterator<Item = i32>) -> Self {
        let share = |weight: i32| Share {
            weight: f64::from(weight.max(1)),
            credit: Cell::new(0.0),
            is_busy: Cell::new(true),
        };
        Self { queues: weights.map(share).collect(), busy: RefCell::default() }
    }

    /// Writes the order of a turn that wants this many jobs, at least one, from the queues that are served.
    pub(super) fn write_order(&self, wanted: usize, served: impl Iterator<Item = usize>, order: &mut Order) {
        let mut busy = self.busy.borrow_mut();
        busy.clear();
        let (mut weights, mut busy_weights) = (0.0, 0.0);
        for queue in served {
            let share = &self.queues[queue];
            weights += share.weight;
            if share.is_busy.get() {
                busy_weights += share.weight;
                busy.push(Allotted { queue, credit: 0.0, jobs: 0 });
            } else {
                order.queues.push(queue);
            }
        }
        for queue in &order.queues {
            let part = wanted as f64 * self.queues[*queue].weight / weights;
            order.limits.push((part as usize).max(1));
            order.allotted.push(0);
        }
        self.allot(wanted, busy_weights, &mut busy);
        for one in busy.iter() {
            self.queues[one.queue].credit.set(one.credit - one.jobs as f64);
            order.queues.push(one.queue);
            // One that is allotted nothing may fill what the others leave.
            order.limits.push(if one.jobs > 0 { one.jobs } else { wanted });
            order.allotted.push(one.jobs);
        }
    }

    /// Divides the jobs of a turn by what each queue has earned; those that get some come first, and of these the one that
    /// has waited longest for its due.
    fn allot(&self, wanted: usize, weights: f64, busy: &mut [Allotted]) {
        // What a queue could not be given several times in a row is not saved for ever.
        let most = 2.0 * wanted as f64 + 1.0;
        for one in busy.iter_mut() {
            let share = &self.queues[one.queue];
            one.credit = (share.credit.get() + wanted as f64 * share.weight / weights).min(most);
        }
        let by_credit = |one: &Allotted, other: &Allotted| {
            other.credit.total_cmp(&one.credit).then(one.queue.cmp(&other.queue))
        };
        busy.sort_by(by_credit);
        let mut left = wanted;
        for one in busy.iter_mut() {
            one.jobs = (one.credit.max(0.0) as usize).min(left);
            left -= one.jobs;
        }
        // The parts that are left over go to those that miss the most.
        while left > 0 {
            let missed = |one: &Allotted| one.credit - one.jobs as f64;
            let next = busy.iter_mut().rev().max_by(|one, other| missed(one).total_cmp(&missed(other)));
            let Some(next) = next else { return };
            next.jobs += 1;
            left -= 1;
        }
        busy.sort_by(|one, other| (other.jobs > 0).cmp(&(one.jobs > 0)).then_with(|| by_credit(one, other)));
    }

    /// Notes what a turn with this order has brought: queue and jobs, of those that brought any.
    pub(super) fn note(
        &self,
        wanted: usize,
        order: &Order,
        brought: &(impl Iterator<Item = (usize, usize)> + Clone),
    ) {
        let is_short = brought.clone().map(|(_, jobs)| jobs).sum::<usize>() < wanted;
        for ((queue, limit), allotted) in order.queues.iter().zip(&order.limits).zip(&order.allotted) {
            let jobs = brought.clone().find(|(from, _)| from == queue).map_or(0, |(_, jobs)| jobs);
            let share = &self.queues[*queue];
            let missed = allotted.saturating_sub(jobs) as f64;
            if jobs < *limit && is_short {
                // It has no more.
                share.is_busy.set(false);
                share.credit.set(0.0);
            } else if share.is_busy.get() {
                share.credit.set(share.credit.get() + missed);
            } else if jobs > 0 {
                share.is_busy.set(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    struct Turn {
        wanted: usize,
        order: Order,
        /// Queue and jobs.
        brought: Vec<(usize, usize)>,
    }

    /// Queues that are emptied turn by turn, two of which are under way at a time, as in `drive`.
    struct Site {
        weights: Weights,
        /// Jobs that wait.
        waiting: Vec<usize>,
        /// Jobs that were taken, in order.
        taken: Vec<usize>,
        under_way: VecDeque<Turn>,
        turns_max: usize,
    }

    impl Site {
        fn new(weights: &[i32], waiting: Vec<usize>, turns_max: usize) -> Self {
            let weights = Weights::new(weights.iter().copied());
            Self { weights, waiting, taken: Vec::new(), under_way: VecDeque::new(), turns_max }
        }

        /// One turn that brings no more than `budget` jobs.
        fn turn(&mut self, wanted: usize, budget: usize) {
            let mut order = Order::default();
            self.weights.write_order(wanted, 0..self.waiting.len(), &mut order);
            let mut each: Vec<usize> = order.queues.clone();
            each.sort_unstable();
            assert_eq!(each, (0..self.waiting.len()).collect::<Vec<_>>(), "every queue once");
            assert!(order.allotted.iter().sum::<usize>() <= wanted, "{order:?} allots more than {wanted}");
            let (mut left, mut brought) = (wanted.min(budget), Vec::new());
            for (queue, limit) in order.queues.iter().zip(&order.limits) {
                assert!(*limit > 0, "each may bring something");
                let jobs = self.waiting[*queue].min(*limit).min(left);
                if jobs > 0 {
                    brought.push((*queue, jobs));
                    self.taken.extend(std::iter::repeat_n(*queue, jobs));
                }
                self.waiting[*queue] -= jobs;
                left -= jobs;
            }
            self.under_way.push_back(Turn { wanted, order, brought });
            if self.under_way.len() >= self.turns_max {
                let Turn { wanted, order, brought } = self.under_way.pop_front().unwrap();
                self.weights.note(wanted, &order, &brought.into_iter());
            }
        }

        fn share(&self, queue: usize, of: usize) -> f64 {
            let taken = self.taken[..of].iter().filter(|from| **from == queue).count();
            taken as f64 / of as f64
        }
    }

    /// The largest number of jobs of others between two of this queue.
    fn longest_wait(taken: &[usize], queue: usize) -> usize {
        taken.split(|from| *from == queue).map(<[usize]>::len).max().unwrap_or(0)
    }

    #[test]
    fn one_slot_serves_by_weight_job_by_job() {
        let taken = |weights: &[i32], turns| {
            let mut site = Site::new(weights, vec![1_000; weights.len()], 1);
            (0..turns).for_each(|_| site.turn(1, 1));
            site.taken
        };
        assert_eq!(taken(&[7], 3), [0, 0, 0]);
        assert_eq!(taken(&[1, 1], 4), [0, 1, 0, 1]);
        assert_eq!(taken(&[3, 1], 8), [0, 0, 1, 0, 0, 0, 1, 0]);
        assert_eq!(taken(&[0, -5], 4), [0, 1, 0, 1], "without a weight it is 1");
    }

    #[test]
    fn a_weight_of_1_beside_100_is_served_once_in_each_round() {
        for (wanted, turns_max) in [(1, 1), (1, 2), (7, 2), (500, 2)] {
            let mut site = Site::new(&[100, 1], vec![100_000, 100_000], turns_max);
            while site.taken.len() < 10_100 {
                site.turn(wanted, wanted);
            }
            let ones = site.taken[..10_100].iter().filter(|from| **from == 1).count();
            assert!((99..=101).contains(&ones), "{ones} of 100 rounds, {wanted} at a time");
            assert!(longest_wait(&site.taken[..10_100], 1) <= 101 + 2 * wanted, "{wanted} at a time");
        }
    }

    #[test]
    fn a_queue_that_comes_back_is_seen_at_once_and_has_saved_up_nothing() {
        let mut site = Site::new(&[1, 1], vec![100_000, 0], 2);
        (0..50).for_each(|_| site.turn(100, 100));
        assert_eq!(site.taken.len(), 4_900, "two turns are sent before it is known that one queue is empty");
        site.waiting[1] = 100_000;
        site.taken.clear();
        (0..20).for_each(|_| site.turn(100, 100));
        assert!(site.taken[..100].contains(&1));
        assert!((site.share(1, 2_000) - 0.5).abs() < 0.05, "{}", site.share(1, 2_000));
    }

    proptest! {
        #[test]
        fn shares_are_within_five_percent_over_ten_thousand_jobs(
            weights in prop::collection::vec(1..100_i32, 1..12),
            wanted in 1..400_usize,
            turns_max in 1..3_usize,
        ) {
            let mut site = Site::new(&weights, vec![20_000; weights.len()], turns_max);
            while site.taken.len() < 10_000 {
                site.turn(wanted, wanted);
            }
            let sum: i32 = weights.iter().sum();
            // A turn that is not whole counts with what it brought first.
            let whole = 10_000 / wanted * wanted;
            for (queue, weight) in weights.iter().enumerate() {
                let due = f64::from(*weight) / f64::from(sum);
                let off = (site.share(queue, whole) - due).abs();
                prop_assert!(off < 0.05 * due + 2.0 / whole as f64, "{queue} is off by {off} of {due}");
            }
        }

        /// Whatever comes when, and however little a turn may bring: who has a job gets it, and no turn comes back empty.
        #[test]
        fn no_queue_starves_and_no_turn_comes_back_empty(
            weights in prop::collection::vec(1..100_i32, 2..8),
            turns in prop::collection::vec((1..60_usize, 1..60_usize, 0..8_usize, 0..200_usize), 50..300),
        ) {
            let count = weights.len();
            let mut site = Site::new(&weights, vec![0; count], 2);
            let mut waits = vec![0_usize; count];
            let sum: i32 = weights.iter().sum();
            for (wanted, budget, queue, jobs) in turns {
                site.waiting[queue % count] += jobs;
                let (before, taken) = (site.waiting.clone(), site.taken.len());
                site.turn(wanted, budget);
                let brought = site.taken.len() - taken;
                prop_assert!(brought > 0 || before.iter().all(|jobs| *jobs == 0), "nothing came of {before:?}");
                for queue in 0..count {
                    let waits_on = site.waiting[queue] > 0 && site.waiting[queue] == before[queue];
                    waits[queue] = if waits_on { waits[queue] + 1 } else { 0 };
                    // Turns that bring one job each: a round of all weights, and as many queues that come first once.
                    let most = (sum / weights[queue]) as usize + 4 * count + 4;
                    prop_assert!(waits[queue] <= most, "queue {queue} waits for {} turns", waits[queue]);
                }
            }
        }
    }
}
