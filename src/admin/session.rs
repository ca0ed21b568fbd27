//! A connection on which scripts can be called; acts are driven over it.

use std::rc::Rc;

use super::{database::Database, error::Error, nodes};
use crate::{
    acts::{self, Scene, Size, Steps, To, prune::Site},
    job::Schema,
    net::{self, blocking::BlockingConnection},
    resp::{Reply, Requests},
    store::{
        entries::Place,
        scripts::{self, Scripts},
        server,
        survey::Scope,
    },
    time::{Asked, RedisClock},
    wire::Realm,
};

/// A connection that knows the scripts.
pub(super) struct Session {
    db: Database,
    conn: BlockingConnection,
    scripts: Scripts,
    /// The server's.
    clock: RedisClock,
    requests: Requests,
}

impl Session {
    /// Connects to the node of a realm, if it is a queue's, and loads its scripts: two round trips.
    pub(super) fn open(db: &Database, realm: Realm) -> Result<Self, Error> {
        match realm.queue().map(|queue| db.keys.queue(queue)) {
            Some(key) => Self::open_at(db.at_key(key.as_bytes()), realm),
            None => Self::open_at(db.clone(), realm),
        }
    }

    /// Where one call of an act goes.
    pub(super) fn open_site(db: &Database, site: &Site) -> Result<Self, Error> {
        match site {
            Site::Realm(realm) => Self::open(db, realm.clone()),
            Site::Key(key) => Self::open_at_key(db, key),
        }
    }

    /// For one key that is in no realm: in a cluster, at the node that has it.
    fn open_at_key(db: &Database, key: &[u8]) -> Result<Self, Error> {
        Self::open_at(db.at_key(key), db.keys.shared_realm())
    }

    /// A session for each realm that contains such a place: one, except for the sets of a cluster, where it is one for each
    /// queue, in the order of their names, plus as many round trips as a summary.
    pub(super) fn open_each(db: &Database, places: &[Place]) -> Result<Vec<Self>, Error> {
        match places {
            [Place::Queue(queue)] => Ok(vec![Self::open_site(db, &Site::of_list(queue, db.keys))?]),
            _ if !db.keys.is_cluster() => Ok(vec![Self::open(db, db.keys.shared_realm())?]),
            _ => {
                let realms = nodes::survey(db, Scope::Everything)?.realms;
                realms.iter().map(|queue| Self::open(db, db.keys.queue_realm(queue))).collect()
            }
        }
    }

    fn open_at(db: Database, realm: Realm) -> Result<Self, Error> {
        let mut conn = BlockingConnection::connect(&db.url)?;
        let clock = RedisClock::default();
        let scripts = load(&mut conn, realm, &clock)?;
        Ok(Self { db, conn, scripts, clock, requests: Requests::new() })
    }

    /// One call of an act and its reply: one round trip, or three if it goes to another node. `false` if the act is at its
    /// end, or waits for consent.
    ///
    /// # Errors
    /// [`Error::Script`], [`Error::DeadSetFull`]; [`Error::Connect`].
    pub(super) fn step(&mut self, steps: &mut impl Steps) -> Result<bool, Error> {
        self.requests.clear();
        let Some(to) = steps.next(&self.scripts, &mut self.requests) else { return Ok(false) };
        let failed = |cause| Error::Script { what: steps.what(), cause };
        let mut reply = match &to {
            To::Here => only(&mut self.conn, &self.requests).map_err(failed)?,
            To::Queue(queue) => {
                let key = self.db.keys.queue(queue.as_str());
                let mut conn = BlockingConnection::connect(&self.db.at_key(key.as_bytes()).url)?;
                only(&mut conn, &self.requests).map_err(failed)?
            }
        };
        // The script cache has been flushed since; a script that was not found has done nothing.
        if scripts::forgotten(std::slice::from_ref(&reply)) {
            self.scripts = load(&mut self.conn, self.scripts.realm().clone(), &self.clock)?;
            self.requests.clear();
            steps.next(&self.scripts, &mut self.requests);
            reply = only(&mut self.conn, &self.requests).map_err(failed)?;
        }
        let what = steps.what();
        match steps.read(&reply) {
            Ok(()) => Ok(true),
            Err(acts::Error::Reply(cause)) => Err(Error::Script { what, cause: cause.into() }),
            Err(acts::Error::DeadSetFull(full)) => Err(Error::DeadSetFull(full)),
        }
    }

    /// How many entries a place has. One round trip.
    pub(super) fn size(&mut self, place: &Place) -> Result<u64, Error> {
        let mut size = Size::of(place);
        while self.step(&mut size)? {}
        Ok(size.entries())
    }

    /// Unix time by the clock of the server.
    pub(super) fn now(&self) -> f64 {
        self.clock.now()
    }

    /// How payloads are written there.
    pub(super) const fn schema(&self) -> Schema {
        self.db.schema
    }

    /// What an act is told.
    pub(super) fn scene(&self) -> Scene {
        Scene { realm: Rc::new(self.realm().clone()), schema: self.schema(), now: self.now() }
    }

    /// The owner of its scripts.
    pub(super) const fn realm(&self) -> &Realm {
        self.scripts.realm()
    }
}

/// Sends one command; its reply may be an error.
fn only(conn: &mut BlockingConnection, requests: &Requests) -> Result<Reply, net::Error> {
    conn.call(requests)?.pop().ok_or(net::Error::Closed)
}

/// Loads the scripts and reads the clock, in one round trip.
fn load(conn: &mut BlockingConnection, realm: Realm, clock: &RedisClock) -> Result<Scripts, Error> {
    let mut requests = Requests::new();
    scripts::load(&realm, &mut requests);
    server::ask_clock(&mut requests);
    let asked = Asked::now();
    let mut replies = conn.call(&requests)?;
    // A server that does not tell this user is shown ages by the clock of this host.
    if let Some(told) = replies.pop().and_then(|reply| server::clock(&reply).ok()) {
        clock.learn(asked, told);
    }
    let what = || "load the scripts".to_owned();
    Scripts::read(realm, &replies).map_err(|cause| Error::Script { what: what(), cause: cause.into() })
}
