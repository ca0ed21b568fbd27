//! Every Redis key, spelt here and nowhere else.
//!
//! Responsible for the names the gem `jiggler` 0.1.0 uses (byte for byte, so that its client, summary, web page and
//! servers see us) and for our own additive ones. Not for what lies under a key, nor for the commands.
//!
//! Invariant: none of our own keys starts with [`LIST_PREFIX`] or [`SERVER_PREFIX`] (the gem takes whatever it finds
//! there for a queue or a process) or contains [`IN_PROGRESS`] (the gem's requeuer would empty it for ever).

use std::fmt;

// ---------------------------------------------------------------------------------------------------------------
// Shared with the gem
// ---------------------------------------------------------------------------------------------------------------

/// What every queue's key starts with. There is no registry of queues: the gem finds them by `SCAN`.
pub const LIST_PREFIX: &str = "jiggler:list:";

/// What every heartbeat key starts with. There is no registry of processes: the gem finds them by `SCAN`.
pub const SERVER_PREFIX: &str = "jiggler:svr:";

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

/// The uuid in a key under [`SERVER_PREFIX`], whatever stands behind it: a server whose key is of another form than
/// [`parse_heartbeat`] knows lives all the same. `None` when it is no such key.
#[must_use]
pub fn server_uuid(key: &str) -> Option<&str> {
    key.strip_prefix(SERVER_PREFIX)?.split(':').next()
}

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

/// The batch name of a shard's wait list.
pub const WAIT_LIST_BATCH: &str = "w";

/// The batch name of a shard's oversize list.
pub const OVERSIZE_BATCH: &str = "o";

/// The batch name of the suspects of a dead shard: jobs recovered before, let go one by one.
pub const SUSPECTS_BATCH: &str = "s";

/// The batch name of the poison of a dead shard: jobs recovered too often, to be buried.
pub const POISON_BATCH: &str = "p";

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

/// The member of [`LEASES`] by which a process is known: `<uuid>:<shards>:<queue>,<queue>,…`. It tells a reaper every
/// in-flight key the process may have.
#[must_use]
pub fn lease_member(uuid: &str, shards: usize, queues: &[&str]) -> String {
    format!("{uuid}:{shards}:{}", queues.join(","))
}

/// What a member of [`LEASES`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease<'k> {
    /// The process: 12 hex digits.
    pub uuid: &'k str,
    /// How many shards it has.
    pub shards: usize,
    /// The queues it serves, as it was told.
    pub queues: Vec<&'k str>,
}

/// Reads a member that [`lease_member`] wrote; `None` if it is of another form.
#[must_use]
pub fn parse_lease_member(member: &str) -> Option<Lease<'_>> {
    let mut parts = member.splitn(3, ':');
    let (uuid, shards, queues) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let queues: Vec<&str> = queues.split(',').collect();
    let sane = !uuid.is_empty() && queues.iter().all(|queue| !queue.is_empty());
    sane.then_some(Lease { uuid, shards, queues })
}

// ---------------------------------------------------------------------------------------------------------------
// Heartbeat key
// ---------------------------------------------------------------------------------------------------------------

/// The ten parts of a heartbeat key, `jiggler:svr:<uuid>:<concurrency>:<timeout>:<queues>:<poller>:<started_at>:
/// <pid>:<hostname>`. [`fmt::Display`] writes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'k> {
    /// The process: 12 hex digits.
    pub uuid: &'k str,
    /// Jobs the process runs at once.
    pub concurrency: u64,
    /// Seconds a stopping process waits for its jobs.
    pub timeout_s: u64,
    /// Queue names joined by commas; with explicit priorities the numbers are interleaved: `low,0,mid,1`.
    pub queues: &'k str,
    /// Whether the process moves due jobs.
    pub poller: Poller,
    /// Unix time of the start, in seconds.
    pub started_at: u64,
    /// Process id.
    pub pid: u32,
    /// Host name: the only part that may contain colons.
    pub hostname: &'k str,
}

/// Whether a process moves due jobs from the retry and scheduled sets to their queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poller {
    /// It does: `1` in the key.
    Enabled,
    /// It does not: `0` in the key.
    Disabled,
}

impl fmt::Display for Heartbeat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_assert!(!self.uuid.contains(':'), "a colon would shift the parts: {}", self.uuid);
        debug_assert!(!self.queues.contains(':'), "a colon would shift the parts: {}", self.queues);
        let poller = match self.poller {
            Poller::Enabled => 1,
            Poller::Disabled => 0,
        };
        write!(f, "{SERVER_PREFIX}{}:{}:{}:{}", self.uuid, self.concurrency, self.timeout_s, self.queues)?;
        write!(f, ":{poller}:{}:{}:{}", self.started_at, self.pid, self.hostname)
    }
}

/// The heartbeat key of a process.
#[must_use]
pub fn heartbeat(parts: &Heartbeat<'_>) -> String {
    parts.to_string()
}

/// Reads a heartbeat key, a Ruby server's or ours; `None` when it is none.
#[must_use]
pub fn parse_heartbeat(key: &str) -> Option<Heartbeat<'_>> {
    let mut parts = key.strip_prefix(SERVER_PREFIX)?.splitn(8, ':');
    Some(Heartbeat {
        uuid: parts.next()?,
        concurrency: parts.next()?.parse().ok()?,
        timeout_s: parts.next()?.parse().ok()?,
        queues: parts.next()?,
        poller: match parts.next()? {
            "1" => Poller::Enabled,
            "0" => Poller::Disabled,
            _ => return None,
        },
        started_at: parts.next()?.parse().ok()?,
        pid: parts.next()?.parse().ok()?,
        hostname: parts.next()?,
    })
}

/// A queue name, with its priority where the heartbeat key carries one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedQueue<'k> {
    /// The queue's name.
    pub name: &'k str,
    /// Its priority: a higher number is served first.
    pub priority: Option<u64>,
}

/// Writes the `queues` part of a heartbeat key.
#[must_use]
pub fn join_queues(queues: &[ServedQueue<'_>]) -> String {
    let parts: Vec<String> = queues
        .iter()
        .map(|queue| match queue.priority {
            Some(priority) => format!("{},{priority}", queue.name),
            None => queue.name.to_owned(),
        })
        .collect();
    parts.join(",")
}

/// Reads the `queues` part of a heartbeat key. The gem interleaves either all priorities or none, so every second
/// part being a number means priorities; a plain list whose every second queue is *named* by a number reads wrongly.
#[must_use]
pub fn split_queues(queues: &str) -> Vec<ServedQueue<'_>> {
    let parts: Vec<&str> = queues.split(',').filter(|part| !part.is_empty()).collect();
    let priorities: Option<Vec<u64>> =
        parts.iter().skip(1).step_by(2).map(|part| part.parse().ok()).collect();
    match priorities {
        Some(priorities) if !parts.is_empty() && parts.len().is_multiple_of(2) => parts
            .iter()
            .step_by(2)
            .zip(priorities)
            .map(|(name, priority)| ServedQueue { name, priority: Some(priority) })
            .collect(),
        _ => parts.iter().map(|name| ServedQueue { name, priority: None }).collect(),
    }
}

#[cfg(test)]
mod tests {
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
    fn a_lease_names_what_a_reaper_needs() {
        let member = lease_member("06c7221317f9", 2, &["img", "default"]);
        let lease = Lease { uuid: "06c7221317f9", shards: 2, queues: vec!["img", "default"] };
        assert_eq!(parse_lease_member(&member), Some(lease));
        for other in ["", "06c7221317f9", "06c7221317f9:x:img", "06c7221317f9:2:", ":2:img", "a:1:b,,c"] {
            assert_eq!(parse_lease_member(other), None, "{other}");
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

    #[test]
    fn heartbeat_keys_of_the_gem_round_trip() {
        for key in [
            "jiggler:svr:d8625f8721eb:3:25:default,custom,custom_retries:1:1795299901:8066:vm",
            "jiggler:svr:aaaaaaaaaaaa:10:25:default:1:1700000000:1:host:with:colons",
            "jiggler:svr:c08ba406f627:3:25:low,0,mid,1:0:1795300285:15055:vm",
        ] {
            let parts = parse_heartbeat(key).unwrap();
            assert_eq!(heartbeat(&parts), key);
        }
        let parts = parse_heartbeat("jiggler:svr:aaaaaaaaaaaa:10:25:default:1:1700000000:1:host:with:colons")
            .unwrap();
        assert_eq!(parts.uuid, "aaaaaaaaaaaa");
        assert_eq!((parts.concurrency, parts.timeout_s, parts.queues), (10, 25, "default"));
        assert_eq!((parts.poller, parts.started_at, parts.pid), (Poller::Enabled, 1_700_000_000, 1));
        assert_eq!(parts.hostname, "host:with:colons");
    }

    #[test]
    fn a_server_is_known_by_its_uuid_whatever_else_its_key_says() {
        for (key, uuid) in [
            ("jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm", Some("d8625f8721eb")),
            ("jiggler:svr:d8625f8721eb:of another version", Some("d8625f8721eb")),
            ("jiggler:svr:d8625f8721eb", Some("d8625f8721eb")),
            ("jiggler:list:default", None),
        ] {
            assert_eq!(server_uuid(key), uuid, "{key}");
        }
    }

    #[test]
    fn keys_that_are_no_heartbeat_are_refused() {
        for key in [
            "",
            "jiggler:svr:",
            "jiggler:list:default",
            "jiggler:svr:a:1:25:q:2:1:1:h",
            "jiggler:svr:a:1:25:q:1:1:1",
        ] {
            assert_eq!(parse_heartbeat(key), None, "{key}");
        }
    }

    #[test]
    fn queues_carry_priorities_only_when_they_are_interleaved() {
        let plain = split_queues("default,custom,custom_retries");
        assert_eq!(
            plain.iter().map(|queue| queue.name).collect::<Vec<_>>(),
            ["default", "custom", "custom_retries"]
        );
        assert!(plain.iter().all(|queue| queue.priority.is_none()));
        let ranked =
            [ServedQueue { name: "low", priority: Some(0) }, ServedQueue { name: "mid", priority: Some(1) }];
        assert_eq!(split_queues("low,0,mid,1"), ranked);
        assert_eq!(join_queues(&ranked), "low,0,mid,1");
        assert_eq!(join_queues(&plain), "default,custom,custom_retries");
        assert_eq!(split_queues(""), []);
    }
}
