//! One run of due jobs: both sets are filled, then a worker starts, and loadgen asks Redis how many it has moved.

use std::thread;
use std::time::{Duration, Instant};

use jiggler_uring::internal::resp::encode::Requests;
use jiggler_uring::internal::wire::keys::JIGGLER;
use serde::Serialize;

use crate::cli::Mode;
use crate::error::Error;
use crate::measure::{ProcessMeter, TrafficMeter};
use crate::null_client::NullClient;
use crate::redis::Client;
use crate::scenarios::Session;
use crate::scenarios::scene::Scene;
use crate::worker::{Launch, Worker};

/// The list of the queue they go to: not the one the worker serves.
const UNSERVED: &str = "jiggler:list:unserved";

/// Jobs of one ZADD.
const ADD_JOBS: u64 = 1_000;

/// Pause between two checks of what has been moved.
const POLL: Duration = Duration::from_millis(2);

/// A worker that moves nothing for this long never will: several poll intervals.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The raw numbers of one run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Run {
    pub(super) seconds: f64,
    pub(super) jobs_per_second: f64,
    pub(super) redis_us_per_job: f64,
    pub(super) redis_commands_per_job: f64,
}

/// How many had been moved at a given moment.
#[derive(Debug, Clone, Copy)]
struct Moved {
    at: Instant,
    jobs: u64,
}

/// Fills both sets, has a worker move everything, and stops it.
///
/// # Errors
/// The worker ended or stalled, jobs were lost, or an interrupt.
pub(super) fn run(scene: &Scene, mode: Mode, jobs: u64, session: &Session) -> Result<Run, Error> {
    let mut client = scene.server.client()?;
    client.flush()?;
    fill(scene, jobs, session)?;
    let redis = ProcessMeter::new(scene.server.pid());
    let (traffic, redis_cpu) = (TrafficMeter::begin(&mut client)?, redis.cpu()?);
    let mut worker = Worker::start(&Launch {
        program: &scene.program,
        cores: scene.cores,
        queues: 1,
        concurrency: 1,
        mode,
        url: scene.server.url(),
        log: &scene.server.directory().join("worker.log"),
        variables: &[],
    })?;
    let first = wait_for(&mut client, &mut worker, 1, session)?;
    let last = wait_for(&mut client, &mut worker, jobs, session)?;
    let (redis_cpu, traffic) = (redis.cpu()? - redis_cpu, traffic.end(&mut client)?);
    worker.stop()?;
    let left = client.number(&["ZCARD", JIGGLER.names().retries])?
        + client.number(&["ZCARD", JIGGLER.names().scheduled])?;
    if last.jobs != jobs || left != 0 {
        return Err(Error::WrongOutcome(format!("{} of {jobs} jobs were moved, {left} remain", last.jobs)));
    }
    let elapsed = last.at.duration_since(first.at).as_secs_f64();
    Ok(Run {
        seconds: elapsed,
        jobs_per_second: (last.jobs - first.jobs) as f64 / elapsed,
        redis_us_per_job: redis_cpu.as_secs_f64() * 1e6 / jobs as f64,
        redis_commands_per_job: traffic.commands as f64 / jobs as f64,
    })
}

/// Jobs that are due in the order of their numbers, as the gem writes a retry.
fn fill(scene: &Scene, jobs: u64, session: &Session) -> Result<(), Error> {
    let mut next = 0;
    let window = |requests: &mut Requests| {
        let count = (jobs - next).min(ADD_JOBS);
        // Every other window goes to the other set.
        let set = if (next / ADD_JOBS).is_multiple_of(2) {
            JIGGLER.names().retries
        } else {
            JIGGLER.names().scheduled
        };
        if count == 0 {
            return;
        }
        let mut add = requests.begin(2 + 2 * usize::try_from(count).unwrap_or(0));
        add.arg(b"ZADD").arg(set.as_bytes());
        for number in next..next + count {
            let payload = format!(
                r#"{{"name":"Noop","args":[],"retries":3,"jid":"{number:016x}","queue":"unserved","attempt":1}}"#
            );
            add.arg(format!("1000000000.{number:09}").as_bytes()).arg(payload.as_bytes());
        }
        next += count;
    };
    NullClient::connect(scene.server.url())?.drive(&session.interrupt, window, |_| ())
}

/// Checks until at least this many are moved.
fn wait_for(client: &mut Client, worker: &mut Worker, jobs: u64, session: &Session) -> Result<Moved, Error> {
    let (mut changed, mut before) = (Instant::now(), 0);
    loop {
        let moved = client.number(&["LLEN", UNSERVED])?;
        let at = Instant::now();
        if moved >= jobs {
            return Ok(Moved { at, jobs: moved });
        }
        if moved != before {
            (changed, before) = (at, moved);
        }
        session.interrupt.check()?;
        session.progress.set(moved);
        worker.check_alive()?;
        if changed.elapsed() > STALL_TIMEOUT {
            let state = format!("{moved} of {jobs} jobs are moved");
            return Err(Error::WorkerStalled { waited: STALL_TIMEOUT, state, log: worker.log_tail() });
        }
        thread::sleep(POLL);
    }
}
