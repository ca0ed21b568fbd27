//! What a dead process held comes back and runs (P3), and a process that was only paused no longer touches any of it.
//!
//! A reaper must itself have been connected for a whole lease, so each of these cases takes about 25 s, mostly
//! waiting: they run side by side, each with its own Redis and workers, in one test. A dead process is a real one,
//! killed, or one written by hand: its lease, its index and its lists.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use jiggler_uring::internal::limits::LEASE;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{RedisUrl, Requests};
use jiggler_uring::internal::store::recovery::{self, Reaped, ReapedJobs};
use jiggler_uring::internal::store::scripts::{self, Scripts};
use jiggler_uring::internal::store::turn::QueueKeys;
use jiggler_uring::internal::wire::Dialect;
use jiggler_uring::internal::wire::keys::JIGGLER;

use crate::fleet::{
    LEASES, Process, REAPED, assert_fenced, assert_forgotten, assert_new_identity, end_lease, jobs_put_back,
    key, lease_ends_ms, member_of, sleeper, uuid_of,
};
use crate::harness::account::lists_in_flight;
use crate::harness::redis::DEAD;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file};

/// P3 promises 30 s; the rest is for a loaded machine.
const RECOVERY: Duration = Duration::from_secs(40);

/// Enough that the signal comes in the middle.
const JOBS: usize = 30_000;

type Case = (&'static str, fn());

#[test]
fn what_the_dead_held_comes_back_and_the_paused_leave_it_alone() {
    let cases: [Case; 9] = [
        ("jobs of a killed process run in another within 30 s", || one_of_two_is_killed(Dialect::Jiggler)),
        ("the same beside sidekiq", || one_of_two_is_killed(Dialect::Sidekiq)),
        ("jobs of a process killed mid-drain return in order", killed_in_mid_drain),
        ("a lone new process reaps after a whole lease and not earlier", killed_and_started_again),
        ("two reapers put back every list of every shard, each job once", two_reapers),
        ("a paused process acks nothing that others own", paused_with_running_jobs),
        ("a paused process with every slot taken learns of it", paused_with_full_slots),
        ("a paused process drops its backlog and continues", paused_in_mid_drain),
        ("a paused idle process continues", paused_while_idle),
    ];
    let running = cases.map(|(name, case)| {
        // The harness prints each failing case with its own thread's name.
        (name, thread::Builder::new().name(name.to_owned()).spawn(case).unwrap())
    });
    let failed: Vec<&str> =
        running.into_iter().filter_map(|(name, case)| case.join().is_err().then_some(name)).collect();
    assert_eq!(failed, [""; 0]);
}

// ---------------------------------------------------------------------------------------------------------------
// Killed
// ---------------------------------------------------------------------------------------------------------------

fn one_of_two_is_killed(dialect: Dialect) {
    let redis = Redis::start_in(dialect);
    let jobs: Vec<String> = (0..10).map(|n| sleeper(n, 3.0)).collect();
    let mut killed = Worker::start(&redis, &["-c", "5"]);
    let survivor = Worker::start(&redis, &["-c", "20"]);
    wait_until("both wait for jobs", || redis.waiting() == 2);
    redis.push("default", &jobs);
    wait_until("all jobs run", || redis.queue("default").is_empty());
    let uuid = uuid_of(&killed);
    killed.kill();
    let killed_at = Instant::now();
    let held = redis.keys(&format!("*inflight:{uuid}:*:*"));
    assert!(!held.is_empty(), "the killed process held no job, so this proves nothing");
    wait_within(RECOVERY, "the killed process's jobs run in the other", || {
        (redis.processed() == 10).then_some(())
    });
    assert!(killed_at.elapsed() < RECOVERY);
    assert_eq!((survivor.lines(REAPED).len(), redis.failures()), (1, 0));
    assert_fenced(&redis, "default", &uuid, 0);
    assert_forgotten(&redis, &uuid);
    wait_until("nothing is in flight", || lists_in_flight(&redis).is_empty());
}

fn killed_in_mid_drain() {
    let redis = Redis::start();
    let config = config_file("max_dead_jobs: 1000000\n");
    let reaper = Worker::start(&redis, &["-q", "elsewhere"]);
    Account::push(&redis, "default", JOBS);
    let mut killed = Worker::start(&redis, &["-C", &config.path(), "-q", "default"]);
    wait_until("some jobs have run", || redis.processed() > 500);
    killed.kill();
    end_lease(&redis, &uuid_of(&killed));
    wait_within(RECOVERY, "the jobs are back", || (!reaper.lines(REAPED).is_empty()).then_some(()));
    assert!(jobs_put_back(&reaper) > 0, "nothing was in flight, so this proves nothing");
    // Read ahead, but not started; together with the rest of the queue they are unchanged.
    let done = usize::try_from(redis.count(DEAD)).unwrap();
    let rest: Vec<String> = (done..JOBS).map(Account::traced).collect();
    assert!(redis.queue("default") == rest, "the queue is not as it was");
    let mut next = Worker::start(&redis, &["-C", &config.path(), "-q", "default"]);
    wait_until("all have run", || redis.processed() == JOBS as u64);
    next.stop();
    Account::of(&redis).assert_each_ran_once(JOBS);
}

fn killed_and_started_again() {
    let redis = Redis::start();
    redis.push("default", &[sleeper(0, 60.0), sleeper(1, 60.0)]);
    let mut killed = Worker::start(&redis, &["-c", "2"]);
    wait_until("the jobs run", || redis.queue("default").is_empty());
    killed.kill();
    end_lease(&redis, &uuid_of(&killed));
    let asked = Instant::now();
    let next = Worker::start(&redis, &["-c", "2"]);
    let started = Instant::now();
    wait_within(RECOVERY, "the jobs are back", || (!next.lines(REAPED).is_empty()).then_some(()));
    assert!(
        asked.elapsed() >= LEASE,
        "it reaped after {:?}: the living had no time to renew",
        asked.elapsed()
    );
    assert!(started.elapsed() < RECOVERY);
    let uuid = uuid_of(&next);
    wait_until("they run in the new process", || {
        let held = redis.list(&["KEYS", &format!("*inflight:{uuid}:0:*")]);
        let mut jobs: Vec<Vec<u8>> =
            held.iter().flat_map(|key| redis.list(&[&b"LRANGE"[..], key, b"0", b"-1"])).collect();
        jobs.sort_unstable();
        jobs == [sleeper(0, 60.0).into_bytes(), sleeper(1, 60.0).into_bytes()]
    });
}

// ---------------------------------------------------------------------------------------------------------------
// Dead processes written by hand
// ---------------------------------------------------------------------------------------------------------------

fn two_reapers() {
    let redis = Redis::start();
    let workers = [(); 2].map(|()| Worker::start(&redis, &["-q", "elsewhere"]));
    let job = |n| sleeper(n, 0.0);
    redis.push("a", &[job(99)]);
    let dead = Process::with_lease(&redis, "dead00000001", 2, "a,b", 1_000);
    // Ten comes after nine, whatever the order of their names.
    dead.holds("a", 0, "10", &[job(1), job(2)]);
    dead.holds("a", 0, "9", &[job(0)]);
    dead.holds("a", 0, "o", &[job(3)]);
    dead.holds("a", 0, "w", &[job(4)]);
    dead.holds("a", 1, "2", &[job(5), job(6), job(6)]);
    dead.holds("b", 0, "w", &[job(7)]);
    dead.holds("b", 1, "3", &[job(8)]);
    // Dead for longer than all others, more than one renewal names, and of forms that no process of ours writes: not
    // text, even.
    let unknown: Vec<Vec<u8>> =
        (0..17_u8).map(|n| [&b"made by something else "[..], &[b'a' + n * 9]].concat()).collect();
    for member in &unknown {
        redis.run(&[b"ZADD", LEASES.as_bytes(), b"1", member]);
    }
    let alive = Process::with_lease(&redis, "11fe00000001", 1, "a", 99_999_999_999_999);
    alive.holds("a", 0, "1", &[job(50)]);
    alive.holds("a", 0, "w", &[job(51)]);

    let old_order: Vec<String> = [5, 6, 6, 0, 1, 2, 3, 4, 99].into_iter().map(job).collect();
    wait_within(RECOVERY, "the jobs are back", || (redis.queue("a").len() == 9).then_some(()));
    assert_eq!(redis.queue("a"), old_order, "byte for byte, in their old order, next to be taken");
    wait_until("nothing of the process is left", || redis.text(&dead.figures()).is_none());
    assert_eq!(redis.queue("b"), [job(8), job(7)]);
    for (queue, shard) in [("a", 0), ("a", 1), ("b", 0), ("b", 1)] {
        assert_fenced(&redis, queue, dead.uuid, shard);
    }
    assert_forgotten(&redis, dead.uuid);
    assert!(lists_in_flight(&redis).iter().all(|key| key.contains(alive.uuid)));

    let lease_of = |worker: &Worker| lease_ends_ms(&redis, &member_of(&redis, &uuid_of(worker)));
    let leases: Vec<i64> = workers.iter().map(lease_of).collect();
    wait_until("both have looked once more", || {
        workers.iter().zip(&leases).all(|(worker, lease)| lease_of(worker) > *lease)
    });
    let reports: Vec<u64> = workers.iter().map(jobs_put_back).collect();
    assert_eq!(reports.iter().sum::<u64>(), 10, "jobs that each of two reapers put back: {reports:?}");
    for worker in &workers {
        let said = worker.lines("a member of an unknown kind");
        let distinct: BTreeSet<&str> = said.iter().filter_map(|line| line.split("member=").nth(1)).collect();
        assert_eq!((said.len(), distinct.len()), (17, 17), "each is said once: {said:?}");
    }
    assert_eq!(redis.integer(&["ZCOUNT", LEASES, "1", "1"]), 17, "they are left for the operator");
    let jobs_of = |batch| redis.list(&["LRANGE", &key("a", alive.uuid, 0, batch), "0", "-1"]);
    assert_eq!((jobs_of("1"), jobs_of("w")), (vec![job(50).into_bytes()], vec![job(51).into_bytes()]));
    assert!(redis.text(&alive.figures()).is_some());
}

#[test]
fn a_lease_renewed_after_it_was_found_expired_protects_its_jobs() {
    let redis = Redis::start();
    let mut conn = BlockingConnection::connect(&RedisUrl::parse(&redis.url()).unwrap()).unwrap();
    let mut requests = Requests::new();
    scripts::load(&JIGGLER.shared_realm(), &mut requests);
    let scripts = Scripts::read(JIGGLER.shared_realm(), &conn.call(&requests).unwrap()).unwrap();
    let process = Process::with_lease(&redis, "aaaaaaaaaaaa", 1, "q", 99_999_999_999_999);
    process.holds("q", 0, "1", &[sleeper(0, 1.0)]);
    process.holds("q", 0, "w", &[sleeper(1, 1.0)]);
    let queues = [QueueKeys::new(JIGGLER, "q", process.uuid, 0)];
    let before = redis.keys("*");
    let mut reap = |member: &str| {
        let mut requests = Requests::new();
        recovery::reap(&scripts, member, &queues, &mut requests);
        recovery::release(&scripts, member, process.uuid, None, &mut requests);
        let replies = conn.call(&requests).unwrap();
        (recovery::read_reaped(&replies[0]).unwrap(), replies[1].as_integer().unwrap())
    };
    assert_eq!(reap(&process.member), (Reaped::Alive, 0));
    assert_eq!(reap("aaaaaaaaaaaa:1:other"), (Reaped::Gone, 0));
    assert_eq!((redis.keys("*"), redis.queue("q").len()), (before, 0), "nothing was touched");
    // The other way round: once expired, it is reaped once, and the second reaper finds nothing.
    redis.run(&["ZADD", LEASES, "1000", &process.member]);
    let reaped = ReapedJobs { back: 2, ..ReapedJobs::default() };
    assert_eq!(reap(&process.member), (Reaped::Jobs(reaped), 1));
    assert_eq!(reap(&process.member), (Reaped::Gone, 0));
    assert_eq!(redis.queue("q"), [sleeper(0, 1.0), sleeper(1, 1.0)]);
}

// ---------------------------------------------------------------------------------------------------------------
// Paused
// ---------------------------------------------------------------------------------------------------------------

fn paused_with_running_jobs() {
    let redis = Redis::start();
    let reaper = Worker::start(&redis, &["-q", "elsewhere"]);
    let mut paused = Worker::start(&redis, &["-q", "slow,own", "-c", "3"]);
    let jobs: Vec<String> = (0..3).map(|n| sleeper(n, 10.0)).collect();
    redis.push("slow", &jobs[..2]);
    wait_until("the jobs run", || redis.queue("slow").is_empty());
    wait_until("it waits for more", || redis.waiting() == 3);
    paused.signal("STOP");
    // Delivered to a process that does not read it.
    redis.push("slow", &jobs[2..]);
    let old = uuid_of(&paused);
    end_lease(&redis, &old);
    wait_within(RECOVERY, "its jobs are back", || (!reaper.lines(REAPED).is_empty()).then_some(()));
    assert_eq!(jobs_put_back(&reaper), 3);
    let owner = Worker::start(&redis, &["-q", "slow", "-c", "3"]);
    let owned = || {
        let keys = redis.keys(&format!("{{jiggler:list:slow}}:inflight:{}:0:*", uuid_of(&owner)));
        let mut jobs: Vec<Vec<u8>> =
            keys.iter().flat_map(|key| redis.list(&["LRANGE", key, "0", "-1"])).collect();
        jobs.sort_unstable();
        jobs
    };
    wait_until("they run elsewhere", || owned().len() == 3);
    // Its own runs of them have ended meanwhile, so it wants to ack at once.
    paused.signal("CONT");
    paused.wait_for_line("this shard was believed dead");
    assert_eq!(owned(), jobs.iter().map(|job| job.clone().into_bytes()).collect::<Vec<_>>());
    assert_eq!(redis.processed(), 0, "the jobs it ran are not counted either");
    assert_new_identity(&redis, &paused, &old);
    redis.push("own", &[r#"{"name":"Noop","args":[]}"#]);
    wait_until("it consumes again", || redis.queue("own").is_empty());
    wait_until("every job has run", || redis.processed() == 4);
    assert_eq!(redis.failures(), 0);
    paused.stop();
}

fn paused_with_full_slots() {
    let redis = Redis::start();
    let reaper = Worker::start(&redis, &["-q", "elsewhere"]);
    let mut paused = Worker::start(&redis, &["-q", "slow", "-c", "2"]);
    let jobs: Vec<String> = (0..2).map(|n| sleeper(n, 600.0)).collect();
    redis.push("slow", &jobs);
    wait_until("the jobs run", || redis.queue("slow").is_empty());
    paused.signal("STOP");
    let old = uuid_of(&paused);
    end_lease(&redis, &old);
    wait_within(RECOVERY, "its jobs are back", || (!reaper.lines(REAPED).is_empty()).then_some(()));
    paused.signal("CONT");
    // Nothing in the shard would contact Redis for ten minutes.
    assert_new_identity(&redis, &paused, &old);
    assert!(redis.set(LEASES).iter().all(|(member, _)| !member.starts_with(&old)), "it took its lease again");
    wait_until("it runs the jobs again", || redis.queue("slow").is_empty());
    paused.stop();
}

fn paused_in_mid_drain() {
    let redis = Redis::start();
    let config = config_file("max_dead_jobs: 1000000\n");
    let reaper = Worker::start(&redis, &["-q", "elsewhere"]);
    Account::push(&redis, "default", JOBS);
    let args = ["--cores", "2", "-q", "default", "-C", &config.path()];
    let mut paused = Worker::start(&redis, &args);
    wait_until("some jobs have run", || redis.processed() > 500);
    paused.signal("STOP");
    let old = uuid_of(&paused);
    end_lease(&redis, &old);
    wait_within(RECOVERY, "its jobs are back", || (!reaper.lines(REAPED).is_empty()).then_some(()));
    assert!(jobs_put_back(&reaper) > 0, "nothing was in flight, so this proves nothing");
    let account = Account::of(&redis);
    assert_eq!(account.queued.len() + account.dead.len(), JOBS);
    assert_eq!(account.dead.len() as u64, redis.processed());
    paused.signal("CONT");
    wait_until("all have run", || redis.processed() >= JOBS as u64);
    assert_new_identity(&redis, &paused, &old);
    paused.stop();
    // What it ran without owning it left no trace: neither an entry nor a count.
    Account::of(&redis).assert_each_ran_once(JOBS);
    assert_eq!(redis.processed(), JOBS as u64);
}

fn paused_while_idle() {
    let redis = Redis::start();
    let reaper = Worker::start(&redis, &["-q", "elsewhere"]);
    let mut paused = Worker::start(&redis, &["-q", "default,more"]);
    wait_until("all wait", || redis.waiting() == 3);
    paused.signal("STOP");
    let old = uuid_of(&paused);
    end_lease(&redis, &old);
    wait_within(RECOVERY, "it is reaped", || (!reaper.lines(REAPED).is_empty()).then_some(()));
    let job = r#"{"name":"Noop","args":[],"jid":"kept"}"#;
    redis.push("more", &[job]);
    // Its blocked move found the fence: the job stays where others find it.
    assert_eq!(redis.queue("more"), [job]);
    paused.signal("CONT");
    wait_until("the job has run", || redis.processed() == 1);
    assert_new_identity(&redis, &paused, &old);
    assert_eq!((redis.queue("more").len(), redis.failures()), (0, 0));
    paused.stop();
}
