//! Where a round happens: one Redis, or the nodes of a cluster, that can be killed, paused and started again.

use std::time::Duration;

use jiggler_uring::internal::wire::Dialect;

use super::round::signal;
use crate::harness::Redis;
use crate::harness::cluster::Cluster;
use crate::harness::wait::wait_within;

/// How long the nodes of a cluster may take to agree again.
const AGREED_WITHIN: Duration = Duration::from_secs(60);

/// As whom workers connect to the one Redis, so that rights can be withdrawn from them alone.
const USER: &str = "worker:chaos";

/// What loses nothing when it is killed.
const DURABLE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

/// The servers of a round.
pub(crate) struct Site {
    servers: Servers,
    /// Which of them are up.
    up: Vec<bool>,
    /// Ids of their processes.
    pids: Vec<u32>,
    pub(crate) queues: Vec<String>,
    /// Which node of a cluster has each queue.
    owners: Vec<usize>,
}

enum Servers {
    One(Box<Redis>),
    Cluster(Cluster),
}

/// Whose programs share the one Redis: CHAOS_DIALECT, or jiggler.
fn dialect() -> Dialect {
    let asked = std::env::var("CHAOS_DIALECT").ok().filter(|word| !word.is_empty());
    asked.map_or(Dialect::Jiggler, |word| word.parse().unwrap())
}

impl Site {
    /// One Redis for `nodes` = 0, else a cluster of so many, with a queue on each.
    pub(crate) fn start(nodes: usize, queues: usize) -> Self {
        if nodes > 0 {
            let cluster = Cluster::start_with(nodes, DURABLE);
            let pids = cluster.primaries.iter().map(Redis::pid).collect();
            let (queues, owners) = (cluster.queues(), (0..nodes).collect());
            return Self { servers: Servers::Cluster(cluster), up: vec![true; nodes], pids, queues, owners };
        }
        let user = ["--user", "worker", "on", ">chaos", "~*", "&*", "+@all"];
        let redis = Redis::start_in_with(dialect(), &[DURABLE, &user].concat());
        let more = (0..).map(|number| format!("q{number}"));
        let queues = ["default", "img"].into_iter().map(str::to_owned).chain(more).take(queues).collect();
        let pids = vec![redis.pid()];
        Self { servers: Servers::One(Box::new(redis)), up: vec![true], pids, queues, owners: Vec::new() }
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster(_))
    }

    pub(crate) fn nodes(&self) -> &[Redis] {
        match &self.servers {
            Servers::One(redis) => std::slice::from_ref(redis),
            Servers::Cluster(cluster) => &cluster.primaries,
        }
    }

    /// Where jobs are pushed.
    pub(crate) fn producer_url(&self) -> String {
        match &self.servers {
            Servers::One(redis) => redis.tcp_url(),
            Servers::Cluster(cluster) => cluster.url(),
        }
    }

    /// Where a worker connects: the cluster itself, or by way of a faulty line the one Redis.
    pub(crate) fn worker_url(&self, line: Option<&str>) -> String {
        match (&self.servers, line) {
            (Servers::One(_), Some(line)) => line.replacen("://", &format!("://{USER}@"), 1),
            (Servers::One(redis), None) => redis.url().replacen("://", &format!("://{USER}@"), 1),
            (Servers::Cluster(cluster), _) => cluster.url(),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.iter().all(|up| *up)
    }

    fn node_mut(&mut self, number: usize) -> &mut Redis {
        match &mut self.servers {
            Servers::One(redis) => redis,
            Servers::Cluster(cluster) => &mut cluster.primaries[number],
        }
    }

    pub(crate) fn kill(&mut self, number: usize) {
        self.up[number] = false;
        self.node_mut(number).kill();
    }

    pub(crate) fn shut_down(&mut self, number: usize) {
        self.up[number] = false;
        self.node_mut(number).shut_down();
    }

    pub(crate) fn start_again(&mut self, number: usize) {
        self.node_mut(number).start_again();
        self.pids[number] = self.node_mut(number).pid();
        self.wait_until_agreed();
        self.up[number] = true;
    }

    pub(crate) fn pause(&self, number: usize) {
        signal(self.pids[number], "STOP");
    }

    pub(crate) fn resume(&self, number: usize) {
        signal(self.pids[number], "CONT");
        self.wait_until_agreed();
    }

    /// Nodes of a cluster that missed one serve nothing until they have heard of it again.
    fn wait_until_agreed(&self) {
        if !self.is_cluster() {
            return;
        }
        wait_within(AGREED_WITHIN, "the cluster has agreed again", || {
            let agreed = |node: &Redis| node.text_of(&["CLUSTER", "INFO"]).contains("cluster_state:ok");
            self.nodes().iter().all(agreed).then_some(())
        });
    }

    /// Takes a command from the workers of the one Redis, or gives it back.
    pub(crate) fn allow(&self, command: &str, is_allowed: bool) {
        let rule = format!("{}{command}", if is_allowed { '+' } else { '-' });
        self.nodes()[0].run(&["ACL", "SETUSER", "worker", &rule]);
    }

    /// An operator pauses this queue and no other, or resumes what is paused; on one Redis.
    pub(crate) fn pause_queue(&self, queue: Option<usize>) {
        let redis = &self.nodes()[0];
        match queue {
            Some(queue) => {
                let paused = format!(r#"{{"queues":{{"{}":{{"at":1}}}}}}"#, self.queues[queue]);
                redis.run(&["SET", "jiggler:uring:paused", &paused]);
            }
            None => {
                redis.run(&["DEL", "jiggler:uring:paused"]);
            }
        }
        redis.run(&["PUBLISH", "jiggler:uring:steer:0", "paused"]);
    }

    /// Moves a queue with all it has to the next node of the cluster.
    pub(crate) fn move_queue(&mut self, queue: usize) {
        let Servers::Cluster(cluster) = &self.servers else { return };
        let from = self.owners[queue];
        let to = (from + 1) % cluster.primaries.len();
        cluster.migrate(cluster.slot(&self.queues[queue]), from, to, || {});
        self.owners[queue] = to;
    }
}
