//! The pool: how many connections, who is next, which are kept.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio_postgres::Config;

use super::link::{Link, Opened};
use super::settle::settle_all;
use super::{Conn, Error};
use crate::event::Event;
use crate::io::idle::{Idle, IdleOptions};
use crate::io::permits::{Permit, Permits};
use crate::io::timer;
#[cfg(feature = "tls")]
use crate::io::tls::TlsOptions;
use crate::io::warm_up::open_all;
use crate::limits::io as limits;

/// What a pool may use and how long it waits.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The most connections in this pool, which serves one core. 10 by default.
    pub connections_max: usize,
    /// How long a job waits for a connection that others are using. 30 s by default.
    pub wait_timeout: Duration,
    /// How long opening a connection to one server may take, including the login, unless the configuration sets
    /// `connect_timeout`. 10 s by default.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept; zero keeps none. 600 s by default.
    pub idle_timeout: Duration,
    /// Which servers are trusted, where `sslmode` is not `disable`.
    #[cfg(feature = "tls")]
    pub tls: TlsOptions,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            connections_max: limits::POSTGRES_CONNECTIONS_MAX,
            wait_timeout: limits::POSTGRES_WAIT_TIMEOUT,
            connect_timeout: limits::POSTGRES_CONNECT_TIMEOUT,
            idle_timeout: limits::POSTGRES_IDLE_TIMEOUT,
            #[cfg(feature = "tls")]
            tls: TlsOptions::default(),
        }
    }
}

/// Connections to one database, of one core. Cloning gives a handle to the same pool.
#[derive(Clone)]
pub struct Pool {
    shared: Rc<PoolState>,
}

pub(super) struct PoolState {
    pub(super) link: Link,
    options: PoolOptions,
    permits: Permits,
    idle: Rc<Idle<(), Opened>>,
    /// Connections that are not at rest, for the task that waits for this event.
    unsettled: RefCell<Vec<(Opened, Permit)>>,
    work: Rc<Event>,
    /// Whether the pool's tasks have been started.
    attended: Cell<bool>,
}

impl Pool {
    /// A pool with the default options. `config` is a libpq connection string or url:
    /// `host=db.example user=app password=… dbname=ledger`, `postgresql://app@%2Frun%2Fpostgresql/ledger`. No
    /// connection is opened yet.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn new(config: &str) -> Result<Self, Error> {
        let config: Config = config.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            Error::Config { reason: format!("{error}: {cause}") }
        })?;
        Self::with_options(config, PoolOptions::default())
    }

    /// A pool with your own options.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn with_options(config: Config, options: PoolOptions) -> Result<Self, Error> {
        let link = Link::new(
            config,
            options.connect_timeout,
            #[cfg(feature = "tls")]
            &options.tls,
        )?;
        let connections_max = options.connections_max;
        if connections_max == 0 {
            return Err(Error::Config { reason: "connections_max is 0; it must be 1 or more".to_owned() });
        }
        let idle = Idle::new(IdleOptions {
            per_key_max: connections_max,
            count_max: connections_max,
            timeout: options.idle_timeout,
        });
        let shared = PoolState {
            link,
            options,
            permits: Permits::new(connections_max, limits::POSTGRES_WAITING_MAX),
            idle,
            unsettled: RefCell::default(),
            work: Rc::default(),
            attended: Cell::new(false),
        };
        Ok(Self { shared: Rc::new(shared) })
    }

    /// Opens connections until there are `count`, including those that jobs are using, and returns how many it
    /// opened. Use it when a worker sets up, so that the first jobs do not wait for the server to start processes;
    /// such a connection is closed like any other when it has been idle for too long.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Config`] if the pool would not keep that many. Connections already opened stay open.
    ///
    /// # Cancel-safety
    /// Safe: connections already opened stay open.
    pub async fn warm_up(&self, count: usize) -> Result<usize, Error> {
        let shared = &self.shared;
        let PoolOptions { connections_max, idle_timeout, .. } = shared.options;
        let most = if idle_timeout.is_zero() { 0 } else { connections_max };
        if count > most {
            let reason = format!(
                "{count} connections are more than the {most} the pool keeps; raise connections_max or \
                 idle_timeout"
            );
            return Err(Error::Config { reason });
        }
        shared.attend();
        let used = connections_max - shared.permits.free();
        let missing = count.saturating_sub(shared.idle.count(&()) + used);
        let opened = Rc::new(Cell::new(0));
        let (pool, count) = (Rc::clone(shared), Rc::clone(&opened));
        let open = async move || {
            // A job that arrived meanwhile may have taken the place.
            let Some(_permit) = pool.permits.try_take() else { return Ok(()) };
            let conn = Box::pin(pool.link.open()).await?;
            pool.keep(conn);
            count.set(count.get() + 1);
            Ok(())
        };
        open_all(missing, limits::POSTGRES_WARM_UP_AT_ONCE, open).await?;
        Ok(opened.get())
    }

    /// A connection for this job alone, until it is dropped. Waiting jobs get one in the order they asked.
    ///
    /// An idle connection is handed out without checking with the server: one that broke unnoticed fails at the first
    /// query.
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// # Cancel-safety
    /// Safe: the place in the line is given up.
    pub async fn get(&self) -> Result<Conn, Error> {
        let shared = &self.shared;
        shared.attend();
        let permit = match shared.permits.try_take() {
            Some(permit) => permit,
            None => timer::timeout(shared.options.wait_timeout, shared.permits.take())
                .await
                .map_err(|late| Error::WaitTimeout {
                    connections_max: shared.options.connections_max,
                    after: late.after,
                })?
                .map_err(|error| Error::TooManyWait { waiting_max: error.0 })?,
        };
        while let Some(opened) = shared.idle.take(&()) {
            // A query that was dropped before it was sent may have gone out since.
            if !opened.client.is_closed() && opened.rest.is_at_rest() {
                return Ok(Conn::new(opened, Rc::clone(shared), permit));
            }
        }
        let opened = Box::pin(shared.link.open()).await?;
        Ok(Conn::new(opened, Rc::clone(shared), permit))
    }
}

impl PoolState {
    fn attend(self: &Rc<Self>) {
        if !self.attended.replace(true) {
            self.idle.sweep();
            glommio::spawn_local(settle_all(Rc::downgrade(self), Rc::clone(&self.work))).detach();
        }
    }

    pub(super) fn settle_later(&self, opened: Opened, permit: Permit) {
        self.unsettled.borrow_mut().push((opened, permit));
        self.work.raise();
    }

    pub(super) fn take_unsettled(&self) -> Vec<(Opened, Permit)> {
        self.unsettled.take()
    }

    pub(super) fn keep(&self, opened: Opened) {
        self.idle.keep(&(), opened);
    }
}

impl Drop for PoolState {
    fn drop(&mut self) {
        // Nobody is left to wait.
        self.work.raise();
    }
}
