//! What the tasks of one shard share. `Rc` and `Cell`: it never leaves its core.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::fast::RandomState;

use super::abroad::Abroad;
use super::batch::Batch;
use super::crew::Crew;
use super::deadlines::Deadlines;
use super::held::Held;
use super::oversize::More;
use super::pace::Pace;
use super::start::RunningJob;
use super::wait::Waiter;
use crate::event::Event;
use crate::handler::Handlers;
use crate::job::Parser;
use crate::limits::{READ_AHEAD_AT_MOST_ONCE, READ_AHEAD_HORIZON, STAMP_STEP_S};
use crate::net::Stopper;
use crate::resp::RedisUrl;
use crate::shutdown::Phase;
use crate::stats::ShardStats;
use crate::store::turn::{BatchName, QueueKeys, Settlement, TurnContext};
use crate::time::unix_now;
use crate::wire::Realm;

/// What one shard is told before it starts.
#[derive(Debug, Clone)]
pub(crate) struct ShardOptions {
    /// Its number, from 0.
    pub(crate) shard: usize,
    /// The process it belongs to: 12 hex digits.
    pub(crate) uuid: String,
    /// Where Redis is.
    pub(crate) url: RedisUrl,
    /// The keys its queues share.
    pub(crate) realm: Realm,
    /// The queues it serves, highest priority first; equal numbers share.
    pub(crate) queues: Vec<(String, i32)>,
    /// Jobs it may run side by side.
    pub(crate) slots: usize,
    /// Whether a job stays in Redis until it is settled.
    pub(crate) at_least_once: bool,
    /// Entries the dead set keeps.
    pub(crate) dead_jobs_max: u64,
    /// How long an entry stays in the dead set.
    pub(crate) dead_timeout: Duration,
    /// How long one blocking call waits in Redis, in whole seconds.
    pub(crate) block_time: Duration,
    /// Its published counters.
    pub(crate) stats: Arc<ShardStats>,
}

/// The shared state of one shard.
pub(super) struct Shard {
    // Fixed at construction.
    pub(super) options: ShardOptions,
    pub(super) turns: TurnContext,
    pub(super) handlers: Rc<Handlers>,
    /// In a cluster, the lanes of this core: it is one of them.
    pub(super) crew: Option<Rc<Crew>>,
    /// One a queue at least once, one for all at most once.
    pub(super) waiters: Vec<Waiter>,
    // What control last said.
    pub(super) phase: Cell<Phase>,
    /// When a stop was first asked for.
    pub(super) stop_asked_at: Cell<Option<Instant>>,
    /// Wakes who waits without a connection, or for one.
    pub(super) phase_changed: Event,
    /// Ends the connection that the shard works over.
    pub(super) link_stopper: RefCell<Option<Stopper>>,
    /// Wakes [`super::drive`].
    pub(super) work: Event,
    // Jobs.
    pub(super) parser: RefCell<Parser>,
    pub(super) pace: RefCell<Pace>,
    /// Batches with unstarted jobs, in the order in which they came.
    pub(super) ready: RefCell<VecDeque<Rc<Batch>>>,
    /// Batches that are not settled.
    pub(super) live: RefCell<HashMap<u64, Rc<Batch>, RandomState>>,
    /// Unsettled batches of which some jobs succeeded, with the time of the first.
    pub(super) owing: RefCell<VecDeque<(Rc<Batch>, Instant)>>,
    /// What the next turn reports, and since when it waits.
    pub(super) settlement: RefCell<Settlement>,
    pub(super) settled_at: Cell<Option<Instant>>,
    /// The last [`Self::stamp`].
    pub(super) stamped: Cell<f64>,
    /// Jobs that wait at an await point, by a number of their own.
    pub(super) tasks: RefCell<HashMap<u64, RunningJob, RandomState>>,
    /// The last job that ended before it was noted in `tasks`.
    pub(super) ended_at_once: Cell<u64>,
    /// When those are over that have a timeout.
    pub(super) deadlines: Deadlines,
    pub(super) unstarted: Cell<usize>,
    /// The last fetch brought all that was asked for: more is likely to wait.
    pub(super) backlog: Cell<bool>,
    /// The last fetch brought nothing and nothing came since: the shard waits in Redis.
    pub(super) idle: Cell<bool>,
    /// Jobs that its turns have asked for and not got yet.
    pub(super) coming: Cell<usize>,
    /// It would ask for jobs, and there was no slot, or another lane's turn to ask.
    pub(super) starved: Cell<bool>,
    /// Jobs that failed and go to the retry set of another realm.
    pub(super) abroad: Abroad,
    /// Queues whose oversize payloads a task buries.
    pub(super) burying: RefCell<HashMap<usize, More>>,
    /// Queues whose errors were logged.
    pub(super) complained: RefCell<HashSet<usize>>,
    /// What waits for a spoilt key to be mended.
    pub(super) held: Held,
    /// A turn is to be made though there is nothing to report or to fetch.
    pub(super) must_turn: Cell<bool>,
    /// Calls may lie in a connection that was given up, and reach Redis later.
    pub(super) lost_a_connection: Cell<bool>,
    /// What the times of running jobs are told by; see [`super::named`].
    pub(super) clock: Cell<(Instant, f64)>,
    next_id: Cell<u64>,
}

impl Shard {
    pub(super) fn new(options: ShardOptions, handlers: Rc<Handlers>, crew: Option<Rc<Crew>>) -> Self {
        let keys = |name: &String| QueueKeys::new(name, &options.uuid, options.shard);
        let queues: Rc<[QueueKeys]> = options.queues.iter().map(|(name, _)| keys(name)).collect();
        let waiters = if options.at_least_once { queues.len() } else { 1 };
        let horizon = if options.at_least_once { READ_AHEAD_HORIZON } else { READ_AHEAD_AT_MOST_ONCE };
        Self {
            turns: TurnContext {
                queues,
                keep_in_flight: options.at_least_once,
                dead_jobs_max: options.dead_jobs_max.into(),
                dead_timeout_s: options.dead_timeout.as_secs_f64().into(),
                looks_at_each: false.into(),
            },
            handlers,
            crew,
            waiters: (0..waiters).map(Waiter::new).collect(),
            phase: Cell::new(Phase::Running),
            stop_asked_at: Cell::new(None),
            phase_changed: Event::default(),
            link_stopper: RefCell::default(),
            work: Event::default(),
            parser: RefCell::new(Parser::new()),
            pace: RefCell::new(Pace::new(horizon)),
            ready: RefCell::default(),
            live: RefCell::default(),
            owing: RefCell::default(),
            settlement: RefCell::default(),
            settled_at: Cell::new(None),
            stamped: Cell::new(0.0),
            tasks: RefCell::default(),
            ended_at_once: Cell::new(0),
            deadlines: Deadlines::default(),
            unstarted: Cell::new(0),
            backlog: Cell::new(false),
            idle: Cell::new(false),
            coming: Cell::new(0),
            starved: Cell::new(false),
            abroad: Abroad::default(),
            burying: RefCell::default(),
            complained: RefCell::default(),
            held: Held::default(),
            must_turn: Cell::new(false),
            lost_a_connection: Cell::new(false),
            clock: Cell::new((Instant::now(), unix_now())),
            next_id: Cell::new(1),
            options,
        }
    }

    /// A number not given out before: of a batch, a task, a turn or another call.
    pub(super) fn fresh_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    /// The highest number given out.
    pub(super) fn last_id(&self) -> u64 {
        self.next_id.get() - 1
    }

    /// Unix time now, later than any stamp before: two jobs of equal bytes that fail at one moment stay two members.
    pub(super) fn stamp(&self) -> f64 {
        let stamp = next_stamp(self.stamped.get(), unix_now());
        self.stamped.set(stamp);
        stamp
    }

    pub(super) fn queue(&self, at: usize) -> &QueueKeys {
        &self.turns.queues[at]
    }

    /// The shard's first queue, whose index carries the number of the last turn.
    pub(super) fn home(&self) -> &QueueKeys {
        &self.turns.queues[0]
    }

    /// Slots that no job holds; none while too many jobs wait that have ended.
    pub(super) fn free_slots(&self) -> usize {
        if self.held.is_full() {
            return 0;
        }
        match &self.crew {
            None => self.options.slots.saturating_sub(self.tasks.borrow().len()),
            Some(crew) => crew.free_slots(),
        }
    }

    /// Takes a batch in: its jobs wait for slots from now on.
    pub(super) fn accept_batch(&self, queue: usize, name: BatchName, payloads: Vec<Bytes>) {
        let count = payloads.len();
        if count == 0 {
            return;
        }
        let bytes = payloads.iter().map(Bytes::len).sum();
        self.pace.borrow_mut().observe_batch(count, bytes);
        self.options.stats.fetched.add(count as u64);
        self.unstarted.set(self.unstarted.get() + count);
        let batch = Rc::new(Batch::new(self.fresh_id(), queue, name, payloads, Instant::now()));
        self.live.borrow_mut().insert(batch.id, Rc::clone(&batch));
        self.ready.borrow_mut().push_back(batch);
    }

    /// The order in which a turn serves the queues: by priority, queues of equal priority taking turns to be first.
    pub(super) fn queue_order(&self, turn: u64, order: &mut Vec<usize>) {
        order.clear();
        let queues = &self.options.queues;
        let mut start = 0;
        while start < queues.len() {
            let equals = queues[start..].iter().take_while(|queue| queue.1 == queues[start].1).count();
            let first = usize::try_from(turn % equals as u64).unwrap_or(0);
            order.extend((0..equals).map(|at| start + (first + at) % equals));
            start += equals;
        }
    }

    /// A queue that cannot be read: said once a process and queue, for it will be so again at each fetch.
    pub(super) fn complain(&self, queue: usize, error: &str) {
        if self.complained.borrow_mut().insert(queue) {
            let queue = &*self.queue(queue).name;
            tracing::error!(
                queue,
                error,
                "this queue cannot be read; is its key a list, and may this user read it?"
            );
        }
    }

    /// Publishes the gauges.
    pub(super) fn publish(&self) {
        if let Some(crew) = &self.crew {
            return crew.publish(&self.options.stats);
        }
        self.options.stats.running.set(self.tasks.borrow().len() as u64);
        self.options.stats.unstarted.set(self.unstarted.get() as u64);
    }
}

/// The stamp after `last` at the time `now`.
fn next_stamp(last: f64, now: f64) -> f64 {
    now.max(last + STAMP_STEP_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_differ_though_the_clock_stands_and_so_do_the_times_planned_from_them() {
        let now = 1_795_299_919.812_253_5;
        let stamps: Vec<f64> =
            std::iter::successors(Some(now), |last| Some(next_stamp(*last, now))).take(1_000).collect();
        for pause_s in [0.0, 0.1, 60.0, 1e6 / 3.0] {
            assert!(stamps.windows(2).all(|pair| pair[0] + pause_s < pair[1] + pause_s), "{pause_s}");
        }
        assert_eq!(next_stamp(stamps[999], now + 1.0), now + 1.0, "the clock is caught up with");
    }
}
