//! A task of control, which `run` starts and stops.

use std::future::Future;

use glommio::Task;

/// One task. Dropping it drops its work wherever it is waiting.
pub(super) struct Actor(Task<()>);

impl Actor {
    /// Starts `work` on this executor.
    pub(super) fn spawn(work: impl Future<Output = ()> + 'static) -> Self {
        Self(glommio::spawn_local(work))
    }

    /// Drops its work wherever it is waiting, for work that never ends by itself.
    pub(super) async fn stop(self) {
        self.0.cancel().await;
    }

    /// Waits until its work has ended by itself.
    pub(super) async fn end(self) {
        self.0.await;
    }
}
