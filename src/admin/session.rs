//! A connection on which scripts can be called: what the commands that look at jobs and act on them stand on.

use super::{Error, nodes};
use crate::{
    net::blocking::BlockingConnection,
    resp::{self, encode::Requests, error::RedisErrorKind, reply::Reply, url::RedisUrl},
    store::{
        enqueue,
        entries::{self, Page, Place, Window},
        scripts::{self, Scripts},
        survey::Scope,
    },
    wire::{QueueName, Realm, keys},
};

/// A connection that knows the scripts.
pub(super) struct Session {
    url: RedisUrl,
    conn: BlockingConnection,
    scripts: Scripts,
    requests: Requests,
}

impl Session {
    /// Connects to the node of a realm, if it is a queue's, and loads its scripts: two round trips.
    pub(super) fn open(url: &RedisUrl, realm: Realm) -> Result<Self, Error> {
        match realm.queue().map(keys::queue) {
            Some(key) => Self::open_at(&url.at_key(key.as_bytes()), realm),
            None => Self::open_at(url, realm),
        }
    }

    /// For one key that is in no realm: in a cluster, at the node that has it.
    pub(super) fn open_at_key(url: &RedisUrl, key: &str) -> Result<Self, Error> {
        Self::open_at(&url.at_key(key.as_bytes()), Realm::SHARED)
    }

    /// A session for each realm in which such a place is: one, but for the sets of a cluster, where it is one for each
    /// queue, in the order of their names, and besides as many round trips as a summary.
    pub(super) fn open_each(url: &RedisUrl, places: &[Place]) -> Result<Vec<Self>, Error> {
        match places {
            [Place::Queue(queue)] => Ok(vec![Self::open(url, Realm::of(queue.as_str(), url.is_cluster()))?]),
            _ if !url.is_cluster() => Ok(vec![Self::open(url, Realm::SHARED)?]),
            _ => {
                let realms = nodes::survey(url, Scope::Everything)?.realms;
                realms.iter().map(|queue| Self::open(url, Realm::of_queue(queue))).collect()
            }
        }
    }

    fn open_at(url: &RedisUrl, realm: Realm) -> Result<Self, Error> {
        let mut conn = BlockingConnection::connect(url)?;
        let scripts = load(&mut conn, realm)?;
        Ok(Self { url: url.clone(), conn, scripts, requests: Requests::new() })
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

    /// The queue of a key, if it is of another realm than this session's.
    pub(super) fn queue_elsewhere(&self, key: &str) -> Option<QueueName> {
        let own = self.scripts.realm().queue()?;
        let name = key.strip_prefix(keys::LIST_PREFIX).filter(|name| *name != own)?;
        QueueName::new(name).ok()
    }

    /// Pushes a payload to a queue of another realm, at its node; `false` if its key is no list. Three round trips.
    pub(super) fn push_elsewhere(&self, queue: &QueueName, payload: &[u8]) -> Result<bool, Error> {
        let key = keys::queue(queue.as_str());
        let mut conn = BlockingConnection::connect(&self.url.at_key(key.as_bytes()))?;
        let mut requests = Requests::new();
        enqueue::push(&mut requests, queue, payload);
        match conn.call_one(&requests).and_then(|reply| enqueue::pushed(&reply)) {
            Ok(_) => Ok(true),
            Err(resp::Error::Redis(error)) if error.kind() == RedisErrorKind::WrongType => Ok(false),
            Err(cause) => Err(Error::Script { what: format!("push to queue {queue}"), cause }),
        }
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

/// A place in several realms as if it were one: that of the first realm, then that of the next.
pub(super) struct Joined<'s> {
    sessions: &'s mut [Session],
    place: &'s Place,
    /// How many entries each has, as it was last seen.
    sizes: Vec<u64>,
}

impl<'s> Joined<'s> {
    /// One round trip for each, if there are several.
    pub(super) fn new(sessions: &'s mut [Session], place: &'s Place) -> Result<Self, Error> {
        let sizes = if sessions.len() == 1 {
            vec![u64::MAX]
        } else {
            sessions.iter_mut().map(|session| session.size(place)).collect::<Result<_, _>>()?
        };
        Ok(Self { sessions, place, sizes })
    }

    /// Reads a part. One round trip; it ends where a realm ends.
    pub(super) fn page(&mut self, window: Window) -> Result<Page, Error> {
        let mut skip = window.skip;
        let mut at = 0;
        while at + 1 < self.sizes.len() && skip >= self.sizes[at] {
            skip -= self.sizes[at];
            at += 1;
        }
        let Some(session) = self.sessions.get_mut(at) else {
            return Ok(Page { total: 0, entries: Vec::new() });
        };
        let mut page = session.page(self.place, Window { skip, ..window })?;
        self.sizes[at] = page.total;
        page.total = self.sizes.iter().sum();
        Ok(page)
    }
}

fn load(conn: &mut BlockingConnection, realm: Realm) -> Result<Scripts, Error> {
    let mut requests = Requests::new();
    scripts::load_in(&realm, &mut requests);
    let replies = conn.call(&requests)?.into_iter().map(Reply::into_result).collect::<Result<Vec<_>, _>>();
    let replies = replies.map_err(|cause| Error::Script { what: "load the scripts".to_owned(), cause })?;
    Scripts::from_replies_in(realm, &replies).map_err(|reason| Error::NoScripts { reason })
}
