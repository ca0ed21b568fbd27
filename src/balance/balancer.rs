//! Look by look from what is known of the queues to an assignment: what each is due, damped, and in whole slots.

use super::apportion::{Claim, dues, round};
use super::reason::Reason;
use super::{QueueNow, Wish};
use crate::limits::{BALANCE_FLEET_STEP, BALANCE_INTERVAL, BALANCE_SLACK, BALANCE_STEP, BALANCE_TARGET_PART};

/// How slots are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// As many to each queue.
    Even,
    /// One to each queue, the rest by the work that waits.
    Adaptive,
    /// The same, but the rest only to queues whose names end with `-io`, if there are any: for programs whose other jobs
    /// compute, so that more of them side by side do not end sooner.
    AdaptiveIo,
}

/// The slots of one queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Given {
    /// How many.
    pub slots: usize,
    /// Why.
    pub reason: Reason,
}

/// See the module. It remembers what it gave last.
#[derive(Debug, Clone)]
pub struct Balancer {
    // Fixed.
    rule: Rule,
    slots: usize,
    queues: Vec<Fixed>,
    /// Looks that others let pass between two messages of what they give; at least 1.
    news_every: f64,
    // From look to look.
    /// Which part of all work each queue has, damped; empty before the first look.
    parts: Vec<f64>,
    /// By how much the part that other processes give it is above that, damped.
    excess: Vec<f64>,
    given: Vec<usize>,
    /// How many turns each queue has had while there were fewer slots than queues.
    turns: Vec<u64>,
}

/// What never changes about a queue.
#[derive(Debug, Clone, Copy)]
struct Fixed {
    wish: Wish,
    is_io: bool,
}

/// What a look tells of a queue.
#[derive(Debug, Clone, Copy)]
struct Load {
    now: QueueNow,
    /// Seconds of work that wait, and that are done until the next look.
    work_s: f64,
    /// Which part of all work that is.
    part: f64,
    /// Slots with which what waits is done in time; 0 without a target.
    for_target: usize,
    /// It keeps this many at the least, for its minimum or its target, and gets no more than this many.
    least: usize,
    most: usize,
}

impl Balancer {
    /// For this many slots, and queues of these names with these wishes.
    #[must_use]
    pub fn new(rule: Rule, slots: usize, queues: &[(&str, Wish)]) -> Self {
        let any_io = rule == Rule::AdaptiveIo && queues.iter().any(|(name, _)| name.ends_with("-io"));
        let fixed = |&(name, wish): &(&str, Wish)| Fixed { wish, is_io: !any_io || name.ends_with("-io") };
        let queues: Vec<Fixed> = queues.iter().map(fixed).collect();
        let (given, turns, excess) = (vec![0; queues.len()], vec![0; queues.len()], vec![0.0; queues.len()]);
        Self { rule, slots, queues, news_every: 1.0, parts: Vec::new(), excess, given, turns }
    }

    /// From now on what is known of other processes is up to so many looks old, and one more: the steps towards them are
    /// smaller.
    pub fn set_news_every(&mut self, looks: f64) {
        self.news_every = looks.max(1.0);
    }

    /// The assignment after one look at all queues, in their order.
    ///
    /// The slots add up to those of the process, unless maxima or pauses leave some over.
    pub fn look(&mut self, now: &[QueueNow]) -> Vec<Given> {
        debug_assert_eq!(now.len(), self.queues.len(), "one for each queue");
        let loads = self.loads(now);
        let served = loads.iter().filter(|load| load.most > 0).count();
        if served > self.slots {
            return self.take_turns(&loads);
        }
        self.turns.fill(0);
        self.heed_others(&loads);
        self.damp(&loads);
        let claims = self.claims(&loads);
        let dues = dues(&claims, self.slots);
        if !self.still_fits(&claims, &dues) {
            self.given = round(&claims, &dues);
        }
        (0..loads.len()).map(|at| Given { slots: self.given[at], reason: self.reason(&loads, at) }).collect()
    }

    fn loads(&self, now: &[QueueNow]) -> Vec<Load> {
        // A queue of which nothing has been measured counts with what the others take.
        let measured: Vec<f64> = now.iter().filter_map(|queue| queue.run_s).collect();
        let usual =
            if measured.is_empty() { 1.0 } else { measured.iter().sum::<f64>() / measured.len() as f64 };
        // A slot that is in use counts as what it does until the next look, not as all of a long job: slots that are
        // free now do not wait for the end of jobs that have theirs.
        let used_s = BALANCE_INTERVAL.as_secs_f64();
        let work = |queue: &QueueNow| {
            queue.length as f64 * queue.run_s.unwrap_or(usual) + queue.running as f64 * used_s
        };
        let works: Vec<f64> = now.iter().map(|one| if one.is_paused { 0.0 } else { work(one) }).collect();
        let all = works.iter().sum::<f64>();
        let load = |((fixed, now), &work_s): ((&Fixed, &QueueNow), &f64)| {
            let Wish { slots_min, slots_max, target_s } = fixed.wish;
            let most = if now.is_paused { 0 } else { slots_max.unwrap_or(self.slots).min(self.slots) };
            let least = slots_min.max(1).min(most);
            let waits_s = now.length as f64 * now.run_s.unwrap_or(usual);
            // By size among those who serve it.
            let share = self.slots as f64 / self.slots.saturating_add(now.elsewhere.slots_all).max(1) as f64;
            let wanted = |target: f64| (waits_s / (target * BALANCE_TARGET_PART) * share).ceil();
            let for_target = target_s.map_or(0.0, wanted) as usize;
            let part = if all > 0.0 { work_s / all } else { 0.0 };
            Load { now: *now, work_s, part, for_target, least, most }
        };
        let mut loads: Vec<Load> = self.queues.iter().zip(now).zip(&works).map(load).collect();
        self.raise_for_targets(&mut loads);
        loads
    }

    /// Raises what each keeps: first to its minimum, as far as there are slots, then to what its target needs.
    fn raise_for_targets(&self, loads: &mut [Load]) {
        let raised = |loads: &[Load], wanted: &dyn Fn(&Load) -> usize, from: &dyn Fn(&Load) -> usize| {
            let claim = |load: &Load| {
                let most = wanted(load).clamp(from(load), load.most.max(from(load)));
                let weight = wanted(load).saturating_sub(from(load)) as f64;
                Claim { least: from(load), most, weight, is_level: false }
            };
            let claims: Vec<Claim> = loads.iter().map(claim).collect();
            round(&claims, &dues(&claims, self.slots))
        };
        let minima = raised(loads, &|load| load.least, &|load| load.least.min(1));
        loads.iter_mut().zip(minima).for_each(|(load, least)| load.least = least);
        let targets = raised(loads, &|load| load.for_target, &|load| load.least);
        loads.iter_mut().zip(targets).for_each(|(load, least)| load.least = least);
    }

    /// Moves what is heeded of other processes a step towards what they were heard to give: before the load moves, because
    /// that is what they answered.
    fn heed_others(&mut self, loads: &[Load]) {
        let elsewhere = elsewhere(loads);
        let share = self.slots as f64 / (self.slots as f64 + elsewhere).max(1.0);
        let step = BALANCE_FLEET_STEP * share / self.news_every;
        for ((excess, part), load) in self.excess.iter_mut().zip(&self.parts).zip(loads) {
            let now = if elsewhere > 0.0 { load.now.elsewhere.rest() as f64 / elsewhere - part } else { 0.0 };
            *excess += (now - *excess) * step;
        }
    }

    /// Moves each queue's part of the work half the way towards what it is now.
    fn damp(&mut self, loads: &[Load]) {
        let any = loads.iter().any(|load| load.part > 0.0);
        let even = 1.0 / loads.len().max(1) as f64;
        let parts = loads.iter().map(|load| if any { load.part } else { even });
        if self.parts.is_empty() {
            self.parts = parts.collect();
        } else {
            self.parts.iter_mut().zip(parts).for_each(|(part, now)| *part += (now - *part) * BALANCE_STEP);
        }
    }

    /// Which part of the rest each queue should get of this process.
    fn weights(&self, loads: &[Load]) -> Vec<f64> {
        let elsewhere = elsewhere(loads);
        let rest = self.slots.saturating_sub(loads.iter().map(|load| load.least).sum()) as f64;
        let parts = self.parts.iter().zip(&self.excess);
        if rest == 0.0 {
            return self.parts.clone();
        }
        parts.map(|(part, excess)| (part - excess * elsewhere / rest).max(0.0)).collect()
    }

    fn claims(&self, loads: &[Load]) -> Vec<Claim> {
        // So small a part of the rest that it counts only when all others have their most.
        const LEFT_OVER: f64 = 1e-9;
        let claim = |((load, fixed), weight): ((&Load, &Fixed), f64)| {
            let Load { least, most, .. } = *load;
            match self.rule {
                Rule::Even => Claim { least, most, weight: 1.0, is_level: true },
                Rule::AdaptiveIo if !fixed.is_io => {
                    Claim { least, most: least, weight: 0.0, is_level: false }
                }
                _ => Claim { least, most, weight: weight.max(LEFT_OVER), is_level: false },
            }
        };
        loads.iter().zip(&self.queues).zip(self.weights(loads)).map(claim).collect()
    }

    /// Whether the last assignment is still allowed, adds up, and is near what each queue is due.
    fn still_fits(&self, claims: &[Claim], dues: &[f64]) -> bool {
        let sum = self.given.iter().sum::<usize>() as f64;
        (dues.iter().sum::<f64>() - sum).abs() < 0.5
            && self.given.iter().zip(claims).zip(dues).all(|((&given, claim), due)| {
                (claim.least..=claim.most).contains(&given) && (given as f64 - due).abs() < BALANCE_SLACK
            })
    }

    /// Fewer slots than queues: one each to those that have jobs and have had the fewest turns.
    fn take_turns(&mut self, loads: &[Load]) -> Vec<Given> {
        let has_jobs = |at: usize| loads[at].now.length > 0;
        let fewest = (0..loads.len()).filter(|&at| has_jobs(at)).map(|at| self.turns[at]).min().unwrap_or(0);
        for (at, turns) in self.turns.iter_mut().enumerate() {
            // A queue saves up no turns while it is empty.
            *turns = if has_jobs(at) { *turns } else { fewest };
        }
        let mut order: Vec<usize> = (0..loads.len()).filter(|&at| loads[at].most > 0).collect();
        order.sort_by(|&one, &other| {
            has_jobs(other)
                .cmp(&has_jobs(one))
                .then(self.turns[one].cmp(&self.turns[other]))
                .then(loads[one].now.elsewhere.slots.cmp(&loads[other].now.elsewhere.slots))
                .then(loads[other].work_s.total_cmp(&loads[one].work_s))
        });
        self.given.fill(0);
        for &at in order.iter().take(self.slots) {
            self.given[at] = 1;
            self.turns[at] += 1;
        }
        let reason = |load: &Load| if load.now.is_paused { Reason::Paused } else { Reason::Turns };
        loads.iter().zip(&self.given).map(|(load, &slots)| Given { slots, reason: reason(load) }).collect()
    }

    fn reason(&self, loads: &[Load], at: usize) -> Reason {
        let (load, slots) = (&loads[at], self.given[at]);
        let Load { now, work_s, part, least, most, .. } = *load;
        let wish = self.queues[at].wish;
        let by_wish = wish.slots_min.max(1).min(most);
        match (self.rule, wish.target_s) {
            _ if now.is_paused => Reason::Paused,
            (_, Some(target_s)) if slots == least && least > by_wish => Reason::Target { work_s, target_s },
            _ if wish.slots_max.is_some() && slots == most => Reason::Maximum,
            _ if by_wish > 1 && slots == by_wish => Reason::Minimum,
            (Rule::Even, _) => Reason::Even,
            (Rule::AdaptiveIo, _) if !self.queues[at].is_io => Reason::NotIo,
            _ if work_s <= 0.0 => Reason::Idle,
            _ if slots == least && now.elsewhere.rest() > 0 => {
                Reason::Elsewhere { slots: now.elsewhere.slots }
            }
            _ => Reason::Backlog { work_s, part },
        }
    }
}

/// Slots that other processes give these queues beyond one each.
fn elsewhere(loads: &[Load]) -> f64 {
    loads.iter().map(|load| load.now.elsewhere.rest() as f64).sum()
}
