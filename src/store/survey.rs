//! Finding queues, processes, sets and counters, and reading them, once or repeatedly, at a bounded cost per look.
//!
//! Queues and processes are named by sets: those of Sidekiq, or our register ([`super::register`]). A look is one
//! round trip: a page of each of these sets, one MGET of heartbeats and one of figures, a few LLENs, however large
//! the database is.
//!
//! The register lacks what only Ruby programs have made since somebody last walked over all keys. So a look also
//! takes one page of SCAN: a database of less than a page is seen whole at once, as it is now. In a larger one the
//! survey leaves it at that page; unless nobody has walked, as in a database that never had a worker of ours: then
//! it walks itself, page by page, and notes what it has found in the register, for those who come after it.
//!
//! - [`Survey::once`] ends when everything has been read ([`Summary`]): what the gem's `Jiggler.summary` shows, but to the
//!   end. The gem's SCAN stops at the first empty page, so next to other keys it misses processes and queues.
//! - [`Survey::again`] keeps going round: what appears is seen when it has come round to it, which is the next look if there
//!   is less than a page.
//!
//! A node of a cluster has no register: all its keys are walked over. It has the sets and counters of some queues: they are
//! found and read page by page, as queues are.

mod count;
mod error;
mod known;
mod process;
mod replies;
mod scan;
mod summary;
mod walk;

pub use count::Counts;
pub use error::SurveyError;
pub use process::{Heartbeat, Process};
pub use summary::Summary;
pub use walk::WalkReason;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{paused, server};
use crate::limits::{SURVEY_HEARTBEATS_PER_CALL, SURVEY_QUEUES_PER_CALL};
use crate::resp::Requests;
use crate::time::{self, RedisClock};
use crate::wire::{
    Keyspace, ListName, Presence, heartbeat_key,
    paused::Paused,
    realm::{RealmKey, parse_realm_key},
};
use count::KeySize;
use error::at;
use known::{Found, Known};
use process::HASH_FIELDS;
use scan::Scan;
use walk::Walk;

/// What a survey covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Processes alone.
    Processes,
    /// Queues, sets and counters too.
    Everything,
}

/// When a survey ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// When everything has been read once.
    Once,
    /// Never: it keeps going round.
    Again,
}

/// A survey under way. Look after look: send what [`Self::write`] appends, pass the replies to [`Self::accept`].
#[derive(Debug)]
pub struct Survey {
    scope: Scope,
    /// In a cluster the server is a node: it has the sets and counters of some queues, and no command may name keys of two
    /// slots.
    keys: Keyspace,
    pace: Pace,
    /// The server's.
    clock: RedisClock,
    /// Whether a look was written.
    begun: bool,
    scans: Vec<Scan>,
    /// What each command of the last write asks for, in order.
    asked: Vec<Asked>,
    /// Those of a whole server.
    counts: Counts,
    /// What is paused, without what is over.
    paused: Paused,
    /// By heartbeat key.
    processes: Known<Process>,
    /// By the key of the list.
    queues: Known<u64>,
    /// What is known of a walk over all keys, where that is to be noted in the register.
    walk: Option<Box<Walk>>,
    /// The sets and counters of a node, by key.
    sizes: BTreeMap<String, KeySize>,
    /// Queues of a node that have periodic jobs.
    periodic: BTreeSet<String>,
    /// Keys that look like heartbeats but are not. Only a survey that ends keeps them.
    unreadable: BTreeSet<String>,
    /// Where the last page of each ended.
    last_process: Vec<u8>,
    last_queue: Vec<u8>,
    last_size: String,
}

#[derive(Debug)]
enum Asked {
    /// The clock, at this moment.
    Clock(time::Asked),
    /// What is paused.
    Paused,
    /// The queues that others have paused.
    PausedByOthers,
    /// Whether someone has walked over all keys.
    Walked,
    /// To note in the register what was found.
    Named,
    /// A set or counter of a whole server, by its key.
    Count(&'static str, RealmKey),
    /// A page of the scan with this number.
    Page(usize),
    /// The heartbeats of these keys.
    Heartbeats(Vec<Vec<u8>>),
    /// The figures of these keys.
    Figures(Vec<Vec<u8>>),
    /// The same for one process of a node.
    Heartbeat(Vec<u8>),
    FiguresOf(Vec<u8>),
    /// The length of the list of this key.
    Length(Vec<u8>),
    /// A set or counter of a node, by its key.
    Size(String),
}

impl Survey {
    /// A survey that ends when all that was there at its start has been read.
    ///
    /// Round trips: two for each page of processes ([`SURVEY_HEARTBEATS_PER_CALL`]) or queues
    /// ([`SURVEY_QUEUES_PER_CALL`]). Where it has to walk, one for each page of
    /// [`SCAN_PAGE_KEYS`](crate::limits::SCAN_PAGE_KEYS) keys of the whole database, and one to note it. Nothing is atomic
    /// between them.
    #[must_use]
    pub fn once(scope: Scope, keys: Keyspace) -> Self {
        Self::new(scope, keys, Pace::Once)
    }

    /// A survey that keeps going round.
    #[must_use]
    pub fn again(scope: Scope, keys: Keyspace) -> Self {
        Self::new(scope, keys, Pace::Again)
    }

    fn new(scope: Scope, keys: Keyspace, pace: Pace) -> Self {
        Self {
            scope,
            keys,
            pace,
            clock: RedisClock::default(),
            begun: false,
            scans: Scan::all(scope, keys),
            asked: Vec::new(),
            counts: Counts::default(),
            paused: Paused::default(),
            processes: Known::new(pace == Pace::Again),
            queues: Known::new(pace == Pace::Again),
            walk: keys.register().map(|register| Box::new(Walk::new(register))),
            sizes: BTreeMap::new(),
            periodic: BTreeSet::new(),
            unreadable: BTreeSet::new(),
            last_process: Vec::new(),
            last_queue: Vec::new(),
            last_size: String::new(),
        }
    }

    /// Whether everything that was there at the start has been seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.scans.iter().all(Scan::came_round)
            && self.processes.all_read()
            && (self.scope == Scope::Processes || self.queues.all_read())
            && !self.owes_notes()
            && self.sizes.values().all(|size| size.size.is_some())
    }

    /// The sets and counters, as they were last read.
    #[must_use]
    pub fn counts(&self) -> Counts {
        if self.keys.is_cluster() { count::sum(self.sizes.values()) } else { self.counts }
    }

    /// What is paused, as it was last read; in a cluster nothing, because not each node has it.
    #[must_use]
    pub const fn paused(&self) -> &Paused {
        &self.paused
    }

    /// The known processes, by heartbeat key.
    pub fn processes(&self) -> impl Iterator<Item = (&[u8], &Process)> {
        self.processes.read()
    }

    /// The names of the known queues that hold jobs, with their lengths as last read.
    pub fn queues(&self) -> impl Iterator<Item = (String, u64)> {
        self.queues.read().map(|(key, jobs)| (queue_name(self.keys, key), *jobs))
    }

    /// Unix time by the clock of the server, as the last look has read it.
    #[must_use]
    pub fn now(&self) -> f64 {
        self.clock.now()
    }

    /// What is known now.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let realm = |key: &String| Some(parse_realm_key(self.keys, key)?.0.to_owned());
        Summary {
            at: self.now(),
            counts: self.counts(),
            paused: self.paused.clone(),
            queues: self.queues().collect(),
            realms: self.sizes.keys().filter_map(realm).collect(),
            periodic: self.periodic.clone(),
            processes: self.processes().map(|(key, process)| (text(key), process.clone())).collect(),
            unreadable_keys: self.unreadable.clone(),
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(self) -> Summary {
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let realm = |key: &String| Some(parse_realm_key(self.keys, key)?.0.to_owned());
        Summary {
            at: self.now(),
            counts: self.counts(),
            paused: self.paused.clone(),
            queues: self.queues().collect(),
            realms: self.sizes.keys().filter_map(realm).collect(),
            periodic: self.periodic,
            processes: self
                .processes
                .found
                .into_iter()
                .filter_map(|(key, process)| match process {
                    Found::Is(process) => Some((text(&key), process)),
                    Found::Unread | Found::Gone => None,
                })
                .collect(),
            unreadable_keys: self.unreadable,
        }
    }

    /// Appends the commands of the next look: one round trip. `false` if everything has been read, so there is nothing to
    /// ask.
    pub fn write(&mut self, requests: &mut Requests) -> bool {
        self.asked.clear();
        if self.pace == Pace::Once && self.is_complete() {
            return false;
        }
        if self.pace == Pace::Again || !self.begun {
            server::ask_clock(requests);
            self.asked.push(Asked::Clock(time::Asked::now()));
        }
        if self.scope == Scope::Everything
            && !self.keys.is_cluster()
            && (self.pace == Pace::Again || !self.begun)
        {
            for (key, what) in count::shared(self.keys) {
                requests.command(&[count::command(what), key.as_bytes()]);
                self.asked.push(Asked::Count(key, what));
            }
            paused::ask(self.keys, 0, requests);
            self.asked.push(Asked::Paused);
            if paused::ask_of_others(self.keys, requests) {
                self.asked.push(Asked::PausedByOthers);
            }
        }
        self.begun = true;
        self.write_walk(requests);
        for (number, scan) in self.scans.iter().enumerate() {
            if scan.continues(self.pace == Pace::Again) {
                scan.write(requests);
                self.asked.push(Asked::Page(number));
            }
        }
        self.write_processes(requests);
        self.write_queues(requests);
        true
    }

    fn write_processes(&mut self, requests: &mut Requests) {
        let wanted = |process: &Found<Process>| self.pace == Pace::Again || matches!(process, Found::Unread);
        let page = page(&self.processes.found, &mut self.last_process, wanted, SURVEY_HEARTBEATS_PER_CALL);
        if self.keys.is_cluster() || self.keys.names().registries.is_some() {
            page.into_iter().for_each(|key| self.write_process(key, requests));
        } else if !page.is_empty() {
            write_mget(requests, &page);
            // A key that is not UTF-8 is not ours, so it has no figures.
            let texts = page.iter().filter_map(|key| std::str::from_utf8(key).ok());
            let uuids: Vec<&str> = texts.filter_map(heartbeat_key::server_uuid).collect();
            let named: Vec<Vec<u8>> =
                page.iter().filter(|key| std::str::from_utf8(key).is_ok()).cloned().collect();
            if !uuids.is_empty() {
                write_mget(
                    requests,
                    &uuids.into_iter().map(|uuid| self.keys.process(uuid)).collect::<Vec<_>>(),
                );
            }
            self.asked.push(Asked::Heartbeats(page));
            if !named.is_empty() {
                self.asked.push(Asked::Figures(named));
            }
        }
    }

    /// One process of a node, or of a registry: a command for each key.
    fn write_process(&mut self, key: Vec<u8>, requests: &mut Requests) {
        if self.keys.names().registries.is_some() {
            let mut command = requests.begin(2 + HASH_FIELDS.len());
            command.arg(b"HMGET").arg(&key);
            for field in HASH_FIELDS {
                command.arg(field.as_bytes());
            }
        } else {
            requests.command(&[b"GET", &key]);
        }
        self.asked.push(Asked::Heartbeat(key.clone()));
        if let Ok(text) = std::str::from_utf8(&key)
            && let Some(uuid) = Presence::uuid_in(self.keys, text)
        {
            requests.command(&[b"GET", self.keys.figures(text, uuid).as_bytes()]);
            self.asked.push(Asked::FiguresOf(key));
        }
    }

    /// The next page of queues, and of the sets and counters of a node.
    fn write_queues(&mut self, requests: &mut Requests) {
        if self.scope == Scope::Processes {
            return;
        }
        let wanted = |jobs: &Found<u64>| self.pace == Pace::Again || matches!(jobs, Found::Unread);
        for key in page(&self.queues.found, &mut self.last_queue, wanted, SURVEY_QUEUES_PER_CALL) {
            requests.command(&[b"LLEN", &key]);
            self.asked.push(Asked::Length(key));
        }
        let wanted = |size: &KeySize| self.pace == Pace::Again || size.size.is_none();
        for key in page(&self.sizes, &mut self.last_size, wanted, SURVEY_QUEUES_PER_CALL) {
            let Some(size) = self.sizes.get(&key) else { continue };
            requests.command(&[count::command(size.what), key.as_bytes()]);
            self.asked.push(Asked::Size(key));
        }
    }
}

/// The next keys after the last page whose values are wanted, starting over at the end.
fn page<K: Ord + Clone, V>(
    map: &BTreeMap<K, V>,
    last: &mut K,
    wanted: impl Fn(&V) -> bool,
    count: usize,
) -> Vec<K> {
    let after = map.range::<K, _>((Bound::Excluded(&*last), Bound::Unbounded));
    let before = map.range::<K, _>(..=&*last);
    let wanted = after.chain(before).filter(|(_, value)| wanted(value));
    let page: Vec<K> = wanted.take(count).map(|(key, _)| key.clone()).collect();
    if let Some(end) = page.last() {
        last.clone_from(end);
    }
    page
}

fn queue_name(keys: Keyspace, key: &[u8]) -> String {
    let name = key.strip_prefix(keys.names().list_prefix.as_bytes()).unwrap_or(key);
    ListName::of_bytes(name).exact().into_owned()
}

fn write_mget<K: AsRef<[u8]>>(requests: &mut Requests, keys: &[K]) {
    let mut command = requests.begin(1 + keys.len());
    command.arg(b"MGET");
    for key in keys {
        command.arg(key.as_ref());
    }
}

#[cfg(test)]
mod tests;
