//! A connection that a job holds for a while.

use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use tokio_postgres::{Client, Statement};

use super::link::Opened;
use super::pool::PoolState;
use crate::io::permits::Permit;
use crate::limits::io::POSTGRES_STATEMENTS_MAX;

/// A connection to PostgreSQL: a [`tokio_postgres::Client`] that returns to its pool when dropped. Obtained from
/// [`Pool::get`](super::Pool::get).
pub struct Conn {
    /// Invariant: present until it is dropped.
    opened: Option<Opened>,
    pool: Rc<PoolState>,
    permit: Option<Permit>,
}

impl Conn {
    pub(super) fn new(opened: Opened, pool: Rc<PoolState>, permit: Permit) -> Self {
        Self { opened: Some(opened), pool, permit: Some(permit) }
    }

    /// A prepared statement, kept with the connection for the jobs that follow: a query using it costs one round
    /// trip, where one by text costs two.
    ///
    /// # Errors
    /// The server's error for the statement.
    ///
    /// # Cancel-safety
    /// Safe.
    pub async fn prepare_cached(&self, query: &str) -> Result<Statement, tokio_postgres::Error> {
        let kept = self.opened.as_ref().map(|opened| &opened.statements);
        if let Some(statement) = kept.and_then(|kept| kept.borrow().get(query).cloned()) {
            return Ok(statement);
        }
        let statement = self.prepare(query).await?;
        if let Some(kept) = kept {
            let mut kept = kept.borrow_mut();
            if kept.len() >= POSTGRES_STATEMENTS_MAX {
                // A program that generates its statements gains nothing from keeping them.
                kept.clear();
            }
            kept.insert(query.to_owned(), statement.clone());
        }
        Ok(statement)
    }
}

impl Deref for Conn {
    type Target = Client;

    #[expect(clippy::expect_used, reason = "only the destructor removes it")]
    fn deref(&self) -> &Client {
        &self.opened.as_ref().expect("the connection is present until it is dropped").client
    }
}

impl DerefMut for Conn {
    #[expect(clippy::expect_used, reason = "only the destructor removes it")]
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.opened.as_mut().expect("the connection is present until it is dropped").client
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
