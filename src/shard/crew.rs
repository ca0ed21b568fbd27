//! The lanes of one core, in a Redis Cluster: one for each queue, each with connections of its own to the node that has the
//! queue's slot, and all with one core, its handlers and its slots between them.
//!
//! A lane is a whole shard of one queue; this is what they share. A lane that has nothing to do with its slots leaves them
//! to the others: there is no share of one's own. Where they are short
//!
//! - a lane asks for no more jobs than there are slots that no job holds, and none that is on its way or waits here;
//! - while a lane of higher priority has a backlog, those below ask for nothing;
//! - when a slot comes free, those that want it are woken by priority, equal ones in turns.
//!
//! On one Redis a shard has all its queues to itself, and none of this exists.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::life;
use super::state::{Shard, ShardOptions};
use crate::handler::Handlers;
use crate::mesh::Ending;
use crate::shutdown::Phase;
use crate::stats::ShardStats;
use crate::wire::{Realm, keys};

/// What the lanes of one core share.
pub(super) struct Crew {
    // Fixed at construction.
    slots: usize,
    // Changed by the lanes.
    /// Highest priority first; empty before they begin and after their end.
    lanes: RefCell<Rc<[Rc<Shard>]>>,
    /// Slots that jobs hold.
    used: Cell<usize>,
    /// Lanes without Redis.
    outages: Cell<usize>,
    /// How often lanes were woken: which of equal ones comes first.
    wakes: Cell<usize>,
}

/// The lanes that a shard has: itself, or in a cluster one for each queue.
pub(super) fn lanes(options: ShardOptions, handlers: Handlers) -> Rc<[Rc<Shard>]> {
    let handlers = Rc::new(handlers);
    if !options.url.is_cluster() {
        return [Rc::new(Shard::new(options, handlers, None))].into();
    }
    let crew = Rc::new(Crew {
        slots: options.slots,
        lanes: RefCell::new(Rc::new([])),
        used: Cell::new(0),
        outages: Cell::new(0),
        wakes: Cell::new(0),
    });
    let lane = |queue: &(String, i32)| {
        let options = ShardOptions {
            url: options.url.at_key(keys::queue(&queue.0).as_bytes()),
            realm: Realm::of_queue(&queue.0),
            queues: vec![queue.clone()],
            ..options.clone()
        };
        Rc::new(Shard::new(options, Rc::clone(&handlers), Some(Rc::clone(&crew))))
    };
    let lanes: Rc<[Rc<Shard>]> = options.queues.iter().map(lane).collect();
    *crew.lanes.borrow_mut() = Rc::clone(&lanes);
    lanes
}

/// Runs all lanes to their end: the worst of their endings. One that is taken for dead ends the others at once, for the
/// process will go on under a new name.
pub(super) async fn work(lanes: &Rc<[Rc<Shard>]>) -> Ending {
    if let [shard] = &**lanes
        && shard.crew.is_none()
    {
        return life::work(shard).await;
    }
    let run = |lane: &Rc<Shard>| {
        let (lane, lanes) = (Rc::clone(lane), Rc::clone(lanes));
        glommio::spawn_local(async move {
            let how = life::work(&lane).await;
            if how == Ending::Fenced {
                let phase = Phase::Stopping { deadline: Instant::now() };
                lanes.iter().for_each(|other| other.enter(phase));
            }
            how
        })
    };
    let running: Vec<_> = lanes.iter().map(run).collect();
    let mut worst = Ending::Clean;
    for lane in running {
        worst = worse(worst, lane.await);
    }
    if let Some(crew) = lanes.first().and_then(|lane| lane.crew.as_ref()) {
        // They hold each other.
        *crew.lanes.borrow_mut() = Rc::new([]);
    }
    worst
}

/// The worse of two endings; jobs left behind add up.
fn worse(one: Ending, other: Ending) -> Ending {
    let rank = |how| match how {
        Ending::Clean => 0,
        Ending::Unheard => 1,
        Ending::LeftBehind { .. } => 2,
        Ending::Fenced => 3,
        Ending::NoState => 4,
    };
    match (one, other) {
        (Ending::LeftBehind { jobs: some }, Ending::LeftBehind { jobs: more }) => {
            Ending::LeftBehind { jobs: some + more }
        }
        (one, other) if rank(one) >= rank(other) => one,
        (_, other) => other,
    }
}

impl Crew {
    /// Slots that no job holds.
    pub(super) fn free_slots(&self) -> usize {
        self.slots.saturating_sub(self.used.get())
    }

    /// Slots that a lane may ask jobs for: those of other lanes that are on their way, or wait here, have a claim on one.
    pub(super) fn free_for(&self, lane: &Shard) -> usize {
        let claimed: usize = self.others(lane).map(|other| other.unstarted.get() + other.coming.get()).sum();
        self.free_slots().saturating_sub(claimed)
    }

    fn others<'c>(&'c self, lane: &'c Shard) -> impl Iterator<Item = Rc<Shard>> + 'c {
        let lanes = Rc::clone(&self.lanes.borrow());
        let is_other = move |other: &Rc<Shard>| !std::ptr::eq(&**other, lane);
        (0..lanes.len()).map(move |at| Rc::clone(&lanes[at])).filter(is_other)
    }

    /// Wakes the lanes that would ask for jobs.
    pub(super) fn wake_starved(&self) {
        let lanes = Rc::clone(&self.lanes.borrow());
        self.wakes.set(self.wakes.get().wrapping_add(1));
        let mut start = 0;
        while start < lanes.len() {
            let equals = lanes[start..].iter().take_while(|lane| lane.rank() == lanes[start].rank()).count();
            for at in 0..equals {
                let lane = &lanes[start + (self.wakes.get() + at) % equals];
                if lane.starved.take() {
                    lane.work.raise();
                }
            }
            start += equals;
        }
    }

    pub(super) fn publish(&self, stats: &ShardStats) {
        stats.running.set(self.used.get() as u64);
        stats.unstarted.set(self.lanes.borrow().iter().map(|lane| lane.unstarted.get() as u64).sum());
    }

    pub(super) fn outage_begins(&self, stats: &ShardStats) {
        if self.outages.replace(self.outages.get() + 1) == 0 {
            stats.outage_since.mark();
        }
    }

    pub(super) fn outage_ends(&self, stats: &ShardStats) {
        self.outages.set(self.outages.get().saturating_sub(1));
        if self.outages.get() == 0 {
            stats.outage_since.clear();
        }
    }
}

impl Shard {
    /// The priority of a lane: it has one queue.
    fn rank(&self) -> i32 {
        self.options.queues.first().map_or(0, |queue| queue.1)
    }

    /// A job begins to wait.
    pub(super) fn take_slot(&self) {
        if let Some(crew) = &self.crew {
            crew.used.set(crew.used.get() + 1);
        }
    }

    /// Jobs that waited have ended.
    pub(super) fn give_slots_back(&self, count: usize) {
        if let Some(crew) = &self.crew {
            crew.used.set(crew.used.get().saturating_sub(count));
            crew.wake_starved();
        }
    }

    /// Whether a lane of higher priority has more jobs than it got.
    pub(super) fn is_outranked(&self) -> bool {
        let Some(crew) = &self.crew else { return false };
        crew.others(self).any(|other| other.rank() > self.rank() && other.backlog.get())
    }

    /// It has got all there was, or cannot ask for more: it keeps no lane below from asking.
    pub(super) fn yield_to_lower_lanes(&self) {
        if self.backlog.replace(false) {
            self.wake_starved_lanes();
        }
    }

    /// It is without Redis: what it has asked for does not come, and it keeps no lane below from asking.
    pub(super) fn claims_nothing(&self) {
        if let Some(crew) = &self.crew {
            self.coming.set(0);
            self.backlog.set(false);
            crew.wake_starved();
        }
    }

    /// It has a claim on fewer slots than before: a turn has brought what it will, jobs have started or went back.
    pub(super) fn wake_starved_lanes(&self) {
        if let Some(crew) = &self.crew {
            crew.wake_starved();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_ending_counts_and_jobs_left_behind_add_up() {
        let left = |jobs| Ending::LeftBehind { jobs };
        assert_eq!(worse(Ending::Clean, Ending::Unheard), Ending::Unheard);
        assert_eq!(worse(left(2), left(3)), left(5));
        assert_eq!(worse(Ending::Fenced, left(3)), Ending::Fenced);
        assert_eq!(worse(left(1), Ending::Clean), left(1));
    }
}
