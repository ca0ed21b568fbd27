//! The keys of what one shard has in flight from one queue: they begin with its in-flight index
//! ([`Keyspace::in_flight_index`](super::Keyspace::in_flight_index)) and end with the name of a batch.

/// The batch name of a shard's wait list.
pub const WAIT_LIST_BATCH: &str = "w";

/// The batch name of a shard's oversize list.
pub const OVERSIZE_BATCH: &str = "o";

/// The batch name of the suspects of a dead shard: jobs recovered before, freed one by one.
pub const SUSPECTS_BATCH: &str = "s";

/// The batch name of the poison of a dead shard: jobs recovered too often, to be buried.
pub const POISON_BATCH: &str = "p";

/// The same for scripts, which derive these keys themselves: prepended to those that do. The recovery counts are next to a
/// queue ([`recoveries_prefix`](super::Keyspace::recoveries_prefix)), whatever its key is.
macro_rules! names_for_lua {
    () => {
        "local WAIT_LIST, OVERSIZE, SUSPECTS, POISON, RECOVERIES = ':w', ':o', ':s', ':p', '{%s}:recoveries:'\n"
    };
}
pub(crate) use names_for_lua;

/// The patterns of an in-flight index, by queue key, uuid and shard, and of a list that a Ruby server has in progress, by
/// queue key and uuid: for the script that looks for jobs wherever they are.
macro_rules! places_for_lua {
    () => {
        "local IN_FLIGHT, IN_PROGRESS = '{%s}:inflight:%s:%d', '%s:in_progress:%s'\n"
    };
}
pub(crate) use places_for_lua;

/// The list of the jobs of one batch, named by its sequence number.
#[must_use]
pub fn batch(index: &str, sequence: u64) -> String {
    format!("{index}:{sequence}")
}

/// The list into which an idle shard's blocking move puts the job that wakes it.
#[must_use]
pub fn wait_list(index: &str) -> String {
    [index, ":", WAIT_LIST_BATCH].concat()
}

/// The list of the payloads that are too large for one shard to fetch, until they are buried.
#[must_use]
pub fn oversize_list(index: &str) -> String {
    [index, ":", OVERSIZE_BATCH].concat()
}

/// The list of the jobs of a dead shard that were recovered before.
#[must_use]
pub fn suspects(index: &str) -> String {
    [index, ":", SUSPECTS_BATCH].concat()
}

/// The list of the jobs of a dead shard that were recovered too often.
#[must_use]
pub fn poison(index: &str) -> String {
    [index, ":", POISON_BATCH].concat()
}

/// Next to the list of a queue: until when no other suspect of it is put back (string): Unix milliseconds.
#[must_use]
pub fn freed(list: &[u8]) -> Vec<u8> {
    [b"{", list, b"}:freed"].concat()
}

#[cfg(test)]
mod tests {
    use super::super::keys::JIGGLER;
    use super::*;

    #[test]
    fn scripts_derive_the_same_keys() {
        let names = [wait_list(""), oversize_list(""), suspects(""), poison("")];
        let queue = JIGGLER.queue("img");
        let recoveries = JIGGLER.recoveries_prefix("img").replace(&queue, "%s");
        let quoted =
            names.into_iter().chain([recoveries]).map(|name| format!("'{name}'")).collect::<Vec<_>>();
        assert_eq!(freed(queue.as_bytes()), JIGGLER.beside_queue("img", "freed").into_bytes());
        let names = "local WAIT_LIST, OVERSIZE, SUSPECTS, POISON, RECOVERIES";
        assert_eq!(names_for_lua!(), format!("{names} = {}\n", quoted.join(", ")));
        let index =
            JIGGLER.in_flight_index("img", "UUID", 7).replace("UUID:7", "%s:%d").replace(&queue, "%s");
        let in_progress = JIGGLER.gem_in_progress("img", "%s").replace(&queue, "%s");
        assert_eq!(places_for_lua!(), format!("local IN_FLIGHT, IN_PROGRESS = '{index}', '{in_progress}'\n"));
    }
}
