//! One SCAN of a survey, of all keys or of a set that names what there is, page by page, and round again.

use super::{Scope, SurveyError, at};
use crate::limits::SCAN_PAGE_KEYS;
use crate::resp::{Elements, Reply, Requests};
use crate::store::register;
use crate::wire::{Keyspace, heartbeat_key};

/// The kind of keys to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Heartbeats of processes.
    Heartbeats,
    /// Lists of queues.
    Lists,
    /// Sets and counters of the queues of a cluster: they are stored next to what is in flight.
    InFlight,
}

/// Where to look for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Among all keys.
    Keys,
    /// In a registry of the dialect (set).
    Registry(&'static str),
    /// In our register (zset).
    Register(&'static str),
}

impl Kind {
    fn pattern(self, keys: Keyspace) -> String {
        match self {
            Self::Heartbeats => [heartbeat_key::SERVER_PREFIX, "*"].concat(),
            Self::Lists => [keys.names().list_prefix, "*"].concat(),
            Self::InFlight => keys.names().in_flight_pattern.to_owned(),
        }
    }

    /// The Redis type: a key of another type under the gem's prefixes must not make the whole look fail.
    const fn redis_type(self) -> Option<&'static str> {
        match self {
            Self::Heartbeats => Some("string"),
            Self::Lists => Some("list"),
            Self::InFlight => None,
        }
    }
}

/// A SCAN under way.
#[derive(Debug)]
pub(super) struct Scan {
    kind: Kind,
    source: Source,
    pattern: String,
    cursor: Vec<u8>,
    /// Whether it ever took more than a page.
    is_long: bool,
    came_round: bool,
    is_retired: bool,
}

impl Scan {
    /// What a survey of this scope looks through. A walk over all keys that is to be noted in the register looks for lists
    /// of queues too.
    pub(super) fn all(scope: Scope, keys: Keyspace) -> Vec<Self> {
        let everything = scope == Scope::Everything;
        if let Some(registries) = &keys.names().registries {
            let processes = Self::new(Kind::Heartbeats, Source::Registry(registries.processes), keys);
            let queues = || Self::new(Kind::Lists, Source::Registry(registries.queues), keys);
            return [processes].into_iter().chain(everything.then(queues)).collect();
        }
        let walks = [Kind::Heartbeats, Kind::Lists].map(|kind| Self::new(kind, Source::Keys, keys));
        if let Some(register) = keys.register() {
            let processes = Self::new(Kind::Heartbeats, Source::Register(register.processes), keys);
            let queues = || Self::new(Kind::Lists, Source::Register(register.queues), keys);
            return [processes].into_iter().chain(everything.then(queues)).chain(walks).collect();
        }
        let in_flight = || Self::new(Kind::InFlight, Source::Keys, keys);
        let scans = walks.into_iter().take(if everything { 2 } else { 1 });
        scans.chain(everything.then(in_flight)).collect()
    }

    fn new(kind: Kind, source: Source, keys: Keyspace) -> Self {
        let pattern = match source {
            Source::Keys => kind.pattern(keys),
            Source::Registry(set) | Source::Register(set) => set.to_owned(),
        };
        let cursor = b"0".to_vec();
        Self { kind, source, pattern, cursor, is_long: false, came_round: false, is_retired: false }
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn walks(&self) -> bool {
        self.source == Source::Keys
    }

    pub(super) const fn is_of_register(&self) -> bool {
        matches!(self.source, Source::Register(_))
    }

    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    pub(super) const fn came_round(&self) -> bool {
        self.came_round
    }

    /// Whether it has to look again: it is not at its end, or goes round.
    pub(super) const fn continues(&self, goes_round: bool) -> bool {
        !self.is_retired && (goes_round || !self.came_round)
    }

    /// Whether it is between two pages.
    pub(super) fn is_midway(&self) -> bool {
        self.cursor != b"0"
    }

    /// Whether it came round, and that took more than a page.
    pub(super) const fn was_long(&self) -> bool {
        self.came_round && self.is_long
    }

    /// Ends it: what it would find is known from elsewhere.
    pub(super) fn retire(&mut self) {
        (self.is_retired, self.came_round) = (true, true);
    }

    /// Takes up again what was ended: what it would find is known from nowhere else.
    pub(super) fn revive(&mut self) {
        if std::mem::replace(&mut self.is_retired, false) {
            (self.cursor, self.came_round) = (b"0".to_vec(), false);
        }
    }

    /// The key that an element of a page stands for. SSCAN gives names of queues, and identities that are keys.
    pub(super) fn key(&self, keys: Keyspace, element: &[u8]) -> Vec<u8> {
        match (self.source, self.kind) {
            (Source::Registry(_) | Source::Register(_), Kind::Lists) => {
                register::Kind::Queues.key(keys, element)
            }
            _ => element.to_vec(),
        }
    }

    /// How many elements of a page belong to one key: ZSCAN gives scores too.
    pub(super) const fn step(&self) -> usize {
        if self.is_of_register() { 2 } else { 1 }
    }

    /// Appends the question for the next page.
    pub(super) fn write(&self, requests: &mut Requests) {
        let of_set: Option<&[u8]> = match self.source {
            Source::Keys => None,
            Source::Registry(_) => Some(b"SSCAN"),
            Source::Register(_) => Some(b"ZSCAN"),
        };
        if let Some(name) = of_set {
            let mut command = requests.begin(5);
            command.arg(name).arg(self.pattern.as_bytes()).arg(&self.cursor);
            command.arg(b"COUNT").arg_u64(SCAN_PAGE_KEYS);
            return;
        }
        let redis_type = self.kind.redis_type();
        let mut command = requests.begin(if redis_type.is_some() { 8 } else { 6 });
        command.arg(b"SCAN").arg(&self.cursor).arg(b"MATCH").arg(self.pattern.as_bytes());
        command.arg(b"COUNT").arg_u64(SCAN_PAGE_KEYS);
        if let Some(redis_type) = redis_type {
            command.arg(b"TYPE").arg(redis_type.as_bytes());
        }
    }

    /// Takes one page: the cursor at which to continue, and some keys, perhaps none. SCAN may return a key twice.
    pub(super) fn accept<'r>(&mut self, reply: &'r Reply) -> Result<Elements<'r>, SurveyError> {
        let pattern = &self.pattern;
        let mut parts = reply.as_array().map_err(at(pattern))?;
        let (Some(cursor), Some(page)) = (parts.next(), parts.next()) else {
            return Err(at(pattern)(reply.value().instead_of("a cursor and a page of keys")));
        };
        self.cursor = cursor.as_bulk().map_err(at(pattern))?.to_vec();
        self.is_long |= self.is_midway();
        self.came_round |= !self.is_midway();
        page.as_array().map_err(at(pattern))
    }
}
