//! What all connections share.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::access::Access;
use super::counts::Counts;
use super::fleet::Fleet;
use super::kept::Kept;
use super::options::{Shown, WorkerSide};
use super::pages::{Desk, Live};
use super::pulse::Pulse;
use crate::io::permits::Permits;
use crate::io::{self, timer};
use crate::limits::{STALLED_AFTER, WEB_CONNECTIONS_MAX, WEB_SWEEP_PERIOD};
use crate::stats::{ControlStats, ShardStats};
use crate::time::unix_now;

/// See the module.
pub(super) struct State {
    // Fixed.
    pub(super) access: Access,
    /// See [`Shown::prefix`].
    pub(super) prefix: String,
    pub(super) is_loopback: bool,
    pub(super) about: About,
    pub(super) worker: Option<Worker>,
    // Changed by their own methods.
    pub(super) fleet: Fleet,
    /// Where one PING can tell: a cluster has many servers.
    pub(super) pulse: Option<Rc<Pulse>>,
    pub(super) desk: Rc<Desk>,
    pub(super) live: Rc<Live>,
    pub(super) awake: Awake,
    /// The latest answers to questions for metrics.
    pub(super) kept: Kept,
    /// One answer is made at a time: those that wait for it find it kept.
    pub(super) turns: Permits,
}

/// What the process is.
pub(super) struct About {
    pub(super) version: &'static str,
    pub(super) program: String,
    pub(super) tag: String,
    /// Unix seconds.
    pub(super) started_at: f64,
}

/// The process that runs jobs.
pub(super) struct Worker {
    pub(super) shards: Vec<Arc<ShardStats>>,
    pub(super) slots: Vec<usize>,
    pub(super) control: Arc<ControlStats>,
    pub(super) counts: Counts,
}

impl State {
    /// Begins to listen to the shards.
    pub(super) fn start(shown: Shown) -> Rc<Self> {
        let Shown {
            access,
            prefix,
            is_loopback,
            url,
            keys,
            schema,
            client_name,
            version,
            program,
            tag,
            worker,
        } = shown;
        let worker = worker.map(|WorkerSide { shards, slots, control, counts }| Worker {
            counts: Counts::start(counts),
            shards,
            slots,
            control,
        });
        let state = Rc::new(Self {
            access,
            prefix,
            is_loopback,
            about: About { version, program, tag, started_at: unix_now() },
            worker,
            pulse: (!url.is_cluster()).then(|| Pulse::new(url.clone(), client_name.clone())),
            desk: Rc::new(Desk::new(url.clone(), keys, schema, client_name.clone())),
            live: Rc::default(),
            fleet: Fleet::new(url, keys, schema, client_name),
            awake: Awake::new(Instant::now()),
            kept: Kept::default(),
            turns: Permits::new(1, WEB_CONNECTIONS_MAX),
        });
        io::spawn(keep_awake(Rc::clone(&state))).detach();
        state
    }
}

async fn keep_awake(state: Rc<State>) {
    loop {
        timer::sleep(WEB_SWEEP_PERIOD).await;
        state.awake.tick(Instant::now());
    }
}

/// For how long this process has had time to run: after a pause of all of it (SIGSTOP, a suspended machine) what shards
/// publish is old, and says nothing about them.
pub(super) struct Awake {
    since: Cell<Instant>,
    last: Cell<Instant>,
}

impl Awake {
    fn new(now: Instant) -> Self {
        Self { since: Cell::new(now), last: Cell::new(now) }
    }

    fn tick(&self, now: Instant) {
        if self.overslept(now) {
            self.since.set(now);
        }
        self.last.set(now);
    }

    fn overslept(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last.get()) >= WEB_SWEEP_PERIOD + STALLED_AFTER / 2
    }

    /// How long.
    pub(super) fn time(&self, now: Instant) -> Duration {
        if self.overslept(now) { Duration::ZERO } else { now.saturating_duration_since(self.since.get()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_the_whole_process_begins_the_time_anew() {
        let start = Instant::now();
        let awake = Awake::new(start);
        let at = |s| start + Duration::from_secs(s);
        for s in 1..=10 {
            awake.tick(at(s));
        }
        assert_eq!(awake.time(at(10)), Duration::from_secs(10));
        // Paused: a request may be looked at before the tick.
        assert_eq!(awake.time(at(60)), Duration::ZERO);
        awake.tick(at(60));
        assert_eq!(awake.time(at(61)), Duration::from_secs(1));
    }
}
