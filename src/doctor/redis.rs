//! What the Redis of a worker is like: version, memory policy, persistence, role, clock, latency, rights, Ruby servers.
//!
//! If a server does not report something, its check is skipped or a warning, not failed.

use std::time::{Duration, Instant};

use super::Check;
use super::machine::shards;
use crate::admin;
use crate::boot::{self, RedisServer, files};
use crate::config::{Config, Variables};
use crate::embedded;
use crate::limits::{CLOCK_SKEW_MAX_S, DOCTOR_LATENCY_MAX, DOCTOR_MEMORY_FULL, DOCTOR_PINGS, LEASE};
use crate::net::Error;
use crate::net::blocking::BlockingConnection;
use crate::resp::{RedisUrl, Reply, Requests};
use crate::store::server::{self, Info};
use crate::store::steer;
use crate::store::survey::{Scope, Survey};
use crate::time::{RedisClock, unix_now};
use crate::view::member::{Engine, Member, Members};
use crate::wire::{Dialect, Keyspace};

/// Every check of the server that a worker of this configuration would use.
pub(crate) fn checks(config: &Config, variables: Variables<'_>) -> Vec<Check> {
    let found = match embedded::for_command(config.redis_url.clone(), variables) {
        Ok(found) => found,
        Err(embedded::Error::NothingRuns { .. }) if embedded::server::program(variables).is_some() => {
            return vec![Check::warning(
                "redis",
                "none is given and none runs here; a worker would start a private one",
                "name the server of your producers with --redis-url or REDIS_URL",
            )];
        }
        Err(embedded::Error::NothingRuns { .. }) => {
            return vec![Check::refused("redis", &embedded::Error::NoProgram)];
        }
        Err(error) => return vec![Check::refused("redis", &error)],
    };
    let url = found.url();
    let mut checks = match boot::check_redis(&url, config.dialect, &RedisClock::default()) {
        Ok(server) => {
            vec![version(&server, &url.to_string()), dialect(&server, config.dialect), rights(None)]
        }
        Err(error @ boot::Error::RedisRights { .. }) => vec![rights(Some(&error))],
        Err(error) => return vec![Check::refused("redis", &error)],
    };
    // In a cluster one of the primaries represents all.
    let keys = config.dialect.keys(url.is_cluster());
    match BlockingConnection::connect(&steer::url(&url, keys))
        .and_then(|mut conn| examine(&mut conn, config, &url))
    {
        Ok(more) => checks.extend(more),
        Err(error) => checks.push(Check::refused("redis", &error)),
    }
    checks
}

fn version(server: &RedisServer, address: &str) -> Check {
    Check::ok("redis", format!("{} {} at {address}", server.name, server.version))
}

/// Whether the programs that share it are those of the dialect that was given.
fn dialect(server: &RedisServer, told: Dialect) -> Check {
    match server.strangers {
        None => Check::ok("dialect", told.to_string()),
        Some(found) => Check::warning(
            "dialect",
            format!("this redis has the keys of {found} programs and none of {told}"),
            format!("if theirs are the jobs to run, give --dialect {found}"),
        ),
    }
}

fn examine(conn: &mut BlockingConnection, config: &Config, url: &RedisUrl) -> Result<Vec<Check>, Error> {
    let keys = config.dialect.keys(url.is_cluster());
    let info = Info::read(&one(conn, server::ask_info)?)?;
    let mut checks = vec![
        latency(&mut pings(conn)?),
        clock(conn)?,
        role(&info),
        policy(&info),
        memory(&info),
        persistence(&info),
        clients(&info, files::connections(config, shards(config))),
        idleness(conn)?,
        tracking(conn)?,
    ];
    // The gem does not support clusters, and servers of the other one are no trouble.
    if !url.is_cluster() && keys.names().registries.is_none() {
        checks.push(ruby_pollers(conn, keys));
    }
    Ok(checks)
}

fn one(conn: &mut BlockingConnection, write: impl Fn(&mut Requests)) -> Result<Reply, Error> {
    let mut requests = Requests::new();
    write(&mut requests);
    conn.call_one(&requests)
}

fn pings(conn: &mut BlockingConnection) -> Result<Vec<Duration>, Error> {
    let mut times = Vec::with_capacity(DOCTOR_PINGS);
    for _ in 0..DOCTOR_PINGS {
        let begun = Instant::now();
        one(conn, server::ping)?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

fn latency(times: &mut [Duration]) -> Check {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    let worst = times.last().copied().unwrap_or_default();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let found = format!("{:.2} ms, at worst {:.2} ms, over {} pings", ms(median), ms(worst), times.len());
    if median > DOCTOR_LATENCY_MAX {
        let advice = "each fetch is a round trip: run workers near Redis, or give them a higher concurrency";
        return Check::warning("latency", found, advice);
    }
    Check::ok("latency", found)
}

/// The quickest of several answers says most about the clock: the error is at most half its round trip.
fn clock(conn: &mut BlockingConnection) -> Result<Check, Error> {
    let mut best: Option<(Duration, f64)> = None;
    for _ in 0..DOCTOR_PINGS {
        let (begun, before) = (Instant::now(), unix_now());
        let theirs = server::clock(&one(conn, server::ask_clock)?)?.as_secs_f64();
        let round_trip = begun.elapsed();
        if best.is_none_or(|(quickest, _)| round_trip < quickest) {
            best = Some((round_trip, before + round_trip.as_secs_f64() / 2.0 - theirs));
        }
    }
    let (round_trip, skew) = best.unwrap_or_default();
    Ok(skew_check(skew, round_trip.as_secs_f64() / 2.0))
}

fn skew_check(skew: f64, error: f64) -> Check {
    let side = if skew < 0.0 { "behind" } else { "ahead of" };
    let found =
        format!("this host is {:.1} ms {side} redis, give or take {:.1} ms", skew.abs() * 1e3, error * 1e3);
    if skew.abs() - error > CLOCK_SKEW_MAX_S {
        let advice = "run a time service (chrony, systemd-timesyncd) on both hosts: what Ruby programs on this host \
                      schedule or retry is late or early by this; our workers and clients use the clock of redis";
        return Check::warning("clock", found, advice);
    }
    Check::ok("clock", found)
}

fn role(info: &Info) -> Check {
    match info.field("role") {
        Some("master") => Check::ok("role", "primary"),
        Some(role) => {
            Check::failed("role", format!("{role}: it refuses writes"), "name the primary in the url")
        }
        None => Check::skipped("role", "the server does not say"),
    }
}

fn policy(info: &Info) -> Check {
    let name = "memory policy";
    let Some(policy) = info.field("maxmemory_policy") else {
        return Check::skipped(name, "the server does not say");
    };
    let advice = "set `maxmemory-policy noeviction` (CONFIG SET, redis.conf, or the parameter group of a hosted redis)";
    match policy {
        "noeviction" => Check::ok(name, policy),
        _ if policy.starts_with("volatile") => {
            let found = format!("{policy}: heartbeats and the counts of recoveries may be evicted, jobs not");
            Check::warning(name, found, advice)
        }
        _ if info.number("maxmemory") == Some(0) => {
            let found = format!("{policy}, without effect while maxmemory is 0");
            Check::warning(name, found, advice)
        }
        _ => Check::failed(name, format!("{policy}: jobs are thrown away when memory is full"), advice),
    }
}

fn memory(info: &Info) -> Check {
    match (info.number("used_memory"), info.number("maxmemory")) {
        (Some(used), Some(max @ 1..)) => {
            let part = used as f64 / max as f64;
            let found = format!("{used} of {max} bytes in use ({:.0} %)", part * 100.0);
            if part >= DOCTOR_MEMORY_FULL {
                let advice = "raise maxmemory or shorten the queues: at the limit redis refuses new jobs";
                return Check::warning("memory", found, advice);
            }
            Check::ok("memory", found)
        }
        (Some(used), _) => Check::ok("memory", format!("{used} bytes in use, no limit")),
        (None, _) => Check::skipped("memory", "the server does not say"),
    }
}

fn persistence(info: &Info) -> Check {
    let name = "persistence";
    let failing = |field: &str| info.field(field).is_some_and(|status| status != "ok");
    match info.number("aof_enabled") {
        None => Check::skipped(name, "the server does not say"),
        Some(1..) if failing("aof_last_write_status") => Check::failed(
            name,
            "the append-only file cannot be written",
            "free the disk, and look into the log of redis",
        ),
        Some(1..) => Check::ok(name, "append-only file"),
        Some(0) if failing("rdb_last_bgsave_status") => Check::failed(
            name,
            "the last snapshot failed, after which redis refuses writes by default",
            "free the disk or memory, and look into the log of redis",
        ),
        Some(0) => {
            let now = info.number("server_time_usec").map_or_else(unix_now, |micros| micros as f64 / 1e6);
            let saved = info.number("rdb_last_save_time").map_or(0.0, |at| (now - at as f64).max(0.0));
            let changes = info.number("rdb_changes_since_last_save").unwrap_or(0);
            Check::warning(
                name,
                format!(
                    "snapshots at most: {changes} changes since the last, {saved:.0} s ago, go with a crash"
                ),
                "set `appendonly yes` if jobs matter",
            )
        }
    }
}

fn clients(info: &Info, needed: usize) -> Check {
    let (Some(connected), Some(max)) = (info.number("connected_clients"), info.number("maxclients")) else {
        return Check::skipped(
            "connections",
            format!("a worker needs {needed}; the server does not say its limit"),
        );
    };
    let found = format!("{connected} of {max}; a worker needs up to {needed}");
    if connected + needed as u64 > max {
        return Check::failed(
            "connections",
            found,
            "raise `maxclients`, or serve fewer queues on fewer cores",
        );
    }
    Check::ok("connections", found)
}

fn idleness(conn: &mut BlockingConnection) -> Result<Check, Error> {
    match one(conn, server::ask_idle_timeout) {
        Ok(reply) => Ok(server::idle_timeout(&reply)
            .map_or_else(|_| Check::skipped("timeout", "the server does not say"), idleness_check)),
        Err(Error::Redis(_)) => {
            Ok(Check::skipped("timeout", "the server does not say: CONFIG GET is refused"))
        }
        Err(error) => Err(error),
    }
}

fn idleness_check(seconds: u64) -> Check {
    if seconds == 0 {
        return Check::ok("timeout", "0: redis closes no idle connection");
    }
    let found = format!(
        "{seconds}: redis closes what is idle for {seconds} s; a worker opens another when it needs one, which costs the next \
         job some milliseconds"
    );
    let advice = "set `timeout 0` (CONFIG SET, redis.conf, or the parameter group of a hosted redis): `tcp-keepalive` finds \
                  clients that are gone";
    Check::warning("timeout", found, advice)
}

fn tracking(conn: &mut BlockingConnection) -> Result<Check, Error> {
    let advice = "allow this user HELLO and CLIENT TRACKING, or jobs with a delay may be late by poll_interval, and with \
                  more than eight queues all jobs by a second";
    let id = match one(conn, server::ask_id) {
        Ok(id) => id.as_integer()?,
        Err(Error::Redis(error)) => return Ok(Check::warning("tracking", error, advice)),
        Err(error) => return Err(error),
    };
    let mut requests = Requests::new();
    server::try_tracking(id, &mut requests);
    let replies = conn.call(&requests)?;
    Ok(match replies.into_iter().next().map(Reply::into_result) {
        Some(Err(error)) => Check::warning("tracking", error, advice),
        _ => Check::ok("tracking", "redis tells of due jobs as they come"),
    })
}

/// Whether Ruby servers run what does not work next to our keys: those that live and have a poller. A process of ours is
/// known by its figures.
fn ruby_pollers(conn: &mut BlockingConnection, keys: Keyspace) -> Check {
    let name = "ruby servers";
    let found = match admin::read(conn, Survey::once(Scope::Processes, keys)) {
        Ok(found) => found,
        Err(error) => return Check::skipped(name, error),
    };
    let lives = |at: &f64| (found.at - at).abs() < LEASE.as_secs_f64();
    let is_one = |server: &&Member| {
        server.engine == Engine::Ruby && server.poller && server.heartbeat.as_ref().is_some_and(lives)
    };
    pollers_check(name, Members::of(&found).processes.iter().filter(is_one).count())
}

fn pollers_check(name: &'static str, servers: usize) -> Check {
    let found = match servers {
        0 => return Check::ok(name, "none runs a poller here"),
        1 => "1 runs a poller here".to_owned(),
        servers => format!("{servers} run a poller here"),
    };
    let price =
        "next to a worker's keys it may take jobs of living ruby servers for stale, so that they run twice";
    let advice = "set `poller_enabled: false` in the ruby servers (a worker here does their poller's work), or give the \
                  two a redis database each";
    Check::warning(name, format!("{found}: {price}"), advice)
}

/// What a starting worker would say about its user's rights. A server before 7.0 cannot tell, so nothing is reported
/// missing.
fn rights(error: Option<&boot::Error>) -> Check {
    match error {
        None => Check::ok("rights", "the user may do all that a worker needs, as far as the server tells"),
        Some(error) => Check::refused("rights", error),
    }
}

#[cfg(test)]
mod tests;
