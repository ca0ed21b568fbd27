//! A replica takes the place of the primary, and what is behind the worker's address changes (P5).
//!
//! A proxy stands in for that address. After an orderly handover, nothing is missing on the new primary and each job
//! runs once. Where the new primary lacks the old one's last writes (Redis replicates after it answers), they are
//! repeated: a job that the old one gave out is still queued on the new one, and one whose end was reported to the
//! old one is still in flight there; both run again, none is lost. Marks that lag (the number of the last turn) only
//! cause turns to be reported again, and if a fence is missing then the reaping is missing with it, because both are
//! one step.

use std::time::Duration;

use crate::fault_proxy::FaultProxy;
use crate::harness::account::lists_in_flight;
use crate::harness::wait::{measure_over, wait_until, wait_within};
use crate::harness::{Account, ConfigFile, Redis, Worker, config_file};

const JOBS: usize = 50_000;

/// How long the address still leads to the old primary after it is demoted: several attempts to connect.
const LASTS: Duration = Duration::from_millis(1_500);

/// How long each piece is delayed while a drain must not end before the fault: two turns of 500 jobs a core are under
/// way at once, so two cores run about 20,000 jobs a second, however fast the machine.
const SLOW: Duration = Duration::from_millis(50);

/// Consumption must resume this soon after the address leads to a primary again.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// A lease renewal, the wait for its reply, which never comes, and for that of a turn; the rest is for a loaded machine.
const FOUND_OUT_WITHIN: Duration = Duration::from_secs(45);

const SEED: u64 = 20_261_122;

/// A primary, its replica, and the address that workers use.
struct Pair {
    old: Redis,
    new: Redis,
    address: FaultProxy,
}

impl Pair {
    #[track_caller]
    fn start() -> Self {
        let old = Redis::start_with(&["--repl-diskless-sync-delay", "0"]);
        let new = Redis::start_with(&["--replicaof", "127.0.0.1", &old.port().to_string()]);
        let address = FaultProxy::start(&old.socket(), true, SEED);
        let pair = Self { old, new, address };
        pair.catch_up();
        pair
    }

    /// Waits until the replica has everything.
    #[track_caller]
    fn catch_up(&self) {
        wait_until("the replica has caught up", || {
            self.old.run(&["SET", "other:mark", "x"]);
            self.old.integer(&["WAIT", "1", "1000"]) == 1
        });
    }

    /// The two swap roles, and nothing is missing on the new primary.
    #[track_caller]
    fn hand_over(&self) {
        let port = self.new.port().to_string();
        self.old.run(&["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "20000"]);
        wait_until("the replica is the primary", || self.new.is_primary() && !self.old.is_primary());
    }

    /// The replica becomes a primary on its own: whatever the old one does from now on is lost.
    #[track_caller]
    fn split(&self) {
        self.new.run(&["REPLICAOF", "NO", "ONE"]);
    }

    fn lead_to_new(&self) {
        self.address.lead_to(&self.new.socket());
        self.address.clear();
    }

    /// A drain that is under way, and slow enough for things to happen in the middle of it.
    #[track_caller]
    fn drain(&self, jobs: usize) -> (Worker, ConfigFile) {
        let config = config_file("max_dead_jobs: 1000000\n");
        self.address.delay(SLOW);
        Account::push(&self.old, "default", jobs);
        let worker =
            Worker::launch(self.address.url(), &["--cores", "2", "-v", "-t", "20", "-C", &config.path()]);
        wait_until("some jobs have run", || self.old.processed() > 500);
        (worker, config)
    }
}

#[track_caller]
fn assert_said_once(worker: &Worker) {
    for shard in ["shard=0", "shard=1"] {
        let of_shard = |text: &str| {
            let mut lines = worker.lines(text);
            lines.retain(|line| line.contains(shard));
            lines
        };
        let (begins, ends) = (of_shard("; trying again shard="), of_shard("redis is back "));
        assert_eq!(ends.len(), 1, "{ends:?}");
        // One for each cause: first it is a replica, then it is gone, for example.
        let mut causes: Vec<&str> =
            begins.iter().filter_map(|line| line.split("ERROR ").nth(1)?.split(';').next()).collect();
        let said = causes.len();
        causes.sort_unstable();
        causes.dedup();
        assert!(said >= 1 && causes.len() == said, "{begins:?}");
    }
    assert_eq!(worker.lines("panic"), [""; 0]);
}

/// Waits until the worker waits for jobs at the new primary with `waiters` connections, and none is left at the old one.
#[track_caller]
fn assert_all_moved(pair: &Pair, waiters: usize) {
    wait_until("the worker waits at the new primary", || pair.new.waiting() == waiters);
    wait_until("no connection is left at the old one", || pair.old.clients("jiggler-uring:").is_empty());
}

#[test]
fn a_handover_mid_drain_costs_no_job_and_runs_none_twice() {
    let pair = Pair::start();
    let (mut worker, _config) = pair.drain(JOBS);
    pair.hand_over();
    let at_handover = pair.new.processed();
    assert!(at_handover < JOBS as u64, "the handover came after the drain, which proves nothing");
    wait_until("both shards say that they are without redis", || worker.shards_without_redis() == 2);
    measure_over(LASTS);
    pair.lead_to_new();
    wait_within(BACK_WITHIN, "jobs run again", || (pair.new.processed() > at_handover).then_some(()));
    wait_until("all jobs have run", || pair.new.processed() >= JOBS as u64);
    assert_all_moved(&pair, 2);
    worker.stop();
    Account::of(&pair.new).assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
    assert_said_once(&worker);
}

#[test]
fn a_job_that_runs_through_a_handover_is_acked_by_the_new_primary() {
    let pair = Pair::start();
    let job = |seconds: f64, jid: &str| format!(r#"{{"name":"Sleep","args":[{seconds}],"jid":"{jid}"}}"#);
    pair.old.push("default", &[job(0.5, "ends while it cannot be reported"), job(4.0, "ends afterwards")]);
    let mut worker = Worker::launch(pair.address.url(), &["-t", "20"]);
    wait_until("both run", || pair.old.queue("default").is_empty() && !worker.lines("working").is_empty());
    pair.hand_over();
    measure_over(LASTS);
    pair.lead_to_new();
    wait_until("both are processed", || pair.new.processed() == 2);
    wait_until("both are acked", || lists_in_flight(&pair.new).is_empty());
    assert_all_moved(&pair, 1);
    worker.stop();
    assert_eq!((pair.new.processed(), pair.new.job_keys()), (2, Vec::new()));
}

/// The old primary lives on as a replica: connections to it work, and it refuses.
#[test]
fn a_worker_that_waited_when_the_primary_handed_over_waits_at_the_new_one() {
    let pair = Pair::start();
    let mut worker = Worker::launch(pair.address.url(), &["--cores", "2", "-q", "a,b"]);
    wait_until("it waits", || pair.old.waiting() == 4);
    pair.hand_over();
    measure_over(LASTS);
    pair.lead_to_new();
    pair.new.push("b", &[r#"{"name":"Noop"}"#]);
    wait_within(BACK_WITHIN, "the job runs", || (pair.new.processed() == 1).then_some(()));
    assert_all_moved(&pair, 4);
    pair.new.push("a", &[r#"{"name":"Noop"}"#]);
    wait_until("it is woken", || pair.new.processed() == 2);
    wait_until("heartbeat and lease are written there", || {
        pair.new.keys("jiggler:svr:*").len() == 1 && pair.new.count("jiggler:uring:leases") == 1
    });
    worker.stop();
}

/// No one is notified, as when a host vanishes. Each of the six waiting connections would wait for a minute and more;
/// the lease, which is renewed every few seconds, reveals it.
#[test]
fn a_worker_that_waited_at_a_vanished_primary_soon_waits_at_the_new_one() {
    let pair = Pair::start();
    let mut worker = Worker::launch(pair.address.url(), &["--cores", "2", "-q", "a,b,c"]);
    wait_until("it waits", || pair.old.waiting() == 6);
    pair.catch_up();
    pair.split();
    pair.address.forget();
    pair.lead_to_new();
    pair.new.push("b", &[r#"{"name":"Noop"}"#]);
    wait_within(FOUND_OUT_WITHIN, "the job runs", || (pair.new.processed() == 1).then_some(()));
    wait_until("all wait there", || pair.new.waiting() == 6);
    worker.stop();
}

#[test]
fn a_primary_that_dies_mid_drain_costs_no_job() {
    let mut pair = Pair::start();
    let (mut worker, _config) = pair.drain(JOBS);
    pair.catch_up();
    pair.old.kill();
    wait_until("both shards say that they are without redis", || worker.shards_without_redis() == 2);
    pair.split();
    let at_death = pair.new.processed();
    assert!(at_death < JOBS as u64, "the death came after the drain, which proves nothing");
    pair.lead_to_new();
    wait_within(BACK_WITHIN, "jobs run again", || (pair.new.processed() > at_death).then_some(()));
    wait_until("all jobs have run", || pair.new.queue("default").is_empty() && pair.new.waiting() == 2);
    worker.stop();
    assert_all_ran(&pair.new, JOBS);
    assert_said_once(&worker);
}

/// The worst case, made certain: the new primary lacks the old one's last writes, two thousand jobs and the fetch of
/// one that runs.
#[test]
fn jobs_unknown_to_the_new_primary_are_repeated_and_none_is_lost() {
    let mut pair = Pair::start();
    let (mut worker, _config) = pair.drain(JOBS);
    pair.catch_up();
    pair.split();
    let known = pair.new.processed();
    let long = r#"{"name":"Sleep","args":[3],"jid":"long"}"#;
    // Next in line.
    pair.old.run(&["RPUSH", "jiggler:list:default", long]);
    wait_until("the old primary has moved on", || pair.old.processed() > known + 2_000);
    assert!(!pair.old.queue("default").is_empty(), "the death came after the drain");
    pair.old.kill();
    wait_until("both shards say that they are without redis", || worker.shards_without_redis() == 2);
    pair.lead_to_new();
    wait_within(BACK_WITHIN, "jobs run again", || (pair.new.processed() > known).then_some(()));
    wait_until("all jobs have run", || pair.new.queue("default").is_empty() && pair.new.waiting() == 2);
    worker.stop();
    assert_all_ran(&pair.new, JOBS);
    assert_said_once(&worker);
    let repeated = Account::runs(&worker).values().filter(|times| **times == 2).count();
    let more = Account::runs(&worker).values().filter(|times| **times > 2).count();
    assert!(repeated >= 1_000 && more == 0, "{repeated} jobs ran twice, {more} more often");
}

/// Every traced job has run, on either primary, and nothing is left behind.
#[track_caller]
fn assert_all_ran(redis: &Redis, jobs: usize) {
    let account = Account::of(redis);
    account.assert_none_lost(jobs);
    assert_eq!((account.dead.len(), account.queued.len(), account.in_flight.len()), (jobs, 0, 0));
    assert_eq!(redis.job_keys(), [""; 0]);
}
