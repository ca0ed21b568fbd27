//! What the handlers of one core share besides their state: the core's client, its number, whether it is stopping.
//!
//! Created with the registry, before anything is known about Redis; the server fills it in before the first job runs.
//! In a test nothing does, and what is enqueued stays in memory.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use super::desk::{Desk, SharedParts};
use crate::client::{LocalClient, LocalHook};

/// One per core.
#[derive(Default)]
pub(crate) struct Services {
    client: OnceCell<LocalClient>,
    /// Until there is a client.
    hooks: RefCell<Vec<LocalHook>>,
    /// For handlers off this thread; opened by the first.
    desk: OnceCell<Desk>,
    parts: RefCell<Arc<SharedParts>>,
    shard: Cell<usize>,
    stopping: Cell<bool>,
    handing_back: Cell<bool>,
}

impl Services {
    /// Gives the core its number and the client its jobs push with, and returns that client with its hooks installed.
    /// Called once, when the shard starts.
    pub(crate) fn attach(&self, shard: usize, client: LocalClient) -> LocalClient {
        self.shard.set(shard);
        self.client.get_or_init(|| client.hooked(self.hooks.take())).clone()
    }

    /// Adds a hook around what jobs enqueue.
    pub(super) fn hook(&self, hook: LocalHook) {
        self.hooks.borrow_mut().push(hook);
    }

    pub(crate) fn stopping(&self, stopping: bool) {
        self.stopping.set(stopping);
    }

    /// Whether the jobs whose futures are dropped now run elsewhere from now on.
    pub(crate) fn handing_back(&self, handing_back: bool) {
        self.handing_back.set(handing_back);
    }

    pub(super) fn is_handing_back(&self) -> bool {
        self.handing_back.get()
    }

    pub(super) fn client(&self) -> &LocalClient {
        self.client.get_or_init(|| LocalClient::in_memory().hooked(self.hooks.take()))
    }

    pub(super) fn desk(&self) -> &Desk {
        self.desk.get_or_init(|| Desk::open(self.client().clone()))
    }

    /// Lets other threads read this part of the state. Returns whether there was none of its type yet.
    pub(super) fn share<T: Send + Sync + 'static>(&self, part: Arc<T>) -> bool {
        Arc::make_mut(&mut self.parts.borrow_mut()).add(part)
    }

    pub(super) fn parts(&self) -> Arc<SharedParts> {
        Arc::clone(&self.parts.borrow())
    }

    pub(super) fn shard(&self) -> usize {
        self.shard.get()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }
}
