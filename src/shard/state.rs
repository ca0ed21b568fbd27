//! A shard: its parts, each of which owns what it keeps and lets nothing else write to it. `Rc` and `Cell`: it never
//! leaves its core.

use std::cell::RefCell;
use std::rc::Rc;

use super::abroad::Abroad;
use super::appetite::Appetite;
use super::burials::Burials;
use super::caps::Caps;
use super::clock::Clock;
use super::complaints::Complaints;
use super::crew::Seat;
use super::hand::Hand;
use super::held::Held;
use super::ledger::Ledger;
use super::left::Left;
use super::numbers::Numbers;
use super::options::ShardOptions;
use super::paused::PausedHere;
use super::phases::Phases;
use super::rota::Rota;
use super::sight::Sight;
use super::slots::{Share, Slots};
use super::tally::Tally;
use super::waiters::Waiters;
use crate::event::Event;
use crate::handler::Handlers;
use crate::job::Parser;
use crate::shutdown::Phase;
use crate::store::turn::{BatchName, QueueKeys, TurnContext};

/// See the module.
pub(super) struct Shard {
    // Fixed at construction.
    options: ShardOptions,
    turn_context: TurnContext,
    handlers: Rc<Handlers>,
    // What it keeps, each part in its own file.
    /// Its hand, its appetite and its bell, which the other lanes of the core see in a cluster.
    seat: Seat,
    ledger: Ledger,
    slots: Slots,
    rota: Rota,
    waiters: Waiters,
    phases: Phases,
    paused: PausedHere,
    numbers: Numbers,
    abroad: Abroad,
    held: Held,
    burials: Burials,
    left: Left,
    tally: Tally,
    complaints: Complaints,
    clock: Clock,
    parser: RefCell<Parser>,
}

impl Shard {
    /// A shard; in a cluster the lane at this place.
    pub(super) fn new(options: ShardOptions, handlers: Rc<Handlers>, share: Option<Share>) -> Self {
        let keys = options.realm.keys();
        let of_queue = |name: &String| QueueKeys::new(keys, name, &options.uuid, options.shard);
        let queues: Rc<[QueueKeys]> = options.queues.iter().map(|(name, _)| of_queue(name)).collect();
        let ranks: Vec<i32> = options.queues.iter().map(|(_, rank)| *rank).collect();
        let caps = Rc::new(Caps::new(queues.len()));
        let seat = share.as_ref().map(|share| share.crew().seat(share.lane()).clone());
        Self {
            tally: Tally::new(queues.len(), handlers.count()),
            waiters: Waiters::new(options.waiters()),
            turn_context: TurnContext {
                queues,
                keep_in_flight: options.at_least_once,
                dead_jobs_max: options.dead_jobs_max.into(),
                dead_timeout_s: options.dead_timeout.as_secs_f64().into(),
                looks_at_each: false.into(),
            },
            handlers,
            seat: seat.unwrap_or_else(|| Seat::new(0, options.at_least_once)),
            ledger: Ledger::default(),
            slots: Slots::new(options.slots, share, Rc::clone(&caps)),
            rota: Rota::new(options.balance, &ranks, caps, Sight::new(ranks.len(), options.is_told)),
            phases: Phases::default(),
            paused: PausedHere::default(),
            numbers: Numbers::default(),
            abroad: Abroad::default(),
            held: Held::default(),
            burials: Burials::default(),
            left: Left::default(),
            complaints: Complaints::default(),
            clock: Clock::new(options.clock()),
            parser: RefCell::new(Parser::new(options.schema)),
            options,
        }
    }

    pub(super) fn options(&self) -> &ShardOptions {
        &self.options
    }

    /// What is the same in all its turns.
    pub(super) fn turn_context(&self) -> &TurnContext {
        &self.turn_context
    }

    pub(super) fn handlers(&self) -> &Handlers {
        &self.handlers
    }

    /// The batches that are not settled.
    pub(super) fn hand(&self) -> &Hand {
        self.seat.hand()
    }

    /// What it wants from Redis.
    pub(super) fn appetite(&self) -> &Appetite {
        self.seat.appetite()
    }

    /// Wakes [`super::drive`].
    pub(super) fn work(&self) -> &Event {
        self.seat.work()
    }

    /// What is to be reported to Redis.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The jobs that wait at an await point.
    pub(super) fn slots(&self) -> &Slots {
        &self.slots
    }

    /// In which order turns serve the queues.
    pub(super) fn rota(&self) -> &Rota {
        &self.rota
    }

    /// The connections that wait for jobs.
    pub(super) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// The latest phase from control.
    pub(super) fn phases(&self) -> &Phases {
        &self.phases
    }

    /// What operators have paused.
    pub(super) fn paused(&self) -> &PausedHere {
        &self.paused
    }

    /// The numbers of its batches, tasks and calls.
    pub(super) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Jobs that failed and go to the retry set of another realm.
    pub(super) fn abroad(&self) -> &Abroad {
        &self.abroad
    }

    /// What waits for a spoilt key to be fixed.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }

    /// Queues whose oversize payloads a task buries.
    pub(super) fn burials(&self) -> &Burials {
        &self.burials
    }

    /// Jobs of unknown names that were left to other workers.
    pub(super) fn left(&self) -> &Left {
        &self.left
    }

    /// How jobs ended and how long they took.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was logged.
    pub(super) fn complaints(&self) -> &Complaints {
        &self.complaints
    }

    /// What the times of running jobs are computed from.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The buffers that payloads are parsed into.
    pub(super) fn parser(&self) -> &RefCell<Parser> {
        &self.parser
    }

    pub(super) fn queue(&self, at: usize) -> &QueueKeys {
        &self.turn_context.queues[at]
    }

    /// The number of one of its queues among those of the core: a lane has one of them.
    pub(super) fn queue_number(&self, at: usize) -> usize {
        self.slots.share().map_or(at, Share::lane)
    }

    /// The shard's first queue, whose index carries the number of the last turn.
    pub(super) fn home(&self) -> &QueueKeys {
        &self.turn_context.queues[0]
    }

    /// Slots in which a job may start; 0 while too many ended jobs wait.
    pub(super) fn free_slots(&self) -> usize {
        if self.held.is_full() { 0 } else { self.slots.free() }
    }

    /// Begins a phase that control has ordered.
    pub(super) fn enter(&self, phase: Phase) {
        self.phases.enter(phase);
        self.work().raise();
    }

    /// Keeps it quiet while nothing could run its jobs.
    pub(super) fn hold_back(&self, held_back: bool) {
        self.options.stats.held_back.set(u64::from(held_back));
        self.phases.hold_back(held_back);
        self.look_for_jobs();
    }

    /// Looks for jobs with the next turn, because it may be that no waiter waits for them.
    pub(super) fn look_for_jobs(&self) {
        self.appetite().look();
        self.work().raise();
    }

    /// Control says that these queues, by their number, have jobs.
    pub(super) fn hear_of_jobs(&self, queues: &[usize]) {
        let newest = self.numbers.last();
        queues.iter().for_each(|queue| self.rota.sight().hear(*queue, newest));
        self.options.stats.jobs_heard.add(1);
        // If they are paused, or at their caps, it goes on waiting.
        if self.rota.asks_any() {
            self.options.stats.waits.set(0);
            self.work().raise();
        }
    }

    /// Publishes whether it waits for control to tell it of jobs. Returns whether it begins to.
    pub(super) fn begins_to_wait(&self) -> bool {
        let waits = self.rota.sight().is_used()
            && self.phases.now().fetches()
            && self.free_slots() > 0
            && !self.rota.asks_any();
        let waited = &self.options.stats.waits;
        let begins = waits && waited.get() == 0;
        waited.set(u64::from(waits));
        begins
    }

    /// It has got all there was, or cannot ask for more: it does not keep any lower lane from asking.
    pub(super) fn yield_to_lower_lanes(&self) {
        if self.appetite().end_backlog() {
            self.slots.wake_starved_lanes();
        }
    }

    /// Upper bound of the jobs in the wait list of a queue, as far as the shard knows. Acks on their way are not counted.
    pub(super) fn known_in_wait_list(&self, queue: usize) -> usize {
        let reported = self.ledger.jobs_in(queue, BatchName::Wait);
        self.hand().jobs_in(queue, BatchName::Wait) + reported + self.held.in_wait_list(queue).len()
    }

    /// A queue that cannot be read.
    pub(super) fn complain(&self, queue: usize, error: &str) {
        self.complaints.unreadable(queue, &self.queue(queue).name, error);
    }

    /// Whether anything is owed to Redis, as far as the shard knows: a job that runs, waits for a slot or has ended. A
    /// job whose delivery was lost is not among these; a reaper finds it.
    pub(super) fn owes(&self) -> bool {
        !(self.slots.are_free() && self.hand().is_empty() && self.ledger.is_empty())
    }

    /// Publishes the gauges.
    pub(super) fn publish(&self) {
        let stats = &self.options.stats;
        if let Some(share) = self.slots.share() {
            return share.crew().publish(stats);
        }
        stats.running.set(self.slots.running() as u64);
        stats.unstarted.set(self.hand().unstarted() as u64);
    }
}
