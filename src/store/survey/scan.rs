//! One SCAN of a survey, of all keys or of a registry, page by page, and round again.

use super::{Scope, SurveyError, at};
use crate::limits::SCAN_PAGE_KEYS;
use crate::resp::{Elements, Reply, Requests};
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

impl Kind {
    /// What to scan for.
    pub(super) const fn of(scope: Scope, keys: Keyspace) -> &'static [Self] {
        match (scope, keys.is_cluster()) {
            (Scope::Processes, _) => &[Self::Heartbeats],
            (Scope::Everything, false) => &[Self::Heartbeats, Self::Lists],
            (Scope::Everything, true) => &[Self::Heartbeats, Self::Lists, Self::InFlight],
        }
    }

    /// The set to look into instead of all keys, where a registry has them.
    fn registry(self, keys: Keyspace) -> Option<&'static str> {
        let registries = keys.names().registries.as_ref()?;
        (self == Self::Heartbeats).then_some(registries.processes)
    }

    fn pattern(self, keys: Keyspace) -> String {
        if let Some(registry) = self.registry(keys) {
            return registry.to_owned();
        }
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
    registry: Option<&'static str>,
    pattern: String,
    cursor: Vec<u8>,
    came_round: bool,
}

impl Scan {
    pub(super) fn new(kind: Kind, keys: Keyspace) -> Self {
        Self {
            kind,
            registry: kind.registry(keys),
            pattern: kind.pattern(keys),
            cursor: b"0".to_vec(),
            came_round: false,
        }
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    pub(super) const fn came_round(&self) -> bool {
        self.came_round
    }

    /// Appends the question for the next page.
    pub(super) fn write(&self, requests: &mut Requests) {
        if let Some(registry) = self.registry {
            let mut command = requests.begin(5);
            command.arg(b"SSCAN").arg(registry.as_bytes()).arg(&self.cursor);
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
        self.came_round |= self.cursor == b"0";
        page.as_array().map_err(at(pattern))
    }
}
