//! Looking at the fleet again and again for a bounded price: sets, counters, queue lengths, processes.
//!
//! There is no registry of queues and processes: the gem finds them by SCAN of the whole database. [`Survey`] does so a page
//! a look, round and round; what it has found is read by its key. So a look costs two round trips' worth of commands however
//! large the database is: two SCAN pages, one MGET of heartbeats and one of figures, some LLENs. What appears is seen when
//! the SCAN has come round to it, at the next look in a database of less than a page.
//!
//! A node of a cluster has the sets and counters of some queues: they are found and read page by page as queues are.
//!
//! [`super::inspect`] looks once, to the end, and at every queue.

mod node;

use std::collections::BTreeMap;
use std::ops::Bound;

use super::inspect::{InspectError, Process};
use crate::limits::{INSPECT_HEARTBEATS_PER_CALL, INSPECT_KEYS_MAX, INSPECT_QUEUES_PER_CALL, SCAN_PAGE_KEYS};
use crate::resp::{self, RedisErrorKind, Reply, Requests, Value};
use crate::wire::{
    figures,
    keys::{self, ListKey},
    realm::parse_realm_key,
};
use node::{KeySize, sum};

/// What a survey looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Processes alone.
    Processes,
    /// Queues, sets and counters too.
    Everything,
    /// Everything that one node of a cluster has.
    Node,
}

/// Sizes of the sets, and the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs that ran.
    pub processed: u64,
    /// Jobs that failed.
    pub failures: u64,
    /// Entries in the retry set.
    pub retry_jobs: u64,
    /// Entries in the scheduled set.
    pub scheduled_jobs: u64,
    /// Entries in the dead set.
    pub dead_jobs: u64,
}

impl Counts {
    /// Of two servers together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            processed: self.processed + other.processed,
            failures: self.failures + other.failures,
            retry_jobs: self.retry_jobs + other.retry_jobs,
            scheduled_jobs: self.scheduled_jobs + other.scheduled_jobs,
            dead_jobs: self.dead_jobs + other.dead_jobs,
        }
    }
}

/// A survey under way. Look after look: send what [`Self::write`] appends, hand the replies to [`Self::accept`].
#[derive(Debug)]
pub struct Survey {
    scope: Scope,
    scans: Vec<Scan>,
    /// What each command written last asks for, in order.
    asked: Vec<Asked>,
    counts: Counts,
    /// By heartbeat key; `None`: found and not read yet.
    processes: BTreeMap<String, Option<Process>>,
    /// By name; `None`: found and not read yet.
    queues: BTreeMap<String, Option<u64>>,
    /// The sets and counters of a node, by key.
    sizes: BTreeMap<String, KeySize>,
    /// Where the last page of each ended.
    last_process: String,
    last_queue: String,
    last_size: String,
}

/// One SCAN, round and round.
#[derive(Debug)]
struct Scan {
    pattern: String,
    kind: Option<&'static str>,
    cursor: Vec<u8>,
    came_round: bool,
}

/// Where a count goes.
type Field = fn(&mut Counts) -> &mut u64;

#[derive(Debug)]
enum Asked {
    Counts(Field, Kind),
    Page(usize),
    /// The heartbeats of these keys.
    Heartbeats(Vec<String>),
    /// The figures of these keys.
    Figures(Vec<String>),
    /// The same of one process of a node.
    Heartbeat(String),
    FiguresOf(String),
    Length(String),
    Size(String, Kind),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Size,
    Counter,
}

impl Process {
    /// The process that a heartbeat key and the value under it tell of, without its figures; `None` if it is no such key.
    #[must_use]
    pub fn read(key: &str, value: &[u8]) -> Option<Self> {
        let parts = keys::parse_heartbeat(key)?;
        Some(Self {
            uuid: parts.uuid.to_owned(),
            concurrency: parts.concurrency,
            timeout_s: parts.timeout_s,
            queues: parts.queues.to_owned(),
            poller: parts.poller,
            started_at: parts.started_at,
            pid: parts.pid,
            hostname: parts.hostname.to_owned(),
            heartbeat: serde_json::from_slice(value).ok(),
            figures: None,
        })
    }
}

impl Survey {
    /// A survey that has seen nothing yet.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        let scan = |pattern, kind| Scan { pattern, kind, cursor: b"0".to_vec(), came_round: false };
        let mut scans = vec![scan(format!("{}*", keys::SERVER_PREFIX), Some("string"))];
        if scope != Scope::Processes {
            scans.push(scan(format!("{}*", keys::LIST_PREFIX), Some("list")));
        }
        if scope == Scope::Node {
            scans.push(scan(keys::IN_FLIGHT_PATTERN.to_owned(), None));
        }
        Self {
            scope,
            scans,
            asked: Vec::new(),
            counts: Counts::default(),
            processes: BTreeMap::new(),
            queues: BTreeMap::new(),
            sizes: BTreeMap::new(),
            last_process: String::new(),
            last_queue: String::new(),
            last_size: String::new(),
        }
    }

    /// Whether everything that was there at the start has been seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.scans.iter().all(|scan| scan.came_round)
            && self.processes.values().all(Option::is_some)
            && self.queues.values().all(Option::is_some)
            && self.sizes.values().all(KeySize::is_known)
    }

    /// The sets and counters at the last look.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// The processes that are known, by heartbeat key.
    pub fn processes(&self) -> impl Iterator<Item = (&str, &Process)> {
        self.processes.iter().filter_map(|(key, process)| Some((key.as_str(), process.as_ref()?)))
    }

    /// The queues that are known and hold jobs, with their lengths as they were last read.
    pub fn queues(&self) -> impl Iterator<Item = (&str, u64)> {
        self.queues.iter().filter_map(|(name, jobs)| Some((name.as_str(), (*jobs)?)))
    }

    /// Appends the commands of one look: one round trip.
    pub fn write(&mut self, requests: &mut Requests) {
        self.asked.clear();
        if self.scope == Scope::Everything {
            self.write_counts(requests);
        }
        for (number, scan) in self.scans.iter().enumerate() {
            let mut command = requests.begin(if scan.kind.is_some() { 8 } else { 6 });
            command.arg(b"SCAN").arg(&scan.cursor).arg(b"MATCH").arg(scan.pattern.as_bytes());
            command.arg(b"COUNT").arg_u64(SCAN_PAGE_KEYS);
            if let Some(kind) = scan.kind {
                command.arg(b"TYPE").arg(kind.as_bytes());
            }
            self.asked.push(Asked::Page(number));
        }
        let page = page(&self.processes, &mut self.last_process, INSPECT_HEARTBEATS_PER_CALL);
        if self.scope == Scope::Node {
            self.write_of_node(page, requests);
        } else if !page.is_empty() {
            write_mget(requests, &page);
            let figures = page.iter().map(|key| keys::process(keys::server_uuid(key).unwrap_or_default()));
            write_mget(requests, &figures.collect::<Vec<_>>());
            self.asked.push(Asked::Heartbeats(page.clone()));
            self.asked.push(Asked::Figures(page));
        }
        for name in self::page(&self.queues, &mut self.last_queue, INSPECT_QUEUES_PER_CALL) {
            requests.command(&[b"LLEN", keys::queue(&name).as_bytes()]);
            self.asked.push(Asked::Length(name));
        }
    }

    fn write_counts(&mut self, requests: &mut Requests) {
        let sets: [(&str, Field); 3] = [
            (keys::RETRIES, |counts| &mut counts.retry_jobs),
            (keys::SCHEDULED, |counts| &mut counts.scheduled_jobs),
            (keys::DEAD, |counts| &mut counts.dead_jobs),
        ];
        for (key, field) in sets {
            requests.command(&[b"ZCARD", key.as_bytes()]);
            self.asked.push(Asked::Counts(field, Kind::Size));
        }
        let counters: [(&str, Field); 2] = [
            (keys::PROCESSED, |counts| &mut counts.processed),
            (keys::FAILURES, |counts| &mut counts.failures),
        ];
        for (key, field) in counters {
            requests.command(&[b"GET", key.as_bytes()]);
            self.asked.push(Asked::Counts(field, Kind::Counter));
        }
    }

    /// Takes the replies to what [`Self::write`] appended last, all of them, in order.
    ///
    /// # Errors
    /// [`InspectError`]; the survey must be begun anew.
    pub fn accept(&mut self, replies: &[Reply]) -> Result<(), InspectError> {
        let asked = std::mem::take(&mut self.asked);
        if asked.len() != replies.len() {
            return Err(InspectError::WrongReplies { commands: asked.len(), replies: replies.len() });
        }
        asked.into_iter().zip(replies).try_for_each(|(asked, reply)| self.accept_one(asked, reply))?;
        if self.scope == Scope::Node {
            self.counts = sum(&self.sizes);
        }
        Ok(())
    }

    fn accept_one(&mut self, asked: Asked, reply: &Reply) -> Result<(), InspectError> {
        match asked {
            Asked::Counts(field, kind) => *field(&mut self.counts) = number(reply, kind)?,
            Asked::Page(number) => self.accept_page(number, reply)?,
            Asked::Heartbeats(page) => {
                let values = reply.as_array().map_err(at(keys::SERVER_PREFIX))?;
                for (key, value) in page.into_iter().zip(values) {
                    self.accept_heartbeat(key, &value)?;
                }
            }
            Asked::Heartbeat(key) => self.accept_heartbeat(key, &reply.value())?,
            Asked::Figures(page) => {
                let values = reply.as_array().map_err(at(keys::PROCESS_PREFIX))?;
                for (key, value) in page.iter().zip(values) {
                    self.accept_figures(key, &value);
                }
            }
            Asked::FiguresOf(key) => self.accept_figures(&key, &reply.value()),
            Asked::Size(key, kind) => self.accept_size(&key, number(reply, kind)?),
            Asked::Length(name) => match reply.value() {
                // A queue that is empty is no key any more; one that comes back is found anew.
                Value::Integer(jobs @ 1..) => _ = self.queues.insert(name, u64::try_from(jobs).ok()),
                Value::Error(error) if error.kind() != RedisErrorKind::WrongType => {
                    return Err(at(&name)(resp::Error::Redis(error.to_owned())));
                }
                _ => _ = self.queues.remove(&name),
            },
        }
        Ok(())
    }

    fn accept_heartbeat(&mut self, key: String, value: &Value<'_>) -> Result<(), InspectError> {
        // Expired, or gone in order; or it looks like a heartbeat and is none.
        let value = value.as_nil_or_bulk().map_err(at(&key))?;
        match value.and_then(|value| Process::read(&key, value)) {
            Some(process) => _ = self.processes.insert(key, Some(process)),
            None => _ = self.processes.remove(&key),
        }
        Ok(())
    }

    fn accept_figures(&mut self, key: &str, value: &Value<'_>) {
        if let (Value::Bulk(json), Some(Some(process))) = (value, self.processes.get_mut(key)) {
            process.figures = figures::parse(json).ok();
        }
    }

    fn accept_page(&mut self, number: usize, reply: &Reply) -> Result<(), InspectError> {
        let scan = &mut self.scans[number];
        let pattern = scan.pattern.as_str();
        let mut parts = reply.as_array().map_err(at(pattern))?;
        let (Some(cursor), Some(page)) = (parts.next(), parts.next()) else {
            return Err(at(pattern)(reply.value().instead_of("a cursor and a page of keys")));
        };
        scan.cursor = cursor.as_bulk().map_err(at(pattern))?.to_vec();
        scan.came_round |= scan.cursor == b"0";
        for key in page.as_array().map_err(at(pattern))? {
            let key = String::from_utf8_lossy(key.as_bulk().map_err(at(pattern))?).into_owned();
            if let Some(ListKey::Queue { queue }) = keys::parse_list(&key) {
                self.queues.entry(queue.to_owned()).or_default();
            } else if keys::parse_heartbeat(&key).is_some() {
                self.processes.entry(key).or_default();
            } else if let Some((_, what)) = parse_realm_key(&key) {
                self.sizes.entry(key).or_insert(KeySize::unknown(what));
            }
        }
        let found = [self.processes.len(), self.queues.len(), self.sizes.len()];
        if found.iter().any(|keys| *keys > INSPECT_KEYS_MAX) {
            return Err(InspectError::TooManyKeys { pattern: scan.pattern.clone() });
        }
        Ok(())
    }
}

/// The next keys after the last page, beginning anew at the end.
fn page<V>(map: &BTreeMap<String, V>, last: &mut String, count: usize) -> Vec<String> {
    let after = map.range::<String, _>((Bound::Excluded(&*last), Bound::Unbounded));
    let before = map.range::<String, _>(..=&*last);
    let page: Vec<String> = after.chain(before).take(count).map(|(key, _)| key.clone()).collect();
    if let Some(end) = page.last() {
        last.clone_from(end);
    }
    page
}

fn write_mget<K: AsRef<[u8]>>(requests: &mut Requests, keys: &[K]) {
    let mut command = requests.begin(1 + keys.len());
    command.arg(b"MGET");
    for key in keys {
        command.arg(key.as_ref());
    }
}

fn number(reply: &Reply, kind: Kind) -> Result<u64, InspectError> {
    let number = match kind {
        Kind::Size => u64::try_from(reply.as_integer().map_err(at("a set"))?).ok(),
        Kind::Counter => match reply.as_nil_or_bulk().map_err(at("a counter"))? {
            None => Some(0),
            Some(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        },
    };
    number.ok_or_else(|| at("a count")(reply.value().instead_of("a number")))
}

fn at(what: &str) -> impl Fn(resp::Error) -> InspectError {
    move |cause| InspectError::Reply { what: what.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::blocking::BlockingConnection;
    use crate::own_redis::OwnRedis;

    fn look(conn: &mut BlockingConnection, survey: &mut Survey) {
        let mut requests = Requests::new();
        survey.write(&mut requests);
        let replies = conn.call(&requests).unwrap();
        survey.accept(&replies).unwrap();
    }

    fn run(conn: &mut BlockingConnection, command: &[&str]) {
        let mut requests = Requests::new();
        requests.command(&command.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
        conn.call_one(&requests).unwrap();
    }

    #[test]
    fn what_comes_is_found_and_what_goes_is_forgotten() {
        let redis = OwnRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        let key = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        run(&mut conn, &["SET", key, r#"{"heartbeat":1.5,"rss":7,"current_jobs":{}}"#]);
        run(&mut conn, &["SET", "jiggler:svr:no heartbeat", "{}"]);
        run(&mut conn, &["RPUSH", "jiggler:list:a", "1", "2"]);
        run(&mut conn, &["RPUSH", "jiggler:list:a:in_progress:d8625f8721eb", "1"]);
        run(&mut conn, &["INCRBY", keys::PROCESSED, "7"]);
        let mut survey = Survey::new(Scope::Everything);
        look(&mut conn, &mut survey);
        assert!(!survey.is_complete(), "found and not read");
        look(&mut conn, &mut survey);
        assert!(survey.is_complete());
        assert_eq!(
            survey.processes().map(|(_, process)| &*process.uuid).collect::<Vec<_>>(),
            ["d8625f8721eb"]
        );
        assert_eq!(survey.queues().collect::<Vec<_>>(), [("a", 2)]);
        assert_eq!(survey.counts(), Counts { processed: 7, ..Counts::default() });
        run(&mut conn, &["SET", "jiggler:uring:process:d8625f8721eb", r#"{"phase":"quiet","shards":[]}"#]);
        look(&mut conn, &mut survey);
        let (_, process) = survey.processes().next().unwrap();
        assert_eq!(process.figures.as_ref().unwrap().phase, "quiet");
        run(&mut conn, &["DEL", key, "jiggler:list:a"]);
        look(&mut conn, &mut survey);
        assert_eq!((survey.processes().count(), survey.queues().count()), (0, 0));
    }

    #[test]
    fn pages_go_round() {
        let map: BTreeMap<String, ()> = ["a", "b", "c"].map(|key| (key.to_owned(), ())).into();
        let mut last = String::new();
        let mut next = |count| page(&map, &mut last, count).concat();
        assert_eq!(
            (next(2), next(2), next(9), next(1)),
            ("ab".into(), "ca".into(), "bca".into(), "b".into())
        );
        assert_eq!(page(&BTreeMap::<String, ()>::new(), &mut last, 3).len(), 0);
    }

    #[test]
    fn many_processes_are_read_page_by_page() {
        let redis = OwnRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        for number in 0..INSPECT_HEARTBEATS_PER_CALL + 1 {
            let key = format!("jiggler:svr:{number:012}:3:25:default:1:1795299901:{number}:vm");
            run(&mut conn, &["SET", &key, "{}"]);
        }
        let mut survey = Survey::new(Scope::Processes);
        let mut looks = 0;
        while !survey.is_complete() {
            look(&mut conn, &mut survey);
            looks += 1;
        }
        assert_eq!((survey.processes().count(), looks), (INSPECT_HEARTBEATS_PER_CALL + 1, 3));
    }
}
