//! The Ruby gem in miniature: what its client, server, summary, cleaner and requeuer send to Redis and make of the
//! replies.
//!
//! It records what it sends, and a test compares that with what MONITOR saw of the real gem (`tests/data/jiggler`).
//! It has the gem's quirks too: numbers of a process are strings, and anything unexpected raises.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use jiggler_uring::internal::resp::{Reply, Value};
use serde_json::json as object;

use super::redis::{DEAD, RETRIES, Redis, SCHEDULED};

/// How the gem takes a due job from a set, in one step.
const ZPOPBYSCORE: &str = "local due = redis.call('zrangebyscore', KEYS[1], '-inf', ARGV[1], 'limit', 0, 1)\n\
                           if due[1] then redis.call('zrem', KEYS[1], due[1]) return due[1] end";

/// Most moves a requeuer makes from one list; a test's lists are shorter.
const REQUEUE_MOVES_MAX: usize = 1_000;

/// A command.
pub(crate) type Words = Vec<String>;

/// The gem's client and server in one: they share a connection, and the uuid is the server's.
pub(crate) struct Gem<'r> {
    redis: &'r Redis,
    uuid: &'static str,
    said: RefCell<Vec<Words>>,
}

impl<'r> Gem<'r> {
    pub(crate) fn new(redis: &'r Redis, uuid: &'static str) -> Self {
        Self { redis, uuid, said: RefCell::default() }
    }

    /// What it has sent.
    pub(crate) fn said(&self) -> Vec<Words> {
        self.said.borrow().clone()
    }

    #[track_caller]
    pub(crate) fn call(&self, words: &[&str]) -> Reply {
        self.said.borrow_mut().push(words.iter().map(|word| (*word).to_owned()).collect());
        self.redis.run(words)
    }

    #[track_caller]
    fn text(&self, words: &[&str]) -> Option<String> {
        let reply = self.call(words);
        reply.as_nil_or_bulk().unwrap().map(|text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[track_caller]
    fn texts(&self, words: &[&str]) -> Vec<String> {
        let reply = self.call(words);
        let texts = reply.as_array().unwrap();
        texts.map(|text| String::from_utf8(text.as_bulk().unwrap().to_vec()).unwrap()).collect()
    }

    /// One page of SCAN: the next cursor, and keys.
    #[track_caller]
    fn scan(&self, cursor: &str, pattern: &str) -> (String, Vec<String>) {
        let reply = self.call(&["SCAN", cursor, "MATCH", pattern]);
        let parts: Vec<Value<'_>> = reply.as_array().unwrap().collect();
        let text = |value: &Value<'_>| String::from_utf8(value.as_bulk().unwrap().to_vec()).unwrap();
        (text(&parts[0]), parts[1].as_array().unwrap().map(|key| text(&key)).collect())
    }

    #[track_caller]
    fn scan_all(&self, pattern: &str) -> Vec<String> {
        let (mut cursor, mut keys) = self.scan("0", pattern);
        while cursor != "0" {
            let (next, page) = self.scan(&cursor, pattern);
            keys.extend(page);
            cursor = next;
        }
        keys
    }

    // The client.

    #[track_caller]
    pub(crate) fn enqueue(&self, queue: &str, payload: &str) {
        self.call(&["LPUSH", &format!("jiggler:list:{queue}"), payload]);
    }

    /// `Jiggler.summary`.
    #[track_caller]
    pub(crate) fn summary(&self) -> serde_json::Value {
        let counts = [RETRIES, DEAD, SCHEDULED].map(|set| self.call(&["ZCARD", set]).as_integer().unwrap());
        let counter = |name: &str| self.text(&["GET", &format!("jiggler:stats:{name}_counter")]);
        let counters = ["failures", "processed"]
            .map(|name| counter(name).map_or(0, |text| text.parse::<i64>().unwrap()));
        let mut processes = BTreeMap::new();
        // The gem reads only the first page, and with more than ten keys may see no process. What matters here is
        // what it makes of those it sees.
        for key in self.scan_all("jiggler:svr:*") {
            let value = self.text(&["GET", &key]).unwrap();
            processes.insert(key.clone(), process(&key, &value));
        }
        let mut lists = self.scan_all("jiggler:list:*");
        lists.retain(|list| !list.contains(":in_progress:"));
        let length = |list: &String| self.call(&["LLEN", list]).as_integer().unwrap();
        let queues: BTreeMap<&str, i64> =
            lists.iter().map(|list| (list.rsplit(':').next().unwrap(), length(list))).collect();
        object!({
            "retry_jobs_count": counts[0], "dead_jobs_count": counts[1], "scheduled_jobs_count": counts[2],
            "failures_count": counters[0], "processed_count": counters[1],
            "processes": processes, "queues": queues,
        })
    }

    /// `last_retry_jobs(5)` and the like: the newest of a set.
    #[track_caller]
    pub(crate) fn last_jobs(&self, set: &str) -> Vec<serde_json::Value> {
        let mut words = vec!["ZRANGE", set, "+inf", "-inf", "BYSCORE", "REV", "LIMIT", "0", "5"];
        if set != SCHEDULED {
            return self.texts(&words).iter().map(|job| serde_json::from_str(job).unwrap()).collect();
        }
        words.push("WITHSCORES");
        let flat = self.texts(&words);
        let job = |pair: &[String]| {
            let mut job: serde_json::Value = serde_json::from_str(&pair[0]).unwrap();
            job["scheduled_at"] = object!(pair[1].parse::<f64>().unwrap());
            job
        };
        flat.chunks(2).map(job).collect()
    }

    /// `Jiggler.config.cleaner.prune_all`.
    #[track_caller]
    pub(crate) fn prune_all(&self) {
        for set in [RETRIES, SCHEDULED, DEAD] {
            self.call(&["DEL", set]);
        }
        for counter in ["failures", "processed"] {
            self.call(&["DEL", &format!("jiggler:stats:{counter}_counter")]);
        }
        for pattern in ["jiggler:list:*", "jiggler:svr:*"] {
            let mut cursor = "0".to_owned();
            loop {
                let (next, keys) = self.scan(&cursor, pattern);
                if !keys.is_empty() {
                    self.call(&[&["DEL"], &*keys.iter().map(String::as_str).collect::<Vec<_>>()].concat());
                }
                cursor = next;
                if cursor == "0" {
                    break;
                }
            }
        }
    }

    // The server.

    #[track_caller]
    pub(crate) fn beat(&self) {
        let key = format!("jiggler:svr:{}:3:25:default:1:1795300143:13895:vm", self.uuid);
        let value = r#"{"heartbeat":1795300143.5660918,"rss":35672,"current_jobs":{}}"#;
        self.call(&["SET", &key, value, "ex", "190"]);
    }

    /// Takes a job, if one comes within the time that the gem waits.
    #[track_caller]
    pub(crate) fn take(&self, queue: &str) -> Option<String> {
        let list = format!("jiggler:list:{queue}");
        self.text(&["BRPOPLPUSH", &list, &format!("{list}:in_progress:{}", self.uuid), "2.0"])
    }

    #[track_caller]
    pub(crate) fn ack(&self, queue: &str, payload: &str) -> i64 {
        let list = format!("jiggler:list:{queue}:in_progress:{}", self.uuid);
        self.call(&["LREM", &list, "1", payload]).as_integer().unwrap()
    }

    /// What the retrier makes of a job that fails for the first time, at a given time of its clock: the set it goes to, and
    /// its payload there. Ruby's `to_i` takes a number that is not there for 0.
    #[track_caller]
    pub(crate) fn failed(
        &self,
        payload: &str,
        class: &str,
        message: &str,
        now: f64,
    ) -> (&'static str, String) {
        let job: serde_json::Value = serde_json::from_str(payload).unwrap();
        let retries = job["retries"].as_i64().unwrap_or(0);
        let (class, message) = (object!(class), object!(message));
        let head = payload.strip_suffix('}').unwrap();
        let failed = format!(r#"{head},"started_at":{now},"error_message":{message},"error_class":{class}"#);
        if retries < 1 {
            return (DEAD, failed + "}");
        }
        (RETRIES, format!(r#"{failed},"retry_at":{},"attempt":1,"queue":"default"}}"#, now + 16.0))
    }

    /// One round of the requeuer. Returns how many jobs it moved.
    #[track_caller]
    pub(crate) fn requeue(&self) -> usize {
        let lists = self.scan_all("*in_progress*");
        let living: Vec<String> = self.scan_all("jiggler:svr:*");
        let living: Vec<&str> = living.iter().filter_map(|key| key.split(':').nth(2)).collect();
        let mut moved = 0;
        for list in &lists {
            let parts: Vec<&str> = list.split(":in_progress:").collect();
            if living.contains(parts.last().unwrap()) {
                continue;
            }
            while self.text(&["LMOVE", list, parts[0], "RIGHT", "RIGHT"]).is_some() {
                moved += 1;
                assert!(moved < REQUEUE_MOVES_MAX, "this would never end");
            }
        }
        moved
    }

    /// One round of the poller at a given time of its clock. Returns how many jobs it moved.
    #[track_caller]
    pub(crate) fn poll(&self, now: f64) -> usize {
        let mut moved = 0;
        for set in [RETRIES, SCHEDULED] {
            while let Some(payload) = self.text(&["EVAL", ZPOPBYSCORE, "1", set, &now.to_string()]) {
                let job: serde_json::Value = serde_json::from_str(&payload).unwrap();
                self.enqueue(job["queue"].as_str().unwrap_or("default"), &payload);
                moved += 1;
            }
        }
        moved
    }
}

/// A process as `summary` shows it: its heartbeat and the parts of its key, with numbers as strings.
fn process(key: &str, value: &str) -> serde_json::Value {
    let parts: Vec<&str> = key.split(':').collect();
    let mut process: serde_json::Value = serde_json::from_str(value).unwrap();
    let of_key = object!({
        "name": parts[..3].join(":"), "concurrency": parts[3], "timeout": parts[4], "queues": parts[5],
        "poller_enabled": parts[6] == "1", "started_at": parts[7], "pid": parts[8], "hostname": parts[9..].join(":"),
    });
    process.as_object_mut().unwrap().extend(of_key.as_object().unwrap().clone());
    process
}

/// The commands of a stage as MONITOR saw them: connection and words.
#[track_caller]
pub(crate) fn captured(stage: &str) -> Vec<(String, Words)> {
    let file = format!("tests/data/jiggler/{stage}-0.1.0.monitor.txt");
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (_, rest) = line.trim().split_once(' ').unwrap();
            let (conn, words) = rest.split_once(' ').unwrap();
            (conn.to_owned(), unquote(words))
        })
        .collect()
}

/// The words of a line of MONITOR: quoted, with C escapes.
fn unquote(line: &str) -> Words {
    let mut words = Vec::new();
    let mut bytes = line.bytes();
    while bytes.by_ref().any(|byte| byte == b'"') {
        let mut word = Vec::new();
        while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
            if byte != b'\\' {
                word.push(byte);
                continue;
            }
            word.push(match bytes.next().unwrap() {
                b'n' => b'\n',
                b'x' => {
                    let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                itself => itself,
            });
        }
        words.push(String::from_utf8(word).unwrap());
    }
    words
}
