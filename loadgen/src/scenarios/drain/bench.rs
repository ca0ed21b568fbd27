//! One run: fill the queue, start the worker, watch until everything is processed, stop the worker.
//!
//! The worker is watched through Redis with two cheap commands at most every 20 ms, and through `/proc`.

use std::thread;
use std::time::{Duration, Instant};

use jiggler_uring::internal::limits::DEAD_JOBS_MAX;
use jiggler_uring::internal::wire::keys::JIGGLER;

use super::{Load, Run};
use crate::cli::Mode;
use crate::drive::{self, Payloads};
use crate::error::Error;
use crate::keys;
use crate::measure::{Memory, ProcessMeter, RedisCounters, TrafficMeter};
use crate::redis::{Backlog, Client};
use crate::scenarios::Session;
use crate::scenarios::scene::{Processor, Scene};
use crate::worker::{Launch, Worker};

/// Pause between two checks until the first job is taken: the resolution of the start.
const START_POLL: Duration = Duration::from_millis(2);

/// Longest pause between two checks: two commands 50 times a second do not disturb Redis.
const POLL_MAX: Duration = Duration::from_millis(20);

/// Shortest pause, used when the end is near: the resolution of the end.
const POLL_MIN: Duration = Duration::from_millis(1);

/// A worker that moves nothing for this long never will.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// What stays the same for all runs.
#[derive(Debug)]
pub(in crate::scenarios) struct Bench<'a> {
    scene: &'a Scene,
    mode: Mode,
    session: &'a Session,
    client: Client,
    /// Over how many queues the jobs are spread.
    queues: u64,
    outcome: Expected,
}

/// What becomes of each job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenarios) enum Expected {
    /// It succeeds.
    Success,
    /// It fails and goes to the dead set.
    Death,
}

/// The moment when the first job had been taken.
struct Start {
    at: Instant,
    backlog: Backlog,
    memory: Memory,
}

/// The moment when everything was processed.
struct End {
    at: Instant,
    resolution: Duration,
    cpu: Duration,
    memory: Memory,
}

impl<'a> Bench<'a> {
    /// A bench on a running server, whose data is discarded before each run.
    ///
    /// # Errors
    /// The server does not accept a connection.
    pub(in crate::scenarios) fn new(
        scene: &'a Scene,
        mode: Mode,
        session: &'a Session,
    ) -> Result<Self, Error> {
        let client = scene.server.client()?;
        Ok(Self { scene, mode, session, client, queues: 1, outcome: Expected::Success })
    }

    /// The same with the jobs spread over several queues, all of which the worker serves.
    pub(in crate::scenarios) fn with_queues(self, queues: u64) -> Self {
        Self { queues, ..self }
    }

    /// The same for jobs that end so.
    pub(in crate::scenarios) fn expecting(self, outcome: Expected) -> Self {
        Self { outcome, ..self }
    }

    /// The name of its rows, and the number of their shards.
    pub(in crate::scenarios) fn processor(&self) -> (Processor, u64) {
        (self.scene.processor(self.mode), self.scene.cores)
    }

    /// One run.
    ///
    /// # Errors
    /// The worker ended, stalled, failed a job, left something behind or did not exit with 0; or an interrupt.
    pub(in crate::scenarios) fn run(&mut self, load: Load<'_>, title: &str) -> Result<Run, Error> {
        let progress = &self.session.progress;
        progress.step(format!("c={}, {title}: enqueue", load.concurrency), load.jobs);
        self.client.flush()?;
        let (interrupt, spread) = (&self.session.interrupt, (load.jobs, self.queues));
        drive::enqueue_spread(self.scene.server.url(), load.work, spread, interrupt, progress)?;
        progress.step(format!("c={}, {title}: drain", load.concurrency), load.jobs);

        let redis = ProcessMeter::new(self.scene.server.pid());
        let traffic = TrafficMeter::begin(&mut self.client)?;
        let redis_cpu = redis.cpu()?;
        let begin = Instant::now();
        let mut worker = self.start_worker(load)?;
        let start = self.wait_for_first_job(&mut worker, load)?;
        let end = self.wait_for_last_job(&mut worker, load, &start)?;
        let redis_cpu = redis.cpu()?.saturating_sub(redis_cpu);
        let traffic = traffic.end(&mut self.client)?;
        self.check_outcome(load)?;
        worker.stop()?;
        Ok(figures(load, begin, &start, &end, redis_cpu, traffic))
    }

    /// One run of jobs that are pushed one by one, each when the one before is acked.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(in crate::scenarios) fn run_singly(&mut self, load: Load<'_>, title: &str) -> Result<Run, Error> {
        self.session.progress.step(format!("c={}, {title}: one by one", load.concurrency), load.jobs);
        self.client.flush()?;
        let begin = Instant::now();
        let mut worker = self.start_worker(load)?;
        super::super::wait_for_heartbeats(&mut self.client, &mut [&mut worker], self.session)?;
        let redis = ProcessMeter::new(self.scene.server.pid());
        let (traffic, redis_cpu) = (TrafficMeter::begin(&mut self.client)?, redis.cpu()?);
        let backlog = Backlog { processed: 0, waiting: 0 };
        let start = Start { at: Instant::now(), backlog, memory: worker.meter().memory()? };
        let mut payloads = Payloads::new(load.work);
        for number in 1..=load.jobs {
            let payload = String::from_utf8_lossy(payloads.next()).into_owned();
            self.client.number(&["LPUSH", keys::QUEUE, &payload])?;
            self.wait_for_ack(&mut worker, number)?;
            self.session.progress.set(number);
        }
        let meter = worker.meter();
        let (at, resolution) = (Instant::now(), Duration::ZERO);
        let end = End { at, resolution, cpu: meter.cpu()?, memory: meter.memory()? };
        let redis_cpu = redis.cpu()?.saturating_sub(redis_cpu);
        let traffic = traffic.end(&mut self.client)?;
        self.check_outcome(load)?;
        worker.stop()?;
        Ok(figures(load, begin, &start, &end, redis_cpu, traffic))
    }

    /// Asks without a pause until this many jobs are processed, which the worker counts in the step that acks them.
    fn wait_for_ack(&mut self, worker: &mut Worker, jobs: u64) -> Result<(), Error> {
        let deadline = Instant::now() + STALL_TIMEOUT;
        loop {
            let backlog = self.client.backlog()?;
            if backlog.processed >= jobs {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(self.stalled(worker, backlog));
            }
            self.session.interrupt.check()?;
            worker.check_alive()?;
        }
    }

    fn start_worker(&self, load: Load<'_>) -> Result<Worker, Error> {
        let log = self.scene.server.directory().join("worker.log");
        Worker::start(&Launch {
            program: &self.scene.program,
            cores: self.scene.cores,
            queues: self.queues,
            concurrency: load.concurrency,
            mode: self.mode,
            url: self.scene.worker_url(),
            log: &log,
            variables: load.variables,
        })
    }

    fn wait_for_first_job(&mut self, worker: &mut Worker, load: Load<'_>) -> Result<Start, Error> {
        let deadline = Instant::now() + STALL_TIMEOUT;
        loop {
            let backlog = self.client.backlog_of(self.queues)?;
            if backlog.waiting < load.jobs {
                return Ok(Start { at: Instant::now(), backlog, memory: worker.meter().memory()? });
            }
            self.session.interrupt.check()?;
            worker.check_alive()?;
            if Instant::now() > deadline {
                return Err(self.stalled(worker, backlog));
            }
            thread::sleep(START_POLL);
        }
    }

    fn wait_for_last_job(
        &mut self,
        worker: &mut Worker,
        load: Load<'_>,
        start: &Start,
    ) -> Result<End, Error> {
        let (mut last, mut moved, mut resolution) = (start.backlog, Instant::now(), Duration::ZERO);
        let mut looked = Instant::now();
        loop {
            let backlog = self.client.backlog_of(self.queues)?;
            if self.is_done(load, backlog)? {
                let meter = worker.meter();
                return Ok(End {
                    at: Instant::now(),
                    resolution,
                    cpu: meter.cpu()?,
                    memory: meter.memory()?,
                });
            }
            self.session.interrupt.check()?;
            worker.check_alive()?;
            self.session.progress.set(backlog.processed);
            let pause = next_pause(load, last, backlog, looked.elapsed())
                .min(pause_max(start.at.elapsed(), load.looks));
            looked = Instant::now();
            if backlog != last {
                (last, moved) = (backlog, looked);
            } else if moved.elapsed() > STALL_TIMEOUT {
                return Err(self.stalled(worker, backlog));
            }
            resolution = pause;
            thread::sleep(pause);
        }
    }

    /// Whether nothing waits, everything is counted and nothing is in flight; the scan runs only at the end.
    fn is_done(&mut self, load: Load<'_>, backlog: Backlog) -> Result<bool, Error> {
        if backlog.waiting > 0 || backlog.processed < load.jobs {
            return Ok(false);
        }
        Ok(self.client.in_flight()?.is_empty())
    }

    fn stalled(&mut self, worker: &Worker, backlog: Backlog) -> Error {
        let in_flight =
            self.client.in_flight().map_or_else(|error| error.to_string(), |keys| format!("{keys:?}"));
        Error::WorkerStalled {
            waited: STALL_TIMEOUT,
            state: format!(
                "{} waiting, {} processed, in flight {in_flight}",
                backlog.waiting, backlog.processed
            ),
            log: worker.log_tail(),
        }
    }

    /// Every job once, and what became of each as it should.
    fn check_outcome(&mut self, load: Load<'_>) -> Result<(), Error> {
        let processed = self.client.backlog()?.processed;
        let failures = self.client.number(&["GET", JIGGLER.names().failures])?;
        let retries = self.client.number(&["ZCARD", JIGGLER.names().retries])?;
        let dead = self.client.number(&["ZCARD", JIGGLER.names().dead])?;
        let (failed, kept) = match self.outcome {
            Expected::Success => (0, 0),
            Expected::Death => (load.jobs, load.jobs.min(DEAD_JOBS_MAX)),
        };
        if (processed, failures, retries, dead) == (load.jobs, failed, 0, kept) {
            return Ok(());
        }
        Err(Error::WrongOutcome(format!(
            "{processed} processed of {}, {failures} failures, {retries} to retry, {dead} dead",
            load.jobs
        )))
    }
}

/// Half the time that is left at the present pace, within the bounds.
fn next_pause(load: Load<'_>, before: Backlog, now: Backlog, elapsed: Duration) -> Duration {
    let done = now.processed.saturating_sub(before.processed);
    let left = load.jobs.saturating_sub(now.processed);
    if done == 0 {
        return POLL_MIN;
    }
    (elapsed.mul_f64(left as f64 / done as f64) / 2).clamp(POLL_MIN, POLL_MAX)
}

/// A pause never exceeds this fraction of the run so far, so that a short run is not measured too coarsely.
fn pause_max(elapsed: Duration, looks: u32) -> Duration {
    (elapsed / looks).clamp(POLL_MIN, POLL_MAX)
}

fn figures(
    load: Load<'_>,
    begin: Instant,
    start: &Start,
    end: &End,
    redis_cpu: Duration,
    traffic: RedisCounters,
) -> Run {
    let jobs = load.jobs as f64;
    let seconds = (end.at - begin).as_secs_f64();
    let after_start = load.jobs.saturating_sub(start.backlog.processed);
    let draining = (end.at - start.at).as_secs_f64();
    Run {
        seconds,
        seconds_to_first_job: (start.at - begin).as_secs_f64(),
        resolution_seconds: end.resolution.as_secs_f64(),
        jobs_per_second: (after_start > 0 && draining > 0.0).then(|| after_start as f64 / draining),
        start_rss_kb: start.memory.rss_kb,
        finish_rss_kb: end.memory.rss_kb,
        peak_rss_kb: end.memory.peak_kb,
        cpu_percent: 100.0 * end.cpu.as_secs_f64() / seconds,
        worker_us_per_job: end.cpu.as_secs_f64() * 1e6 / jobs,
        redis_us_per_job: redis_cpu.as_secs_f64() * 1e6 / jobs,
        redis_commands_per_job: traffic.commands as f64 / jobs,
        redis_reads_per_job: traffic.reads as f64 / jobs,
        redis_calls: traffic.calls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::Work;

    #[test]
    fn looks_get_closer_when_the_end_is_near() {
        let work = Work::noop();
        let load = Load { work: &work, jobs: 1_000, concurrency: 10, variant: "", looks: 20, variables: &[] };
        let at = |processed| Backlog { processed, waiting: load.jobs - processed };
        let pause = |before, now| next_pause(load, at(before), at(now), Duration::from_millis(10));
        assert_eq!(pause(0, 10), POLL_MAX);
        assert_eq!(pause(0, 500), Duration::from_millis(5));
        assert_eq!(pause(0, 990), POLL_MIN);
        assert_eq!(pause(500, 500), POLL_MIN);
    }

    #[test]
    fn a_short_run_is_seen_to_a_twentieth() {
        let after = |elapsed_ms| pause_max(Duration::from_millis(elapsed_ms), 20);
        assert_eq!((after(1), after(200), after(5_000)), (POLL_MIN, Duration::from_millis(10), POLL_MAX));
    }
}
