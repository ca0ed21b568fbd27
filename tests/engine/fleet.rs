//! The processes of a fleet as Redis sees them: leases, fences, lists in flight; some real, some written by hand.

use jiggler_uring::internal::limits::FENCE;

use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker};

pub(crate) const LEASES: &str = "jiggler:uring:leases";

/// What a worker logs when it has put a dead process's jobs back.
pub(crate) const REAPED: &str = "a process died; its jobs are back in their queues";

/// A process that exists only in Redis.
pub(crate) struct Process<'r> {
    redis: &'r Redis,
    pub(crate) uuid: &'static str,
    pub(crate) member: String,
}

impl<'r> Process<'r> {
    pub(crate) fn with_lease(
        redis: &'r Redis,
        uuid: &'static str,
        shards: usize,
        queues: &str,
        ends_ms: u64,
    ) -> Self {
        let member = format!("{uuid}:{shards}:{queues}");
        redis.run(&["ZADD", LEASES, &ends_ms.to_string(), &member]);
        let process = Self { redis, uuid, member };
        redis.run(&["SET", &process.figures(), "{}"]);
        process
    }

    pub(crate) fn figures(&self) -> String {
        format!("jiggler:uring:process:{}", self.uuid)
    }

    /// Jobs in one list in flight, oldest first, listed in the index the way a turn lists them.
    pub(crate) fn holds(&self, queue: &str, shard: usize, batch: &str, jobs: &[String]) {
        let list = key(queue, self.uuid, shard, batch);
        let mut push = vec!["RPUSH", &list];
        push.extend(jobs.iter().map(String::as_str));
        self.redis.run(&push);
        if batch.parse::<u64>().is_ok() {
            let index = list.rsplit_once(':').unwrap().0;
            self.redis.run(&["HSET", index, batch, &jobs.len().to_string(), "t", batch]);
        }
    }
}

pub(crate) fn key(queue: &str, uuid: &str, shard: usize, batch: &str) -> String {
    format!("{{jiggler:list:{queue}}}:inflight:{uuid}:{shard}:{batch}")
}

pub(crate) fn sleeper(number: usize, seconds: f64) -> String {
    format!(r#"{{"name":"Sleep", "args":[{seconds}],"jid":"{number:08}","x":"kept as it came"}}"#)
}

/// The uuid a worker currently works under.
pub(crate) fn uuid_of(worker: &Worker) -> String {
    let line = worker.lines(" working ").pop().unwrap();
    line.split("uuid=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

pub(crate) fn member_of(redis: &Redis, uuid: &str) -> String {
    let members = redis.set(LEASES);
    members.into_iter().map(|(member, _)| member).find(|member| member.starts_with(uuid)).unwrap()
}

/// Ends a lease now rather than in up to 20 s.
pub(crate) fn end_lease(redis: &Redis, uuid: &str) {
    let member = member_of(redis, uuid);
    assert_eq!(redis.integer(&["ZADD", LEASES, "XX", "CH", "1000", &member]), 1);
}

/// How many jobs a worker reports to have put back.
pub(crate) fn jobs_put_back(worker: &Worker) -> u64 {
    let count = |line: String| line.split("jobs=").nth(1).unwrap().split(' ').next().unwrap().parse::<u64>();
    worker.lines(REAPED).into_iter().map(|line| count(line).unwrap()).sum()
}

/// A shard's turns and blocking moves meet something they fail on, which does not stay forever.
#[track_caller]
pub(crate) fn assert_fenced(redis: &Redis, queue: &str, uuid: &str, shard: usize) {
    let wait_list = key(queue, uuid, shard, "w");
    for key in [wait_list.strip_suffix(":w").unwrap(), &wait_list] {
        assert_eq!(redis.text(key).as_deref(), Some("fenced"), "{key}");
        let ttl_s = redis.integer(&["TTL", key]);
        assert!((1..=i64::try_from(FENCE.as_secs()).unwrap()).contains(&ttl_s), "{key} stays {ttl_s} s");
    }
}

#[track_caller]
pub(crate) fn assert_forgotten(redis: &Redis, uuid: &str) {
    wait_until("the lease is gone", || redis.set(LEASES).iter().all(|(m, _)| !m.starts_with(uuid)));
    assert_eq!(redis.text(&format!("jiggler:uring:process:{uuid}")), None);
    assert_eq!(redis.keys(&format!("jiggler:svr:{uuid}:*")), [""; 0], "nobody takes it for a living process");
}

/// A worker presumed dead works under another name, and logs it once.
#[track_caller]
pub(crate) fn assert_new_identity(redis: &Redis, worker: &Worker, old: &str) {
    wait_until("it has a new identity", || uuid_of(worker) != old);
    let new = uuid_of(worker);
    wait_until("it has a heartbeat and a lease", || {
        redis.keys(&format!("jiggler:svr:{new}:*")).len() == 1
            && redis.set(LEASES).iter().any(|(member, _)| member.starts_with(&new))
    });
    assert_eq!(redis.keys(&format!("jiggler:svr:{old}:*")), [""; 0]);
    assert_eq!(redis.text(&format!("jiggler:uring:process:{old}")), None);
    assert_eq!(worker.lines("it continues under a new identity").len(), 1);
}

/// When a lease expires, in Unix milliseconds.
#[track_caller]
pub(crate) fn lease_ends_ms(redis: &Redis, member: &str) -> i64 {
    let score = redis.run(&["ZSCORE", LEASES, member]);
    String::from_utf8_lossy(score.as_bulk().unwrap()).parse().unwrap()
}
