//! The floor of a latency: a client that does nothing but block in `BLMOVE`, in place of the worker.
//!
//! One thread, one blocking socket, no executor: what it measures is Redis, the kernel and this machine's wake-ups. No
//! worker that waits in Redis can start a job sooner, so a worker's latency is best read against this.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use jiggler_uring::internal::resp::encode::Requests;
use nix::time::{ClockId, clock_gettime};

use crate::clock;
use crate::error::Error;
use crate::keys;
use crate::latencies::Latencies;
use crate::measure::{ProcessMeter, TrafficMeter};
use crate::paced::{self, Schedule, Tick};
use crate::scenarios::Session;
use crate::scenarios::paced::{Run, Summary, push_stamp};
use crate::scenarios::scene::Scene;

/// Where it moves jobs to; the worker's name is longer.
const TAKEN: &str = "loadgen:taken";

/// More than one reply: a second one is never under way.
const REPLY_BYTES: usize = 4 * 1024;

/// Longest silence before the last job.
const SILENCE: Duration = Duration::from_secs(30);

/// One run, like that of [`crate::scenarios::paced::run`] with a worker.
///
/// # Errors
/// Redis does not answer, a job did not arrive, or an interrupt.
pub(super) fn run(scene: &Scene, schedule: Schedule, title: &str, session: &Session) -> Result<Run, Error> {
    let mut client = scene.server.client()?;
    client.flush()?;
    session.progress.step(title.to_owned(), schedule.jobs);
    let stream = scene.worker_stream().and_then(|stream| Ok((stream.try_clone()?, stream)));
    let (ours, theirs) = stream.map_err(|error| Error::system("connecting to Redis", error))?;
    let redis = ProcessMeter::new(scene.server.pid());
    let redis_cpu = redis.cpu()?;
    let traffic = TrafficMeter::begin(&mut client)?;
    let (late, taken) = thread::scope(|scope| {
        let taker = scope.spawn(|| take(theirs, schedule.jobs));
        let watched = (&session.interrupt, &session.progress);
        let late = paced::produce(scene.server.url(), schedule, watched, |tick: Tick, requests| {
            push_stamp(Some(tick), tick, requests);
        });
        if late.is_err() {
            // It would wait for jobs that never come.
            let _ended = ours.shutdown(Shutdown::Both);
        }
        (late, taker.join())
    });
    let late = late?;
    let died = |_| Error::WrongOutcome("the bare client's thread died".to_owned());
    let (latencies, cpu) = taken.map_err(died)??;
    let redis_cpu = redis.cpu()? - redis_cpu;
    let traffic = traffic.end(&mut client)?;
    let of_jobs = |time: Duration| time.as_secs_f64() * 1e6 / schedule.jobs as f64;
    Ok(Run {
        from_intended: Summary::of(&latencies.from_intended),
        from_sent: Summary::of(&latencies.from_sent),
        late_max_us: late as f64 / 1e3,
        worker_us_per_job: of_jobs(cpu),
        redis_us_per_job: of_jobs(redis_cpu),
        redis_commands_per_job: traffic.commands as f64 / schedule.jobs as f64,
        redis_calls: traffic.calls,
    })
}

/// Takes this many jobs one by one, and returns how long each took to arrive and the CPU time of all of them.
fn take(mut stream: TcpStream, jobs: u64) -> Result<(Latencies, Duration), Error> {
    let failed = |error| Error::system("waiting for a job in Redis", error);
    stream.set_read_timeout(Some(SILENCE)).map_err(failed)?;
    let mut wait = Requests::new();
    // Forever: a time-out would be part of what is measured.
    wait.command(&[b"BLMOVE", keys::QUEUE.as_bytes(), TAKEN.as_bytes(), b"RIGHT", b"LEFT", b"0"]);
    let mut latencies = Latencies::new()?;
    let mut reply = [0; REPLY_BYTES];
    for _ in 0..jobs {
        stream.write_all(wait.as_bytes()).map_err(failed)?;
        let count = stream.read(&mut reply).map_err(failed)?;
        let now = clock::nanoseconds();
        if count == 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let text = String::from_utf8_lossy(&reply[..count]);
        let (intended, sent) =
            stamps(&text).ok_or_else(|| Error::WrongReply(format!("not a job with stamps: {text}")))?;
        latencies.from_intended.saturating_record(now.saturating_sub(intended));
        latencies.from_sent.saturating_record(now.saturating_sub(sent));
    }
    let cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .map_err(|errno| Error::system("reading this thread's CPU clock", errno))?;
    Ok((latencies, cpu.into()))
}

/// The two arguments of a `Stamp`.
fn stamps(reply: &str) -> Option<(u64, u64)> {
    let (_, arguments) = reply.split_once("\"args\":[")?;
    let (intended, sent) = arguments.split_once(']')?.0.split_once(',')?;
    Some((intended.parse().ok()?, sent.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_read_from_a_reply_and_nothing_else_is() {
        let reply = "$80\r\n{\"name\":\"Stamp\",\"args\":[123,456],\"retries\":0,\"jid\":\"j\"}\r\n";
        assert_eq!(stamps(reply), Some((123, 456)));
        assert_eq!((stamps("-ERR no"), stamps("\"args\":[1]")), (None, None));
    }
}
