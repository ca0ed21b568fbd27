//! TLS and sentinels with the clients, on tokio and without, and both together: `rediss+sentinel://` with real
//! sentinels and servers that speak only TLS, through a fail-over. And the errors where only one end speaks TLS.

use std::time::Duration;

use jiggler_uring::internal::limits::PAYLOAD_BYTES_MAX;
use jiggler_uring::internal::resp::RedisUrl;
use jiggler_uring::{Client, NewJob, TokioClient};
use tokio::runtime::Runtime;

use crate::certificates::Certificates;
use crate::harness::sentinels::Sentinels;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file, output_of};

/// The sentinels take a second to miss the primary and a few to agree; a loaded machine takes longer.
const FAILED_OVER_WITHIN: Duration = Duration::from_secs(60);

const JOBS: usize = 10_000;

/// Whether servers and sentinels speak TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Plain,
    Tls,
}

/// A primary and a replica that has caught up with it.
fn servers(line: Line, certificates: &Certificates) -> [Redis; 2] {
    let mut flags = vec!["--repl-diskless-sync-delay".to_owned(), "0".to_owned()];
    if line == Line::Tls {
        flags.extend(certificates.server_flags("server", "no"));
        flags.extend(["--tls-replication", "yes"].map(str::to_owned));
    }
    let start = |more: &[&str]| {
        let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Redis::start_by_socket(&flags)
    };
    let primary = start(&[]);
    let replica = start(&["--replicaof", "127.0.0.1", &primary.port().to_string()]);
    wait_until("the replica has caught up", || {
        primary.run(&["SET", "other:mark", "x"]);
        primary.integer(&["WAIT", "1", "1000"]) == 1
    });
    [primary, replica]
}

fn sentinels(line: Line, certificates: &Certificates, primary: &Redis) -> Sentinels {
    let sentinels = match line {
        Line::Tls => {
            let flags = certificates.server_flags("server", "no");
            Sentinels::watch_over_tls(&flags, certificates.path("ca.pem"), primary.port(), 2, 2)
        }
        Line::Plain => Sentinels::watch(primary.port(), 2, 2),
    };
    sentinels.wait_until_they_know(1);
    sentinels
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn job(number: usize) -> NewJob {
    NewJob::new("Noop", &[number]).unwrap()
}

#[test]
fn a_worker_follows_a_fail_over_of_servers_and_sentinels_that_speak_only_tls() {
    let certificates = Certificates::make();
    let [mut primary, replica] = servers(Line::Tls, &certificates);
    let sentinels = sentinels(Line::Tls, &certificates, &primary);
    let config = config_file("max_dead_jobs: 1000000\n");
    Account::push(&primary, "default", JOBS);
    let (url, path) = (sentinels.url("mymaster"), config.path());
    let mut worker = Worker::launch(&url, &["-v", "-t", "20", "-C", &path]);
    wait_until("some jobs have run", || primary.processed() > 200);
    wait_until("the replica has the jobs", || primary.integer(&["WAIT", "1", "1000"]) == 1);
    primary.kill();
    wait_within(FAILED_OVER_WITHIN, "the replica is the primary", || replica.leads().then_some(()));
    let before = replica.processed();
    assert!(before < JOBS as u64, "the fail-over came after the drain, which proves nothing");
    wait_within(FAILED_OVER_WITHIN, "jobs run there", || (replica.processed() > before).then_some(()));
    wait_until("all jobs have run", || replica.queue("default").is_empty() && replica.waiting() == 1);
    let output = output_of(&["enqueue", "Noop", "--redis-url", &url]);
    assert!(output.status.success(), "{output:?}");
    wait_until("it is woken", || replica.queue("default").is_empty() && replica.waiting() == 1);
    worker.stop();
    let account = Account::of(&replica);
    account.assert_none_lost(JOBS);
    assert_eq!((account.queued.len(), account.in_flight.len()), (0, 0));
}

/// Both clients hold a connection to the primary when it dies, and find the next one themselves.
fn clients_follow_a_fail_over(line: Line) {
    let certificates = Certificates::make();
    let [mut primary, replica] = servers(line, &certificates);
    let sentinels = sentinels(line, &certificates, &primary);
    let url = RedisUrl::parse(&sentinels.url("mymaster")).unwrap();
    let mut blocking = Client::connect(&sentinels.url("mymaster")).unwrap();
    let runtime = runtime();
    let on_tokio = runtime.block_on(TokioClient::connect(&sentinels.url("mymaster"))).unwrap();
    runtime.block_on(on_tokio.enqueue(&job(0))).unwrap();
    blocking.enqueue(&job(1)).unwrap();
    wait_until("the replica has the jobs", || primary.integer(&["WAIT", "1", "1000"]) == 1);
    primary.kill();
    wait_within(FAILED_OVER_WITHIN, "the replica is the primary", || replica.leads().then_some(()));
    let mut errors = Vec::new();
    wait_within(FAILED_OVER_WITHIN, "the client on tokio has found it", || {
        runtime.block_on(on_tokio.enqueue(&job(2))).map_err(|error| errors.push(error)).ok()
    });
    wait_within(FAILED_OVER_WITHIN, "the blocking client has found it", || {
        blocking.enqueue(&job(3)).map_err(|error| errors.push(error)).ok()
    });
    assert!(errors.iter().all(jiggler_uring::client::Error::may_heal), "{errors:?}");
    let bulk = runtime.block_on(on_tokio.enqueue_bulk((4..50).map(job))).unwrap();
    assert_eq!((bulk, replica.queue("default").len()), (46, 50));
    assert_eq!(url.tls().is_some(), line == Line::Tls);
}

#[test]
fn clients_follow_a_fail_over_by_plain_sentinels() {
    clients_follow_a_fail_over(Line::Plain);
}

#[test]
fn clients_follow_a_fail_over_by_sentinels_over_tls() {
    clients_follow_a_fail_over(Line::Tls);
}

#[test]
fn the_client_on_tokio_speaks_tls_with_payloads_of_any_size_and_its_own_certificate() {
    let certificates = Certificates::make();
    let flags = certificates.server_flags("server", "yes");
    let redis = Redis::start_by_socket(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let file = |name: &str| certificates.path(name);
    let url = |more: &str| format!("rediss://localhost:{}?ca_file={}{more}", redis.port(), file("ca.pem"));
    let identity = format!("&cert_file={}&key_file={}", file("client.pem"), file("client.key"));
    let runtime = runtime();
    let client = runtime.block_on(TokioClient::connect(&url(&identity))).unwrap();
    for bytes in [0, 16_384, 70_000, PAYLOAD_BYTES_MAX - 200] {
        runtime.block_on(client.enqueue(&NewJob::new("Noop", &["x".repeat(bytes)]).unwrap())).unwrap();
    }
    assert_eq!(redis.queue("default").len(), 4);
    let refusal = |url: &str| runtime.block_on(TokioClient::connect(url)).unwrap_err();
    let stranger = format!("rediss://localhost:{}?ca_file={}", redis.port(), file("stranger.pem"));
    for (url, part) in [(url(""), "wants a client certificate"), (stranger, "--redis-ca-file")] {
        let error = refusal(&url);
        assert!(error.to_string().contains(part) && !error.may_heal(), "{error}");
    }
}

/// At boot, from one-off commands and from the clients alike.
#[test]
fn a_url_that_takes_tls_for_plain_or_plain_for_tls_gets_an_error_that_says_so() {
    let certificates = Certificates::make();
    let ca = certificates.path("ca.pem");
    let flags = certificates.server_flags("server", "no");
    let redis = Redis::start_by_socket(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let plain = Redis::start();
    let runtime = runtime();
    let says = |url: &str, part: &str| {
        let commands: [(&[&str], i32); 4] =
            [(&[], 2), (&["summary"], 1), (&["enqueue", "Noop"], 1), (&["jobs", "dead"], 1)];
        for (command, code) in commands {
            let output = output_of(&[command, &["--redis-url", url]].concat());
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.code() == Some(code) && error.contains(part), "{command:?} {error}");
        }
        let error = runtime.block_on(TokioClient::connect(url)).unwrap_err();
        assert!(error.to_string().contains(part) && !error.may_heal(), "{error}");
    };
    let tls_port = format!("redis://localhost:{}", redis.port());
    says(&tls_port, "speaks TLS on this port; write rediss:// into the url");
    let plain_port = format!("rediss://localhost:{}?ca_file={ca}", plain.port());
    says(&plain_port, "does not speak TLS on this port; use redis://");
    let sentinels = format!("rediss+sentinel://localhost:{}/mymaster?ca_file={ca}", plain.port());
    says(&sentinels, "does not speak TLS on this port; use redis://");
}
