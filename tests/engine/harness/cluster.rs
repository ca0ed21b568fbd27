//! A real Redis Cluster for one test: nodes, each a process, that have met and share the slots.

use std::net::TcpListener;
use std::time::Duration;

use jiggler_uring::internal::resp::{Reply, Value};

use super::redis::Redis;
use super::wait::{wait_until, wait_within};

/// The slots of any cluster.
pub(crate) const SLOTS: u16 = 16_384;

/// How soon a node that is gone is missed.
const NODE_TIMEOUT_MS: &str = "1500";

/// Meeting takes a few seconds, and longer on a loaded machine.
const MET_WITHIN: Duration = Duration::from_secs(60);

/// Its primaries and their replicas.
pub(crate) struct Cluster {
    pub(crate) primaries: Vec<Redis>,
    /// The replica of each primary, where there are any.
    pub(crate) replicas: Vec<Redis>,
    /// The port on which each node talks to the others, primaries first.
    buses: Vec<String>,
}

impl Cluster {
    /// This many primaries, which share the slots evenly.
    #[track_caller]
    pub(crate) fn start(primaries: usize) -> Self {
        Self::start_with(primaries, &[])
    }

    /// The same, with more flags of a server for each.
    #[track_caller]
    pub(crate) fn start_with(primaries: usize, flags: &[&str]) -> Self {
        let start = |more: &[&str]| Redis::start_with(&[flags, more].concat());
        let (primaries, buses) = (0..primaries).map(|_| node(&start)).unzip();
        let cluster = Self { primaries, replicas: Vec::new(), buses };
        cluster.meet();
        cluster
    }

    /// This many that speak only TLS, to clients and each other, with these server flags.
    #[track_caller]
    pub(crate) fn start_over_tls(primaries: usize, flags: &[String]) -> Self {
        let flags: Vec<&str> = flags
            .iter()
            .map(String::as_str)
            .chain(["--tls-cluster", "yes", "--tls-replication", "yes"])
            .collect();
        let (primaries, buses) =
            (0..primaries).map(|_| node(&|more| Redis::start_by_socket(&[&flags, more].concat()))).unzip();
        let cluster = Self { primaries, replicas: Vec::new(), buses };
        cluster.meet();
        cluster
    }

    /// The same, with a replica of each.
    #[track_caller]
    pub(crate) fn start_replicated(primaries: usize) -> Self {
        let (mut primaries, buses) = nodes(2 * primaries);
        let replicas = primaries.split_off(primaries.len() / 2);
        let cluster = Self { primaries, replicas, buses };
        cluster.meet();
        for (primary, replica) in cluster.primaries.iter().zip(&cluster.replicas) {
            let id = id(primary);
            wait_until("the replica knows its primary", || {
                replica.text_of(&["CLUSTER", "NODES"]).contains(&id)
            });
            replica.run(&["CLUSTER", "REPLICATE", &id]);
        }
        for primary in &cluster.primaries {
            wait_within(MET_WITHIN, "each primary has a replica that has caught up", || {
                (primary.info("replication", "connected_slaves") == 1).then_some(())
            });
            wait_until("the replica has caught up", || primary.integer(&["WAIT", "1", "1000"]) == 1);
        }
        cluster
    }

    fn meet(&self) {
        let count = self.primaries.len() as u16;
        for (at, node) in (0..count).zip(&self.primaries) {
            let (first, end) =
                (SLOTS / count * at, if at + 1 == count { SLOTS } else { SLOTS / count * (at + 1) });
            let range = [first.to_string(), (end - 1).to_string()];
            node.run(&["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]]);
            node.run(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]);
        }
        let first = &self.primaries[0];
        for (other, bus) in self.nodes().zip(&self.buses).skip(1) {
            first.run(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), bus]);
        }
        let nodes = self.nodes().count();
        wait_within(MET_WITHIN, "all nodes know each other and all slots", || {
            self.nodes()
                .all(|node| {
                    let info = node.text_of(&["CLUSTER", "INFO"]);
                    info.contains("cluster_state:ok")
                        && info.contains(&format!("cluster_known_nodes:{nodes}\r"))
                })
                .then_some(())
        });
    }

    fn nodes(&self) -> impl Iterator<Item = &Redis> {
        self.primaries.iter().chain(&self.replicas)
    }

    /// By two of its primaries, as a careful operator writes it.
    pub(crate) fn url(&self) -> String {
        let hosts: Vec<String> = self.nodes().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// The url of one that speaks TLS, with the CA file that vouches for its nodes.
    pub(crate) fn url_over_tls(&self, ca_file: &str) -> String {
        format!("{}?ca_file={ca_file}", self.url().replace("redis+", "rediss+"))
    }

    /// One queue for each primary, in their order.
    #[track_caller]
    pub(crate) fn queues(&self) -> Vec<String> {
        let named = |at: usize| {
            let mut names = (0..).map(|number| format!("q{at}-{number}"));
            names.find(|name| self.owner(name) == at).unwrap()
        };
        (0..self.primaries.len()).map(named).collect()
    }

    /// Which primary had the slot of a queue at the start.
    #[track_caller]
    fn owner(&self, queue: &str) -> usize {
        self.owner_of_key(&format!("jiggler:list:{queue}"))
    }

    /// Which primary had the slot of a key at the start.
    #[track_caller]
    pub(crate) fn owner_of_key(&self, key: &str) -> usize {
        let each = SLOTS / self.primaries.len() as u16;
        usize::from(self.slot_of_key(key) / each).min(self.primaries.len() - 1)
    }

    #[track_caller]
    pub(crate) fn slot(&self, queue: &str) -> u16 {
        self.slot_of_key(&format!("jiggler:list:{queue}"))
    }

    #[track_caller]
    fn slot_of_key(&self, key: &str) -> u16 {
        u16::try_from(self.primaries[0].integer(&["CLUSTER", "KEYSLOT", key])).unwrap()
    }

    /// Moves a slot with all its keys from one primary to another, the way an operator's tool does. `step` runs
    /// between any two of its steps.
    #[track_caller]
    pub(crate) fn migrate(&self, slot: u16, from: usize, to: usize, mut step: impl FnMut()) {
        let (source, target) = (&self.primaries[from], &self.primaries[to]);
        let (slot, source_id, target_id) = (slot.to_string(), id(source), id(target));
        target.run(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]);
        step();
        source.run(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]);
        step();
        loop {
            let keys = source.list(&["CLUSTER", "GETKEYSINSLOT", &slot, "3"]);
            if keys.is_empty() {
                break;
            }
            let port = target.port().to_string();
            let mut args: Vec<&[u8]> =
                ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"].map(str::as_bytes).to_vec();
            args.extend(keys.iter().map(Vec::as_slice));
            source.run(&args);
            step();
        }
        target.run(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        step();
        source.run(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
    }
}

/// The id the cluster gives a node.
#[track_caller]
fn id(node: &Redis) -> String {
    node.text_of(&["CLUSTER", "MYID"])
}

/// This many nodes, and their ports for each other.
#[track_caller]
fn nodes(count: usize) -> (Vec<Redis>, Vec<String>) {
    (0..count).map(|_| node(&Redis::start_with)).unzip()
}

#[track_caller]
fn node(start: &dyn Fn(&[&str]) -> Redis) -> (Redis, String) {
    let flags = ["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS];
    let more = ["--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0"];
    wait_within(MET_WITHIN, "a node with a free bus port", || {
        let bus = bus_port();
        let node = start(&[&flags[..], &more, &["--cluster-port", &bus]].concat());
        matches!(node.run(&["PING"]).value(), Value::Simple(_)).then_some((node, bus))
    })
}

/// A free port for a node's cluster bus: the default is its port plus 10,000, which may not exist.
fn bus_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

impl Redis {
    /// Runs a command whose reply is a text.
    #[track_caller]
    pub(crate) fn text_of(&self, args: &[&str]) -> String {
        let reply: Reply = self.run(args);
        String::from_utf8_lossy(reply.as_bulk().unwrap()).into_owned()
    }
}
