//! `jiggler-uring quiet PROCESS` and `stop PROCESS`, from any host that reaches Redis.
//!
//! How a process is notified and watched is in `acts::steer`; this module drives that over a connection, with a look
//! every [`STEER_LOOK`], and reports. A process of Sidekiq gets a signal by way of Redis. For a server of the gem jiggler,
//! and for one of ours whose listening connection is away at the moment, it prints the signal and the host to send it on.
//! What is dead is said to be, and needs no signal.

use std::io::Write;
use std::time::Instant;

use super::{database::Database, error::Error, nodes, table::printable};
use crate::acts::steer::{Seen, Steering, Target, Unclear, meant};
use crate::limits::STEER_LOOK;
use crate::net::blocking::BlockingConnection;
use crate::resp::Requests;
use crate::store::steer::{self, SteerRequest};
use crate::store::survey::{Scope, Summary, Survey};
use crate::view::count;
use crate::view::member::{Engine, Member, Members};

/// Whether to wait until it has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until it shows, but at most as long as it may take.
    Wait,
    /// It is enough that the request was received.
    Send,
}

/// Notifies the processes, and waits for them.
///
/// [`Error::NoProcess`], [`Error::ManyProcesses`]; [`Error::Unsteered`] if one of them did not receive the request or has
/// not carried it out in time; [`Error::Connect`]; [`Error::Survey`]; [`Error::Output`].
pub(crate) fn steer(
    db: &Database,
    target: &Target,
    request: SteerRequest,
    patience: Patience,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut conn = BlockingConnection::connect(&steer::url(&db.url, db.keys))?;
    let found = if db.keys.is_cluster() {
        nodes::survey(db, Scope::Processes)?
    } else {
        nodes::read(&mut conn, Survey::once(Scope::Processes, db.keys))?
    };
    let (dead, living): (Vec<_>, Vec<_>) =
        members(&found, target)?.into_iter().partition(|member| member.died_at.is_some());
    for member in &dead {
        writeln!(out, "{}", gone(member, found.at))?;
    }
    if living.is_empty() {
        return Ok(());
    }
    let mut steering = Steering::new(db.keys, request, living);
    let mut requests = Requests::new();
    steering.write_request(db.url.database(), &mut requests);
    steering.read_heard(&conn.call(&requests)?)?;
    for member in steering.deaf() {
        writeln!(out, "{}", unheard(member, request))?;
    }
    for member in steering.waiting() {
        let when = if steering.is_signalled(member) { "; it looks with its next heartbeat" } else { "" };
        writeln!(out, "{}{when}", asked(member, request))?;
    }
    out.flush()?;
    if patience == Patience::Wait {
        wait(db, &mut conn, &mut steering, out)?;
    }
    match steering.failed() {
        0 => Ok(()),
        failed => Err(Error::Unsteered { request: request.as_str(), failed, of: steering.members() }),
    }
}

/// The processes selected.
fn members(found: &Summary, target: &Target) -> Result<Vec<Member>, Error> {
    let wanted = match target {
        Target::One(prefix) => Some(prefix.clone()),
        Target::All => None,
    };
    meant(Members::of(found).processes, target).map_err(|unclear| match unclear {
        Unclear::NoProcess => Error::NoProcess { wanted },
        Unclear::ManyProcesses(uuids) => {
            Error::ManyProcesses { prefix: wanted.unwrap_or_default(), uuids: uuids.join(", ") }
        }
    })
}

fn asked(member: &Member, request: SteerRequest) -> String {
    let Member { uuid, host, pid, busy, timeout_s, .. } = member;
    let (uuid, host) = (printable(uuid), printable(host));
    let jobs = count::jobs(*busy);
    match request {
        SteerRequest::Quiet => format!("{uuid} (pid {pid} on {host}) was asked to take no more jobs"),
        SteerRequest::Stop => {
            format!("{uuid} (pid {pid} on {host}) was asked to stop; it waits up to {timeout_s} s for {jobs}")
        }
        SteerRequest::StopNow => {
            format!("{uuid} (pid {pid} on {host}) was asked to stop at once; {jobs} handed back")
        }
    }
}

fn gone(member: &Member, now: f64) -> String {
    let Member { uuid, host, pid, .. } = member;
    let (uuid, host) = (printable(uuid), printable(host));
    let silence = member.silence(now).unwrap_or_default();
    format!("{uuid} (pid {pid} on {host}) is dead: silent {silence}; there is nothing to ask of it")
}

fn unheard(member: &Member, request: SteerRequest) -> String {
    let Member { uuid, host, pid, .. } = member;
    let (uuid, host) = (printable(uuid), printable(host));
    let signal = if request == SteerRequest::Quiet { "TSTP" } else { "TERM" };
    let why = match member.engine {
        Engine::Ruby => "is a ruby server, which only responds to signals",
        Engine::JigglerUring => "is not listening at the moment, or is an older version",
    };
    format!("{uuid} {why}: run `kill -{signal} {pid}` on {host}")
}

/// Waits for all of them together, with a look every [`STEER_LOOK`].
fn wait(
    db: &Database,
    conn: &mut BlockingConnection,
    steering: &mut Steering,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let begun = Instant::now();
    while steering.is_waiting() {
        let phases = phases(db, conn, steering)?;
        for seen in steering.look(phases, begun.elapsed()) {
            match seen {
                Seen::Done(member, text) => writeln!(out, "{} {text}", printable(&member.uuid))?,
                Seen::Late { member, phase, limit } => {
                    let (uuid, phase) = (printable(&member.uuid), printable(&phase));
                    writeln!(
                        out,
                        "{uuid} received the request, but is still {phase} after {} s",
                        limit.as_secs()
                    )?;
                }
            }
        }
        out.flush()?;
        if steering.is_waiting() {
            std::thread::sleep(STEER_LOOK);
        }
    }
    Ok(())
}

/// The current state of each that is waited for, as it reports it. One round trip; in a cluster those of a survey.
fn phases(
    db: &Database,
    conn: &mut BlockingConnection,
    steering: &Steering,
) -> Result<Vec<Option<String>>, Error> {
    if db.keys.is_cluster() {
        return Ok(steering.phases_of(&nodes::survey(db, Scope::Processes)?));
    }
    let mut requests = Requests::new();
    steering.write_question(&mut requests);
    Ok(steering.read_phases(&conn.call(&requests)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::database;
    use crate::own_redis::OwnRedis;

    fn run(redis: &OwnRedis, command: &[&str]) {
        let mut requests = Requests::new();
        requests.command(&command.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
        BlockingConnection::connect(&redis.url()).unwrap().call_one(&requests).unwrap();
    }

    #[test]
    fn a_process_that_is_missing_or_ambiguous_is_not_steered() {
        let redis = OwnRedis::start();
        let steer = |target: &str| {
            let target = if target == "*" { Target::All } else { Target::One(target.to_owned()) };
            let mut out = Vec::new();
            let result = steer(&database(&redis), &target, SteerRequest::Quiet, Patience::Wait, &mut out);
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
}
