//! Sentinels know the primary: a worker finds it, follows a fail-over mid-drain, and says what is wrong when there is
//! none.
//!
//! Real ones: a primary, two replicas and three sentinels, each a process. The test kills the primary and decides
//! nothing: the sentinels agree on the next one on their own.

use std::time::Duration;

use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{RedisUrl, Requests};

use crate::harness::sentinels::Sentinels;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file, output_of};

const JOBS: usize = 30_000;

/// The sentinels take a second to miss the primary and a few to agree; a loaded machine takes longer.
const FAILED_OVER_WITHIN: Duration = Duration::from_secs(60);

/// A primary, which comes first, and its replicas.
fn servers(replicas: usize) -> Vec<Redis> {
    let primary = Redis::start_with(&["--repl-diskless-sync-delay", "0"]);
    let port = primary.port().to_string();
    let mut all = vec![primary];
    for _ in 0..replicas {
        all.push(Redis::start_with(&["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]));
    }
    let primary = &all[0];
    wait_until("the replicas have caught up", || {
        primary.run(&["SET", "other:mark", "x"]);
        primary.integer(&["WAIT", &replicas.to_string(), "1000"]) == replicas as i64
    });
    all
}

#[test]
fn a_worker_follows_a_fail_over_mid_drain_and_loses_no_job() {
    let mut servers = servers(2);
    let sentinels = Sentinels::watch(servers[0].port(), 3, 2);
    sentinels.wait_until_they_know(2);
    let config = config_file("max_dead_jobs: 1000000\n");
    Account::push(&servers[0], "default", JOBS);
    let path = config.path();
    let url = sentinels.url("mymaster");
    let mut worker = Worker::launch(&url, &["--cores", "2", "-v", "-t", "20", "-C", &path]);
    wait_until("some jobs have run", || servers[0].processed() > 500);
    wait_until("the replicas have the jobs", || servers[0].integer(&["WAIT", "2", "1000"]) == 2);
    // Whatever only the dead primary knew is repeated; none is lost.
    let mut old = servers.remove(0);
    old.kill();
    wait_until("both shards say that they are without redis", || worker.shards_without_redis() == 2);
    let new =
        wait_within(FAILED_OVER_WITHIN, "a replica is the primary", || servers.iter().position(Redis::leads));
    let new = &servers[new];
    let before = new.processed();
    assert!(before < JOBS as u64, "the fail-over came after the drain, which proves nothing");
    wait_within(FAILED_OVER_WITHIN, "jobs run at the new primary", || {
        (new.processed() > before).then_some(())
    });
    wait_until("all jobs have run", || new.queue("default").is_empty() && new.waiting() == 2);
    // A job from a producer that also asks the sentinels wakes it there.
    let output = output_of(&["enqueue", "Noop", "--redis-url", &url]);
    assert!(output.status.success(), "{output:?}");
    wait_until("it is woken", || new.queue("default").is_empty() && new.waiting() == 2);
    assert_eq!(worker.lines("redis is back ").len(), 2);
    worker.stop();
    let account = Account::of(new);
    account.assert_none_lost(JOBS);
    assert_eq!((account.queued.len(), account.in_flight.len()), (0, 0));
}

#[test]
fn a_sentinel_that_is_away_is_skipped_and_the_sentinels_own_password_is_used() {
    let servers = servers(0);
    let sentinels = Sentinels::watch_with(servers[0].port(), 1, 1, &["requirepass sentinel-secret"]);
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = sentinels.url("mymaster").replace("//", &format!("//127.0.0.1:{unused},"));
    let wrong = BlockingConnection::connect(&RedisUrl::parse(&url).unwrap()).unwrap_err().to_string();
    assert!(wrong.contains("--redis-sentinel-password-file") && wrong.contains("refused"), "{wrong}");
    let url = format!("{url}?sentinel_password=sentinel-secret");
    let mut conn = BlockingConnection::connect(&RedisUrl::parse(&url).unwrap()).unwrap();
    let mut requests = Requests::new();
    requests.command(&[b"PING"]);
    conn.call_one(&requests).unwrap();
    assert!(format!("{conn:?}").contains(&servers[0].port().to_string()));
    let mut worker = Worker::launch(&url, &[]);
    worker.wait_for_line(" working ");
    assert!(worker.lines("sentinel-secret").is_empty());
    wait_until("it waits at the primary", || servers[0].waiting() == 1);
    worker.stop();
}

#[test]
fn an_error_says_what_is_wrong_with_the_sentinels() {
    let servers = servers(0);
    let sentinels = Sentinels::watch(servers[0].port(), 1, 1);
    let check = |url: &str, code: i32, parts: &[&str]| {
        for command in [&[][..], &["summary"]] {
            let output = output_of(&[command, &["--redis-url", url]].concat());
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
            if command.is_empty() {
                assert_eq!(output.status.code(), Some(code), "{error}");
            }
        }
    };
    check(&sentinels.url("nobody"), 2, &["knows a primary named \"nobody\"", "check the name"]);
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("redis+sentinel://127.0.0.1:{unused}/mymaster");
    check(&url, 1, &["no sentinel leads to the primary \"mymaster\"", "refused"]);
    // A server that is not a sentinel.
    let url = format!("redis+sentinel://127.0.0.1:{}/mymaster", servers[0].port());
    check(&url, 2, &["no sentinel leads", "unknown command 'SENTINEL'"]);
}
