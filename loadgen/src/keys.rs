//! The keys loadgen looks at, as the engine and the Ruby gem spell them.

/// The queue all scenarios use.
pub(crate) const QUEUE_NAME: &str = "default";

/// The list of that queue.
pub(crate) const QUEUE: &str = "jiggler:list:default";

/// Jobs processed so far.
pub(crate) const PROCESSED: &str = "jiggler:stats:processed_counter";

/// Jobs that failed so far.
pub(crate) const FAILURES: &str = "jiggler:stats:failures_counter";

/// Failed jobs that will run again.
pub(crate) const RETRIES: &str = "jiggler:set:retries";

/// Failed jobs that will not.
pub(crate) const DEAD: &str = "jiggler:set:dead";

/// Jobs a worker has taken and not acknowledged, whatever follows the prefix.
pub(crate) const IN_FLIGHT_PATTERN: &str = "{jiggler:list:*}:inflight:*";

/// What the null client keeps in flight: shaped as a shard's keys, of the same length.
pub(crate) const NULL_IN_FLIGHT: &str = "{jiggler:list:default}:inflight:0123456789ab:0";

/// A worker's heartbeat, published before its first fetch.
pub(crate) const HEARTBEAT_PATTERN: &str = "jiggler:svr:*";
