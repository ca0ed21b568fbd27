//! Gives the slots of this process to its queues, once a second, under `--balance even` and `adaptive`; otherwise it is not
//! there. It asks how long the queues are, over connections of its own, and the shards how long their jobs take;
//! [`crate::balance`] decides, and each shard is told how many slots of each queue it has.
//!
//! A look that Redis does not answer changes nothing: the last assignment stays. With it goes the word to other processes
//! what this one gives, when that has changed, and now and then; a last one when it takes no more jobs.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::actor::Actor;
use super::link::ControlLink;
use super::options::BalanceOptions;
use super::shards::CountsFor;
use super::state::Control;
use crate::balance::{Balancer, QueueNow, Spread, Wish};
use crate::limits::{BALANCE_INTERVAL, BALANCE_STEP};
use crate::mesh::ToShard;
use crate::net::Error;
use crate::resp::{Reply, Requests};
use crate::store::{lengths, slots};
use crate::wire::figures::QueueSlots;
use crate::wire::slots::SlotsNews;

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
    /// What other processes were told last, and when.
    news: Option<(SlotsNews, Instant)>,
    /// Whether it was said that they hear nothing.
    is_mute: bool,
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
        news: None,
        is_mute: false,
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
            // A new phase is heeded at once.
            let _woken = self.control.balance_wakes().wait_for(BALANCE_INTERVAL).await;
            let looked =
                if self.control.phase().fetches() { self.look().await } else { self.take_leave().await };
            if let Err(error) = looked {
                // Tasks that need Redis more log its outages.
                tracing::debug!(%error, "cannot see how long queues are; slots stay as they are");
            }
        }
    }

    /// Looks at the queues, and gives the slots anew.
    async fn look(&mut self) -> Result<(), Error> {
        let lengths = self.lengths().await?;
        self.measure().await;
        let paused = self.control.paused_now();
        let others = self.control.others();
        let queue = |((length, measured), name): ((&u64, &Measured), &String)| QueueNow {
            length: *length,
            running: measured.used.round() as usize,
            run_s: measured.run_s,
            is_paused: paused.queues.contains(name),
            elsewhere: others.give(name),
        };
        let now: Vec<QueueNow> = lengths.iter().zip(&self.measured).zip(&self.queues).map(queue).collect();
        self.balancer.set_news_every(others.pause().as_secs_f64() / BALANCE_INTERVAL.as_secs_f64());
        drop(others);
        self.assign(&now);
        Ok(())
    }

    /// How many jobs wait in each queue: one round trip, in a cluster one for each queue. Others are told of the last look
    /// with the first of them.
    async fn lengths(&mut self) -> Result<Vec<u64>, Error> {
        let mut news = self.news_now();
        let mut lengths = vec![0; self.queues.len()];
        for duty in 0..self.links.len() {
            let served = self.queues_of(duty);
            let mut link = self.link(duty).await?;
            let names = || served.iter().map(|queue| self.queues[*queue].as_str());
            let keys = self.control.options.keys;
            let replies = link
                .replies(|_, requests| {
                    lengths::ask(keys, names(), requests);
                    self.tell(news.as_ref(), requests);
                })
                .await?;
            for (queue, reply) in served.iter().zip(&replies) {
                lengths[*queue] = lengths::read(reply);
            }
            self.links[duty] = Some(link);
            if let Some(news) = news.take() {
                self.note_told(news, replies.get(served.len()));
            }
        }
        Ok(lengths)
    }

    /// Tells others that this process gives its queues nothing more, once.
    async fn take_leave(&mut self) -> Result<(), Error> {
        let nothing = SlotsNews::new(&self.control.options.uuid, []);
        if self.news.as_ref().is_none_or(|(told, _)| *told == nothing) {
            return Ok(());
        }
        let mut link = self.link(0).await?;
        let replies = link.replies(|_, requests| self.tell(Some(&nothing), requests)).await?;
        self.links[0] = Some(link);
        self.note_told(nothing, replies.first());
        Ok(())
    }

    /// The connection of a duty.
    async fn link(&mut self, duty: usize) -> Result<ControlLink, Error> {
        match self.links[duty].take() {
            Some(link) => Ok(link),
            None => ControlLink::open(&self.control, duty, "balance").await,
        }
    }

    /// What others are to be told now: what has changed, but not too often, and now and then what has not.
    fn news_now(&self) -> Option<SlotsNews> {
        let assignment = self.control.assignment();
        let now = SlotsNews::new(
            &self.control.options.uuid,
            assignment.iter().map(|one| (one.queue.as_str(), one.slots)),
        );
        let Some((told, at)) = &self.news else { return Some(now) };
        let others = self.control.others();
        // Looks are not exactly as long as their interval.
        let pause = if *told == now { others.period() } else { others.pause() }.mul_f64(0.9);
        (at.elapsed() >= pause).then_some(now)
    }

    fn tell(&self, news: Option<&SlotsNews>, requests: &mut Requests) {
        if let Some(news) = news {
            slots::tell(self.control.options.keys, self.control.options.url.database(), news, requests);
        }
    }

    /// Notes what others were told. A user who may not tell them says so once.
    fn note_told(&mut self, news: SlotsNews, reply: Option<&Reply>) {
        self.news = Some((news, Instant::now()));
        if let Some(Err(error)) = reply.map(slots::told) {
            if !std::mem::replace(&mut self.is_mute, true) {
                tracing::warn!(%error, "other processes do not learn how many slots this one gives to its queues: redis refused it");
            }
        } else {
            self.is_mute = false;
        }
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
