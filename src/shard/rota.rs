//! In which order a turn serves the queues of a shard, how many jobs it may take from each, and in which order the lanes of
//! a core are woken.
//!
//! Pure: it gets the queues and returns one order after the other. An order is asked for once and kept with the turn that
//! was sent with it, so it may depend on anything that happened before.
//!
//! A queue that is paused, or at its [cap](super::caps), is left out of [`Rota::served`], so no waiter waits for it; an
//! order still names it, behind the others, because a turn reports on all queues, and its limits end before it.
//!
//! Where control tells which queues have jobs ([`super::sight`]), an order names those alone; the queues that the turn
//! reports on are added to it when it is sent.

use std::cell::Cell;
use std::rc::Rc;

use super::caps::Caps;
use super::options::Balance;
use super::order::Order;
use super::sight::Sight;
use super::weights::Weights;

/// See the module.
#[derive(Debug)]
pub(super) struct Rota {
    rule: Rule,
    /// How many jobs of each queue may run.
    caps: Rc<Caps>,
    /// Which queues are believed to have jobs.
    sight: Sight,
    /// For each queue, whether it is paused.
    paused: Box<[Cell<bool>]>,
    /// How many are.
    paused_count: Cell<usize>,
}

#[derive(Debug)]
enum Rule {
    /// By priority.
    Strict(Priorities),
    /// By weight: none waits for another to be empty.
    Weighted(Weights),
}

/// The order by priority: queues of equal priority take turns being first. Lanes of a core are woken in it, too.
#[derive(Debug)]
pub(super) struct Priorities {
    /// For each queue, where its priority begins and how many queues share it.
    equals: Box<[(usize, usize)]>,
    /// Orders returned so far.
    given: Cell<usize>,
}

impl Priorities {
    /// `ranks`: the priority of each queue, highest first.
    pub(super) fn new(ranks: &[i32]) -> Self {
        debug_assert!(ranks.is_sorted_by(|one, next| one >= next), "the highest priority comes first");
        let equals = |&rank: &i32| {
            let start = ranks.iter().position(|&other| other == rank).unwrap_or(0);
            (start, ranks.iter().filter(|&&other| other == rank).count())
        };
        Self { equals: ranks.iter().map(equals).collect(), given: Cell::new(0) }
    }

    /// The next order: every position once.
    pub(super) fn next_order(&self) -> impl Iterator<Item = usize> + '_ {
        let nth = self.given.get();
        self.given.set(nth.wrapping_add(1));
        self.equals
            .iter()
            .enumerate()
            .map(move |(at, &(start, count))| start + (nth % count + at - start) % count)
    }
}

impl Rota {
    /// The rota of queues with these numbers, highest first: priorities or weights.
    pub(super) fn new(balance: Balance, numbers: &[i32], caps: Rc<Caps>, sight: Sight) -> Self {
        let rule = match balance {
            Balance::Strict => Rule::Strict(Priorities::new(numbers)),
            Balance::Weighted => Rule::Weighted(Weights::new(numbers.iter().copied())),
        };
        let paused = numbers.iter().map(|_| Cell::new(false)).collect();
        Self { rule, caps, sight, paused, paused_count: Cell::new(0) }
    }

    /// Writes the next order of a turn that wants this many jobs into an empty one.
    pub(super) fn write_order(&self, wanted: usize, order: &mut Order) {
        if self.sight.is_used() {
            return self.write_seen_order(wanted, order);
        }
        match &self.rule {
            Rule::Strict(priorities) if self.paused_count.get() == 0 => {
                return order.queues.extend(priorities.next_order());
            }
            Rule::Strict(priorities) => {
                order.queues.extend(priorities.next_order().filter(|queue| !self.is_paused(*queue)));
                order.limits.resize(order.queues.len(), wanted);
            }
            Rule::Weighted(_) if wanted == 0 => return order.queues.extend(0..self.paused.len()),
            Rule::Weighted(weights) => weights.write_order(wanted, self.served(), order),
        }
        order.queues.extend((0..self.paused.len()).filter(|queue| self.is_paused(*queue)));
    }

    /// The same where only some queues are believed to have jobs.
    fn write_seen_order(&self, wanted: usize, order: &mut Order) {
        if wanted == 0 {
            return;
        }
        let asked = |queue: &usize| self.is_asked(*queue);
        match &self.rule {
            Rule::Strict(priorities) => {
                order.queues.extend(priorities.next_order().filter(asked).take(self.sight.width()));
                order.limits.resize(order.queues.len(), wanted);
            }
            Rule::Weighted(weights) => {
                weights.write_order(wanted, (0..self.paused.len()).filter(asked), order);
            }
        }
    }

    /// The same while queues have caps: of each the turn may take what it has room for, and as many more as will start
    /// within milliseconds. `unstarted`: jobs of a queue that have come and not started.
    pub(super) fn write_capped_order(
        &self,
        ahead: usize,
        unstarted: impl Fn(usize) -> usize,
        order: &mut Order,
    ) {
        let Rule::Strict(priorities) = &self.rule else { return };
        for queue in priorities.next_order().filter(|queue| self.is_asked(*queue)) {
            let limit = (self.caps.room(queue) + ahead).saturating_sub(unstarted(queue)).max(ahead.min(1));
            if limit > 0 {
                order.queues.push(queue);
                order.limits.push(limit);
            }
        }
        if self.sight.is_used() {
            return;
        }
        // There are few queues, and a set would be one more allocation.
        let named = order.queues.len();
        for queue in 0..self.paused.len() {
            if !order.queues[..named].contains(&queue) {
                order.queues.push(queue);
            }
        }
    }

    /// Jobs that may be asked for although queues have caps.
    pub(super) fn open(&self, unstarted: impl Fn(usize) -> usize) -> usize {
        let room = |queue| self.caps.room(queue).saturating_sub(unstarted(queue));
        (0..self.paused.len()).filter(|queue| self.is_served(*queue)).map(room).sum()
    }

    /// Notes what a turn with this number and order has brought: queue and jobs, of those that brought any.
    pub(super) fn note(
        &self,
        number: u64,
        wanted: usize,
        order: &Order,
        brought: &(impl Iterator<Item = (usize, usize)> + Clone),
    ) {
        if let Rule::Weighted(weights) = &self.rule
            && wanted > 0
        {
            weights.note(wanted, order, brought);
        }
        if wanted > 0 && self.sight.is_used() {
            self.sight.note(number, wanted, order, brought);
        }
    }

    /// Which queues are believed to have jobs.
    pub(super) fn sight(&self) -> &Sight {
        &self.sight
    }

    /// The queues that are served at all: those in which jobs are waited for.
    pub(super) fn served(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        let all: Vec<usize> = (0..self.paused.len()).filter(|queue| self.is_served(*queue)).collect();
        all.into_iter()
    }

    /// Whether any queue is served.
    pub(super) fn serves_any(&self) -> bool {
        if self.caps.are_set() {
            return (0..self.paused.len()).any(|queue| self.is_served(queue));
        }
        self.paused_count.get() < self.paused.len()
    }

    /// Whether there is a queue to ask for jobs.
    pub(super) fn asks_any(&self) -> bool {
        if self.sight.is_used() {
            return (0..self.paused.len()).any(|queue| self.is_asked(queue));
        }
        self.serves_any()
    }

    /// Whether a turn asks for jobs of this queue.
    fn is_asked(&self, queue: usize) -> bool {
        self.sight.sees(queue) && self.is_served(queue)
    }

    /// Whether jobs of this queue are taken: it is not paused, and not at its cap.
    pub(super) fn is_served(&self, queue: usize) -> bool {
        !self.is_paused(queue) && !self.caps.is_full(queue)
    }

    /// Whether this queue is paused.
    pub(super) fn is_paused(&self, queue: usize) -> bool {
        self.paused[queue].get()
    }

    /// From now on the queues that `is_paused` names are paused, and no others. Returns whether that is a change.
    pub(super) fn pause(&self, is_paused: impl Fn(usize) -> bool) -> bool {
        let mut has_changed = false;
        for (queue, paused) in self.paused.iter().enumerate() {
            let now = is_paused(queue);
            has_changed |= paused.replace(now) != now;
        }
        self.paused_count.set(self.paused.iter().filter(|paused| paused.get()).count());
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TURN_QUEUES_FEW;

    fn rota(balance: Balance, numbers: &[i32]) -> Rota {
        Rota::new(balance, numbers, Rc::new(Caps::new(numbers.len())), Sight::new(numbers.len(), false))
    }

    fn check(ranks: &[i32], orders: &[&[usize]]) {
        let rota = rota(Balance::Strict, ranks);
        for (nth, expected) in orders.iter().enumerate() {
            let mut order = Order::default();
            rota.write_order(9, &mut order);
            assert_eq!(
                (order.queues.as_slice(), order.limits.len()),
                (*expected, 0),
                "order {nth} of {ranks:?}"
            );
        }
        assert_eq!(rota.served().collect::<Vec<_>>(), (0..ranks.len()).collect::<Vec<_>>());
    }

    #[test]
    fn a_higher_priority_comes_first_and_equal_ones_take_turns() {
        check(&[], &[&[], &[]]);
        check(&[7], &[&[0], &[0]]);
        check(&[3, 2, 1], &[&[0, 1, 2], &[0, 1, 2]]);
        check(&[1, 1, 1], &[&[0, 1, 2], &[1, 2, 0], &[2, 0, 1], &[0, 1, 2]]);
        check(&[5, 5, 2, 0, 0], &[&[0, 1, 2, 3, 4], &[1, 0, 2, 4, 3], &[0, 1, 2, 3, 4]]);
    }

    #[test]
    fn a_paused_queue_is_named_last_without_a_limit_and_is_not_waited_for() {
        let rota = rota(Balance::Strict, &[2, 1, 1]);
        let next = |rota: &Rota| {
            let mut order = Order::default();
            rota.write_order(9, &mut order);
            (order.queues, order.limits)
        };
        assert!(rota.pause(|queue| queue == 0) && !rota.pause(|queue| queue == 0));
        assert_eq!(next(&rota), (vec![1, 2, 0], vec![9, 9]));
        assert_eq!(next(&rota), (vec![2, 1, 0], vec![9, 9]));
        assert_eq!(rota.served().collect::<Vec<_>>(), [1, 2]);
        assert!(rota.pause(|_| true) && !rota.serves_any());
        assert_eq!(rota.served().len(), 0);
        assert!(rota.pause(|_| false) && rota.serves_any());
        assert_eq!(next(&rota), (vec![0, 1, 2], Vec::new()));
    }

    #[test]
    fn a_paused_queue_has_no_weight_and_a_turn_that_wants_nothing_has_no_limits() {
        let rota = rota(Balance::Weighted, &[2, 1, 1]);
        let next = |wanted| {
            let mut order = Order::default();
            rota.write_order(wanted, &mut order);
            (order.queues, order.limits)
        };
        assert_eq!(next(0), (vec![0, 1, 2], Vec::new()));
        assert_eq!(next(4), (vec![0, 1, 2], vec![2, 1, 1]));
        rota.pause(|queue| queue == 0);
        assert_eq!(next(4), (vec![1, 2, 0], vec![2, 2]));
    }

    #[test]
    fn a_queue_at_its_cap_is_named_last_and_the_others_are_limited_by_their_room() {
        let caps = Rc::new(Caps::new(3));
        let rota = Rota::new(Balance::Strict, &[0, 0, 0], Rc::clone(&caps), Sight::new(3, false));
        caps.set(|queue| [3, 1, 4][queue]);
        caps.starts(1);
        let next = |ahead, unstarted: [usize; 3]| {
            let mut order = Order::default();
            rota.write_capped_order(ahead, |queue| unstarted[queue], &mut order);
            (order.queues, order.limits)
        };
        assert_eq!(next(0, [0; 3]), (vec![0, 2, 1], vec![3, 4]));
        assert_eq!(next(0, [3, 0, 1]), (vec![2, 0, 1], vec![3]));
        assert_eq!(next(10, [20, 0, 0]), (vec![2, 0, 1], vec![14, 1]), "short jobs are read ahead");
        assert_eq!((rota.open(|_| 0), rota.open(|_| 3)), (7, 1));
        assert_eq!(rota.served().collect::<Vec<_>>(), [0, 2]);
        caps.set(|queue| [0, 1, 0][queue]);
        assert!(!rota.serves_any());
    }
    #[test]
    fn where_control_tells_which_queues_have_jobs_only_these_are_named() {
        let ranks = [2, 1, 1, 1, 0, 0];
        let caps = Rc::new(Caps::new(ranks.len()));
        let rota = Rota::new(Balance::Strict, &ranks, Rc::clone(&caps), Sight::new(ranks.len(), true));
        let next = |wanted| {
            let mut order = Order::default();
            rota.write_order(wanted, &mut order);
            (order.queues, order.limits)
        };
        assert_eq!(next(9), (vec![0, 1, 2, 3], vec![9; TURN_QUEUES_FEW]));
        assert_eq!(next(0), (vec![], vec![]));
        let nothing = || [].into_iter();
        let (queues, limits) = next(9);
        rota.note(1, 9, &Order { queues, limits, allotted: Vec::new() }, &nothing());
        rota.pause(|queue| queue == 4);
        assert_eq!(next(9), (vec![5], vec![9]));
        rota.note(2, 9, &Order { queues: vec![5], limits: vec![9], allotted: Vec::new() }, &nothing());
        assert!(!rota.asks_any() && rota.serves_any(), "what is left is paused");
        rota.sight().hear(2, 2);
        assert!(rota.asks_any());
        assert_eq!(next(9), (vec![2], vec![9]));
        caps.set(|_| 0);
        assert!(!rota.asks_any(), "it is at its cap");
        caps.set(|_| 3);
        let mut order = Order::default();
        rota.write_capped_order(0, |_| 0, &mut order);
        assert_eq!((order.queues, order.limits), (vec![2], vec![3]));
    }
}
