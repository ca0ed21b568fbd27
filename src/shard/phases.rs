//! The phase that control has set for a shard, since when a stop has been requested, and the connection that a stop must
//! hurry.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use crate::event::Event;
use crate::limits::{STOP_LAST_PATIENCE, STOP_PATIENCE, STOP_RETRY_PAUSE};
use crate::net::Stopper;
use crate::shutdown::Phase;

/// See the module.
pub(super) struct Phases {
    now: Cell<Phase>,
    /// Nothing could run the jobs: it is quiet until that is over.
    held_back: Cell<bool>,
    /// When a stop was first requested.
    stop_asked_at: Cell<Option<Instant>>,
    /// Whether the end of a stop was moved forward since.
    is_cut_short: Cell<bool>,
    /// Wakes tasks that wait without a connection, or for one.
    changed: Event,
    /// Ends the connection that the shard works over.
    link: RefCell<Option<Stopper>>,
    /// Whether that connection has not answered since a stop was requested.
    is_unproved: Cell<bool>,
}

impl Default for Phases {
    fn default() -> Self {
        Self {
            now: Cell::new(Phase::Running),
            held_back: Cell::new(false),
            stop_asked_at: Cell::new(None),
            is_cut_short: Cell::new(false),
            changed: Event::default(),
            link: RefCell::default(),
            is_unproved: Cell::new(false),
        }
    }
}

impl Phases {
    /// The latest phase from control; quiet instead of running while it is held back.
    pub(super) fn now(&self) -> Phase {
        match self.now.get() {
            Phase::Running if self.held_back.get() => Phase::Quiet,
            phase => phase,
        }
    }

    /// Whether something keeps it quiet besides control.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_back.get()
    }

    /// Keeps the shard quiet, or no longer.
    pub(super) fn hold_back(&self, held_back: bool) {
        self.held_back.set(held_back);
        self.changed.raise();
    }

    /// Enters a phase. From the moment a stop is requested no answer is awaited for long: a connection that died
    /// unnoticed must leave time for another.
    pub(super) fn enter(&self, phase: Phase) {
        let before = self.now.replace(phase);
        if phase.ends() {
            let is_sooner = before.deadline().zip(phase.deadline()).is_some_and(|(before, now)| now < before);
            if is_sooner {
                self.is_cut_short.set(true);
            }
            if self.stop_asked_at.get().is_none() {
                self.stop_asked_at.set(Some(Instant::now()));
                self.is_unproved.set(true);
            }
            self.hurry();
        }
        self.changed.raise();
    }

    /// Whether a second signal, or an order to stop at once, moved the end of the stop forward.
    pub(super) fn is_cut_short(&self) -> bool {
        self.is_cut_short.get()
    }

    /// Limits the wait for any answer to what a stop allows now: less from its deadline on.
    pub(super) fn hurry(&self) {
        let late = self.now.get().is_over(Instant::now());
        if let Some(link) = &*self.link.borrow() {
            link.hurry(if late { STOP_LAST_PATIENCE } else { STOP_PATIENCE });
        }
    }

    /// Whether the connection is to be probed for an answer, because a stop begins: one that died unnoticed is found
    /// while there is time for another. True only once.
    pub(super) fn take_unproved(&self) -> bool {
        self.is_unproved.take()
    }

    /// Notes the connection that the shard works over from now on.
    pub(super) fn work_over(&self, link: Stopper) {
        *self.link.borrow_mut() = Some(link);
        self.is_unproved.set(false);
        if self.now.get().ends() {
            self.hurry();
        }
    }

    /// When a stop was first requested.
    pub(super) fn stop_asked_at(&self) -> Option<Instant> {
        self.stop_asked_at.get()
    }

    /// How long the shard may sleep before the phase requires something.
    pub(super) fn until_deadline(&self, now: Instant) -> Option<Duration> {
        match self.now.get() {
            Phase::Stopping { deadline } => Some(deadline.saturating_duration_since(now)),
            Phase::Running | Phase::Quiet => None,
        }
    }

    /// Waits for another phase.
    pub(super) async fn change(&self) {
        self.changed.wait().await;
    }

    /// Sleeps before another attempt to connect, but not beyond a change of phase, and only briefly while stopping.
    pub(super) async fn rest_before_attempt(&self, pause: Duration) {
        self.sleep(if self.now.get().ends() { pause.min(STOP_RETRY_PAUSE) } else { pause }).await;
    }

    /// Sleeps, but not beyond a change of phase.
    pub(super) async fn sleep(&self, pause: Duration) {
        let timer = async {
            Timer::new(pause).await;
        };
        futures_lite::future::or(self.changed.wait(), timer).await;
    }
}
