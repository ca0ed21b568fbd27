//! The rights that a Redis user needs, and asking the server which of them are missing: at boot ([`ask`]), and when a call
//! was denied ([`super::denied`]).
//!
//! The table is complete: `tests/tidy` compares it with the commands that this folder names, and a test of the whole
//! program works under a user that has these rights and no others. As rules for `ACL SETUSER`:
//!
//! | who | rules |
//! |---|---|
//! | worker | every command of [`WORKER`], `~jiggler:* ~{jiggler:list:*`, `&jiggler:uring:cancel:* &jiggler:uring:steer:*` |
//! | producer | `+lpush +zadd +ping`, and to cancel and to ask for progress `+publish +get`; the same keys and channel |
//! | `summary` | `+scan +zscan +zcard +get +mget +llen`, and for periodic jobs `+hkeys +hmget +zscore`; the same keys |
//! | `jobs`, `show`, `why`, `progress`, `retry`, `kill`, `delete`, `prune` | the worker's, and `+pttl +lpos` |
//! | `processes`, `top`, `quiet`, `stop`, `pause`, `resume` | the same |
//! | with sentinels | all of them also `+role` |
//! | in a cluster | all of them also `+role +cluster|slots`, producers also `+asking` |
//! | beside Sidekiq | `~*`, for no pattern has all its keys; workers and operators [`REGISTRIES`], producers `+eval +sadd` |
//! | those who look there | also `+sscan +hmget +smembers` |
//!
//! [`acl_line`] gives the worker's as one line. `CONFIG`, `KEYS`, `FLUSHALL`, `MONITOR` and everything in `@admin` are not
//! among them; `doctor` asks `CONFIG GET timeout` where it may. `AUTH` and `HELLO` need no right in Redis. What a worker
//! can do without: a user without `+sort` or `+memory|usage` costs Redis twice the time per job, because every job goes
//! through a script (`turn.lua`); one without `+client|setname` has connections without names, one without
//! `+client|tracking` may see retries late by the poll interval, and with many queues reads all lengths once a second; one
//! without the channels of steering does not receive the command line's `quiet` and `stop`. One without `+pubsub|channels`
//! may wake with others for the same job. One without `+zscan` looks through all keys of the database for queues and
//! processes. A producer, or a reader of the summary, who may not run `+time` has delays and ages by the clock of its own
//! host.

use crate::resp::{Error, Place, RedisErrorKind, RedisUrl, Reply, Requests, Value};
use crate::wire::{DEFAULT_QUEUE, Keyspace};

/// Stands for a key in a call.
const KEY: &str = "KEY";

/// Stands for the channel of cancelled jobs.
const CHANNEL: &str = "CHANNEL";

/// What a worker calls, directly and in scripts: each as a call that the server can be asked about.
pub const WORKER: &[&str] = &[
    // Connections.
    "info server",
    "script|load x",
    "evalsha x 0",
    "eval x 0",
    "multi",
    "exec",
    "client|id",
    "client|unblock 1",
    "ping",
    "time",
    // Queues and what is in flight.
    "blmove KEY KEY right left 0",
    "brpop KEY 0",
    "lindex KEY 0",
    "llen KEY",
    "lmove KEY KEY right left",
    "lpop KEY",
    "lpos KEY x",
    "lpush KEY x",
    "lrange KEY 0 0",
    "lrem KEY 1 x",
    "ltrim KEY 0 0",
    "rpush KEY x",
    "del KEY",
    "unlink KEY",
    "exists KEY",
    "type KEY",
    "scan 0",
    "hget KEY x",
    "hmget KEY x",
    "hset KEY x x",
    "hdel KEY x",
    "hkeys KEY",
    // Sets, counters, leases, heartbeat.
    "zadd KEY 0 x",
    "zrem KEY x",
    "zcard KEY",
    "zscore KEY x",
    "zrange KEY 0 0",
    "zrangebyscore KEY 0 0",
    "zremrangebyrank KEY 0 0",
    "zremrangebyscore KEY 0 0",
    "get KEY",
    "getex KEY",
    "mget KEY",
    "set KEY x",
    "incrby KEY 0",
    "expire KEY 1",
    "pexpire KEY 1",
    "publish CHANNEL x",
    "subscribe CHANNEL",
];

/// What a worker calls besides where registries name queues and processes.
pub const REGISTRIES: &[&str] = &[
    "sadd KEY x",
    "srem KEY x",
    "rpop KEY",
    "copy KEY KEY replace",
    "bitfield KEY incrby u8 0 1",
    "smismember KEY x",
];

/// What it takes to push jobs there.
const REGISTERED_PRODUCER: &[&str] = &["ping", "eval x 0", "sadd KEY x", "lpush KEY x", "zadd KEY 0 x"];

/// What it takes to push jobs.
const PRODUCER: &[&str] = &["ping", "lpush KEY x", "zadd KEY 0 x"];

/// What it takes to cancel a job.
const CANCELLER: &[&str] = &["ping", "publish CHANNEL x"];

/// What it takes to read the summary.
const SUMMARY: &[&str] = &["scan 0", "zcard KEY", "get KEY", "mget KEY", "llen KEY"];

/// What operators need in addition to a worker's rights.
const OPERATOR: &[&str] = &["pttl KEY", "lpos KEY x"];

/// What those need besides who look at processes that a registry names.
const REGISTERED: &[&str] = &["sscan KEY 0", "hmget KEY x", "smembers KEY"];

/// What a worker does without, if it must.
pub const OPTIONAL: &[&str] =
    &["client|setname", "client|tracking", "memory|usage", "pubsub|channels", "sort", "zscan"];

/// What a reader of the summary does without, if it must.
const SUMMARY_OPTIONAL: &[&str] = &["zscan"];

/// What is asked of a user whose server is named by sentinels, or by nodes of a cluster.
const ROLE: &str = "role";

/// Asked as well, to tell a key that may not be touched from commands that may not be run: the user who is asked runs this.
const KEY_PROBE: &str = "eval x 1 KEY";

/// What a user is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It runs jobs.
    Worker,
    /// It pushes jobs.
    Producer,
    /// It ends running jobs.
    Canceller,
    /// It looks at the summary.
    Summary,
    /// It looks at jobs and processes, acts on jobs and steers processes.
    Operator,
}

impl Role {
    /// What it calls.
    fn calls(self, keys: Keyspace) -> Vec<&'static str> {
        let registries = if keys.names().registries.is_some() { REGISTRIES } else { &[] };
        match self {
            Self::Worker => [WORKER, registries].concat(),
            Self::Producer if !registries.is_empty() => REGISTERED_PRODUCER.to_vec(),
            Self::Producer => PRODUCER.to_vec(),
            Self::Canceller => CANCELLER.to_vec(),
            Self::Summary if !registries.is_empty() => [SUMMARY, REGISTERED].concat(),
            Self::Summary => SUMMARY.to_vec(),
            Self::Operator if !registries.is_empty() => [WORKER, registries, OPERATOR, REGISTERED].concat(),
            Self::Operator => [WORKER, OPERATOR].concat(),
        }
    }

    /// What it does without, if it must.
    const fn optional(self) -> &'static [&'static str] {
        match self {
            Self::Worker | Self::Operator => OPTIONAL,
            Self::Summary => SUMMARY_OPTIONAL,
            Self::Producer | Self::Canceller => &[],
        }
    }
}

/// What a user in a cluster needs in addition: to ask which node has a slot, and to push while that slot is being moved.
const IN_CLUSTER: [&str; 2] = ["cluster|slots", "asking"];

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By its own address.
    Directly,
    /// Sentinels name it.
    BySentinels,
    /// It is a node of a cluster.
    InCluster,
}

impl Reach {
    /// How this url leads to its server.
    #[must_use]
    pub const fn to(url: &RedisUrl) -> Self {
        match url.place() {
            Place::Server(_) => Self::Directly,
            Place::Sentinels(_) => Self::BySentinels,
            Place::Cluster(_) => Self::InCluster,
        }
    }

    /// How a url leads to its server: by its scheme.
    #[must_use]
    pub fn of(url: &str) -> Self {
        match url.split("://").next() {
            Some(scheme) if scheme.ends_with("+sentinel") => Self::BySentinels,
            Some(scheme) if scheme.ends_with("+cluster") => Self::InCluster,
            _ => Self::Directly,
        }
    }
}

/// The keys a worker uses, as patterns of an ACL.
pub(super) const fn key_patterns(keys: Keyspace) -> [&'static str; 2] {
    [keys.names().pattern, keys.names().in_flight_pattern]
}

/// The channels of cancelled jobs, and of steering.
fn channel_patterns(keys: Keyspace) -> [String; 2] {
    [keys.names().cancel_prefix, keys.names().steer_prefix].map(|prefix| format!("&{prefix}*"))
}

/// Rights that a user lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Each as a rule for `ACL SETUSER`.
    pub rules: Vec<String>,
}

/// The rules of a worker's user, for `ACL SETUSER name on >password` and the like.
#[must_use]
pub fn acl_line(keys: Keyspace, reach: Reach) -> String {
    acl_line_of(Role::Worker, keys, reach)
}

/// The same for another role.
#[must_use]
pub fn acl_line_of(role: Role, keys: Keyspace, reach: Reach) -> String {
    let names: Vec<&str> =
        role.calls(keys).into_iter().map(name).chain(role.optional().iter().copied()).collect();
    let asked = (reach != Reach::Directly).then_some(ROLE);
    let in_cluster = IN_CLUSTER.into_iter().filter(|_| reach == Reach::InCluster);
    let names = names.into_iter().chain(asked).chain(in_cluster);
    let mut rules: Vec<String> = names.map(|name| format!("+{name}")).collect();
    rules.extend(key_patterns(keys).map(|pattern| format!("~{pattern}")));
    let channels = match role {
        Role::Worker | Role::Operator => 2,
        Role::Canceller => 1,
        Role::Producer | Role::Summary => 0,
    };
    rules.extend(channel_patterns(keys).into_iter().take(channels));
    rules.join(" ")
}

/// Appends the question which of the role's calls the user may not make: one EVAL, read by [`missing`].
pub fn ask(role: Role, keys: Keyspace, requests: &mut Requests) {
    let calls = questions(&role.calls(keys), keys);
    let mut command = requests.begin(3 + calls.len());
    command.arg(b"EVAL").arg(include_bytes!("scripts/rights.lua")).arg_u64(0);
    for call in &calls {
        command.arg(call.as_bytes());
    }
}

/// What the user lacks, from the reply to [`ask`]; `None` if nothing, as far as the server can tell.
///
/// # Errors
/// If the reply is an error, unless the user may not ask, or not an array of numbers.
pub fn missing(role: Role, keys: Keyspace, reply: &Reply) -> Result<Option<Missing>, Error> {
    if let Value::Error(error) = reply.value()
        && error.kind() == RedisErrorKind::NoPerm
    {
        return Ok(Some(Missing { rules: vec!["+eval".to_owned()] }));
    }
    let refused = positions(reply)?.0;
    let rules = rules(&role.calls(keys), keys, &|call| refused.contains(&(call + 1)));
    Ok((!rules.is_empty()).then_some(Missing { rules }))
}

/// The commands of the role that the server does not know, from the reply to [`ask`]: someone has renamed them away, or a
/// proxy withholds them. No right helps then.
///
/// # Errors
/// As [`missing`], and if the user may not ask.
pub fn unknown(role: Role, keys: Keyspace, reply: &Reply) -> Result<Vec<String>, Error> {
    let absent = positions(reply)?.1;
    let calls = role.calls(keys);
    let mut names: Vec<String> = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let command = name(call).replace('|', " ").to_ascii_uppercase();
        if absent.contains(&(at + 1)) && !names.contains(&command) {
            names.push(command);
        }
    }
    Ok(names)
}

/// The positions of refused calls, and of those that the server does not know.
fn positions(reply: &Reply) -> Result<(Vec<usize>, Vec<usize>), Error> {
    let (mut refused, mut absent) = (Vec::new(), Vec::new());
    for position in reply.as_array()? {
        let position = position.as_integer()?;
        let side = if position < 0 { &mut absent } else { &mut refused };
        side.push(usize::try_from(position.unsigned_abs()).unwrap_or(0));
    }
    Ok((refused, absent))
}

/// The calls to ask about: for each key each of `calls`, and [`KEY_PROBE`].
fn questions(calls: &[&str], keys: Keyspace) -> Vec<String> {
    let channel = keys.cancel_channel(0);
    let words = |call: &str, key: &str| {
        let words = call.split([' ', '|']).map(|word| match word {
            KEY => key,
            CHANNEL => &channel,
            word => word,
        });
        words.collect::<Vec<_>>().join("\n")
    };
    let calls = || calls.iter().chain([&KEY_PROBE]);
    sample_keys(keys).iter().flat_map(|key| calls().map(|call| words(call, key))).collect()
}

/// One key for each of [`key_patterns`].
fn sample_keys(keys: Keyspace) -> [String; 2] {
    [keys.queue(DEFAULT_QUEUE), keys.in_flight_index(DEFAULT_QUEUE, "x", 0)]
}

/// Turns refused calls into what is missing. A call counts as missing if it may not touch a key that is not missing itself.
fn rules(calls: &[&'static str], keys: Keyspace, is_refused: &dyn Fn(usize) -> bool) -> Vec<String> {
    let [cancel_rule, _] = channel_patterns(keys);
    let patterns = key_patterns(keys);
    let refused = |key: usize, call: usize| is_refused(key * (calls.len() + 1) + call);
    let with_key: Vec<usize> = (0..calls.len()).filter(|call| calls[*call].contains(KEY)).collect();
    let is_missing = |key: &usize| !with_key.is_empty() && refused(*key, calls.len());
    let (missing_keys, good_keys): (Vec<usize>, Vec<usize>) = (0..patterns.len()).partition(is_missing);
    let mut rules = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let lacks = match with_key.contains(&at) {
            true => good_keys.iter().any(|key| refused(*key, at)),
            false => refused(0, at),
        };
        if lacks {
            rules.push(format!("+{}", name(call)));
        }
        if lacks && call.contains(CHANNEL) {
            rules.push(cancel_rule.clone());
        }
    }
    rules.extend(missing_keys.into_iter().map(|key| format!("~{}", patterns[key])));
    rules.dedup();
    rules
}

fn name(call: &'static str) -> &'static str {
    call.split(' ').next().unwrap_or(call)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;
    use crate::wire::keys::JIGGLER;

    /// What a user with these rules is reported to lack.
    fn lacks(redis: &OwnRedis, rules: &str) -> Vec<String> {
        let mut words = vec!["ACL", "SETUSER", "u", "reset", "on", ">pw"];
        words.extend(rules.split(' ').filter(|rule| !rule.is_empty()));
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        redis.run(&words).as_ok().unwrap();
        let url = format!("redis://u:pw@127.0.0.1:{}", redis.port());
        let url = RedisUrl::parse(&url).unwrap();
        let mut conn = crate::net::blocking::BlockingConnection::connect(&url).unwrap();
        let mut requests = Requests::new();
        ask(Role::Worker, JIGGLER, &mut requests);
        let replies = conn.call(&requests).unwrap();
        missing(Role::Worker, JIGGLER, &replies[0]).unwrap().map(|missing| missing.rules).unwrap_or_default()
    }

    #[test]
    fn a_command_that_the_server_does_not_know_is_named_and_is_no_missing_right() {
        let flags = ["--rename-command", "BLMOVE", "", "--rename-command", "SCRIPT", "HIDDEN"];
        let redis = OwnRedis::start_with(&flags);
        let mut requests = Requests::new();
        ask(Role::Worker, JIGGLER, &mut requests);
        let replies = redis.connect().call(&requests).unwrap();
        assert_eq!(unknown(Role::Worker, JIGGLER, &replies[0]).unwrap(), ["SCRIPT LOAD", "BLMOVE"]);
        assert_eq!(missing(Role::Worker, JIGGLER, &replies[0]).unwrap(), None);
        let replies = OwnRedis::start().connect().call(&requests).unwrap();
        assert_eq!(unknown(Role::Worker, JIGGLER, &replies[0]).unwrap(), [""; 0]);
    }

    #[test]
    fn each_right_that_is_missing_is_named_and_no_other() {
        let redis = OwnRedis::start();
        let line = acl_line(JIGGLER, Reach::Directly);
        assert_eq!(lacks(&redis, &line), [""; 0]);
        let [cancel, steer] = channel_patterns(JIGGLER);
        for call in WORKER {
            let rule = format!("+{}", name(call));
            let without: Vec<&str> = line.split(' ').filter(|other| *other != rule).collect();
            let mut expected = vec![rule.clone()];
            if call.contains(CHANNEL) {
                expected.push(cancel.clone());
            }
            assert_eq!(lacks(&redis, &without.join(" ")), expected, "without {rule}");
        }
        for pattern in key_patterns(JIGGLER) {
            let rule = format!("~{pattern}");
            let without: Vec<&str> = line.split(' ').filter(|other| **other != rule).collect();
            assert_eq!(lacks(&redis, &without.join(" ")), [rule]);
        }
        for pattern in OPTIONAL {
            let without = line.replace(&format!("+{pattern}"), "");
            assert_eq!(lacks(&redis, &without), [""; 0]);
        }
        let without_steering = line.replace(&steer, "");
        assert_eq!(lacks(&redis, &without_steering), [""; 0]);
        let without_channel = line.replace(&cancel, "");
        assert!(lacks(&redis, &without_channel).contains(&cancel));
        assert!(lacks(&redis, "+@all ~other:*").len() > 2);
        assert_eq!(lacks(&redis, "+@all allkeys allchannels"), [""; 0]);
    }
}
