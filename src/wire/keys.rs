//! Every Redis key, spelt here and nowhere else: a [`Keyspace`] is chosen at boot and passed to everything that needs a
//! key.
//!
//! Responsible for the names that the gems `jiggler` 0.1.0 and `sidekiq` 6 to 8 use (byte for byte, so that their clients,
//! summaries, web pages and servers see us) and for our own additional ones. Not for what is stored under a key, nor for the
//! commands.
//!
//! Invariant: none of our own keys starts with [`Names::list_prefix`] or [`SERVER_PREFIX`] (the gem jiggler takes whatever
//! it finds there for a queue or a process) or contains `IN_PROGRESS` (that gem's requeuer would empty it for ever).
//!
//! [`SERVER_PREFIX`]: super::heartbeat_key::SERVER_PREFIX

use super::in_progress::{self, IN_PROGRESS};
use super::list_name::ListName;

/// The names of one dialect. Those of sets, counters, leases and lead are for a Redis outside a cluster: there all queues
/// share them. See [`super::Realm`].
#[derive(Debug, PartialEq, Eq)]
pub struct Names {
    // Shared with the gem.
    /// What every queue's key starts with. Where there is no registry of queues, they are found by `SCAN`.
    pub list_prefix: &'static str,
    /// The registries of queues and of processes, where the dialect has them.
    pub registries: Option<Registries>,
    /// What names queues and processes where it has none.
    pub register: Option<Register>,
    /// The pattern of every key of the gem, and of our keys that hash by themselves.
    pub pattern: &'static str,
    /// Retry set (zset): failed jobs, score: Unix time in seconds of the next attempt.
    pub retries: &'static str,
    /// Scheduled set (zset): jobs for later, score: Unix time in seconds at which they are due.
    pub scheduled: &'static str,
    /// Dead set (zset): jobs that exhausted their retries, score: Unix time in seconds of death.
    pub dead: &'static str,
    /// Counter (decimal integer): jobs run, failed ones included.
    pub processed: &'static str,
    /// Counter (decimal integer): jobs that failed.
    pub failures: &'static str,
    // Ours.
    /// The pattern of every key that hashes with its queue: what is in flight, and how often a job was recovered.
    pub in_flight_pattern: &'static str,
    /// The pattern of every key that a search for lists of dead servers must look at: the gem's, and those of jobs in
    /// flight, which begin with a brace.
    pub servers_pattern: &'static str,
    /// Leases (zset): member: [`super::lease`], score: end of the lease by the clock of Redis.
    pub leases: &'static str,
    /// Lead of the pollers (string with a time to live): the uuid of the process whose poller wakes for each due job.
    pub lead: &'static str,
    /// Moments of queues whose due jobs have a pace.
    pub paces: &'static str,
    /// Begins the keys of the table of periodic jobs.
    pub cron_prefix: &'static str,
    /// What is paused (string): JSON of [`super::paused`]. Not there while nothing is.
    pub paused: &'static str,
    /// Begins the key of what one of our processes publishes about itself and its shards.
    pub process_prefix: &'static str,
    /// Begins the key of the progress a job last reported.
    pub progress_prefix: &'static str,
    /// Begins the keys of what is kept of the past: [`crate::wire::history`].
    pub history_prefix: &'static str,
    /// What people have had done by the pages (list): [`crate::wire::audit`], the latest first.
    pub audit: &'static str,
    /// Begins every channel of [`Keyspace::cancel_channel`].
    pub cancel_prefix: &'static str,
    /// Begins every channel of [`Keyspace::steer_channel`].
    pub steer_prefix: &'static str,
}

/// Sets that name what there is: what is not in them is not seen by the gem's pages.
#[derive(Debug, PartialEq, Eq)]
pub struct Registries {
    /// The names of all queues that were ever pushed to.
    pub queues: &'static str,
    /// The identities of running processes: each is the key of a hash.
    pub processes: &'static str,
    /// The names of queues that nobody is to serve for now. Programs of ours only read it.
    pub paused: &'static str,
}

/// What names queues and processes where the dialect has no registries, so that nobody needs to walk over all keys
/// to find them. A program that knows of one adds it; one that is gone is taken out by the process that walks over
/// all keys now and then.
#[derive(Debug, PartialEq, Eq)]
pub struct Register {
    /// Queues (zset): member: name, score: Unix time in seconds at which someone last named it.
    pub queues: &'static str,
    /// Processes (zset): member: key of the heartbeat, score: as above.
    pub processes: &'static str,
    /// A walk over all keys has added what it found (string that expires: Unix time of its end). Without it the other two
    /// may lack what nobody of ours has made.
    pub walked: &'static str,
}

/// The keyspace of the gem `jiggler`, and ours next to it, on a Redis outside a cluster.
pub const JIGGLER: Keyspace = Keyspace {
    names: &Names {
        list_prefix: "jiggler:list:",
        registries: None,
        register: Some(Register {
            queues: "jiggler:uring:queues",
            processes: "jiggler:uring:processes",
            walked: "jiggler:uring:walked",
        }),
        pattern: "jiggler:*",
        retries: "jiggler:set:retries",
        scheduled: "jiggler:set:scheduled",
        dead: "jiggler:set:dead",
        processed: "jiggler:stats:processed_counter",
        failures: "jiggler:stats:failures_counter",
        in_flight_pattern: "{jiggler:list:*",
        servers_pattern: "*jiggler:*",
        leases: "jiggler:uring:leases",
        lead: "jiggler:uring:poller",
        paces: "jiggler:uring:paces",
        cron_prefix: "jiggler:uring:cron:",
        paused: "jiggler:uring:paused",
        process_prefix: "jiggler:uring:process:",
        progress_prefix: "jiggler:uring:progress:",
        history_prefix: "jiggler:uring:history:",
        audit: "jiggler:uring:audit",
        cancel_prefix: "jiggler:uring:cancel:",
        steer_prefix: "jiggler:uring:steer:",
    },
    is_cluster: false,
};

/// The keyspace of the gem `sidekiq`, and ours next to it. Its processes are found by keys that begin with a host name, so
/// no pattern tells its keys from others.
pub const SIDEKIQ: Keyspace = Keyspace {
    names: &Names {
        list_prefix: "queue:",
        registries: Some(Registries { queues: "queues", processes: "processes", paused: "paused" }),
        register: None,
        pattern: "*",
        retries: "retry",
        scheduled: "schedule",
        dead: "dead",
        processed: "stat:processed",
        failures: "stat:failed",
        in_flight_pattern: "{queue:*",
        servers_pattern: "{queue:*",
        leases: "jiggler-uring:leases",
        lead: "jiggler-uring:poller",
        paces: "jiggler-uring:paces",
        cron_prefix: "jiggler-uring:cron:",
        paused: "jiggler-uring:paused",
        process_prefix: "jiggler-uring:process:",
        progress_prefix: "jiggler-uring:progress:",
        history_prefix: "jiggler-uring:history:",
        audit: "jiggler-uring:audit",
        cancel_prefix: "jiggler-uring:cancel:",
        steer_prefix: "jiggler-uring:steer:",
    },
    is_cluster: false,
};

/// How the keys of one database are spelt. A small value, chosen once ([`super::Dialect::keys`]) and copied to where keys
/// are built: those of a shard and its queues when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyspace {
    names: &'static Names,
    is_cluster: bool,
}

impl Keyspace {
    /// The same names, in a Redis Cluster or outside one.
    #[must_use]
    pub(super) const fn with_cluster(self, is_cluster: bool) -> Self {
        Self { is_cluster, ..self }
    }

    /// Whether it is for a Redis Cluster, where each queue has sets and counters of its own.
    #[must_use]
    pub const fn is_cluster(self) -> bool {
        self.is_cluster
    }

    /// The names of its dialect.
    #[must_use]
    pub const fn names(self) -> &'static Names {
        self.names
    }

    /// What names queues and processes; `None` where registries do, and in a cluster, each of whose nodes has other keys.
    #[must_use]
    pub const fn register(self) -> Option<&'static Register> {
        if self.is_cluster { None } else { self.names.register.as_ref() }
    }

    /// The list of a queue's waiting jobs: new ones enter at the head, workers take from the tail.
    #[must_use]
    pub fn queue(self, name: &str) -> String {
        [self.names.list_prefix, name].concat()
    }

    /// The list of waiting jobs of this name, which a worker may be given or not.
    #[must_use]
    pub fn list(self, name: &ListName) -> Vec<u8> {
        [self.names.list_prefix.as_bytes(), name.as_bytes()].concat()
    }

    /// The name of the queue of a key that [`Self::queue`] has made; `None` if it is of another form.
    #[must_use]
    pub fn queue_name(self, key: &str) -> Option<&str> {
        key.strip_prefix(self.names.list_prefix)
    }

    /// The list into which the Ruby server `uuid` moves the jobs it takes from a queue; ours to rescue once it is dead.
    #[must_use]
    pub fn gem_in_progress(self, queue: &str, uuid: &str) -> String {
        format!("{}{queue}:{IN_PROGRESS}:{uuid}", self.names.list_prefix)
    }

    /// Reads a key that a `SCAN` over [`Names::list_prefix`] found; `None` when it is not such a key.
    #[must_use]
    pub fn parse_list(self, key: &str) -> Option<ListKey<'_>> {
        let rest = self.queue_name(key)?;
        Some(match in_progress::marker(rest) {
            Some(at) => {
                ListKey::InProgress { queue: &rest[..at - 1], uuid: &rest[at + IN_PROGRESS.len() + 1..] }
            }
            None => ListKey::Queue { queue: rest },
        })
    }

    /// What is paused. In a cluster it hashes with the channel of cancellations, so that it is where everybody listens.
    #[must_use]
    pub fn paused(self, database: u32) -> String {
        if self.is_cluster {
            format!("{}:{{{}}}", self.names.paused, self.cancel_channel(database))
        } else {
            self.names.paused.to_owned()
        }
    }

    /// What one of our processes publishes about itself and its shards: [`crate::wire::figures`].
    #[must_use]
    pub fn process(self, uuid: &str) -> String {
        [self.names.process_prefix, uuid].concat()
    }

    /// The same for the process whose heartbeat is under that key. In a cluster it hashes with the heartbeat, so that
    /// anyone who finds the one finds the other on the same node.
    #[must_use]
    pub fn figures(self, heartbeat_key: &str, uuid: &str) -> String {
        if self.is_cluster {
            format!("{}{{{heartbeat_key}}}", self.names.process_prefix)
        } else {
            self.process(uuid)
        }
    }

    /// The progress that the job with this jid last reported.
    #[must_use]
    pub fn progress(self, jid: &str) -> String {
        [self.names.progress_prefix, jid].concat()
    }

    /// The counter of one day, by the date in UTC as in `2026-11-21`, beside one of all days.
    #[must_use]
    pub fn day_counter(self, counter: &str, day: &str) -> String {
        [counter, ":", day].concat()
    }

    /// What scripts need to keep the registry of queues: a line of Lua that names the set, what the key of a queue begins
    /// with, and where a job waits that is to run later without having failed. `None` if they keep none.
    #[must_use]
    pub fn registry_for_lua(self) -> Option<String> {
        let Names { registries, list_prefix, scheduled, .. } = self.names;
        let queues = registries.as_ref()?.queues;
        Some(format!("{} = '{queues}', '{list_prefix}', '{scheduled}'\n", NO_REGISTRY_FOR_LUA.trim_end()))
    }

    /// The entries of the minutes of one hour since 1970 (list; it expires): [`crate::wire::history`].
    #[must_use]
    pub fn history_minutes(self, hour: u64) -> String {
        format!("{}minutes:{hour}", self.names.history_prefix)
    }

    /// The hours of one day since 1970 (hash by hour; it expires).
    #[must_use]
    pub fn history_hours(self, day: u64) -> String {
        format!("{}hours:{day}", self.names.history_prefix)
    }

    /// The days of a span of 32 days (hash by day; it expires), by its first.
    #[must_use]
    pub fn history_days(self, day: u64) -> String {
        format!("{}days:{}", self.names.history_prefix, day - day % 32)
    }

    /// A key that hashes with a queue in a Redis Cluster, because of the braces: one script may touch both together.
    #[must_use]
    pub(super) fn beside_queue(self, queue: &str, what: &str) -> String {
        format!("{{{}{queue}}}:{what}", self.names.list_prefix)
    }

    /// The queue of a key that [`Self::beside_queue`] has made, and what it is; `None` if it has another form.
    pub(super) fn parse_beside_queue(self, key: &str) -> Option<(&str, &str)> {
        let (queue, what) = key.strip_prefix('{')?.strip_prefix(self.names.list_prefix)?.split_once("}:")?;
        (!queue.is_empty()).then_some((queue, what))
    }

    /// The index of the batches that one shard has taken from one queue. The index, and everything derived from it
    /// ([`super::in_flight`]), hashes with the queue.
    #[must_use]
    pub fn in_flight_index(self, queue: &str, uuid: &str, shard: usize) -> String {
        self.beside_queue(queue, &format!("inflight:{uuid}:{shard}"))
    }

    /// Reads a key made by [`Self::in_flight_index`] or derived from one; `None` if it has another form.
    #[must_use]
    pub fn parse_in_flight(self, key: &str) -> Option<InFlightKey<'_>> {
        let (queue, rest) = self.parse_beside_queue(key)?;
        let mut parts = rest.strip_prefix("inflight:")?.splitn(3, ':');
        let (uuid, shard) = (parts.next()?, parts.next()?.parse().ok()?);
        (!uuid.is_empty()).then_some(InFlightKey { queue, uuid, shard, batch: parts.next() })
    }

    /// The prefix of the keys that count how often a job of a queue was recovered (hash: `n`, and `of`, the process that
    /// last died with it). The jid follows, or a hash of the payload.
    #[must_use]
    pub fn recoveries_prefix(self, queue: &str) -> String {
        self.beside_queue(queue, "recoveries:")
    }
}

/// The same line of Lua where scripts keep no registry, as a literal for those that begin with it.
macro_rules! no_registry_for_lua {
    () => {
        "local QUEUES, QUEUE_PREFIX, LATER\n"
    };
}
pub(crate) use no_registry_for_lua;

/// See [`Keyspace::registry_for_lua`].
pub const NO_REGISTRY_FOR_LUA: &str = no_registry_for_lua!();

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

/// What a key found under [`Names::list_prefix`] is.
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

/// What a key says in which one of our processes has jobs in flight.
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

#[cfg(test)]
mod tests {
    use super::super::heartbeat_key::SERVER_PREFIX;
    use super::super::in_flight::{batch, oversize_list, poison, suspects, wait_list};
    use super::*;

    /// The part of a key that a Redis Cluster hashes: what is in the first braces, or else the whole key.
    fn hashed(key: &str) -> &str {
        let Some((_, rest)) = key.split_once('{') else { return key };
        match rest.split_once('}') {
            Some((tag, _)) if !tag.is_empty() => tag,
            _ => key,
        }
    }

    #[test]
    fn shared_keys_are_spelt_as_the_gem_spells_them() {
        assert_eq!(JIGGLER.queue("default"), "jiggler:list:default");
        assert_eq!(
            JIGGLER.gem_in_progress("default", "06c7221317f9"),
            "jiggler:list:default:in_progress:06c7221317f9"
        );
        assert_eq!(JIGGLER.names().retries, "jiggler:set:retries");
        assert_eq!(JIGGLER.names().scheduled, "jiggler:set:scheduled");
        assert_eq!(JIGGLER.names().dead, "jiggler:set:dead");
        assert_eq!(JIGGLER.names().processed, "jiggler:stats:processed_counter");
        assert_eq!(JIGGLER.names().failures, "jiggler:stats:failures_counter");
    }

    #[test]
    fn none_of_our_keys_can_be_taken_for_one_of_the_gems() {
        let index = JIGGLER.in_flight_index("default", "06c7221317f9", 3);
        let ours = [
            JIGGLER.names().leases.to_owned(),
            JIGGLER.names().lead.to_owned(),
            JIGGLER.names().paces.to_owned(),
            JIGGLER.names().audit.to_owned(),
            JIGGLER.process("06c7221317f9"),
            JIGGLER.shared_realm().cron.ticks.clone(),
            JIGGLER.shared_realm().cron.entries.clone(),
            JIGGLER.shared_realm().cron.runs.clone(),
            JIGGLER.shared_realm().cron.holders.clone(),
            JIGGLER.paused(3),
            JIGGLER.fleet_channel(3),
            JIGGLER.slots_channel(3),
            JIGGLER.history_minutes(498_695),
            JIGGLER.history_hours(20_778),
            JIGGLER.history_days(20_778),
            JIGGLER.cancel_channel(3),
            JIGGLER.steer_channel(3, "06c7221317f9"),
            batch(&index, 7),
            wait_list(&index),
            oversize_list(&index),
            suspects(&index),
            poison(&index),
            JIGGLER.recoveries_prefix("default"),
            outbox_marker(&JIGGLER.queue("default"), "0d655a187e214821"),
            outbox_marker(JIGGLER.names().scheduled, "0d655a187e214821"),
            index,
        ];
        for key in ours {
            assert!(!key.starts_with(JIGGLER.names().list_prefix), "{key}");
            assert!(!key.starts_with(SERVER_PREFIX), "{key}");
            assert!(!key.contains(IN_PROGRESS), "{key}");
        }
    }

    #[test]
    fn keys_of_sidekiq_are_spelt_as_it_spells_them_and_none_of_ours_is_one_of_a_queue() {
        let names = SIDEKIQ.names();
        assert_eq!(SIDEKIQ.queue("critical"), "queue:critical");
        assert_eq!((names.retries, names.scheduled, names.dead), ("retry", "schedule", "dead"));
        assert_eq!(SIDEKIQ.day_counter(names.processed, "2026-11-21"), "stat:processed:2026-11-21");
        assert_eq!(SIDEKIQ.day_counter(names.failures, "2026-11-21"), "stat:failed:2026-11-21");
        let index = SIDEKIQ.in_flight_index("a:b", "06c7221317f9", 3);
        assert_eq!(index, "{queue:a:b}:inflight:06c7221317f9:3");
        let told = InFlightKey { queue: "a:b", uuid: "06c7221317f9", shard: 3, batch: Some("w") };
        assert_eq!(SIDEKIQ.parse_in_flight(&wait_list(&index)), Some(told));
        let ours = [
            names.leases,
            names.lead,
            names.paces,
            names.audit,
            names.process_prefix,
            names.progress_prefix,
            &index,
        ];
        assert!(ours.iter().all(|key| !key.starts_with(names.list_prefix)));
        assert_eq!(
            SIDEKIQ.registry_for_lua().unwrap(),
            "local QUEUES, QUEUE_PREFIX, LATER = 'queues', 'queue:', 'schedule'\n"
        );
        assert_eq!(JIGGLER.registry_for_lua(), None);
    }

    #[test]
    fn in_flight_keys_hash_with_their_queue() {
        let index = JIGGLER.in_flight_index("img", "06c7221317f9", 0);
        assert_eq!(index, "{jiggler:list:img}:inflight:06c7221317f9:0");
        assert_eq!(batch(&index, 12), "{jiggler:list:img}:inflight:06c7221317f9:0:12");
        assert_eq!(wait_list(&index), "{jiggler:list:img}:inflight:06c7221317f9:0:w");
        let marker = outbox_marker(&JIGGLER.queue("img"), "0d655a187e214821");
        assert_eq!(marker, "{jiggler:list:img}:outbox:0d655a187e214821");
        for key in [&index, &batch(&index, 12), &wait_list(&index), &marker] {
            assert_eq!(hashed(key), JIGGLER.queue("img"));
        }
        assert_eq!(
            hashed(&outbox_marker(JIGGLER.names().scheduled, "0d655a187e214821")),
            JIGGLER.names().scheduled
        );
    }

    #[test]
    fn what_is_paused_is_where_the_fleet_listens() {
        let in_cluster = JIGGLER.with_cluster(true);
        assert_eq!(hashed(&in_cluster.paused(0)), in_cluster.cancel_channel(0));
        assert_eq!(JIGGLER.paused(0), "jiggler:uring:paused");
        let all = [JIGGLER.fleet_channel(0), JIGGLER.slots_channel(0)];
        assert!(!all.contains(&JIGGLER.steer_channel(0, "06c7221317f9")) && all[0] != all[1]);
    }

    #[test]
    fn in_flight_keys_tell_whose_they_are() {
        let index = JIGGLER.in_flight_index("img", "06c7221317f9", 3);
        let told = |batch| Some(InFlightKey { queue: "img", uuid: "06c7221317f9", shard: 3, batch });
        assert_eq!(JIGGLER.parse_in_flight(&index), told(None));
        assert_eq!(JIGGLER.parse_in_flight(&batch(&index, 12)), told(Some("12")));
        assert_eq!(JIGGLER.parse_in_flight(&wait_list(&index)), told(Some("w")));
        for other in [
            "jiggler:list:img",
            "{jiggler:list:}:inflight:06c7221317f9:3",
            "{jiggler:list:img}:inflight::3",
            "{jiggler:list:img}:inflight:06c7221317f9",
            "{jiggler:list:img}:inflight:06c7221317f9:w",
            "{jiggler:list:img}:recoveries:06c7221317f9",
        ] {
            assert_eq!(JIGGLER.parse_in_flight(other), None, "{other}");
        }
    }

    #[test]
    fn list_keys_tell_queues_from_lists_in_progress() {
        assert_eq!(JIGGLER.parse_list("jiggler:list:default"), Some(ListKey::Queue { queue: "default" }));
        assert_eq!(
            JIGGLER.parse_list("jiggler:list:default:in_progress:33c754465483"),
            Some(ListKey::InProgress { queue: "default", uuid: "33c754465483" })
        );
        assert_eq!(
            JIGGLER.parse_list("jiggler:list:in_progress"),
            Some(ListKey::Queue { queue: "in_progress" })
        );
        assert_eq!(
            JIGGLER.parse_list("jiggler:list:my_in_progress_jobs"),
            Some(ListKey::Queue { queue: "my_in_progress_jobs" })
        );
        assert_eq!(JIGGLER.parse_list("jiggler:svr:x"), None);
    }
}
