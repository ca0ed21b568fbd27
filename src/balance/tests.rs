//! The case study's example, the cases of its specs, its faults, and what must hold whatever the queues are.

use proptest::prelude::*;

use super::*;

/// A queue of which nothing has been measured.
fn long(length: u64) -> QueueNow {
    QueueNow { length, ..QueueNow::default() }
}

fn balancer(rule: Rule, slots: usize, queues: usize) -> Balancer {
    Balancer::new(rule, slots, &vec![("q", Wish::default()); queues])
}

fn slots(given: &[Given]) -> Vec<usize> {
    given.iter().map(|one| one.slots).collect()
}

fn first(rule: Rule, count: usize, lengths: &[u64]) -> Vec<usize> {
    let now: Vec<QueueNow> = lengths.iter().copied().map(long).collect();
    slots(&balancer(rule, count, lengths.len()).look(&now))
}

#[test]
fn the_worked_example_and_the_cases_of_the_specs() {
    let adaptive = |lengths: &[u64]| first(Rule::Adaptive, 25, lengths);
    assert_eq!(adaptive(&[50_000, 2_000, 800, 40]), [21, 2, 1, 1]);
    assert_eq!(adaptive(&[100, 200]), [9, 16]);
    assert_eq!(adaptive(&[95, 95, 110]), [8, 8, 9]);
    // The case study gives 4, 4, 8, 9: its last worker goes to the largest queue, not to the largest remainder.
    assert_eq!(adaptive(&[100, 100, 200, 201]), [5, 4, 8, 8]);
    assert_eq!(first(Rule::Even, 25, &[1, 2]), [12, 13].map(|slots| 25 - slots));
    assert_eq!(first(Rule::Even, 25, &[1, 1, 1, 1]), [7, 6, 6, 6]);
}

#[test]
fn roundings_that_hand_out_too_much_or_too_little_in_the_case_study_add_up() {
    assert_eq!(first(Rule::Adaptive, 8, &[16, 16, 18]), [3, 2, 3]);
    for lengths in [[1, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0], [3, 3, 3, 1, 1, 1, 0]] {
        assert_eq!(first(Rule::Adaptive, 25, &lengths).iter().sum::<usize>(), 25);
        assert_eq!(first(Rule::Adaptive, 7, &lengths), [1; 7], "as many slots as queues");
    }
    assert!(first(Rule::Adaptive, 25, &[]).is_empty());
}

#[test]
fn seconds_of_work_decide_and_not_the_number_of_jobs() {
    let quick = QueueNow { run_s: Some(0.001), ..long(50_000) };
    let slow = QueueNow { run_s: Some(10.0), ..long(800) };
    let given = balancer(Rule::Adaptive, 25, 2).look(&[quick, slow]);
    assert_eq!(slots(&given), [1, 24]);
    assert_eq!(given[1].reason.to_string(), "8000.0 s of work, 99 % of all");
}

#[test]
fn with_the_rule_of_io_other_queues_keep_one_slot() {
    let wish = Wish::default();
    let names = [("img", wish), ("mail-io", wish), ("http-io", wish)];
    let mut balancer = Balancer::new(Rule::AdaptiveIo, 10, &names);
    let given = balancer.look(&[long(1_000), long(30), long(30)]);
    assert_eq!((slots(&given), given[0].reason), (vec![1, 5, 4], Reason::NotIo));
    let mut without = Balancer::new(Rule::AdaptiveIo, 10, &names[..1]);
    assert_eq!(slots(&without.look(&[long(1)])), [10], "without any such queue all share");
}

#[test]
fn a_moment_moves_half_and_parts_of_a_slot_move_nothing() {
    let mut balancer = balancer(Rule::Adaptive, 22, 2);
    let looks = |balancer: &mut Balancer, one, other| slots(&balancer.look(&[long(one), long(other)]));
    assert_eq!(looks(&mut balancer, 100, 100), [11, 11]);
    assert_eq!(looks(&mut balancer, 100, 104), [11, 11], "not for a part of a slot");
    assert_eq!(looks(&mut balancer, 0, 100), [6, 16], "half the way");
    let settled: Vec<_> = (0..6).map(|_| looks(&mut balancer, 0, 100)).collect();
    assert!(settled.is_sorted_by(|one, next| one[0] >= next[0]), "{settled:?}");
    assert_eq!(settled[5], [1, 21], "{settled:?}");
}

#[test]
fn a_target_that_would_be_missed_comes_before_the_longer_queue() {
    let wish = Wish { target_s: Some(5.0), ..Wish::default() };
    let mut balancer = Balancer::new(Rule::Adaptive, 20, &[("bulk", Wish::default()), ("mail", wish)]);
    let second = |length| QueueNow { run_s: Some(1.0), ..long(length) };
    let given = balancer.look(&[second(10_000), second(25)]);
    assert_eq!(slots(&given), [10, 10], "25 s of work in half of its five seconds");
    assert_eq!(given[1].reason.to_string(), "25.0 s of work, to start within 5 s");
    assert_eq!(
        slots(&balancer.look(&[second(10_000), second(1_000)])),
        [1, 19],
        "all that the others can spare"
    );
    let elsewhere = Elsewhere { slots: 8, processes: 1, slots_all: 20 };
    let given = balancer.look(&[second(10_000), QueueNow { elsewhere, ..second(25) }]);
    assert_eq!(slots(&given)[1], 5, "another process of the same size serves it, too");
}

#[test]
fn targets_that_cannot_all_be_met_share_what_there_is() {
    let wish = Wish { target_s: Some(1.0), ..Wish::default() };
    let mut balancer = Balancer::new(Rule::Even, 12, &[("a", wish), ("b", wish)]);
    let second = |length| QueueNow { run_s: Some(1.0), ..long(length) };
    assert_eq!(slots(&balancer.look(&[second(400), second(100)])), [9, 3]);
}

#[test]
fn minima_and_maxima_hold_and_what_a_maximum_leaves_goes_to_the_others() {
    let bounds = |slots_min, slots_max| Wish { slots_min, slots_max, target_s: None };
    let check = |rule, wishes: &[Wish], lengths: &[u64], expected: &[usize]| {
        let names: Vec<(&str, Wish)> = wishes.iter().map(|wish| ("q", *wish)).collect();
        let now: Vec<QueueNow> = lengths.iter().copied().map(long).collect();
        assert_eq!(slots(&Balancer::new(rule, 10, &names).look(&now)), expected, "{rule:?} {wishes:?}");
    };
    for rule in [Rule::Even, Rule::Adaptive] {
        check(rule, &[bounds(0, Some(2)), bounds(0, None)], &[100, 0], &[2, 8]);
        check(rule, &[bounds(0, Some(2)), bounds(0, Some(3))], &[100, 100], &[2, 3]);
    }
    check(Rule::Adaptive, &[bounds(4, None), bounds(0, None)], &[0, 100], &[4, 6]);
    check(Rule::Even, &[bounds(3, None), bounds(0, None)], &[0, 100], &[5, 5]);
    check(Rule::Even, &[bounds(8, None), bounds(8, None)], &[1, 1], &[5, 5]);
}

#[test]
fn a_paused_queue_has_no_slot_and_with_too_few_slots_those_with_jobs_take_turns() {
    let paused = QueueNow { is_paused: true, ..long(9) };
    let given = balancer(Rule::Adaptive, 4, 2).look(&[paused, long(0)]);
    assert_eq!((slots(&given), given[0].reason), (vec![0, 4], Reason::Paused));

    let mut few = balancer(Rule::Adaptive, 2, 4);
    let mut turns = vec![0; 4];
    for _ in 0..30 {
        let given = slots(&few.look(&[long(500), long(3), long(3), long(0)]));
        assert_eq!(given.iter().sum::<usize>(), 2);
        turns.iter_mut().zip(given).for_each(|(turns, given)| *turns += given);
    }
    assert_eq!(turns, [20, 20, 20, 0]);
    assert_eq!(slots(&few.look(&[long(0), long(0), long(0), long(1)]))[3], 1, "seen with the next look");
}

/// A fleet in which each process knows of the others what they gave some looks ago.
struct Fleet {
    processes: Vec<(Balancer, Vec<usize>)>,
    queues: usize,
    /// What each process gave, look by look.
    past: Vec<Vec<Vec<usize>>>,
    /// How many looks old that is which others know.
    delay: usize,
}

impl Fleet {
    /// Each process has so many slots and serves these queues.
    fn new(processes: &[(usize, &[usize])], delay: usize) -> Self {
        let process = |&(slots, served): &(usize, &[usize])| {
            (balancer(Rule::Adaptive, slots, served.len()), served.to_vec())
        };
        let queues = 1 + processes.iter().flat_map(|(_, served)| *served).max().unwrap();
        Self { processes: processes.iter().map(process).collect(), queues, past: Vec::new(), delay }
    }

    /// What the fleet gives each queue after one more look at queues of these lengths.
    fn look(&mut self, lengths: &[u64]) -> Vec<usize> {
        let none = vec![vec![0; self.queues]; self.processes.len()];
        let known = self.past.len().checked_sub(self.delay).map_or(&none, |at| &self.past[at]);
        let mut given = none.clone();
        for (at, (process, served)) in self.processes.iter_mut().enumerate() {
            let queue = |&queue: &usize| {
                let others = known.iter().enumerate().filter(|(other, row)| *other != at && row[queue] > 0);
                let elsewhere = others.fold(Elsewhere::default(), |sum, (_, row)| Elsewhere {
                    slots: sum.slots + row[queue],
                    processes: sum.processes + 1,
                    slots_all: sum.slots_all + row.iter().sum::<usize>(),
                });
                QueueNow { elsewhere, ..long(lengths[queue]) }
            };
            let now: Vec<QueueNow> = served.iter().map(queue).collect();
            for (queue, slots) in served.iter().zip(slots(&process.look(&now))) {
                given[at][*queue] = slots;
            }
        }
        let sums = (0..self.queues).map(|queue| given.iter().map(|row| row[queue]).sum()).collect();
        self.past.push(given);
        sums
    }
}

#[test]
fn processes_do_not_rush_to_a_queue_together_nor_swing_between_queues() {
    for (count, delay) in [(2, 1), (2, 2), (10, 1), (10, 2), (64, 2)] {
        let served: &[usize] = &[0, 1];
        let mut fleet = Fleet::new(&vec![(10, served); count], delay);
        for _ in 0..20 {
            fleet.look(&[100, 100]);
        }
        assert_eq!(fleet.look(&[100, 100]), [5 * count, 5 * count], "{count} processes");
        // Now all work is in the first: each keeps one slot for the other.
        let moved: Vec<usize> = (0..60).map(|_| fleet.look(&[300, 100])[0]).collect();
        // A quarter of the rest goes to the other: 1 + 3/4 * 8 slots.
        let due = 7 * count;
        assert!(moved[0] > 5 * count, "{count}, {delay}: at once {moved:?}");
        assert!(moved.iter().all(|now| *now <= due + count), "{count}, {delay}: beyond {due}: {moved:?}");
        let rest = &moved[40..];
        assert!(rest.iter().all(|now| now.abs_diff(due) <= count), "{count}, {delay}: {moved:?}");
        assert!(rest.windows(2).all(|two| two[0] == two[1]), "{count}, {delay}: swings {moved:?}");
    }
}

#[test]
fn a_process_gives_its_slots_where_others_do_not() {
    for delay in [1, 2] {
        // Both queues have as much work, but only the second process serves the second queue.
        let mut fleet = Fleet::new(&[(10, &[0]), (10, &[0, 1])], delay);
        let looks: Vec<Vec<usize>> = (0..60).map(|_| fleet.look(&[100, 100])).collect();
        assert_eq!(looks[0], [15, 5], "nothing is known of the other");
        assert!(looks.windows(2).all(|two| two[1][0] <= two[0][0]), "{looks:?}");
        assert_eq!(looks[59], [11, 9], "one slot stays");
        let given = fleet.past[59].clone();
        assert_eq!(given, [[10, 0], [1, 9]]);
        // A process that is gone is made up for.
        fleet.processes.remove(0);
        fleet.past.iter_mut().for_each(|look| drop(look.remove(0)));
        let later: Vec<Vec<usize>> = (0..60).map(|_| fleet.look(&[100, 100])).collect();
        assert_eq!(later[59], [5, 5]);
    }
}

#[test]
fn a_spread_adds_up_and_moves_no_more_slots_than_the_assignment() {
    let mut spread = Spread::new(vec![5, 3, 2], 3);
    spread.assign(&[7, 2, 1]);
    let rows = |spread: &Spread| (0..3).map(|shard| spread.row(shard).to_vec()).collect::<Vec<_>>();
    let before = rows(&spread);
    assert_eq!(before.iter().map(|row| row.iter().sum()).collect::<Vec<usize>>(), [5, 3, 2]);
    spread.assign(&[6, 3, 1]);
    let moved: usize = before
        .iter()
        .flatten()
        .zip(rows(&spread).iter().flatten())
        .map(|(before, after)| before.abs_diff(*after))
        .sum();
    assert_eq!(moved, 2, "one slot has changed its queue");
    spread.assign(&[1, 0, 0]);
    assert_eq!(rows(&spread).iter().flatten().sum::<usize>(), 1);
}

proptest! {
    #[test]
    fn slots_always_add_up_and_every_bound_holds(
        rule in prop::sample::select(vec![Rule::Even, Rule::Adaptive, Rule::AdaptiveIo]),
        slots_all in 1..300_usize,
        wishes in prop::collection::vec(
            (0..6_usize, prop::option::of(1..40_usize), prop::option::of(0.1..60.0_f64)), 1..30),
        looks in prop::collection::vec(
            prop::collection::vec(
                (0..100_000_u64, 0..50_usize, prop::option::of(0.0..20.0_f64), 0..20_u8, (0..90_usize, 0..9_usize)),
                30,
            ),
            1..8),
    ) {
        let wish = |&(slots_min, slots_max, target_s): &(usize, Option<usize>, Option<f64>)| {
            Wish { slots_min: slots_min.min(slots_max.unwrap_or(slots_min)), slots_max, target_s }
        };
        let names: Vec<(&str, Wish)> = wishes.iter().map(|one| ("some-io", wish(one))).collect();
        let mut balancer = Balancer::new(rule, slots_all, &names);
        let mut spread = Spread::new(vec![slots_all / 2, slots_all - slots_all / 2], names.len());
        for look in &looks {
            let now: Vec<QueueNow> = names.iter().zip(look).map(|(_, &(length, running, run_s, pause, (slots, processes)))| {
                let elsewhere = Elsewhere { slots, processes, slots_all: 2 * slots };
                QueueNow { length, running, run_s, is_paused: pause == 0, elsewhere }
            }).collect();
            let given = balancer.look(&now);
            let most = |((_, wish), now): (&(&str, Wish), &QueueNow)| {
                if now.is_paused { 0 } else { wish.slots_max.unwrap_or(slots_all).min(slots_all) }
            };
            let most: Vec<usize> = names.iter().zip(&now).map(most).collect();
            let served = most.iter().filter(|most| **most > 0).count();
            let sum: usize = given.iter().map(|one| one.slots).sum();
            prop_assert_eq!(sum, slots_all.min(most.iter().sum()), "{:?}", given);
            for (one, most) in given.iter().zip(&most) {
                prop_assert!(one.slots <= *most, "{:?} of {}", one, most);
                prop_assert!(served > slots_all || *most == 0 || one.slots > 0, "{:?} has no slot", one);
            }
            let slots = slots(&given);
            spread.assign(&slots);
            for (queue, slots) in slots.iter().enumerate() {
                prop_assert_eq!(spread.row(0)[queue] + spread.row(1)[queue], *slots);
            }
        }
    }
}
