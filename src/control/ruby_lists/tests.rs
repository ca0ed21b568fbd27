//! Whole controls against a real Redis in which Ruby servers have lived and died; their shards are mere stand-ins.
//!
//! What control sends is read from `MONITOR`, so nothing depends on how fast control is.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use glommio::{LocalExecutorBuilder, Placement};

use super::*;
use crate::control::{self, ControlOptions, DutyOptions, Expected, Settings};
use crate::job::Schema;
use crate::mesh::{self, Ending, ShardEnd, ToControl};
use crate::own_redis::OwnRedis;
use crate::store::turn::QueueKeys;
use crate::wait::{PATIENCE, wait_until};
use crate::wire::{Presence, heartbeat_key, in_flight, keys::JIGGLER, lease};

/// In a hurry, except for the lead, which must outlast a loaded machine.
const FAST: RubyListTimes = RubyListTimes {
    period_min: Duration::from_millis(300),
    period_max: Duration::from_millis(400),
    lead: PATIENCE,
    renewal: Duration::from_millis(100),
    pause: Duration::from_millis(1),
};

const DEAD: &str = "deaddeaddead";
const LIVING: &str = "11fe11fe11fe";

/// A process without jobs: control, and a shard that does nothing.
struct Process {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

fn presence(uuid: &str) -> Presence {
    let key = format!("{}{uuid}:1:1:default:0:1:1:vm", heartbeat_key::SERVER_PREFIX);
    Presence::new(JIGGLER, &heartbeat_key::parse_heartbeat(&key).unwrap(), "")
}

impl Process {
    fn start(redis: &OwnRedis, uuid: &str, ruby_lists: RubyListTimes) -> Self {
        let options = ControlOptions {
            told: Vec::new(),
            balance: None,
            paces: Vec::new(),
            published: Arc::default(),
            schema: Schema::Jiggler,
            uuid: uuid.to_owned(),
            program: String::new(),
            tag: String::new(),
            url: redis.url(),
            keys: JIGGLER,
            presence: presence(uuid),
            duties: vec![DutyOptions {
                realm: JIGGLER.shared_realm(),
                url: redis.url(),
                lease_member: lease::lease_member(uuid, 1, &["default"]),
                home: QueueKeys::new(JIGGLER, "default", uuid, 0),
                clock: Arc::default(),
            }],
            settings: Settings {
                stats_interval: Duration::from_secs(10),
                poll_interval: None,
                timeout: Duration::from_secs(1),
                dead_jobs_max: 1,
                dead_timeout: Duration::from_secs(1),
            },
            ruby_lists,
            stats: Vec::new(),
            expected: Expected { slots: Vec::new(), block_time: Duration::from_secs(1) },
            names: Arc::default(),
            periodic: Arc::default(),
            manager: None,
        };
        let (control_end, shard_end) = mesh::link();
        let ends = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ends);
        let shard = std::thread::spawn(move || on_executor(stand_in(shard_end, stop)));
        let control = std::thread::spawn(|| {
            on_executor(async {
                control::run(options, vec![control_end], None).await;
            });
        });
        Self { ends, threads: vec![shard, control] }
    }

    fn stop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic in it was printed; one in a drop would hide it.
            let _ended = thread.join();
        }
    }
}

fn on_executor(task: impl Future<Output = ()>) {
    LocalExecutorBuilder::new(Placement::Unbound).make().unwrap().run(task);
}

async fn stand_in(end: ShardEnd, stop: Arc<AtomicBool>) {
    let (_phases, to_control) = end.connect().await;
    while !stop.load(Ordering::Relaxed) {
        Timer::new(Duration::from_millis(5)).await;
    }
    let _gone = to_control.send(ToControl::Ended { shard: 0, how: Ending::Clean }).await;
}

/// Jobs as the gem's server holds them: newest leftmost.
fn hold(redis: &OwnRedis, queue: &str, uuid: &str, jobs: &[&str]) -> String {
    let key = JIGGLER.gem_in_progress(queue, uuid);
    for job in jobs {
        redis.run(&[b"LPUSH", key.as_bytes(), job.as_bytes()]);
    }
    key
}

fn beat(redis: &OwnRedis, uuid: &str) {
    let key = format!("{}{uuid}:3:25:default:1:1795299901:8066:vm", heartbeat_key::SERVER_PREFIX);
    redis.run(&[b"SET", key.as_bytes(), b"{}"]);
}

fn list(redis: &OwnRedis, key: &str) -> Vec<String> {
    redis.strings(&[b"LRANGE", key.as_bytes(), b"0", b"-1"])
}

/// The commands that Redis runs, scripts' own included.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn start(redis: &OwnRedis) -> Self {
        let mut stream = UnixStream::connect(redis.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut monitor = Self(BufReader::new(stream));
        monitor.looks_until("+OK");
        monitor
    }

    /// How many looks start before a command with this text runs.
    fn looks_until(&mut self, text: &str) -> usize {
        let mut looks = 0;
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "redis closed the connection");
            if line.contains(text) {
                return looks;
            }
            looks += usize::from(line.contains(r#""SCAN" "0""#));
        }
    }
}

#[test]
fn jobs_of_a_dead_server_come_back_in_order_at_the_second_look_and_nothing_else_is_touched() {
    let redis = OwnRedis::start();
    beat(&redis, LIVING);
    let living = hold(&redis, "default", LIVING, &["running"]);
    let dead = hold(&redis, "default", DEAD, &["1", "2", "3"]);
    hold(&redis, "img", DEAD, &["4"]);
    redis.run(&[b"RPUSH", b"jiggler:list:default", b"waiting"]);
    for foreign in
        ["orders_in_progress", "jiggler:list:orders_in_progress", "jiggler:list::in_progress:deaddeaddead"]
    {
        redis.run(&[b"RPUSH", foreign.as_bytes(), b"not ours"]);
    }
    let other_type = JIGGLER.gem_in_progress("other", DEAD);
    redis.run(&[b"SADD", other_type.as_bytes(), b"member"]);
    let stuck = hold(&redis, "stuck", DEAD, &["5"]);
    redis.run(&[b"SET", b"jiggler:list:stuck", b"no list"]);

    let mut monitor = Monitor::start(&redis);
    let mut process = Process::start(&redis, "aaaaaaaaaaaa", FAST);
    assert_eq!(monitor.looks_until(r#""LMOVE""#), 2);
    wait_until("both lists are back", || {
        list(&redis, "jiggler:list:default").len() == 4 && list(&redis, "jiggler:list:img").len() == 1
    });
    assert_eq!(
        list(&redis, "jiggler:list:default"),
        ["waiting", "3", "2", "1"],
        "the rightmost is taken next"
    );
    assert_eq!(list(&redis, &dead), [""; 0]);
    // Every look from now on would find them again.
    monitor.looks_until(r#""SCAN" "0""#);
    monitor.looks_until(r#""SCAN" "0""#);
    assert_eq!(list(&redis, &living), ["running"]);
    for foreign in
        ["orders_in_progress", "jiggler:list:orders_in_progress", "jiggler:list::in_progress:deaddeaddead"]
    {
        assert_eq!(list(&redis, foreign), ["not ours"], "{foreign}");
    }
    assert_eq!(redis.strings(&[b"SMEMBERS", other_type.as_bytes()]), ["member"]);
    assert_eq!(list(&redis, &stuck), ["5"]);
    process.stop();
}

/// tests/engine/recovery.rs and fleet.rs show what is done with it then.
#[test]
fn a_process_of_ours_that_no_lease_names_is_named_to_the_reapers_at_the_second_look() {
    let redis = OwnRedis::start();
    let ours = "0a5f00000001";
    // One that lives has a lease, and one that has left has fences; neither is touched.
    for (uuid, batch) in [(ours, "7"), ("0a5f00000002", "w")] {
        let index = JIGGLER.in_flight_index("img", uuid, 1);
        redis.run(&[b"HSET", index.as_bytes(), b"7", b"1"]);
        redis.run(&[b"RPUSH", format!("{index}:{batch}").as_bytes(), b"job"]);
    }
    redis.run(&[b"ZADD", JIGGLER.names().leases.as_bytes(), b"99999999999999", b"0a5f00000002:2:img"]);
    let left = JIGGLER.in_flight_index("img", "0a5f00000003", 0);
    for key in [left.clone(), in_flight::wait_list(&left)] {
        redis.run(&[b"SET", key.as_bytes(), b"left"]);
    }
    let mut monitor = Monitor::start(&redis);
    let mut process = Process::start(&redis, "aaaaaaaaaaaa", FAST);
    let member = format!("{ours}:2:img");
    assert_eq!(monitor.looks_until(&format!(r#""ZADD" "{}" "0" "{member}""#, JIGGLER.names().leases)), 2);
    monitor.looks_until(r#""SCAN" "0""#);
    monitor.looks_until(r#""SCAN" "0""#);
    let mut leases = redis.strings(&[b"ZRANGE", JIGGLER.names().leases.as_bytes(), b"0", b"-1"]);
    leases.retain(|lease| !lease.starts_with("aaaaaaaaaaaa"));
    assert_eq!(leases, [member.as_str(), "0a5f00000002:2:img"]);
    process.stop();
}

#[test]
fn a_long_list_comes_back_in_order_by_several_calls() {
    let redis = OwnRedis::start();
    let jobs: Vec<String> = (0..1_700).map(|number| number.to_string()).collect();
    let key = JIGGLER.gem_in_progress("default", DEAD);
    for job in &jobs {
        redis.run(&[b"LPUSH", key.as_bytes(), job.as_bytes()]);
    }
    let _process = Process::start(&redis, "aaaaaaaaaaaa", FAST);
    wait_until("all are back", || redis.run(&[b"EXISTS", key.as_bytes()]).as_integer().unwrap() == 0);
    let mut back = list(&redis, "jiggler:list:default");
    back.reverse();
    assert_eq!(back, jobs);
}

#[test]
fn what_was_missed_over_a_lost_connection_does_not_count() {
    let redis = OwnRedis::start();
    hold(&redis, "default", DEAD, &["1"]);
    let slow =
        RubyListTimes { period_min: Duration::from_secs(2), period_max: Duration::from_secs(2), ..FAST };
    let mut monitor = Monitor::start(&redis);
    let _process = Process::start(&redis, "aaaaaaaaaaaa", slow);
    monitor.looks_until(r#""SCAN" "0""#);
    let clients = redis.run(&[b"CLIENT", b"LIST"]);
    let clients = String::from_utf8_lossy(clients.as_bulk().unwrap()).into_owned();
    let line = clients.lines().find(|line| line.contains(":ruby-lists ")).unwrap();
    let id = line.split(' ').find_map(|field| field.strip_prefix("id=")).unwrap();
    redis.run(&[b"CLIENT", b"KILL", b"ID", id.as_bytes()]).as_integer().unwrap();
    assert_eq!(monitor.looks_until(r#""LMOVE""#), 2, "it has to be missed twice once more");
}

#[test]
fn of_two_processes_one_leads_and_the_other_takes_over() {
    let redis = OwnRedis::start();
    let uuids = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"];
    let mut processes = uuids.map(|uuid| Process::start(&redis, uuid, FAST));
    // A process that does not lead closes its connection as soon as it learns so.
    let leads = |uuid: &str| {
        let clients = redis.run(&[b"CLIENT", b"LIST"]);
        let clients = String::from_utf8_lossy(clients.as_bulk().unwrap()).into_owned();
        let stays = |line: &&str| line.contains(":ruby-lists ") && !line.contains(" age=0 ");
        let leaders: Vec<&str> = clients.lines().filter(stays).collect();
        !leaders.is_empty() && leaders.iter().all(|line| line.contains(uuid))
    };
    wait_until("the first by name leads", || leads(uuids[0]));
    let mut monitor = Monitor::start(&redis);
    // The other one asks meanwhile, and the leader keeps its lead.
    monitor.looks_until(&format!(r#""1" "{}" "{}" "#, JIGGLER.names().leases, uuids[1]));
    assert!(leads(uuids[0]));
    processes[0].stop();
    wait_until("the other leads", || leads(uuids[1]));
    hold(&redis, "default", DEAD, &["1"]);
    wait_until("and rescues", || list(&redis, "jiggler:list:default") == ["1"]);
}
