//! A real Prometheus scrapes a live worker: what it stores is what ran, and the alerts of `packaging/prometheus` fire for a
//! handler that holds its core, a growing backlog and a Redis that is away. `make test-all` runs it; `make test` does not,
//! because it takes minutes and a Prometheus (Debian's package).
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[expect(dead_code, unused_imports, reason = "shared with the tests of the engine, which use all of it")]
#[path = "../engine/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use harness::http::{ask, get};
use harness::wait::wait_until;
use harness::{Redis, Worker, json};

/// How long jobs run and are scraped, unless `PROMETHEUS_SECONDS` says otherwise.
const SECONDS: u64 = 120;

/// Entries the dead set keeps: a fast machine buries more.
const DEAD_MAX: f64 = 10_000.0;

/// Where the shipped files are.
fn packaged(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus").join(path)
}

/// A Prometheus of this test, killed when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// One that scrapes this address every second, by the shipped alerts: their times are shortened, their conditions are
    /// not.
    fn start(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let alerts = std::fs::read_to_string(packaged("alerts.yml")).unwrap();
        let alerts = alerts.replace("[10m]", "[20s]").replace("for: 15m", "for: 5s");
        std::fs::write(folder.path().join("alerts.yml"), alerts).unwrap();
        let config = std::fs::read_to_string(packaged("prometheus.yml")).unwrap();
        let config = config.replace("15s", "1s").replace("127.0.0.1:9394", &target.to_string());
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, config).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("prometheus cannot be started ({error}): make prometheus installs it")
            });
        let prometheus = Self { child, address, _folder: folder };
        wait_until("prometheus is ready", || std::net::TcpStream::connect(address).is_ok());
        wait_until("it serves", || get(address, "/-/ready").status == 200);
        prometheus
    }

    fn api(&self, path: &str) -> serde_json::Value {
        // Without chunks.
        json(ask(self.address, &format!("GET /api/v1/{path} HTTP/1.0\r\nHost: localhost\r\n\r\n")).body)["data"].clone()
    }

    /// The values of a query, by the value of one label.
    fn query(&self, query: &str, label: &str) -> BTreeMap<String, f64> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let data = self.api(&format!("query?query={encoded}"));
        let found = data["result"].as_array().unwrap().iter();
        found
            .map(|one| {
                let name = one["metric"][label].as_str().unwrap_or_default().to_owned();
                (name, one["value"][1].as_str().unwrap().parse().unwrap())
            })
            .collect()
    }

    #[track_caller]
    fn wait_for_alert(&self, name: &str) {
        wait_until(&format!("{name} fires"), || {
            let alerts = self.api("alerts")["alerts"].clone();
            let mut alerts = alerts.as_array().unwrap().iter();
            alerts.any(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing")
        });
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example program with jobs that misbehave, which the Makefile builds before.
fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join("examples/misbehaving_jobs")
}

#[test]
fn what_prometheus_stores_is_what_ran_and_its_alerts_fire() {
    let mut redis = Redis::start_durable();
    let worker = Worker::launch_program(&program(), &redis.url(), &["--web", "127.0.0.1:0", "-t", "30"]);
    let prometheus = Prometheus::start(worker.web_address());
    let seconds = std::env::var("PROMETHEUS_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let mut ledger: BTreeMap<String, f64> = BTreeMap::new();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds) {
        redis.push("default", &[r#"{"name":"Count","args":[1]}"#; 50]);
        redis.push("default", &[r#"{"name":"Count","args":[1,"no"]}"#; 3]);
        *ledger.entry("done".to_owned()).or_default() += 50.0;
        *ledger.entry("dead".to_owned()).or_default() += 3.0;
        let all = ledger.values().sum::<f64>() as u64;
        wait_until("they have run", || redis.processed() == all);
    }
    let all = ledger.values().sum::<f64>();
    let query = r#"sum by (outcome) (jiggler_jobs_total{job="jiggler",class="Count"})"#;
    wait_until("what is stored is what ran", || prometheus.query(query, "outcome") == ledger);
    for (query, expected) in [
        ("sum(jiggler_job_run_seconds_count)", all),
        (r#"sum(jiggler_job_run_seconds_bucket{le="+Inf"})"#, all),
        ("sum(jiggler_fleet_processed_jobs_total)", all),
        ("sum(jiggler_fleet_failed_jobs_total)", ledger["dead"]),
        (r#"jiggler_fleet_set_jobs{set="dead"}"#, ledger["dead"].min(DEAD_MAX)),
        (r#"count(jiggler_phase{phase="running"} == 1)"#, 1.0),
        ("min(up)", 1.0),
    ] {
        wait_until(query, || prometheus.query(query, "").into_values().eq([expected]));
    }
    assert_eq!(
        prometheus.api("alerts")["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|alert| {
                ["JigglerStalledHandler", "JigglerRedisOutage", "JigglerBacklogGrows"]
                    .iter()
                    .any(|name| alert["labels"]["alertname"] == *name)
            })
            .count(),
        0
    );

    redis.push("default", &[r#"{"name":"KeepCore","args":[15]}"#]);
    prometheus.wait_for_alert("JigglerStalledHandler");
    // Nobody serves this queue.
    let mut pushed = 0;
    let backlog = Instant::now();
    wait_until("a backlog has grown for a while", || {
        redis.push("elsewhere", &["x"; 100]);
        pushed += 100;
        pushed > 2_000 && backlog.elapsed() > Duration::from_secs(20)
    });
    let firing = std::cell::Cell::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| prometheus.wait_for_alert("JigglerBacklogGrows"));
        wait_until("the alert of the backlog was seen", || {
            redis.push("elsewhere", &["x"; 10]);
            waiting.is_finished()
        });
        firing.set(waiting.join().is_ok());
    });
    assert!(firing.get());
    redis.kill();
    prometheus.wait_for_alert("JigglerRedisOutage");
    redis.start_again();
    wait_until("it works again", || {
        prometheus.query("max(jiggler_shard_outage_seconds)", "").into_values().eq([0.0])
    });
}
