//! What a worker reports to a service manager: ready once every shard works, signs of life while there is progress,
//! and that it stops. The manager is a socket of the test, like systemd's.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use crate::harness::proxy::{Fate, Proxy};
use crate::harness::wait::{PATIENCE, wait_until};
use crate::harness::{Redis, Worker, config_file};
use crate::own_jobs;

/// A short watchdog: a shard may stand still for half of it, and the manager is notified four times in it.
const WATCHDOG: (&str, &str) = ("WATCHDOG_USEC", "4000000");

/// A sign of life.
const ALIVE: &str = "WATCHDOG=1\n";

struct Manager {
    socket: UnixDatagram,
    directory: TempDir,
}

impl Manager {
    fn listen() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify.sock")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, directory }
    }

    /// Starts a worker under this manager.
    fn start(&self, program: &Path, url: &str, args: &[&str]) -> Worker {
        let socket = self.directory.path().join("notify.sock").display().to_string();
        Worker::launch_with(program, url, args, &[("NOTIFY_SOCKET", &socket), WATCHDOG])
    }

    /// The next message, whole.
    #[track_caller]
    fn hear(&self) -> String {
        let mut buffer = [0; 4_096];
        let bytes = self.socket.recv(&mut buffer).expect("the worker no longer sends anything");
        String::from_utf8(buffer[..bytes].to_vec()).unwrap()
    }

    /// Receives until a message has all of these; returns the earlier ones and that one.
    #[track_caller]
    fn hear_until(&self, parts: &[&str]) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let message = self.hear();
            let found = parts.iter().all(|part| message.contains(part));
            heard.push(message);
            assert!(heard.len() < 1_000, "{parts:?} is not among these: {heard:?}");
            if found {
                return heard;
            }
        }
    }
}

fn stock() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_jiggler-uring"))
}

#[test]
fn a_worker_is_ready_when_every_shard_works_and_says_that_it_stops() {
    let redis = Redis::start();
    let open = Arc::new(AtomicBool::new(false));
    // Control reaches Redis, shards do not: what they send contains the key of their jobs in flight.
    let of_shard = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        // Nor the check of the user's rights, which names such a key.
        text.contains(":inflight:")
            && !text.contains("jiggler:uring:leases")
            && !text.contains("acl_check_cmd")
    };
    let gate = Arc::clone(&open);
    let proxy = Proxy::start(redis.socket(), move |bytes| {
        if of_shard(bytes) && !gate.load(Ordering::Relaxed) { Fate::LoseRequest } else { Fate::Arrive }
    });
    let manager = Manager::listen();
    let mut worker = manager.start(stock(), &proxy.url(), &["--cores", "2", "-t", "7"]);
    let first = manager.hear();
    assert!(first.ends_with("STATUS=starting: waiting for redis\n"), "{first}");
    worker.wait_for_line("redis is gone");
    wait_until("the heartbeat is there", || redis.keys("jiggler:svr:*").len() == 1);
    for _ in 0..5 {
        assert_eq!(manager.hear(), ALIVE, "it waits for redis, and is alive");
    }
    open.store(true, Ordering::Relaxed);
    let heard = manager.hear_until(&["READY=1\n", "STATUS=running: 0 processed, 0 failed, 0 running"]);
    let ready = heard.iter().filter(|message| message.contains("READY=1")).count();
    assert_eq!(ready, 1, "{heard:?}");
    manager.hear_until(&[ALIVE]);
    worker.stop();
    let heard = manager.hear_until(&["STOPPING=1\n"]);
    // The timeout and what comes after it.
    assert_eq!(heard.last().unwrap(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=37000000\n");
    assert!(heard.iter().all(|message| !message.contains("READY=1")), "{heard:?}");
}

#[test]
fn a_stalled_shard_ends_the_signs_of_life_until_it_turns_again() {
    let redis = Redis::start();
    let manager = Manager::listen();
    let args = ["--cores", "2", "-t", "30"];
    let mut worker = manager.start(&own_jobs::example("misbehaving_jobs"), &redis.url(), &args);
    manager.hear_until(&["READY=1\n"]);
    redis.push("default", &[r#"{"name":"KeepCore","args":[12]}"#]);
    // It counts as stalled after 5 s; by then the signs have stopped.
    let last = manager.hear_until(&[" stalled for "]).pop().unwrap();
    assert!(!last.contains(ALIVE), "{last}");
    loop {
        let message = manager.hear();
        if !message.contains(" stalled for ") {
            break;
        }
        assert!(!message.contains(ALIVE), "{message}");
    }
    manager.hear_until(&[ALIVE]);
    worker.stop();
}

#[test]
fn an_outage_of_redis_is_reported_and_no_reason_for_a_restart() {
    let mut redis = Redis::start_durable();
    let manager = Manager::listen();
    let mut worker = manager.start(stock(), &redis.url(), &[]);
    manager.hear_until(&["READY=1\n"]);
    redis.kill();
    manager
        .hear_until(&[ALIVE, "STATUS=running: 0 processed, 0 failed, 0 running; shard 0 without redis for "]);
    // For longer than the watchdog's time.
    let mut signs = 0;
    while signs < 8 {
        let message = manager.hear();
        assert!(message.contains(" without redis for "), "{message}");
        signs += usize::from(message.contains(ALIVE));
    }
    redis.start_again();
    let last = manager.hear_until(&["STATUS=running: 0 processed, 0 failed, 0 running\n"]).pop().unwrap();
    assert!(last.contains(ALIVE), "{last}");
    worker.stop();
}

/// Microseconds since the machine was started, not less. The kernel reports hundredths of a second.
fn uptime_usec() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    (uptime.split(' ').next().unwrap().parse::<f64>().unwrap() + 0.01) * 1e6
}

#[test]
fn a_reload_is_reported_with_its_time_and_so_is_its_end_whether_the_file_is_accepted_or_not() {
    let redis = Redis::start();
    let config = config_file("stats_interval: 1\n");
    let manager = Manager::listen();
    let mut worker = manager.start(stock(), &redis.url(), &["-C", &config.path()]);
    manager.hear_until(&["READY=1\n"]);
    for text in ["stats_interval: 2\n", "stats_interval: soon\n"] {
        std::fs::write(config.path(), text).unwrap();
        worker.signal("HUP");
        let message = manager.hear_until(&["RELOADING=1\n"]).pop().unwrap();
        let usec = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
        let usec: f64 = usec.parse().unwrap();
        assert!(usec > 0.0 && usec <= uptime_usec(), "{message}");
        // The status is that of a running process throughout.
        let heard = manager.hear_until(&["READY=1\n"]);
        assert!(heard.iter().all(|message| !message.contains("starting")), "{heard:?}");
    }
    worker.wait_for_line("the configuration cannot be reread");
    worker.stop();
    manager.hear_until(&["STOPPING=1\n"]);
}

#[test]
fn a_missing_manager_is_reported_once_and_the_worker_works() {
    let redis = Redis::start();
    let variables = [("NOTIFY_SOCKET", "/nonexistent/notify.sock"), WATCHDOG];
    let mut worker = Worker::launch_with(stock(), &redis.url(), &[], &variables);
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    wait_until("the job runs", || redis.processed() == 1);
    worker.wait_for_line("cannot notify the service manager");
    worker.stop();
    assert_eq!(worker.lines("service manager").len(), 1);
}
