//! Every Redis key, spelt here and nowhere else.
//!
//! Responsible for the names the gem `jiggler` 0.1.0 uses (byte for byte, so that its client, summary, web page and
//! servers see us) and for our own additive ones. Not for what lies under a key, nor for the commands.
//!
//! Invariant: none of our own keys starts with [`LIST_PREFIX`] or [`SERVER_PREFIX`](super::heartbeat_key::SERVER_PREFIX) (the gem takes whatever it finds
//! there for a queue or a process) or contains [`IN_PROGRESS`] (the gem's requeuer would empty it for ever).

// ---------------------------------------------------------------------------------------------------------------
// Shared with the gem
// ---------------------------------------------------------------------------------------------------------------

/// What every queue's key starts with. There is no registry of queues: the gem finds them by `SCAN`.
pub const LIST_PREFIX: &str = "jiggler:list:";

/// The part of a key by which the gem's requeuer recognises the lists of jobs its servers took.
pub const IN_PROGRESS: &str = "in_progress";

/// Retry set (zset): failed jobs, score: Unix time in seconds of the next attempt.
pub const RETRIES: &str = "jiggler:set:retries";

/// Scheduled set (zset): jobs for later, score: Unix time in seconds at which they are due.
pub const SCHEDULED: &str = "jiggler:set:scheduled";

/// Dead set (zset): jobs that exhausted their retries, score: Unix time in seconds of death.
pub const DEAD: &str = "jiggler:set:dead";

/// Counter (decimal integer): jobs run, failed ones included.
pub const PROCESSED: &str = "jiggler:stats:processed_counter";

/// Counter (decimal integer): jobs that failed.
pub const FAILURES: &str = "jiggler:stats:failures_counter";

/// The list of a queue's waiting jobs: new ones enter at the head, workers take from the tail.
#[must_use]
pub fn queue(name: &str) -> String {
    [LIST_PREFIX, name].concat()
}

/// The list into which the Ruby server `uuid` moves the jobs it takes from a queue; ours to rescue once it is dead.
#[must_use]
pub fn gem_in_progress(queue_name: &str, uuid: &str) -> String {
    format!("{LIST_PREFIX}{queue_name}:{IN_PROGRESS}:{uuid}")
}

/// The pattern of every key of the gem, and of ours that hash by themselves.
pub const GEM_PATTERN: &str = "jiggler:*";

/// The pattern of every key that a search for lists of dead servers must look at: the gem's, and those of jobs in flight,
/// which begin with a brace.
pub const SERVERS_PATTERN: &str = "*jiggler:*";

/// What a key found under [`LIST_PREFIX`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKey<'k> {
    /// A queue.
    Queue {
        /// The queue's name.
        queue: &'k str,
    },
    /// Jobs that a Ruby server took and has not acknowledged.
    InProgress {
        /// The queue they came from.
        queue: &'k str,
        /// The uuid of the server: the third part of its heartbeat key.
        uuid: &'k str,
    },
}

/// Reads a key that a `SCAN` over `jiggler:list:*` found; `None` when it is no such key.
#[must_use]
pub fn parse_list(key: &str) -> Option<ListKey<'_>> {
    let rest = key.strip_prefix(LIST_PREFIX)?;
    let marker = rest.find(IN_PROGRESS).filter(|at| {
        // The gem's form is `<queue>:in_progress:<uuid>`; the word inside a queue's own name marks nothing.
        rest[..*at].ends_with(':') && rest[at + IN_PROGRESS.len()..].starts_with(':')
    });
    Some(match marker {
        Some(at) => ListKey::InProgress { queue: &rest[..at - 1], uuid: &rest[at + IN_PROGRESS.len() + 1..] },
        None => ListKey::Queue { queue: rest },
    })
}

// ---------------------------------------------------------------------------------------------------------------
// Ours
// ---------------------------------------------------------------------------------------------------------------

/// Leases (zset): member: process uuid, score: end of its lease by the clock of Redis.
pub const LEASES: &str = "jiggler:uring:leases";

/// The pattern of all channels of [`cancel_channel`].
pub const CANCEL_PATTERN: &str = "jiggler:uring:cancel:*";

/// The channel on which the processes of a database listen for the jids of running jobs that are to end. Channels belong to
/// the whole server, whatever database a connection has selected, so its number is part of their names.
#[must_use]
pub fn cancel_channel(database: u32) -> String {
    format!("jiggler:uring:cancel:{database}")
}

/// The pattern of all channels of [`steer_channel`].
pub const STEER_PATTERN: &str = "jiggler:uring:steer:*";

/// The channel on which one process listens for what an operator wants of it: `quiet`, `stop` or `stop now`.
#[must_use]
pub fn steer_channel(database: u32, uuid: &str) -> String {
    format!("jiggler:uring:steer:{database}:{uuid}")
}

/// Lead of the pollers (string with a time to live): the uuid of the process whose poller wakes for each due job.
pub const LEAD: &str = "jiggler:uring:poller";

/// Which process looks after the lists of dead Ruby servers (string: its uuid), for a while at a time.
pub const RUBY_LISTS_LEADER: &str = "jiggler:uring:ruby_lists_leader";

/// Begins the key of what one of our processes publishes about itself and its shards.
pub const PROCESS_PREFIX: &str = "jiggler:uring:process:";

/// What one of our processes publishes about itself and its shards: [`crate::wire::figures`].
#[must_use]
pub fn process(uuid: &str) -> String {
    [PROCESS_PREFIX, uuid].concat()
}

/// What the job of this jid last said of how far it is.
#[must_use]
pub fn progress(jid: &str) -> String {
    ["jiggler:uring:progress:", jid].concat()
}

/// The index of the batches that one shard has taken from one queue. The braces make a Redis Cluster hash it, and
/// all that is derived from it, with the queue itself, so that one script may touch them together.
#[must_use]
pub fn in_flight_index(queue_name: &str, uuid: &str, shard: usize) -> String {
    format!("{{{LIST_PREFIX}{queue_name}}}:inflight:{uuid}:{shard}")
}

/// What a key in which one of our processes has jobs in flight says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InFlightKey<'k> {
    /// The queue they came from.
    pub queue: &'k str,
    /// The process.
    pub uuid: &'k str,
    /// Its shard.
    pub shard: usize,
    /// Which list; `None`: it is the index of them all.
    pub batch: Option<&'k str>,
}

/// Reads a key that [`in_flight_index`] or what derives from it has made; `None` if it is of another form.
#[must_use]
pub fn parse_in_flight(key: &str) -> Option<InFlightKey<'_>> {
    let (queue, rest) = key.strip_prefix('{')?.strip_prefix(LIST_PREFIX)?.split_once("}:inflight:")?;
    let mut parts = rest.splitn(3, ':');
    let (uuid, shard) = (parts.next()?, parts.next()?.parse().ok()?);
    let sane = !queue.is_empty() && !uuid.is_empty();
    sane.then_some(InFlightKey { queue, uuid, shard, batch: parts.next() })
}
/// The pattern of every key that hashes with its queue: what is in flight, and how often a job was recovered.
pub const IN_FLIGHT_PATTERN: &str = "{jiggler:list:*";

/// How often a job of a queue was recovered (hash: `n`, and `of`, the process that died last with it). `reap.lua` spells it
/// too. The braces keep it with its queue.
#[must_use]
pub fn recoveries(queue_name: &str, jid: &str) -> String {
    format!("{{{LIST_PREFIX}{queue_name}}}:recoveries:{jid}")
}

/// Which jobs of one opening of an outbox a queue, or the scheduled set, has got (string: the number of the last one; it
/// expires). The braces keep it with its target, so that one script may touch both in a Redis Cluster; a target that has
/// braces of its own lends them.
#[must_use]
pub fn outbox_marker(target: &str, opening: &str) -> String {
    if target.starts_with('{') {
        return format!("{target}:outbox:{opening}");
    }
    format!("{{{target}}}:outbox:{opening}")
}

#[cfg(test)]
mod tests {
    use super::super::heartbeat_key::SERVER_PREFIX;
    use super::super::in_flight::{batch, oversize_list, poison, suspects, wait_list};
    use super::*;

    /// The part of a key that a Redis Cluster hashes: what stands in the first braces, else the whole key.
    fn hashed(key: &str) -> &str {
        let Some((_, rest)) = key.split_once('{') else { return key };
        match rest.split_once('}') {
            Some((tag, _)) if !tag.is_empty() => tag,
            _ => key,
        }
    }

    #[test]
    fn shared_keys_are_spelt_as_the_gem_spells_them() {
        assert_eq!(queue("default"), "jiggler:list:default");
        assert_eq!(
            gem_in_progress("default", "06c7221317f9"),
            "jiggler:list:default:in_progress:06c7221317f9"
        );
        assert_eq!(RETRIES, "jiggler:set:retries");
        assert_eq!(SCHEDULED, "jiggler:set:scheduled");
        assert_eq!(DEAD, "jiggler:set:dead");
        assert_eq!(PROCESSED, "jiggler:stats:processed_counter");
        assert_eq!(FAILURES, "jiggler:stats:failures_counter");
    }

    #[test]
    fn none_of_our_keys_can_be_taken_for_one_of_the_gems() {
        let index = in_flight_index("default", "06c7221317f9", 3);
        let ours = [
            LEASES.to_owned(),
            LEAD.to_owned(),
            RUBY_LISTS_LEADER.to_owned(),
            process("06c7221317f9"),
            cancel_channel(3),
            steer_channel(3, "06c7221317f9"),
            batch(&index, 7),
            wait_list(&index),
            oversize_list(&index),
            suspects(&index),
            poison(&index),
            recoveries("default", "0d655a187e214821"),
            outbox_marker(&queue("default"), "0d655a187e214821"),
            outbox_marker(SCHEDULED, "0d655a187e214821"),
            index,
        ];
        for key in ours {
            assert!(!key.starts_with(LIST_PREFIX), "{key}");
            assert!(!key.starts_with(SERVER_PREFIX), "{key}");
            assert!(!key.contains(IN_PROGRESS), "{key}");
        }
    }

    #[test]
    fn in_flight_keys_hash_with_their_queue() {
        let index = in_flight_index("img", "06c7221317f9", 0);
        assert_eq!(index, "{jiggler:list:img}:inflight:06c7221317f9:0");
        assert_eq!(batch(&index, 12), "{jiggler:list:img}:inflight:06c7221317f9:0:12");
        assert_eq!(wait_list(&index), "{jiggler:list:img}:inflight:06c7221317f9:0:w");
        let marker = outbox_marker(&queue("img"), "0d655a187e214821");
        assert_eq!(marker, "{jiggler:list:img}:outbox:0d655a187e214821");
        for key in [&index, &batch(&index, 12), &wait_list(&index), &marker] {
            assert_eq!(hashed(key), queue("img"));
        }
        assert_eq!(hashed(&outbox_marker(SCHEDULED, "0d655a187e214821")), SCHEDULED);
    }

    #[test]
    fn in_flight_keys_tell_whose_they_are() {
        let index = in_flight_index("img", "06c7221317f9", 3);
        let told = |batch| Some(InFlightKey { queue: "img", uuid: "06c7221317f9", shard: 3, batch });
        assert_eq!(parse_in_flight(&index), told(None));
        assert_eq!(parse_in_flight(&batch(&index, 12)), told(Some("12")));
        assert_eq!(parse_in_flight(&wait_list(&index)), told(Some("w")));
        for other in [
            "jiggler:list:img",
            "{jiggler:list:}:inflight:06c7221317f9:3",
            "{jiggler:list:img}:inflight::3",
            "{jiggler:list:img}:inflight:06c7221317f9",
            "{jiggler:list:img}:inflight:06c7221317f9:w",
            "{jiggler:list:img}:recoveries:06c7221317f9",
        ] {
            assert_eq!(parse_in_flight(other), None, "{other}");
        }
    }

    #[test]
    fn list_keys_tell_queues_from_lists_in_progress() {
        assert_eq!(parse_list("jiggler:list:default"), Some(ListKey::Queue { queue: "default" }));
        assert_eq!(
            parse_list("jiggler:list:default:in_progress:33c754465483"),
            Some(ListKey::InProgress { queue: "default", uuid: "33c754465483" })
        );
        assert_eq!(parse_list("jiggler:list:in_progress"), Some(ListKey::Queue { queue: "in_progress" }));
        assert_eq!(
            parse_list("jiggler:list:my_in_progress_jobs"),
            Some(ListKey::Queue { queue: "my_in_progress_jobs" })
        );
        assert_eq!(parse_list("jiggler:svr:x"), None);
    }
}
