//! The phase that control has told a shard, since when a stop is asked for, and the connection that a stop must hurry.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use crate::event::Event;
use crate::limits::STOP_PATIENCE;
use crate::net::Stopper;
use crate::shutdown::Phase;

/// See the module.
pub(super) struct Phases {
    now: Cell<Phase>,
    /// When a stop was first asked for.
    stop_asked_at: Cell<Option<Instant>>,
    /// Wakes who waits without a connection, or for one.
    changed: Event,
    /// Ends the connection that the shard works over.
    link: RefCell<Option<Stopper>>,
}

impl Default for Phases {
    fn default() -> Self {
        Self {
            now: Cell::new(Phase::Running),
            stop_asked_at: Cell::new(None),
            changed: Event::default(),
            link: RefCell::default(),
        }
    }
}

impl Phases {
    /// The phase as control last said.
    pub(super) fn now(&self) -> Phase {
        self.now.get()
    }

    /// Takes over a phase. From the moment a stop is asked for no answer is awaited for long: a connection that died
    /// unnoticed must leave time for another.
    pub(super) fn enter(&self, phase: Phase) {
        self.now.set(phase);
        if phase.ends() {
            if self.stop_asked_at.get().is_none() {
                self.stop_asked_at.set(Some(Instant::now()));
            }
            if let Some(link) = &*self.link.borrow() {
                link.hurry(STOP_PATIENCE);
            }
        }
        self.changed.raise();
    }

    /// Notes the connection that the shard works over from now on.
    pub(super) fn work_over(&self, link: Stopper) {
        if self.now.get().ends() {
            link.hurry(STOP_PATIENCE);
        }
        *self.link.borrow_mut() = Some(link);
    }

    /// When a stop was first asked for.
    pub(super) fn stop_asked_at(&self) -> Option<Instant> {
        self.stop_asked_at.get()
    }

    /// How long the shard may sleep before the phase asks for something.
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

    /// Sleeps, but not beyond a change of phase.
    pub(super) async fn sleep(&self, pause: Duration) {
        let timer = async {
            Timer::new(pause).await;
        };
        futures_lite::future::or(self.changed.wait(), timer).await;
    }
}
