//! Gives the slots of this process to its queues, once a second, under `--balance even` and `adaptive`; otherwise it is not
//! there. It asks how long the queues are, over connections of its own, and the shards how long their jobs take;
//! [`crate::balance`] decides, and each shard is told how many slots of each queue it has.
//!
//! A look that Redis does not answer changes nothing: the last assignment stays.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::actor::Actor;
use super::link::ControlLink;
use super::options::BalanceOptions;
use super::shards::CountsFor;
use super::state::Control;
use crate::balance::{Balancer, QueueNow, Spread, Wish};
use crate::limits::{BALANCE_INTERVAL, BALANCE_STEP};
use crate::mesh::ToShard;
use crate::net::Error;
use crate::store::history;
use crate::wire::figures::QueueSlots;

/// See the module.
pub(super) struct Balancing {
    control: Rc<Control>,
    queues: Vec<String>,
    balancer: Balancer,
    spread: Spread,
    /// What each shard was told.
    told: Vec<Vec<usize>>,
    /// For each queue what has been measured, and when.
    measured: Vec<Measured>,
    measured_at: Instant,
    /// One for each duty, while it stands.
    links: Vec<Option<ControlLink>>,
}

/// How long the jobs of a queue take.
#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    /// What each shard had counted at the last look, all together.
    count: u64,
    sum_s: f64,
    /// Seconds a job, of late.
    run_s: Option<f64>,
    /// Slots that its jobs held, of late: what those that ended took, by the time in which they did.
    used: f64,
}

impl Measured {
    /// Jobs and seconds counted up to now, so long after the last look.
    fn look(&mut self, count: u64, sum_s: f64, after: Duration) {
        let used = (sum_s - self.sum_s).max(0.0) / after.as_secs_f64().max(1e-3);
        self.used += (used - self.used) * BALANCE_STEP;
        let ended = count.saturating_sub(self.count);
        if ended > 0 {
            let each = ((sum_s - self.sum_s) / ended as f64).max(0.0);
            self.run_s = Some(self.run_s.map_or(each, |before| before + (each - before) * BALANCE_STEP));
        }
        (self.count, self.sum_s) = (count, sum_s);
    }
}

/// The first assignment, before the shards may fetch: of queues of which nothing is known. `None` unless slots are balanced.
pub(super) fn begin(control: &Rc<Control>) -> Option<Balancing> {
    let BalanceOptions { rule, queues } = control.options.balance.clone()?;
    let slots = control.options.expected.slots.clone();
    let named: Vec<(&str, Wish)> = queues.iter().map(|(name, wish)| (name.as_str(), *wish)).collect();
    let mut balancing = Balancing {
        balancer: Balancer::new(rule, slots.iter().sum(), &named),
        told: slots.iter().map(|_| Vec::new()).collect(),
        spread: Spread::new(slots, queues.len()),
        measured: vec![Measured::default(); queues.len()],
        measured_at: Instant::now(),
        links: control.duties.iter().map(|_| None).collect(),
        control: Rc::clone(control),
        queues: queues.into_iter().map(|(name, _)| name).collect(),
    };
    balancing.assign(&vec![QueueNow::default(); balancing.queues.len()]);
    Some(balancing)
}

/// Starts looking.
pub(super) fn spawn(balancing: Balancing) -> Actor {
    Actor::spawn(balancing.run())
}

impl Balancing {
    async fn run(mut self) {
        loop {
            Timer::new(BALANCE_INTERVAL).await;
            if !self.control.phase().fetches() {
                continue;
            }
            match self.lengths().await {
                Ok(lengths) => {
                    self.measure().await;
                    let paused = self.control.paused_now();
                    let queue = |((length, measured), name): ((&u64, &Measured), &String)| QueueNow {
                        length: *length,
                        running: measured.used.round() as usize,
                        run_s: measured.run_s,
                        is_paused: paused.queues.contains(name),
                        ..QueueNow::default()
                    };
                    let now: Vec<QueueNow> =
                        lengths.iter().zip(&self.measured).zip(&self.queues).map(queue).collect();
                    self.assign(&now);
                }
                // Tasks that need Redis more log its outages.
                Err(error) => {
                    tracing::debug!(%error, "cannot see how long queues are; slots stay as they are");
                }
            }
        }
    }

    /// How many jobs wait in each queue: one round trip, in a cluster one for each queue.
    async fn lengths(&mut self) -> Result<Vec<u64>, Error> {
        let mut lengths = vec![0; self.queues.len()];
        for duty in 0..self.links.len() {
            let served = self.queues_of(duty);
            let mut link = match self.links[duty].take() {
                Some(link) => link,
                None => ControlLink::open(&self.control, duty, "balance").await?,
            };
            let names = || served.iter().map(|queue| self.queues[*queue].as_str());
            let keys = self.control.options.keys;
            let replies = link.replies(|_, requests| history::ask_depths(keys, names(), requests)).await?;
            for (queue, reply) in served.iter().zip(&replies) {
                lengths[*queue] = history::depth(reply);
            }
            self.links[duty] = Some(link);
        }
        Ok(lengths)
    }

    /// The queues of a duty: in a cluster it has one, otherwise all.
    fn queues_of(&self, duty: usize) -> Vec<usize> {
        let all = 0..self.queues.len();
        match self.control.duties[duty].queue() {
            Some(name) => all.filter(|queue| self.queues[*queue] == name).collect(),
            None => all.collect(),
        }
    }

    /// How long jobs take, as the shards have counted.
    async fn measure(&mut self) {
        let counted = self.control.shards.counted(CountsFor::Balance).await;
        if counted.iter().any(Option::is_none) {
            // One that has not answered would look as if it had counted less than before.
            return;
        }
        let mut sums = vec![(0_u64, 0.0); self.queues.len()];
        for row in counted.iter().flatten().flat_map(|rows| rows.iter()) {
            if let Some((count, sum_s)) = sums.get_mut(row.queue) {
                *count += row.row.run.count();
                *sum_s += row.row.run.sum_s();
            }
        }
        let after = std::mem::replace(&mut self.measured_at, Instant::now()).elapsed();
        for (measured, (count, sum_s)) in self.measured.iter_mut().zip(sums) {
            measured.look(count, sum_s, after);
        }
    }

    /// Decides, tells the shards whose part has changed, and shows it.
    fn assign(&mut self, now: &[QueueNow]) {
        let given = self.balancer.look(now);
        let slots: Vec<usize> = given.iter().map(|one| one.slots).collect();
        self.spread.assign(&slots);
        for (shard, told) in self.told.iter_mut().enumerate() {
            let row = self.spread.row(shard);
            // A shard whose channel is full is told with the next look.
            if told.as_slice() != row && self.control.shards.try_send(shard, ToShard::Caps(Arc::from(row))) {
                *told = row.to_vec();
            }
        }
        let shown = self.queues.iter().zip(given).map(|(queue, given)| QueueSlots {
            queue: queue.clone(),
            slots: given.slots as u64,
            reason: given.reason.to_string(),
        });
        self.control.note_assignment(shown.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_job_follows_what_ended_since_the_last_look() {
        let mut measured = Measured::default();
        let second = Duration::from_secs(1);
        measured.look(0, 0.0, second);
        assert_eq!(measured.run_s, None);
        measured.look(10, 20.0, 2 * second);
        assert_eq!((measured.run_s, measured.used), (Some(2.0), 5.0), "ten slots for two seconds, damped");
        measured.look(10, 20.0, second);
        assert_eq!((measured.run_s, measured.used), (Some(2.0), 2.5), "nothing has ended");
        measured.look(12, 20.0, second);
        assert_eq!((measured.run_s, measured.used), (Some(1.0), 1.25));
    }
}
