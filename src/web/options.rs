//! What the executor is given before it starts.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::access::Access;
use crate::job::Schema;
use crate::mesh::CountsReader;
use crate::resp::RedisUrl;
use crate::stats::{ControlStats, ShardStats};
use crate::wire::Keyspace;

/// See the module.
pub(crate) struct WebOptions {
    /// Listens already.
    pub(crate) listener: TcpListener,
    /// It ends when the other end of this pair is closed.
    pub(crate) lifeline: UnixStream,
    pub(crate) shown: Shown,
}

/// What is shown, and to whom.
pub(crate) struct Shown {
    /// Who may read.
    pub(crate) access: Access,
    /// The path under which a proxy passes requests on; empty: none.
    pub(crate) prefix: String,
    /// Whether it listens on loopback alone, where a browser may be tricked into asking.
    pub(crate) is_loopback: bool,
    /// Where Redis is, for the fleet.
    pub(crate) url: RedisUrl,
    /// How keys are spelt there.
    pub(crate) keys: Keyspace,
    /// How payloads are written there.
    pub(crate) schema: Schema,
    /// What its connection to Redis is called.
    pub(crate) client_name: String,
    /// The version of the engine.
    pub(crate) version: &'static str,
    /// Name and version of the user's program; empty if it has none.
    pub(crate) program: String,
    /// What the deployment is called; empty if it is not.
    pub(crate) tag: String,
    /// The process whose shards run jobs; `None`: it runs alone.
    pub(crate) worker: Option<WorkerSide>,
}

/// What it sees of the process that runs jobs.
pub(crate) struct WorkerSide {
    /// What each shard publishes.
    pub(crate) shards: Vec<Arc<ShardStats>>,
    /// Slots of each shard.
    pub(crate) slots: Vec<usize>,
    /// What control publishes.
    pub(crate) control: Arc<ControlStats>,
    /// Asks each shard what it has counted.
    pub(crate) counts: Vec<CountsReader>,
}
