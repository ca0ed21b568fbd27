//! A connection to Redis on which scripts can be called, for pages and for what they set going.

use std::cell::Cell;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::acts::{self, Steps, To};
use crate::job::Schema;
use crate::limits::PAGE_CHUNK_BYTES;
use crate::net::{self, ConnOptions, Connection};
use crate::resp::{self, RedisUrl, Reply, ReplyLimits, Requests};
use crate::store::scripts::{self, Scripts};
use crate::store::survey::SurveyError;
use crate::timeout::within;
use crate::wire::Keyspace;

/// Why a page shows less than it should.
#[derive(Debug, Error)]
pub(crate) enum DeskError {
    /// There is a connection for each node, which pages do not follow.
    #[error("pages do not show a redis cluster; ask `jiggler-uring top`, `jobs` and `show`")]
    Cluster,
    /// Redis hangs, or is very slow.
    #[error("it took more than {} ms", .0.as_millis())]
    Late(Duration),
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
    #[error("too many requests are being answered at the same time; ask again")]
    Busy,
}

/// A database: where it is, and how its keys and payloads are written. Cheap enough to clone for each act.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) url: RedisUrl,
    pub(crate) keys: Keyspace,
    pub(crate) schema: Schema,
    pub(crate) client_name: String,
}

/// How long Redis may still take for a part of a page, or for a step of an act. What this server does with its answers does
/// not count.
pub(crate) struct Patience {
    whole: Duration,
    left: Cell<Duration>,
}

/// The connection.
pub(super) struct Link {
    conn: Connection,
    scripts: Scripts,
    requests: Requests,
}

impl Patience {
    pub(super) const fn of(whole: Duration) -> Self {
        Self { whole, left: Cell::new(whole) }
    }

    /// # Errors
    /// [`DeskError::Late`]: there is none left. The work was dropped.
    pub(super) async fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, DeskError>>,
    ) -> Result<T, DeskError> {
        let began = Instant::now();
        let done = within(self.left.get(), work).await;
        self.left.set(self.left.get().saturating_sub(began.elapsed()));
        done.unwrap_or(Err(DeskError::Late(self.whole)))
    }
}

impl Link {
    /// Connects, and loads the scripts.
    ///
    /// # Errors
    /// [`DeskError`].
    pub(super) async fn open(source: &Source, patience: &Patience) -> Result<Self, DeskError> {
        if source.url.is_cluster() {
            return Err(DeskError::Cluster);
        }
        let options = ConnOptions {
            name: source.client_name.clone(),
            limits: ReplyLimits::default(),
            chunk_bytes: PAGE_CHUNK_BYTES,
        };
        let open = async {
            let mut conn = Connection::open(&source.url, &options).await?;
            let scripts = load(&mut conn, source.keys).await?;
            Ok(Self { conn, scripts, requests: Requests::new() })
        };
        patience.wait(open).await
    }

    /// One round trip: what `write` appends, and the replies.
    ///
    /// # Errors
    /// [`DeskError`]; the connection is of no use after [`DeskError::Late`] and [`DeskError::Net`].
    pub(super) async fn call(
        &mut self,
        patience: &Patience,
        write: impl FnOnce(&mut Requests),
    ) -> Result<Vec<Reply>, DeskError> {
        self.requests.clear();
        write(&mut self.requests);
        let call = async { Ok(self.conn.call(&self.requests).await?) };
        patience.wait(call).await
    }

    /// One step of an act: one round trip. `false` if it is at its end.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(super) async fn step(
        &mut self,
        steps: &mut impl Steps,
        patience: &Patience,
    ) -> Result<bool, DeskError> {
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
        match steps.next(&self.scripts, &mut self.requests) {
            None => return Ok(None),
            Some(To::Here) => {}
            // Only in a cluster an act goes elsewhere.
            Some(To::Queue(_)) => return Err(DeskError::Cluster),
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

impl From<resp::Error> for DeskError {
    fn from(error: resp::Error) -> Self {
        Self::Act(error.into())
    }
}
