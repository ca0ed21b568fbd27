//! How a child is made to end: because a job does not, or because it has none left.

use std::rc::Rc;

use super::child::Child;
use crate::io::timer::sleep;
use crate::limits::runner::{RUNNER_CANCEL_GRACE, RUNNER_TERM_GRACE};

/// A job was cancelled or is late. If it does not end by itself, its child is asked to end, and then killed.
pub(super) fn insist(child: &Rc<Child>, id: u64) {
    let child = Rc::clone(child);
    glommio::spawn_local(async move {
        sleep(RUNNER_CANCEL_GRACE).await;
        if !child.has(id) {
            return;
        }
        tracing::warn!(
            pid = child.pid(),
            "a job does not end although nobody waits for it: its child gets TERM"
        );
        child.retire();
        child.blame(id);
        child.terminate();
        sleep(RUNNER_TERM_GRACE).await;
        if child.has(id) {
            tracing::warn!(pid = child.pid(), "a child does not end at TERM and is killed");
            child.kill();
        }
    })
    .detach();
}

/// A child without jobs was told to end.
pub(super) fn see_off(child: &Rc<Child>) {
    let child = Rc::downgrade(child);
    glommio::spawn_local(async move {
        sleep(RUNNER_TERM_GRACE).await;
        if let Some(child) = child.upgrade() {
            child.kill();
        }
    })
    .detach();
}
