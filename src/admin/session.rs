//! A connection on which scripts can be called: what the commands that look at jobs and act on them stand on.

use super::Error;
use crate::{
    resp::{
        self, blocking::BlockingConnection, encode::Requests, error::RedisErrorKind, reply::Reply,
        url::RedisUrl,
    },
    store::{
        entries::{self, Page, Place, Window},
        scripts::{self, Scripts},
    },
    wire::{Realm, keys},
};

/// A connection that knows the scripts.
pub(super) struct Session {
    conn: BlockingConnection,
    scripts: Scripts,
    requests: Requests,
}

impl Session {
    /// Connects and loads the scripts: two round trips. `what` begins the error's text where a cluster keeps these places
    /// apart: "read the dead set".
    pub(super) fn open(url: &RedisUrl, places: &[Place], what: &str) -> Result<Self, Error> {
        let (url, realm) = reach(url, places, what)?;
        let mut conn = BlockingConnection::connect(&url)?;
        let scripts = load(&mut conn, realm)?;
        Ok(Self { conn, scripts, requests: Requests::new() })
    }

    /// Calls one script. `what` begins the error's text: "read the dead set".
    pub(super) fn call<T>(
        &mut self,
        what: &dyn Fn() -> String,
        write: impl Fn(&Scripts, &mut Requests),
        read: impl FnOnce(&Reply) -> Result<T, resp::Error>,
    ) -> Result<T, Error> {
        let failed = |cause| Error::Script { what: what(), cause };
        let mut result = self.send(&write);
        // The cache of scripts was flushed since; a script that was not found has done nothing.
        if matches!(&result, Err(resp::Error::Redis(error)) if error.kind() == RedisErrorKind::Noscript) {
            self.scripts = load(&mut self.conn, self.scripts.realm().clone())?;
            result = self.send(&write);
        }
        read(&result.map_err(failed)?).map_err(failed)
    }

    /// Reads a part of a place. One round trip.
    pub(super) fn page(&mut self, place: &Place, window: Window) -> Result<Page, Error> {
        self.call(
            &|| format!("read {place}"),
            |scripts, requests| entries::page(scripts, place, window, requests),
            |reply| entries::read_page(reply, window),
        )
    }

    /// How many entries a place has.
    pub(super) fn size(&mut self, place: &Place) -> Result<u64, Error> {
        let nothing = Window { skip: 0, count: 0, order: entries::Order::Newest };
        Ok(self.page(place, nothing)?.total)
    }

    pub(super) fn conn(&mut self) -> &mut BlockingConnection {
        &mut self.conn
    }

    fn send(&mut self, write: impl Fn(&Scripts, &mut Requests)) -> Result<Reply, resp::Error> {
        self.requests.clear();
        write(&self.scripts, &mut self.requests);
        self.conn.call_one(&self.requests)
    }
}

/// By which url these places are reached, and in which realm: in a cluster only one queue's list is.
fn reach(url: &RedisUrl, places: &[Place], what: &str) -> Result<(RedisUrl, Realm), Error> {
    if !url.is_cluster() {
        return Ok((url.clone(), Realm::SHARED));
    }
    match places {
        [Place::Queue(queue)] => {
            Ok((url.at_key(keys::queue(queue.as_str()).as_bytes()), Realm::of_queue(queue.as_str())))
        }
        _ => {
            let instead = "each queue has sets of its own there, under {jiggler:list:<queue>}:; a queue's list it does reach";
            Err(Error::NotInCluster { what: what.to_owned(), instead })
        }
    }
}

fn load(conn: &mut BlockingConnection, realm: Realm) -> Result<Scripts, Error> {
    let mut requests = Requests::new();
    scripts::load_in(&realm, &mut requests);
    Scripts::from_replies_in(realm, &conn.call(&requests)?).map_err(|reason| Error::NoScripts { reason })
}
