//! A connection that a job has for a while.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use tokio_postgres::Client;

use super::link::Opened;
use super::pool::Shared;
use crate::io::permits::Permit;

/// A connection to PostgreSQL: a [`tokio_postgres::Client`] that goes back to its pool when dropped. Made by
/// [`Pool::get`](super::Pool::get).
pub struct Conn {
    /// Invariant: there until it is dropped.
    opened: Option<Opened>,
    pool: Rc<Shared>,
    permit: Option<Permit>,
}

impl Conn {
    pub(super) fn new(opened: Opened, pool: Rc<Shared>, permit: Permit) -> Self {
        Self { opened: Some(opened), pool, permit: Some(permit) }
    }
}

impl Deref for Conn {
    type Target = Client;

    #[expect(clippy::expect_used, reason = "only the destructor takes it out")]
    fn deref(&self) -> &Client {
        &self.opened.as_ref().expect("a connection until it is dropped").client
    }
}

impl DerefMut for Conn {
    #[expect(clippy::expect_used, reason = "only the destructor takes it out")]
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.opened.as_mut().expect("a connection until it is dropped").client
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let (Some(opened), Some(permit)) = (self.opened.take(), self.permit.take()) else { return };
        if opened.rest.is_at_rest() {
            self.pool.keep(opened);
        } else if !opened.client.is_closed() {
            // A destructor may run where no task can be started: when the executor itself ends.
            self.pool.settle_later(opened, permit);
        }
    }
}
