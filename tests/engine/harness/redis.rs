//! A redis-server for one test, and the questions tests ask it.

use std::cell::RefCell;

use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{RedisUrl, Reply, Requests, Value};
use jiggler_uring::internal::wire::Dialect;

use super::redis_server::RedisServer;
use super::spelling;
use super::wait::wait_until;

pub(crate) const RETRIES: &str = "jiggler:set:retries";
pub(crate) const DEAD: &str = "jiggler:set:dead";
pub(crate) const SCHEDULED: &str = "jiggler:set:scheduled";

/// Payloads per push.
const PUSH_JOBS: usize = 1_000;

/// How many elements of a key, and bytes of an element, a failing test shows.
const SHOWN_ELEMENTS: usize = 20;
const SHOWN_BYTES: usize = 300;

/// Prints all its keys when the test fails.
pub(crate) struct Redis {
    server: RedisServer,
    conn: RefCell<Option<BlockingConnection>>,
    password: Option<&'static str>,
    /// Whether the test itself connects through the unix socket, because the port is not a plain one.
    by_socket: bool,
    /// Whose keys and payloads the words of the test stand for, which are always those of jiggler.
    dialect: Dialect,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let server = RedisServer::start_with(flags);
        Self { server, conn: RefCell::new(None), password: None, by_socket: false, dialect: Dialect::Jiggler }
    }

    /// One for each dialect: for what does not depend on it.
    pub(crate) fn of_each_dialect() -> impl Iterator<Item = Self> {
        Dialect::ALL.into_iter().map(Self::start_in)
    }

    /// One of this dialect.
    pub(crate) fn start_in(dialect: Dialect) -> Self {
        Self::start_in_with(dialect, &[])
    }

    /// The same with flags of the server.
    pub(crate) fn start_in_with(dialect: Dialect, flags: &[&str]) -> Self {
        let mut redis = Self::start_with(flags);
        redis.dialect = dialect;
        redis
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The flags of a worker that uses it.
    pub(crate) fn flags(&self) -> Vec<&'static str> {
        match self.dialect {
            Dialect::Jiggler => Vec::new(),
            Dialect::Sidekiq => vec!["--dialect", "sidekiq"],
        }
    }

    /// One whose port is not a plain one.
    pub(crate) fn start_by_socket(flags: &[&str]) -> Self {
        let mut redis = Self::start_with(flags);
        redis.by_socket = true;
        redis
    }

    /// One that loses nothing when it is killed.
    pub(crate) fn start_durable() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub(crate) fn start_with_password(password: &'static str) -> Self {
        let server = RedisServer::start_with(&["--requirepass", password]);
        Self {
            server,
            conn: RefCell::new(None),
            password: Some(password),
            by_socket: false,
            dialect: Dialect::Jiggler,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.server.socket().display())
    }

    pub(crate) fn tcp_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.server.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.server.socket()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.conn.take();
        self.server.kill();
    }

    /// Shuts it down.
    pub(crate) fn shut_down(&mut self) {
        self.shut_down_with(&[b"SHUTDOWN"]);
    }

    /// Shuts it down; when it starts again it loads its data.
    pub(crate) fn shut_down_saving(&mut self) {
        self.shut_down_with(&[b"SHUTDOWN", b"SAVE"]);
    }

    fn shut_down_with(&mut self, command: &[&[u8]]) {
        let mut requests = Requests::new();
        requests.command(command);
        // It closes the connection instead of answering.
        let _closed = self.connect().call_one(&requests);
        self.conn.take();
        self.server.wait_for_end();
    }

    /// Restarts it in place, and waits until it serves.
    pub(crate) fn start_again(&mut self) {
        self.begin_again();
        wait_until("redis has loaded its data", || self.serves());
    }

    /// Restarts it in place, and waits until it answers anything, even that it is loading.
    pub(crate) fn begin_again(&mut self) {
        self.server.start_again();
    }

    /// Whether it would run a command.
    pub(crate) fn serves(&self) -> bool {
        self.try_run(&["PING"]).is_some()
    }

    /// Whether it accepts writes, so is not a replica.
    #[track_caller]
    pub(crate) fn is_primary(&self) -> bool {
        let reply = self.run(&["ROLE"]);
        let role = reply.as_array().unwrap().next();
        matches!(role, Some(Value::Bulk(b"master")))
    }

    /// Like [`Self::is_primary`], over a new connection: a server that sentinels promote disconnects its clients.
    pub(crate) fn leads(&self) -> bool {
        let reply = self.try_run(&["ROLE"]);
        let role = reply.as_ref().and_then(|reply| reply.as_array().ok()?.next());
        matches!(role, Some(Value::Bulk(b"master")))
    }

    fn connect(&self) -> BlockingConnection {
        BlockingConnection::connect(&self.own_url()).unwrap()
    }

    /// The url by which the test itself connects.
    fn own_url(&self) -> RedisUrl {
        if self.by_socket {
            return RedisUrl::parse(&self.url()).unwrap();
        }
        let secret = self.password.map(|password| format!(":{password}@")).unwrap_or_default();
        RedisUrl::parse(&format!("redis://{secret}127.0.0.1:{}", self.server.port())).unwrap()
    }

    /// Makes the next call over a new connection: the last one may have been closed meanwhile.
    pub(crate) fn forget_connection(&self) {
        self.conn.take();
    }

    /// Runs one command that must not fail.
    #[track_caller]
    pub(crate) fn run<A: AsRef<[u8]>>(&self, args: &[A]) -> Reply {
        let args: Vec<_> = args.iter().map(|arg| spelling::there(self.dialect, arg.as_ref())).collect();
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        let mut requests = Requests::new();
        requests.command(&args);
        let mut conn = self.conn.borrow_mut();
        conn.get_or_insert_with(|| self.connect()).call_one(&requests).unwrap()
    }

    /// `None`: it cannot be reached, or refuses.
    pub(crate) fn try_run(&self, args: &[&str]) -> Option<Reply> {
        let args: Vec<_> = args.iter().map(|arg| spelling::there(self.dialect, arg.as_bytes())).collect();
        let args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
        let mut requests = Requests::new();
        requests.command(&args);
        BlockingConnection::connect(&self.own_url()).ok()?.call_one(&requests).ok()
    }

    #[track_caller]
    pub(crate) fn integer<A: AsRef<[u8]>>(&self, args: &[A]) -> i64 {
        self.run(args).as_integer().unwrap()
    }

    /// Runs one command whose reply is a list of strings.
    #[track_caller]
    pub(crate) fn list<A: AsRef<[u8]>>(&self, args: &[A]) -> Vec<Vec<u8>> {
        let reply = self.run(args);
        reply.as_array().unwrap().map(|value| value.as_bulk().unwrap().to_vec()).collect()
    }

    /// The text under a key, if there is one.
    #[track_caller]
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        let reply = self.run(&["GET", key]);
        reply.as_nil_or_bulk().unwrap().map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// Keys that match a pattern, sorted.
    #[track_caller]
    pub(crate) fn keys(&self, pattern: &str) -> Vec<String> {
        let keys = self.list(&["KEYS", pattern]);
        let here = |key| spelling::here(self.dialect, String::from_utf8(key).unwrap());
        let mut keys: Vec<String> = keys.into_iter().map(here).collect();
        keys.sort_unstable();
        keys
    }

    /// Keys of queues, and of jobs in flight with their indexes, but not fences.
    #[track_caller]
    pub(crate) fn job_keys(&self) -> Vec<String> {
        let mut keys = self.keys("*list*");
        keys.retain(|key| !matches!(self.run(&["TYPE", key]).value(), Value::Simple(b"string")));
        keys
    }

    /// Pushes payloads as producers do; the first is taken first.
    #[track_caller]
    pub(crate) fn push<P: AsRef<[u8]>>(&self, queue: &str, payloads: &[P]) {
        let key = format!("jiggler:list:{queue}");
        for chunk in payloads.chunks(PUSH_JOBS) {
            let mut args: Vec<&[u8]> = vec![b"LPUSH", key.as_bytes()];
            args.extend(chunk.iter().map(AsRef::as_ref));
            self.run(&args);
        }
    }

    /// The payloads waiting in a queue, in the order they will be taken.
    #[track_caller]
    pub(crate) fn queue(&self, queue: &str) -> Vec<String> {
        let mut payloads = self.list(&["LRANGE", &format!("jiggler:list:{queue}"), "0", "-1"]);
        payloads.reverse();
        let here =
            |payload: Vec<u8>| spelling::here(self.dialect, String::from_utf8_lossy(&payload).into_owned());
        payloads.into_iter().map(here).collect()
    }

    /// Members of a sorted set with their scores, lowest first.
    #[track_caller]
    pub(crate) fn set(&self, key: &str) -> Vec<(String, f64)> {
        let flat = self.list(&["ZRANGE", key, "0", "-1", "WITHSCORES"]);
        let text =
            |bytes: &Vec<u8>| spelling::here(self.dialect, String::from_utf8_lossy(bytes).into_owned());
        flat.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]).parse().unwrap())).collect()
    }

    #[track_caller]
    pub(crate) fn count(&self, set: &str) -> i64 {
        self.integer(&["ZCARD", set])
    }

    #[track_caller]
    pub(crate) fn processed(&self) -> u64 {
        self.counter("jiggler:stats:processed_counter")
    }

    #[track_caller]
    pub(crate) fn failures(&self) -> u64 {
        self.counter("jiggler:stats:failures_counter")
    }

    #[track_caller]
    fn counter(&self, key: &str) -> u64 {
        self.text(key).map_or(0, |text| text.parse().unwrap())
    }

    /// One number from INFO.
    #[track_caller]
    pub(crate) fn info(&self, section: &str, field: &str) -> u64 {
        let reply = self.run(&["INFO", section]);
        let text = String::from_utf8_lossy(reply.as_bulk().unwrap()).into_owned();
        let value =
            text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
        value.unwrap().parse().unwrap()
    }

    /// The lines of CLIENT LIST whose connection name contains a text.
    #[track_caller]
    pub(crate) fn clients(&self, name: &str) -> Vec<String> {
        let reply = self.run(&["CLIENT", "LIST"]);
        let text = String::from_utf8_lossy(reply.as_bulk().unwrap()).into_owned();
        let named = |line: &&str| line.split(' ').any(|f| f.starts_with("name=") && f.contains(name));
        text.lines().filter(named).map(str::to_owned).collect()
    }

    /// How many of a worker's connections wait for a job in Redis.
    #[track_caller]
    pub(crate) fn waiting(&self) -> usize {
        let waits = |line: &&String| line.split(' ').any(|f| f.starts_with("flags=") && f.contains('b'));
        self.clients("jiggler-uring:").iter().filter(waits).count()
    }

    /// The uuid of the one worker that publishes a heartbeat.
    #[track_caller]
    pub(crate) fn uuid(&self) -> String {
        super::wait::wait_for("a heartbeat", || {
            let mut keys = self.keys("jiggler:svr:*");
            keys.retain(|key| !key.starts_with("jiggler:uring:"));
            let key = keys.pop()?;
            let uuid = key.split(':').nth(2);
            uuid.map(str::to_owned)
        })
    }

    /// The value of a key of any type, as text.
    #[track_caller]
    pub(crate) fn text_of_any(&self, key: &str) -> String {
        let dump = self.run(&["DUMP", key]);
        dump.as_nil_or_bulk().unwrap().map_or_else(String::new, |bytes| bytes.escape_ascii().to_string())
    }

    fn show(&self) {
        for key in self.keys("*") {
            // A node of a cluster may refuse to serve what it holds: a replica, or one whose slot is being moved.
            let Some(kind) = self.try_run(&["TYPE", &key]) else {
                eprintln!("  {key} (not served here)");
                continue;
            };
            let kind = match kind.value() {
                Value::Simple(kind) => String::from_utf8_lossy(kind).into_owned(),
                other => format!("{other:?}"),
            };
            let values = match kind.as_str() {
                "string" => self.text(&key).into_iter().map(String::into_bytes).collect(),
                "list" => self.list(&["LRANGE", &key, "0", "-1"]),
                "zset" => self.list(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]),
                "hash" => self.list(&["HGETALL", &key]),
                _ => Vec::new(),
            };
            eprintln!("  {key} ({kind}, {} elements)", values.len());
            for value in values.iter().take(SHOWN_ELEMENTS) {
                eprintln!("    {}", value[..value.len().min(SHOWN_BYTES)].escape_ascii());
            }
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.conn.take();
        if self.try_run(&["PING"]).is_some() {
            eprintln!("redis holds:");
            self.show();
        } else {
            eprintln!("redis does not answer");
        }
    }
}

/// Reads a payload.
#[track_caller]
pub(crate) fn json(payload: impl AsRef<[u8]>) -> serde_json::Value {
    serde_json::from_slice(payload.as_ref()).unwrap()
}
