//! What pages read from Redis, over a connection of their own.
//!
//! One page reads at a time; those that wait, wait no longer than Redis may take in all ([`PAGE_REDIS_WAIT`]), so a Redis
//! that hangs makes no line. The state of the fleet is kept for a moment: any number of tabs cost Redis what one does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::fleet::Seen;
use super::trend::Trends;
use crate::acts::look::{Look, Query, Reached};
use crate::acts::{self, Steps};
use crate::io::permits::{Permit, Permits};
use crate::job::{Parser, Schema};
use crate::limits::{
    PAGE_CHUNK_BYTES, PAGE_ENTRIES_BYTES_MAX, PAGE_FIRST_LOOKS_WAIT, PAGE_FLEET_AGE_MAX, PAGE_REDIS_WAIT,
    PAGES_WAITING_MAX,
};
use crate::net::{self, ConnOptions, Connection};
use crate::resp::{RedisUrl, Reply, ReplyLimits, Requests};
use crate::store::entries::Entry;
use crate::store::scripts::{self, Scripts};
use crate::store::survey::{Scope, Survey, SurveyError};
use crate::timeout::within;
use crate::wire::Keyspace;

/// Why a page shows less than it should.
#[derive(Debug, Error)]
pub(super) enum DeskError {
    /// There is a connection for each node, which pages do not follow.
    #[error("pages do not show a redis cluster; ask `jiggler-uring top`, `jobs` and `show`")]
    Cluster,
    /// Redis hangs, or is very slow.
    #[error("it took more than {} ms", PAGE_REDIS_WAIT.as_millis())]
    Late,
    /// Redis is away.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// It answered something else.
    #[error(transparent)]
    Survey(#[from] SurveyError),
    /// It refused a script, or answered something else.
    #[error(transparent)]
    Act(#[from] acts::Error),
    /// More ask than may wait.
    #[error("too many pages are being read at the same time")]
    Busy,
}

/// See the module.
pub(crate) struct Desk {
    // Fixed.
    url: RedisUrl,
    keys: Keyspace,
    schema: Schema,
    client_name: String,
    // Changed by the one that has the turn.
    turns: Permits,
    open: RefCell<Option<Open>>,
    trends: RefCell<Trends>,
    // Changed by each page.
    seen: RefCell<Option<Rc<Seen>>>,
    away_since: Cell<Option<Instant>>,
}

struct Open {
    conn: Connection,
    survey: Survey,
    scripts: Scripts,
    requests: Requests,
}

/// What a look at jobs has found.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) rows: Vec<T>,
    pub(super) reached: Reached,
    /// Where to continue; `None`: there is no more.
    pub(super) next_skip: Option<u64>,
}

impl Desk {
    pub(crate) fn new(url: RedisUrl, keys: Keyspace, schema: Schema, client_name: String) -> Self {
        Self {
            url,
            keys,
            schema,
            client_name,
            turns: Permits::new(1, PAGES_WAITING_MAX),
            open: RefCell::default(),
            trends: RefCell::default(),
            seen: RefCell::default(),
            away_since: Cell::default(),
        }
    }

    /// Where it reads, without the password.
    pub(super) fn redis(&self) -> String {
        self.url.to_string()
    }

    /// A parser of what is read here.
    pub(super) fn parser(&self) -> Parser {
        Parser::new(self.schema)
    }

    /// The latest state of the fleet that was read, however old.
    pub(super) fn last_seen(&self) -> Option<Rc<Seen>> {
        self.seen.borrow().clone()
    }

    /// For how long Redis has not answered.
    pub(super) fn away(&self) -> Option<Duration> {
        self.away_since.get().map(|since| since.elapsed())
    }

    /// The state of the fleet, now or a moment ago.
    ///
    /// # Cancel-safety
    /// Safe: a connection with an answer under way is closed.
    pub(super) async fn fleet(&self) -> Result<Rc<Seen>, DeskError> {
        if let Some(seen) = self.fresh() {
            return Ok(seen);
        }
        let patience = Patience::new();
        let work = async {
            let _turn = self.turn(&patience).await?;
            // The one before may have read it.
            if let Some(seen) = self.fresh() {
                return Ok(seen);
            }
            let look = async |open: &mut Open| {
                open.look(&patience).await?;
                Ok(Seen::of(&open.survey))
            };
            let seen = self.with_open(&patience, look).await?;
            let seen = Rc::new(self.trends.borrow_mut().note(seen, Instant::now()));
            self.seen.replace(Some(Rc::clone(&seen)));
            Ok(seen)
        };
        self.note(work.await)
    }

    fn fresh(&self) -> Option<Rc<Seen>> {
        let seen = self.seen.borrow();
        seen.as_ref().filter(|seen| seen.read_at.elapsed() < PAGE_FLEET_AGE_MAX).cloned()
    }

    /// Looks at jobs, and makes a row of each as it is read, so that large payloads do not pile up. It ends early after
    /// [`PAGE_ENTRIES_BYTES_MAX`].
    ///
    /// # Cancel-safety
    /// As [`Self::fleet`].
    pub(super) async fn look<T>(
        &self,
        query: &Query,
        row: impl Fn(&Entry) -> T,
    ) -> Result<Found<T>, DeskError> {
        let patience = Patience::new();
        let work = async {
            let _turn = self.turn(&patience).await?;
            let read = async |open: &mut Open| {
                let query = &query.until(open.survey.now());
                let mut look = Look::new(query, self.schema, 1);
                let (mut rows, mut bytes) = (Vec::new(), 0);
                while bytes < PAGE_ENTRIES_BYTES_MAX && open.step(&mut look, &patience).await? {
                    for entry in look.take() {
                        bytes += entry.bytes.len();
                        rows.push(row(&entry));
                    }
                }
                Ok(Found { rows, reached: look.reached(), next_skip: look.next_skip() })
            };
            self.with_open(&patience, read).await
        };
        self.note(work.await)
    }

    async fn turn(&self, patience: &Patience) -> Result<Permit, DeskError> {
        if self.url.is_cluster() {
            return Err(DeskError::Cluster);
        }
        patience.wait(async { self.turns.take().await.map_err(|_| DeskError::Busy) }).await
    }

    /// Notes since when Redis has not answered.
    fn note<T>(&self, done: Result<T, DeskError>) -> Result<T, DeskError> {
        match &done {
            Err(DeskError::Late | DeskError::Net(_)) => {
                let since = self.away_since.get().unwrap_or_else(Instant::now);
                self.away_since.set(Some(since));
            }
            Ok(_) => self.away_since.set(None),
            Err(_) => {}
        }
        done
    }

    /// Works with the open connection, or with a new one: the open one may have been closed while nobody asked.
    async fn with_open<T>(
        &self,
        patience: &Patience,
        work: impl AsyncFn(&mut Open) -> Result<T, DeskError>,
    ) -> Result<T, DeskError> {
        let open = self.open.take();
        if let Some(mut open) = open {
            match work(&mut open).await {
                Err(DeskError::Net(_)) => {}
                // Its answer may still come.
                late @ Err(DeskError::Late) => return late,
                done => {
                    self.open.replace(Some(open));
                    return done;
                }
            }
        }
        let mut open = self.connect(patience).await?;
        let done = work(&mut open).await;
        if !matches!(done, Err(DeskError::Net(_) | DeskError::Late)) {
            self.open.replace(Some(open));
        }
        done
    }

    async fn connect(&self, patience: &Patience) -> Result<Open, DeskError> {
        let options = ConnOptions {
            name: self.client_name.clone(),
            limits: ReplyLimits::default(),
            chunk_bytes: PAGE_CHUNK_BYTES,
        };
        let open = async {
            let mut conn = Connection::open(&self.url, &options).await?;
            let scripts = load(&mut conn, self.keys).await?;
            let survey = Survey::again(Scope::Everything, self.keys);
            Ok(Open { conn, survey, scripts, requests: Requests::new() })
        };
        let mut open = patience.wait(open).await?;
        let began = Instant::now();
        while !open.survey.is_complete() && began.elapsed() < PAGE_FIRST_LOOKS_WAIT {
            open.look(patience).await?;
        }
        Ok(open)
    }
}

/// How long Redis may still take for a part of a page. What this server does with its answers does not count.
struct Patience(Cell<Duration>);

impl Patience {
    fn new() -> Self {
        Self(Cell::new(PAGE_REDIS_WAIT))
    }

    /// # Errors
    /// [`DeskError::Late`]: there is none left. The work was dropped.
    async fn wait<T>(&self, work: impl Future<Output = Result<T, DeskError>>) -> Result<T, DeskError> {
        let began = Instant::now();
        let done = within(self.0.get(), work).await;
        self.0.set(self.0.get().saturating_sub(began.elapsed()));
        done.unwrap_or(Err(DeskError::Late))
    }
}

impl Open {
    /// One look at the fleet: one round trip.
    async fn look(&mut self, patience: &Patience) -> Result<(), DeskError> {
        self.requests.clear();
        self.survey.write(&mut self.requests);
        let call = async { Ok(self.conn.call(&self.requests).await?) };
        let replies = patience.wait(call).await?;
        Ok(self.survey.accept(&replies)?)
    }

    /// One step of an act: one round trip. `false` if it is at its end.
    async fn step(&mut self, steps: &mut impl Steps, patience: &Patience) -> Result<bool, DeskError> {
        let Some(mut reply) = self.ask(steps, patience).await? else { return Ok(false) };
        // The script cache has been flushed since; a script that was not found has done nothing.
        if scripts::forgotten(std::slice::from_ref(&reply)) {
            let keys = self.scripts.realm().keys();
            self.scripts = patience.wait(load(&mut self.conn, keys)).await?;
            let Some(again) = self.ask(steps, patience).await? else { return Ok(false) };
            reply = again;
        }
        steps.read(&reply)?;
        Ok(true)
    }

    async fn ask(&mut self, steps: &impl Steps, patience: &Patience) -> Result<Option<Reply>, DeskError> {
        self.requests.clear();
        if steps.next(&self.scripts, &mut self.requests).is_none() {
            return Ok(None);
        }
        let call = async { Ok(self.conn.call(&self.requests).await?) };
        let reply = patience.wait(call).await?.pop();
        Ok(Some(reply.ok_or(net::Error::Closed)?))
    }
}

/// One round trip.
async fn load(conn: &mut Connection, keys: Keyspace) -> Result<Scripts, DeskError> {
    let realm = keys.shared_realm();
    let mut requests = Requests::new();
    scripts::load(&realm, &mut requests);
    let replies = conn.call(&requests).await?;
    Ok(Scripts::read(realm, &replies).map_err(acts::Error::from)?)
}
