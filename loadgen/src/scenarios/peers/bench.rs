//! One run of one peer: fill its queue, start it, wait for its two marks, end it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::Session;
use super::prepare::Ready;
use crate::child::Child;
use crate::clock;
use crate::error::Error;
use crate::measure::{ProcessMeter, TrafficMeter};
use crate::redis_server::RedisServer;
use crate::scenarios::drain::Run;

/// Pause between two checks for a mark. The marks carry their own times; this only bounds how late CPU time is read.
const POLL: Duration = Duration::from_millis(2);

/// A peer that has not finished its work by then never will.
const TIMEOUT: Duration = Duration::from_secs(180);

/// How long a peer may take to end; then it is killed, and its figures stand.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// Fills the peer's queue and drains it.
///
/// # Errors
/// The peer ends or stalls before its work is done, or an interrupt.
pub(super) fn run(
    ready: &Ready,
    concurrency: u64,
    jobs: u64,
    server: &RedisServer,
    what: &str,
    session: &Session,
) -> Result<Run, Error> {
    let mut client = server.client()?;
    client.flush()?;
    let url = server.url().to_string();
    session.progress.step(format!("{what}: enqueue"), 1);
    let log = server.directory().join("peer-producer.log");
    let mut command = ready.command();
    command.args(["enqueue", &url, &jobs.to_string()]);
    wait_for_end(Child::spawn("peer's producer", command, &log)?, session)?;

    session.progress.step(format!("{what}: drain"), 1);
    let log = server.directory().join("peer.log");
    let mut command: Command = ready.command();
    command.args(["work", &url, &concurrency.to_string(), &jobs.to_string()]);
    let redis = ProcessMeter::new(server.pid());
    let begin = clock::nanoseconds();
    let mut peer = Child::spawn("peer", command, &log)?;
    let first = wait_for_mark(&log, "first ", &mut peer, session)?;
    let meter = ProcessMeter::new(peer.pid());
    // Ruby, Node and Python take seconds of CPU to start, which would drown the jobs: both counts start at the first
    // job.
    let (cpu, redis_cpu, start) = (meter.cpu()?, redis.cpu()?, meter.memory()?);
    let traffic = TrafficMeter::begin(&mut client)?;
    let last = wait_for_mark(&log, "last ", &mut peer, session)?;
    let (cpu, redis_cpu, end) = (meter.cpu()? - cpu, redis.cpu()? - redis_cpu, meter.memory()?);
    let traffic = traffic.end(&mut client)?;
    stop(peer)?;
    let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9;
    let draining = seconds(first, last);
    let of_jobs = |total: f64| total / jobs as f64;
    Ok(Run {
        seconds: seconds(begin, last),
        seconds_to_first_job: seconds(begin, first),
        resolution_seconds: 0.0,
        jobs_per_second: (draining > 0.0).then(|| jobs as f64 / draining),
        start_rss_kb: start.rss_kb,
        finish_rss_kb: end.rss_kb,
        peak_rss_kb: end.peak_kb,
        cpu_percent: 100.0 * cpu.as_secs_f64() / draining,
        worker_us_per_job: of_jobs(cpu.as_secs_f64() * 1e6),
        redis_us_per_job: of_jobs(redis_cpu.as_secs_f64() * 1e6),
        redis_commands_per_job: of_jobs(traffic.commands as f64),
        redis_reads_per_job: of_jobs(traffic.reads as f64),
        redis_calls: traffic.calls,
    })
}

fn wait_for_end(mut producer: Child, session: &Session) -> Result<(), Error> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match producer.ended()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(Error::PeerFailed { status, log: producer.log_tail() }),
            None if Instant::now() > deadline => {
                return Err(Error::PeerStalled { waited: TIMEOUT, log: producer.log_tail() });
            }
            None => pause(session)?,
        }
    }
}

/// The time of a mark, as the peer printed it.
fn wait_for_mark(log: &Path, mark: &str, peer: &mut Child, session: &Session) -> Result<u64, Error> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let text = fs::read_to_string(log)
            .map_err(|error| Error::system(format!("reading {}", log.display()), error))?;
        if let Some(time) = time_of(&text, mark) {
            return Ok(time);
        }
        if let Some(status) = peer.ended()? {
            return Err(Error::PeerFailed { status, log: peer.log_tail() });
        }
        if Instant::now() > deadline {
            return Err(Error::PeerStalled { waited: TIMEOUT, log: peer.log_tail() });
        }
        pause(session)?;
    }
}

/// A whole line `mark NANOSECONDS`.
fn time_of(log: &str, mark: &str) -> Option<u64> {
    let whole = log.rsplit_once('\n')?.0;
    whole.lines().find_map(|line| line.strip_prefix(mark)?.trim().parse().ok())
}

fn stop(mut peer: Child) -> Result<(), Error> {
    match peer.terminate(STOP_TIMEOUT) {
        // The measurement is over; how a peer ends is its own business.
        Ok(_) | Err(Error::NotStopped { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn pause(session: &Session) -> Result<(), Error> {
    session.interrupt.check()?;
    thread::sleep(POLL);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_when_its_line_is_whole() {
        let log = "some banner\nfirst 123\nlast 45";
        assert_eq!((time_of(log, "first "), time_of(log, "last ")), (Some(123), None));
    }
}
