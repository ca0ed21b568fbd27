//! What operators have paused, as a shard knows it: classes of jobs, and whether its queues have changed.
//!
//! Which of its queues are paused is in the [`rota`](super::rota), because that decides what is asked for. What follows from
//! a change is up to [`super::pausing`]. Jobs of a paused class are told apart only once they are here ([`super::steps`]).

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::wire::paused::PausedNow;

/// See the module.
#[derive(Default)]
pub(super) struct PausedHere {
    now: RefCell<Arc<PausedNow>>,
    /// Whether any class is: asked for each job.
    any_class: Cell<bool>,
    /// Queues were paused or resumed, and that was not heeded yet.
    is_news: Cell<bool>,
}

impl PausedHere {
    /// Whether jobs of this class are not to run.
    #[inline]
    pub(super) fn stops(&self, class: &str) -> bool {
        self.any_class.get() && self.now.borrow().classes.contains(class)
    }

    /// From now on this is paused, and nothing else.
    pub(super) fn set(&self, now: &Arc<PausedNow>) {
        self.any_class.set(!now.classes.is_empty());
        self.now.replace(Arc::clone(now));
    }

    /// Queues were paused or resumed, or that was heeded. Returns whether it was news before.
    pub(super) fn note(&self, is_news: bool) -> bool {
        self.is_news.replace(is_news)
    }

    /// Whether queues were paused or resumed since that was last heeded.
    pub(super) fn is_news(&self) -> bool {
        self.is_news.get()
    }
}
