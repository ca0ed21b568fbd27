//! Connections that a program's threads share.
//!
//! Our own rather than the crate `r2d2`: its last release, 0.8.10, is years old, and it runs threads for what a mutex
//! and a condition variable do here without any. Nothing runs between calls: connections idle for too long are closed
//! by the next call, whatever it does.

use std::borrow::Borrow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::hooks::SharedHooks;
use super::{Client, Dialect, Error, InvalidJob, NewJob, Progress, Push};
use crate::limits::{POOL_CONNECTIONS, POOL_IDLE_TIMEOUT, POOL_WAIT_TIMEOUT};
use crate::net::blocking::BlockingOptions;
use crate::resp::url::RedisUrl;

/// How a pool behaves.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// The most connections, in use and idle; at least 1. Default: [`POOL_CONNECTIONS`].
    pub connections_max: usize,
    /// How long a caller waits for one while all are in use. Default: [`POOL_WAIT_TIMEOUT`].
    pub wait_timeout: Duration,
    /// How long one may be idle before it is closed. Default: [`POOL_IDLE_TIMEOUT`].
    pub idle_timeout: Duration,
    /// How each connects, and how long its calls may take.
    pub connection: BlockingOptions,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            connections_max: POOL_CONNECTIONS,
            wait_timeout: POOL_WAIT_TIMEOUT,
            idle_timeout: POOL_IDLE_TIMEOUT,
            connection: BlockingOptions::default(),
        }
    }
}

/// A producer for multi-threaded programs. Cheap to clone; each call takes a connection for itself.
///
/// ```no_run
/// use jiggler_uring::{ClientPool, NewJob};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = ClientPool::connect("redis://localhost:6379")?;
/// let threads: Vec<_> = (0..4)
///     .map(|number| {
///         let pool = pool.clone();
///         std::thread::spawn(move || pool.enqueue(&NewJob::new("Resize", &[number])?))
///     })
///     .collect();
/// for thread in threads {
///     println!("pushed {}", thread.join().expect("no push panics")?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// There are as many connections as simultaneous calls, at most [`PoolOptions::connections_max`]; further callers
/// wait. A connection that a call broke is closed and no longer counts. After being idle, each is checked before it
/// carries a job. A pool never pushes a job twice: see [`Error::may_have_pushed`].
#[derive(Clone)]
pub struct ClientPool {
    shared: Arc<Shared>,
    hooks: SharedHooks,
    dialect: Dialect,
}

struct Shared {
    // Fixed at construction.
    url: RedisUrl,
    options: PoolOptions,
    // Changed under the lock.
    state: Mutex<State>,
    /// Notified when a connection, or the right to open one, is returned.
    given_back: Condvar,
}

#[derive(Default)]
struct State {
    /// The most recently used one is on top and is used next, so that unneeded ones age.
    idle: Vec<(Client, Instant)>,
    /// Invariant: together with the idle ones at most `connections_max`.
    in_use: usize,
}

impl ClientPool {
    /// Connects once to the server of a url; the pool opens further connections when they are needed.
    ///
    /// # Errors
    /// [`Error::Url`], or [`Error::Connect`] if no connection could be made.
    pub fn connect(url: &str) -> Result<Self, Error> {
        let pool = Self::lazy(&RedisUrl::parse(url)?, PoolOptions::default());
        pool.client()?.connect_now()?;
        Ok(pool)
    }

    /// A pool that connects at its first call, for a program that must start while Redis is away.
    #[must_use]
    pub fn lazy(url: &RedisUrl, mut options: PoolOptions) -> Self {
        options.connections_max = options.connections_max.max(1);
        let shared =
            Shared { url: url.clone(), options, state: Mutex::default(), given_back: Condvar::new() };
        Self { shared: Arc::new(shared), hooks: SharedHooks::default(), dialect: Dialect::default() }
    }

    /// This handle, and those cloned from it, for a Redis that programs of this gem share; see [`Client::speaking`].
    #[must_use]
    pub fn speaking(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Passes every job that this handle, or a clone of it, pushes through `hook` first; see [`Client::on_enqueue`].
    #[must_use]
    pub fn on_enqueue(
        mut self,
        hook: impl Fn(NewJob) -> Result<NewJob, InvalidJob> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.add(hook);
        self
    }

    /// Takes a connection for several calls. It is returned when dropped.
    ///
    /// # Errors
    /// [`Error::PoolBusy`], if none is returned in time. It connects only when it is used.
    pub fn client(&self) -> Result<PooledClient, Error> {
        let mut client = self.shared.take()?;
        client.set_hooks(self.hooks.boxed());
        // Others share the connection.
        client.speak(self.dialect);
        Ok(PooledClient { client: Some(client), shared: Arc::clone(&self.shared) })
    }

    /// See [`Client::enqueue`].
    ///
    /// # Errors
    /// As there, and [`Error::PoolBusy`].
    pub fn enqueue<J: Push + ?Sized>(&self, job: &J) -> Result<String, Error> {
        self.client()?.enqueue(job)
    }

    /// See [`Client::enqueue_in`].
    ///
    /// # Errors
    /// As there, and [`Error::PoolBusy`].
    pub fn enqueue_in<J: Push + ?Sized>(&self, delay: Duration, job: &J) -> Result<String, Error> {
        self.client()?.enqueue_in(delay, job)
    }

    /// See [`Client::enqueue_at`].
    ///
    /// # Errors
    /// As there, and [`Error::PoolBusy`].
    pub fn enqueue_at<J: Push + ?Sized>(&self, due_at: f64, job: &J) -> Result<String, Error> {
        self.client()?.enqueue_at(due_at, job)
    }

    /// See [`Client::enqueue_bulk`]. Holds one connection until it ends.
    ///
    /// # Errors
    /// As there, and [`Error::PoolBusy`].
    pub fn enqueue_bulk<J: Borrow<NewJob>>(&self, jobs: impl IntoIterator<Item = J>) -> Result<u64, Error> {
        self.client()?.enqueue_bulk(jobs)
    }

    /// See [`Client::enqueue_bulk_at`]. Holds one connection until it ends.
    ///
    /// # Errors
    /// As there, and [`Error::PoolBusy`].
    pub fn enqueue_bulk_at<J: Borrow<NewJob>>(
        &self,
        due_at: f64,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        self.client()?.enqueue_bulk_at(due_at, jobs)
    }

    /// See [`Client::enqueue_bulk_spread`]. Holds one connection until it ends.
    ///
    /// # Errors
    /// As there, and [`Error::PoolBusy`].
    pub fn enqueue_bulk_spread<J: Borrow<NewJob>>(
        &self,
        over: Duration,
        jobs: impl IntoIterator<Item = J>,
    ) -> Result<u64, Error> {
        self.client()?.enqueue_bulk_spread(over, jobs)
    }

    /// See [`Client::cancel`].
    ///
    /// # Errors
    /// As there, and [`Error::PoolBusy`].
    pub fn cancel(&self, jid: &str) -> Result<u64, Error> {
        self.client()?.cancel(jid)
    }

    /// See [`Client::progress`].
    ///
    /// # Errors
    /// As there, and [`Error::PoolBusy`].
    pub fn progress(&self, jid: &str) -> Result<Option<Progress>, Error> {
        self.client()?.progress(jid)
    }

    /// The number of connections in use, and idle.
    #[must_use]
    pub fn connections(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.in_use, state.idle.len())
    }
}

impl Shared {
    fn take(&self) -> Result<Client, Error> {
        let PoolOptions { connections_max, wait_timeout, .. } = self.options;
        let all_in_use = |state: &mut State| state.in_use >= connections_max;
        let waited = self.given_back.wait_timeout_while(self.lock(), wait_timeout, all_in_use);
        let (mut state, result) = waited.unwrap_or_else(PoisonError::into_inner);
        if result.timed_out() {
            return Err(Error::PoolBusy { connections_max, after: wait_timeout });
        }
        let old = self.take_old(&mut state);
        state.in_use += 1;
        let kept = state.idle.pop();
        drop(state);
        // Closing sockets takes system calls: not under the lock.
        drop(old);
        Ok(match kept {
            Some((client, _)) => client,
            None => Client::lazy(&self.url, self.options.connection.clone()),
        })
    }

    fn give_back(&self, client: Client) {
        let mut state = self.lock();
        state.in_use -= 1;
        let mut closing = self.take_old(&mut state);
        let kept = (client, Instant::now());
        if kept.0.is_down() {
            closing.push(kept);
        } else {
            state.idle.push(kept);
        }
        drop(state);
        self.given_back.notify_one();
    }

    /// The connections that have been idle for too long.
    fn take_old(&self, state: &mut State) -> Vec<(Client, Instant)> {
        let young = state.idle.partition_point(|(_, since)| since.elapsed() >= self.options.idle_timeout);
        state.idle.drain(..young).collect()
    }

    /// A panic while the lock was held left nothing half done: each change is one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`Client`] that returns to its pool when dropped.
pub struct PooledClient {
    /// `None` only while it is being dropped.
    client: Option<Client>,
    shared: Arc<Shared>,
}

impl Deref for PooledClient {
    type Target = Client;

    #[expect(clippy::expect_used, reason = "only drop removes it")]
    fn deref(&self) -> &Client {
        self.client.as_ref().expect("the client is present until it is dropped")
    }
}

impl DerefMut for PooledClient {
    #[expect(clippy::expect_used, reason = "only drop removes it")]
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().expect("the client is present until it is dropped")
    }
}

impl Drop for PooledClient {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.shared.give_back(client);
        }
    }
}

impl fmt::Debug for PooledClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledClient").field("client", &self.client).finish_non_exhaustive()
    }
}

impl fmt::Debug for ClientPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (in_use, idle) = self.connections();
        f.debug_struct("ClientPool")
            .field("url", &self.shared.url)
            .field("in_use", &in_use)
            .field("idle", &idle)
            .field("hooks", &self.hooks.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
