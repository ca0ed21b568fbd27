//! The whole program over TLS: a worker drains and survives a restart, and operators' commands work, with the client
//! certificate that the server requires.

use std::time::Duration;

use jiggler_uring::internal::limits::PAYLOAD_BYTES_MAX;

use crate::certificates::Certificates;
use crate::harness::wait::{wait_until, wait_within};
use crate::harness::{Account, Redis, Worker, config_file, output_of};

const JOBS: usize = 8_000;

/// Consumption must resume this soon after Redis is back.
const BACK_WITHIN: Duration = Duration::from_secs(15);

/// A Redis that requires a client certificate and has no plain port; the test itself uses its unix socket.
fn start(certificates: &Certificates) -> Redis {
    let mut flags = certificates.server_flags("server", "yes");
    flags.extend(["--appendonly", "yes", "--appendfsync", "always"].map(str::to_owned));
    Redis::start_by_socket(&flags.iter().map(String::as_str).collect::<Vec<_>>())
}

fn flags(certificates: &Certificates) -> [String; 6] {
    let file = |name: &str| certificates.path(name);
    let pairs = [("ca", "ca.pem"), ("cert", "client.pem"), ("key", "client.key")];
    let [ca, cert, key] = pairs.map(|(flag, name)| [format!("--redis-{flag}-file"), file(name)]);
    [ca, cert, key].concat().try_into().unwrap()
}

fn url(redis: &Redis) -> String {
    format!("rediss://localhost:{}", redis.port())
}

/// `openssl req -x509` makes a CA certificate; as a server's it is refused with an explanation.
#[test]
fn a_ca_certificate_as_a_servers_is_refused_with_how_to_make_one() {
    let certificates = Certificates::make();
    let flags = certificates.server_flags("ca", "no");
    let redis = Redis::start_by_socket(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    for command in [&[][..], &["summary"]] {
        let ca = certificates.path("ca.pem");
        let output = output_of(&[command, &["--redis-url", &url(&redis), "--redis-ca-file", &ca]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("basicConstraints=critical,CA:FALSE"), "{said}");
        assert!(!said.contains("Other"), "{said}");
    }
}

#[test]
fn a_worker_drains_over_tls_and_survives_a_restart() {
    let certificates = Certificates::make();
    let mut redis = start(&certificates);
    let config = config_file("max_dead_jobs: 1000000\n");
    Account::push(&redis, "default", JOBS);
    let path = config.path();
    let tls = flags(&certificates);
    let mut args = vec!["--cores", "2", "-v", "-C", &path];
    args.extend(tls.iter().map(String::as_str));
    let mut worker = Worker::launch(&url(&redis), &args);
    wait_until("some jobs have run", || redis.processed() > 500);
    redis.kill();
    wait_until("both shards say that redis is gone", || worker.lines("redis is gone; trying").len() == 2);
    redis.start_again();
    let before = redis.processed();
    assert!(before < JOBS as u64, "redis ended after the drain, which proves nothing");
    wait_within(BACK_WITHIN, "the worker consumes again", || (redis.processed() > before).then_some(()));
    wait_until("all jobs have run", || redis.processed() >= JOBS as u64);
    // Two shards' connections, their waits, and those of control: nobody got in another way.
    wait_until("it waits", || redis.waiting() == 2);
    assert!(redis.clients("jiggler-uring:").iter().all(|line| !line.contains("redis.sock")));
    worker.stop();
    Account::of(&redis).assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
}

#[test]
fn operators_and_large_payloads_go_over_tls_too() {
    let certificates = Certificates::make();
    let redis = start(&certificates);
    let (url, tls) = (url(&redis), flags(&certificates));
    let run = |command: &[&str]| {
        let mut args = command.to_vec();
        args.extend(["--redis-url", &url]);
        args.extend(tls.iter().map(String::as_str));
        let output = output_of(&args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{text}");
        String::from_utf8(output.stdout).unwrap()
    };
    let args: Vec<&str> = tls.iter().map(String::as_str).collect();
    let mut worker = Worker::launch(&url, &args);
    worker.wait_for_line(" working ");
    run(&["enqueue", "Noop", "[]", "--count", "10"]);
    let head = r#"{"name":"Noop","jid":"large","args":[""#;
    let large = format!("{head}{}\"]}}", "x".repeat(PAYLOAD_BYTES_MAX - head.len() - 3));
    redis.push("default", &[large]);
    wait_until("all have run", || redis.processed() == 11);
    let summary: serde_json::Value = serde_json::from_str(&run(&["summary", "--json"])).unwrap();
    assert_eq!(summary["processed_count"], 11, "{summary}");
    worker.stop();
    assert_eq!(redis.job_keys(), [""; 0]);
}

/// The obstacle is reported at once, and the process ends as one with a wrong setup does.
#[test]
fn a_worker_that_does_not_trust_or_is_not_trusted_says_so_and_ends() {
    let certificates = Certificates::make();
    let redis = start(&certificates);
    let ca = certificates.path("ca.pem");
    let stranger = certificates.path("stranger.pem");
    let url = url(&redis);
    let check = |url: &str, args: &[&str], code: i32, part: &str| {
        let output = output_of(&[&["--redis-url", url][..], args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && error.contains(part), "{:?} {error}", output.status);
    };
    check(&url, &["--redis-ca-file", &stranger], 2, "comes from an authority that is not trusted here");
    check(&url, &["--redis-ca-file", &ca], 2, "wants a client certificate");
    check(&url, &["--redis-ca-file", "/no/such.pem"], 2, "the CA file /no/such.pem");
    let plain = Redis::start();
    check(&plain.tcp_url(), &["--redis-ca-file", &ca], 2, "write rediss://");
}
