//! The queue loadgen uses and the patterns it looks for; the library spells single keys.

use jiggler_uring::internal::wire::keys::JIGGLER;

/// The queue all scenarios use.
pub(crate) const QUEUE_NAME: &str = "default";

/// The list of that queue.
pub(crate) const QUEUE: &str = "jiggler:list:default";

/// The name of the queue at this place, from 0, where a scenario uses several.
pub(crate) fn queue_name(at: u64) -> String {
    if at == 0 { QUEUE_NAME.to_owned() } else { format!("queue{at}") }
}

/// The list of that queue.
pub(crate) fn queue(at: u64) -> String {
    JIGGLER.queue(&queue_name(at))
}

/// What a worker keeps in flight, whatever follows the prefix.
pub(crate) const IN_FLIGHT_PATTERN: &str = "{jiggler:list:*}:inflight:*";

/// A worker's heartbeat, published before its first fetch.
pub(crate) const HEARTBEAT_PATTERN: &str = "jiggler:svr:*";

#[cfg(test)]
mod tests {
    use jiggler_uring::internal::wire::heartbeat_key;

    use super::*;

    #[test]
    fn the_library_spells_them_the_same() {
        assert_eq!(JIGGLER.queue(QUEUE_NAME), QUEUE);
        assert_eq!([queue(0), queue(9)], [QUEUE, "jiggler:list:queue9"]);
        assert_eq!(JIGGLER.in_flight_index("*", "*", 0).replace("*:0", "*"), IN_FLIGHT_PATTERN);
        assert_eq!(format!("{}*", heartbeat_key::SERVER_PREFIX), HEARTBEAT_PATTERN);
    }
}
