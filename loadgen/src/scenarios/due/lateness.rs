//! One run of jobs that another client schedules while the worker sleeps: how late each starts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiggler_uring::internal::resp::encode::Requests;
use jiggler_uring::internal::wire::keys::JIGGLER;

use crate::cli::Mode;
use crate::error::Error;
use crate::latencies::{DIRECTORY_VARIABLE, Latencies};
use crate::measure::{ProcessMeter, TrafficMeter};
use crate::paced::{self as producer, Schedule, Tick};
use crate::scenarios::Session;
use crate::scenarios::paced::{Run, Summary, empty_folder, wait_for};
use crate::scenarios::scene::Scene;
use crate::worker::{Launch, Worker};

/// Jobs in flight: light load.
const CONCURRENCY: u64 = 10;

/// How far ahead jobs are scheduled: least and most, in whole milliseconds.
const AHEAD_MIN_MS: u64 = 200;
const AHEAD_MAX_MS: u64 = 1_000;

/// Odd and far from a divisor of the range: neighbours fall due in no particular order, and in each run in the same
/// one.
const AHEAD_STEP: u64 = 7_919;

/// Fraction of the jobs that are scheduled first and not counted.
const WARM_UP: u64 = 10;

/// Starts a worker, schedules the jobs, stops the worker and reads what it recorded.
///
/// # Errors
/// The worker ended or left a job behind, or an interrupt.
pub(super) fn run(
    scene: &Scene,
    mode: Mode,
    schedule: Schedule,
    title: &str,
    session: &Session,
) -> Result<Run, Error> {
    let mut client = scene.server.client()?;
    client.flush()?;
    let folder = empty_folder(scene)?;
    let mut worker = Worker::start(&Launch {
        program: &scene.program,
        cores: scene.cores,
        queues: 1,
        concurrency: CONCURRENCY,
        mode,
        url: scene.server.url(),
        log: &scene.server.directory().join("worker.log"),
        variables: &[(DIRECTORY_VARIABLE, folder.as_os_str())],
    })?;
    crate::scenarios::wait_for_heartbeats(&mut client, &mut [&mut worker], session)?;
    let url = scene.server.url();
    let watched = (&session.interrupt, &session.progress);
    let warm_up = Schedule { jobs: (schedule.jobs / WARM_UP).max(1), ..schedule };
    session.progress.step(format!("{title}: warm-up"), warm_up.jobs);
    producer::produce(url, warm_up, watched, |tick, requests| add(tick, false, requests))?;
    let before = wait_for(&mut client, &mut worker, warm_up.jobs, session)?;

    session.progress.step(title.to_owned(), schedule.jobs);
    let redis = ProcessMeter::new(scene.server.pid());
    let (cpu, redis_cpu) = (worker.meter().cpu()?, redis.cpu()?);
    let traffic = TrafficMeter::begin(&mut client)?;
    let late = producer::produce(url, schedule, watched, |tick, requests| add(tick, true, requests))?;
    wait_for(&mut client, &mut worker, before + schedule.jobs, session)?;
    let (cpu, redis_cpu) = (worker.meter().cpu()? - cpu, redis.cpu()? - redis_cpu);
    let traffic = traffic.end(&mut client)?;
    worker.stop()?;

    let recorded = Latencies::read(&folder)?;
    let of_jobs = |total: f64| total / schedule.jobs as f64;
    let run = Run {
        from_intended: Summary::of(&recorded.from_intended),
        from_sent: Summary::of(&recorded.from_sent),
        late_max_us: late as f64 / 1e3,
        worker_us_per_job: of_jobs(cpu.as_secs_f64() * 1e6),
        redis_us_per_job: of_jobs(redis_cpu.as_secs_f64() * 1e6),
        redis_commands_per_job: of_jobs(traffic.commands as f64),
        redis_calls: traffic.calls,
    };
    if run.from_intended.jobs == schedule.jobs {
        return Ok(run);
    }
    let (found, jobs) = (run.from_intended.jobs, schedule.jobs);
    Err(Error::WrongOutcome(format!("{found} latencies of {jobs} jobs were recorded")))
}

/// A job that records how long after its time it starts. The same moment by two clocks: Redis's, which is this
/// machine's wall clock, and the one that loadgen and the worker share.
fn add(tick: Tick, recorded: bool, requests: &mut Requests) {
    let ahead = Duration::from_millis(ahead_ms(tick.number));
    let due = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + ahead;
    let due_ns = tick.sent_ns + u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
    let stamp = if recorded { due_ns } else { 0 };
    let payload = format!(
        r#"{{"name":"Stamp","args":[{stamp},{stamp}],"retries":0,"jid":"{due_ns:016x}","queue":"default"}}"#
    );
    let score = format!("{}.{:06}", due.as_secs(), due.subsec_micros());
    let set = if tick.number.is_multiple_of(2) { JIGGLER.names().scheduled } else { JIGGLER.names().retries };
    requests.command(&[b"ZADD", set.as_bytes(), score.as_bytes(), payload.as_bytes()]);
}

fn ahead_ms(number: u64) -> u64 {
    AHEAD_MIN_MS + number.wrapping_mul(AHEAD_STEP) % (AHEAD_MAX_MS - AHEAD_MIN_MS + 1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn jobs_are_spread_over_the_whole_range_ahead() {
        let range = AHEAD_MIN_MS..=AHEAD_MAX_MS;
        let all: HashSet<u64> = (0..801).map(ahead_ms).collect();
        assert!(all.len() == 801 && all.iter().all(|ms| range.contains(ms)));
    }
}
