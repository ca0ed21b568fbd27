//! `jiggler-uring quiet PROCESS` and `stop PROCESS`, from any host that reaches Redis.
//!
//! The wish is published on a channel on which that process alone listens, so Redis itself says whether it was heard. Then
//! the process is watched, a look every [`STEER_LOOK`]: until its figures say `quiet` (or it has gone), or, for a stop,
//! until its heartbeat has gone. A process whose figures say `stopping` counts as quiet.
//!
//! A Ruby server listens on no channel: the signal and the host to send it on are named. The same goes for one of ours whose
//! listening connection is away at the moment.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{Error, nodes, table::printable};
use crate::limits::{QUIET_WAIT, STEER_LOOK, STOP_WAIT_EXTRA};
use crate::net::blocking::BlockingConnection;
use crate::resp::{RedisUrl, Requests};
use crate::store::steer::{self, Wish};
use crate::store::survey::{Scope, Server, Survey};
use crate::view::member::{Engine, Member};

/// Which processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one whose uuid begins so.
    One(String),
    /// All that have a heartbeat.
    All,
}

/// Whether to wait until it has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until it shows, for as long as it may take at most.
    Wait,
    /// It is enough to have been heard.
    Send,
}

/// Tells the processes, and waits for them.
///
/// # Errors
/// [`Error::NoProcess`], [`Error::ManyProcesses`]; [`Error::Unsteered`] if one of them did not hear or has not done it in
/// time; [`Error::Connect`]; [`Error::Survey`]; [`Error::Output`].
pub(crate) fn steer(
    url: &RedisUrl,
    target: &Target,
    wish: Wish,
    patience: Patience,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut conn = BlockingConnection::connect(&steer::url(url))?;
    let members = targets(url, &mut conn, target)?;
    let told = tell(&mut conn, url.database(), &members, wish)?;
    let (heard, deaf): (Vec<_>, Vec<_>) = members.iter().zip(told).partition(|(_, heard)| *heard);
    for (member, _) in &deaf {
        writeln!(out, "{}", unheard(member, wish))?;
    }
    let heard: Vec<&Member> = heard.into_iter().map(|(member, _)| member).collect();
    for member in &heard {
        writeln!(out, "{}", asked(member, wish))?;
    }
    out.flush()?;
    let undone = match patience {
        Patience::Send => 0,
        Patience::Wait => wait(url, &mut conn, heard, wish, out)?,
    };
    match deaf.len() + undone {
        0 => Ok(()),
        failed => Err(Error::Unsteered { wish: wish.as_str(), failed, of: members.len() }),
    }
}

/// The processes that are meant.
fn targets(url: &RedisUrl, conn: &mut BlockingConnection, target: &Target) -> Result<Vec<Member>, Error> {
    let found = if url.is_cluster() {
        nodes::survey(url, Scope::Processes)?
    } else {
        nodes::read(conn, Survey::once(Scope::Processes, Server::Whole))?
    };
    let mut members: Vec<Member> = found.processes.values().map(Member::of).collect();
    let Target::One(prefix) = target else {
        return if members.is_empty() { Err(Error::NoProcess { wanted: None }) } else { Ok(members) };
    };
    members.retain(|member| member.uuid.starts_with(prefix));
    match members.len() {
        0 => Err(Error::NoProcess { wanted: Some(prefix.clone()) }),
        1 => Ok(members),
        _ => Err(Error::ManyProcesses {
            prefix: prefix.clone(),
            uuids: members.iter().map(|member| member.uuid.as_str()).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Whether each has heard. One round trip.
fn tell(
    conn: &mut BlockingConnection,
    database: u32,
    members: &[Member],
    wish: Wish,
) -> Result<Vec<bool>, Error> {
    let mut requests = Requests::new();
    for member in members {
        steer::publish(database, &member.uuid, wish, &mut requests);
    }
    let replies = conn.call(&requests)?;
    Ok(replies.iter().map(steer::heard).collect::<Result<_, _>>()?)
}

fn asked(member: &Member, wish: Wish) -> String {
    let Member { uuid, host, pid, busy, timeout_s, .. } = member;
    let (uuid, host) = (printable(uuid), printable(host));
    let jobs = if *busy == 1 { "1 job".to_owned() } else { format!("{busy} jobs") };
    match wish {
        Wish::Quiet => format!("{uuid} (pid {pid} on {host}) was asked to take no more jobs"),
        Wish::Stop => {
            format!("{uuid} (pid {pid} on {host}) was asked to stop; it waits up to {timeout_s} s for {jobs}")
        }
        Wish::StopNow => {
            format!("{uuid} (pid {pid} on {host}) was asked to stop at once; {jobs} handed back")
        }
    }
}

fn unheard(member: &Member, wish: Wish) -> String {
    let Member { uuid, host, pid, .. } = member;
    let (uuid, host) = (printable(uuid), printable(host));
    let signal = if wish == Wish::Quiet { "TSTP" } else { "TERM" };
    let why = match member.engine {
        Engine::Ruby => "is a ruby server, which hears signals only",
        Engine::JigglerUring => "does not listen at this moment, or is of an older version",
    };
    format!("{uuid} {why}: run `kill -{signal} {pid}` on {host}")
}

/// Waits for all of them together; how many have not done it in time.
fn wait(
    url: &RedisUrl,
    conn: &mut BlockingConnection,
    mut waiting: Vec<&Member>,
    wish: Wish,
    out: &mut dyn Write,
) -> Result<usize, Error> {
    let begun = Instant::now();
    let limit = |member: &Member| match wish {
        Wish::Quiet => QUIET_WAIT,
        Wish::Stop => Duration::from_secs(member.timeout_s) + STOP_WAIT_EXTRA,
        Wish::StopNow => STOP_WAIT_EXTRA,
    };
    let mut late = 0;
    while !waiting.is_empty() {
        let phases =
            if url.is_cluster() { phases_in_cluster(url, &waiting)? } else { phases(conn, &waiting)? };
        let mut left = Vec::new();
        for (member, phase) in waiting.into_iter().zip(phases) {
            match done(wish, phase.as_deref()) {
                Some(text) => writeln!(out, "{} {text}", member.uuid)?,
                None if begun.elapsed() >= limit(member) => {
                    late += 1;
                    let (seconds, phase) = (limit(member).as_secs(), phase.unwrap_or_default());
                    writeln!(out, "{} heard it, and is {phase} still after {seconds} s", member.uuid)?;
                }
                None => left.push(member),
            }
        }
        out.flush()?;
        waiting = left;
        if !waiting.is_empty() {
            std::thread::sleep(STEER_LOOK);
        }
    }
    Ok(late)
}

/// What each says of itself now; `None`: its figures are gone, and so is it. One round trip.
fn phases(conn: &mut BlockingConnection, members: &[&Member]) -> Result<Vec<Option<String>>, Error> {
    let mut requests = Requests::new();
    let uuids: Vec<&str> = members.iter().map(|member| member.uuid.as_str()).collect();
    steer::ask_phases(&uuids, &mut requests);
    let reply = conn.call_one(&requests)?;
    Ok(steer::phases(&reply)?)
}

/// The same of the nodes of a cluster, where the figures of each process are beside its heartbeat: as many round trips as a
/// summary takes.
fn phases_in_cluster(url: &RedisUrl, members: &[&Member]) -> Result<Vec<Option<String>>, Error> {
    let found = nodes::survey(url, Scope::Processes)?;
    let phase = |member: &&Member| {
        let process = found.processes.values().find(|process| process.uuid == member.uuid)?;
        Some(process.figures.as_ref().map_or_else(|| "unknown".to_owned(), |figures| figures.phase.clone()))
    };
    Ok(members.iter().map(phase).collect())
}

/// What has happened, if it is what was wanted.
fn done(wish: Wish, phase: Option<&str>) -> Option<&'static str> {
    match (wish, phase) {
        (_, None) => Some("has left"),
        (Wish::Quiet, Some("quiet")) => Some("is quiet"),
        (Wish::Quiet, Some("stopping")) => Some("is stopping"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_redis::TestRedis;

    fn run(redis: &TestRedis, command: &[&str]) {
        let mut requests = Requests::new();
        requests.command(&command.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
        BlockingConnection::connect(&redis.url()).unwrap().call_one(&requests).unwrap();
    }

    #[test]
    fn a_process_that_is_not_there_or_not_the_only_one_is_not_steered() {
        let redis = TestRedis::start();
        let steer = |target: &str| {
            let target = if target == "*" { Target::All } else { Target::One(target.to_owned()) };
            let mut out = Vec::new();
            let result = steer(&redis.url(), &target, Wish::Quiet, Patience::Wait, &mut out);
            (result.unwrap_err(), String::from_utf8(out).unwrap())
        };
        assert!(matches!(steer("d862").0, Error::NoProcess { .. }));
        assert!(matches!(steer("*").0, Error::NoProcess { wanted: None }));
        for uuid in ["d8625f8721eb", "d8620f8721eb"] {
            run(&redis, &["SET", &format!("jiggler:svr:{uuid}:3:25:default:1:1795299901:8066:vm"), "{}"]);
        }
        let (error, _) = steer("d862");
        assert!(error.is_usage() && error.to_string().contains("d8620f8721eb, d8625f8721eb"), "{error}");
        let (error, out) = steer("d8625");
        assert!(matches!(error, Error::Unsteered { failed: 1, of: 1, .. }) && !error.is_usage(), "{error}");
        assert!(out.contains("ruby server") && out.contains("`kill -TSTP 8066` on vm"), "{out}");
    }

    #[test]
    fn a_wish_is_done_when_the_process_says_so_or_is_gone() {
        assert_eq!(done(Wish::Quiet, Some("running")), None);
        assert_eq!(done(Wish::Quiet, Some("quiet")), Some("is quiet"));
        assert_eq!(done(Wish::Stop, Some("stopping")), None);
        assert_eq!(done(Wish::Stop, None), Some("has left"));
    }
}
