//! The queue loadgen uses and the patterns it looks for; the library spells single keys.

/// The queue all scenarios use.
pub(crate) const QUEUE_NAME: &str = "default";

/// The list of that queue.
pub(crate) const QUEUE: &str = "jiggler:list:default";

/// What a worker keeps in flight, whatever follows the prefix.
pub(crate) const IN_FLIGHT_PATTERN: &str = "{jiggler:list:*}:inflight:*";

/// A worker's heartbeat, published before its first fetch.
pub(crate) const HEARTBEAT_PATTERN: &str = "jiggler:svr:*";

#[cfg(test)]
mod tests {
    use jiggler_uring::internal::wire::{heartbeat_key, keys::JIGGLER};

    use super::*;

    #[test]
    fn the_library_spells_them_the_same() {
        assert_eq!(JIGGLER.queue(QUEUE_NAME), QUEUE);
        assert_eq!(JIGGLER.in_flight_index("*", "*", 0).replace("*:0", "*"), IN_FLIGHT_PATTERN);
        assert_eq!(format!("{}*", heartbeat_key::SERVER_PREFIX), HEARTBEAT_PATTERN);
    }
}
