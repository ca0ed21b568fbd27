//! One round: a Redis, workers, a producer; the plan's faults; then rest, and the account.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use super::fleet::Life;
use super::oracle::{self, Census};
use super::plan::{Plan, Step};
use super::producer::{Jobs, Producer};
use super::site::Site;
use crate::harness::config_file;
use crate::harness::wait::{look_again, measure_over};

/// How long it may take after the last fault until every job has run: a lease, as long again until a reaper trusts its own
/// connection, a renewal, a retry; and a machine that has other things to do.
const REST_MAX: Duration = Duration::from_secs(90);

/// Where the leases are.
const LEASES: &str = "jiggler:uring:leases";

/// How long a process may take to end: its stop timeout, its grace for a Redis that is away, a loaded machine.
const STOP_MAX: Duration = Duration::from_secs(40);

/// How much longer a poison job may take: it dies four times, each time it is recovered by the next look of a reaper,
/// and the first of these trusts its connection only after a lease.
const POISON_MAX: Duration = Duration::from_secs(90);

/// What a round was.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) jobs: usize,
    /// Runs that left a trace.
    pub(crate) runs: usize,
    /// Runs beyond the first, by what explains them.
    pub(crate) repeated: BTreeMap<&'static str, usize>,
    /// Jobs that never ran; at most once only.
    pub(crate) lost: usize,
    pub(crate) processes: usize,
    /// Processes whose jobs others have put back.
    pub(crate) recovered: usize,
    /// Processes that a poison job has killed.
    pub(crate) poisoned: usize,
    /// From the last fault until every job had run.
    pub(crate) rest: Duration,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { jobs, runs, repeated, lost, processes, recovered, poisoned, rest } = self;
        write!(f, "jobs={jobs} runs={runs} repeated={}", repeated.values().sum::<usize>())?;
        for (reason, count) in repeated {
            write!(f, " repeated_{}={count}", reason.replace(' ', "_"))?;
        }
        let rest_s = rest.as_secs_f64();
        write!(
            f,
            " lost={lost} processes={processes} recovered={recovered} poisoned={poisoned} rest_s={rest_s:.1}"
        )
    }
}

struct Round {
    plan: Plan,
    site: Site,
    lives: Vec<Life>,
    /// The life at each place, if one is meant to be there.
    places: Vec<Option<usize>>,
    config: String,
}

/// Runs the round of a plan.
///
/// # Panics
/// If a job was lost, or ran twice without a reason; with the plan, the logs and what is in Redis.
pub(crate) fn run(plan: &Plan) -> Tally {
    let config = config_file("max_dead_jobs: 1000000\n");
    let mut round = Round {
        plan: plan.clone(),
        site: Site::start(plan.nodes, plan.queues),
        lives: Vec::new(),
        places: vec![None; plan.workers.len()],
        config: config.path(),
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| round.drive()));
    let complaint = match outcome {
        Ok(Ok(tally)) => return tally,
        Ok(Err(complaint)) => complaint,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        }
    };
    let mut report = format!("{plan}\n");
    for life in &round.lives {
        report.push_str(&life.describe());
    }
    // Their own account of a failure would be the whole of their logs.
    round.lives.clear();
    // Redis shows its keys when it is dropped.
    panic!("{report}{complaint}\nreplay: CHAOS_SEED={} make chaos", plan.seed);
}

impl Round {
    fn drive(&mut self) -> Result<Tally, String> {
        let producer = Producer::start(&self.site, &self.plan);
        for place in 0..self.plan.workers.len() {
            self.start(place);
        }
        let begun = Instant::now();
        for (at, step) in self.plan.steps.clone() {
            measure_over(at.saturating_sub(begun.elapsed()));
            self.take(step)?;
        }
        measure_over(self.plan.length.saturating_sub(begun.elapsed()));
        self.end_faults();
        let jobs = producer.finish();
        let rested = Instant::now();
        self.rest()?;
        let rest = rested.elapsed();
        self.stop_all()?;
        if !Census::of(&self.site).open.is_empty() {
            // A process that could not reach Redis at its end leaves its jobs to the others.
            (0..self.places.len()).for_each(|place| self.start(place));
            self.rest()?;
            self.stop_all()?;
        }
        self.judge(&jobs, rest)
    }

    fn start(&mut self, place: usize) {
        let number = self.lives.len();
        let life = Life::start(&self.plan, place, &self.site, &self.config, number as u64);
        self.lives.push(life);
        self.places[place] = Some(number);
    }

    /// A process that could not start for want of Redis is started anew, as is one that a poison job has killed; one
    /// that ended by itself otherwise is a fault of ours.
    fn mind_places(&mut self) -> Result<(), String> {
        for place in 0..self.places.len() {
            let Some(number) = self.places[place] else { continue };
            let life = &mut self.lives[number];
            if !life.is_over() {
                if life.worker.is_running() {
                    continue;
                }
                life.note_end();
            }
            if life.has_worked() && !life.asked && !life.poisoned {
                return Err(format!("worker {place} ended by itself"));
            }
            if self.site.is_up() {
                self.start(place);
            }
        }
        Ok(())
    }

    fn end_place(&mut self, place: usize) {
        let Some(life) = self.places[place].take().map(|number| &mut self.lives[number]) else { return };
        if !life.is_over() {
            life.asked = true;
            signal(life.worker.pid(), "TERM");
        }
    }

    fn take(&mut self, step: Step) -> Result<(), String> {
        self.mind_places()?;
        let Some(place) = place_of(step) else {
            self.take_redis(step);
            return Ok(());
        };
        if let Step::Start(place) = step {
            if self.places[place].is_none() {
                self.start(place);
            }
            return Ok(());
        }
        let Some(number) = self.places[place] else { return Ok(()) };
        let life = &mut self.lives[number];
        if life.is_over() {
            // It could not start for want of Redis.
            return Ok(());
        }
        match step {
            Step::Kill(_) => {
                life.worker.kill();
                life.killed = true;
                self.places[place] = None;
            }
            Step::Terminate(place) => self.end_place(place),
            Step::Pause(_) => signal(life.worker.pid(), "STOP"),
            Step::Resume(_) => signal(life.worker.pid(), "CONT"),
            Step::StopLog(_) => life.stop_log(),
            Step::ReadLog(_) => life.worker.read_log(),
            _ => life.on_line(step),
        }
        Ok(())
    }

    fn take_redis(&mut self, step: Step) {
        match step {
            Step::KillRedis(node) => self.site.kill(node),
            Step::StopRedis(node) => self.site.shut_down(node),
            Step::StartRedis(node) => self.site.start_again(node),
            Step::PauseRedis(node) => self.site.pause(node),
            Step::ResumeRedis(node) => self.site.resume(node),
            Step::FlushScripts(node) => {
                self.site.nodes()[node].run(&["SCRIPT", "FLUSH"]);
            }
            Step::KillClients(node) => {
                self.site.nodes()[node].run(&["CLIENT", "KILL", "TYPE", "normal"]);
            }
            Step::Withdraw(command) => self.site.allow(command, false),
            Step::GiveBack(command) => self.site.allow(command, true),
            Step::PauseQueue(queue) => self.site.pause_queue(Some(queue)),
            Step::ResumeQueue(_) => self.site.pause_queue(None),
            Step::MoveQueue(queue) => self.site.move_queue(queue),
            _ => {}
        }
    }

    /// Every fault has an end in the plan, but the plan may be left early.
    fn end_faults(&mut self) {
        for life in &mut self.lives {
            life.end_faults();
        }
        if self.plan.nodes == 0 {
            self.site.pause_queue(None);
        }
        for place in 0..self.places.len() {
            if self.places[place].is_none() {
                self.start(place);
            }
        }
    }

    /// Waits until no job waits or is in flight.
    fn rest(&mut self) -> Result<(), String> {
        let longest = REST_MAX + if self.plan.has_poison() { POISON_MAX } else { Duration::ZERO };
        let deadline = Instant::now() + longest;
        loop {
            self.mind_places()?;
            self.end_leases_of_the_poisoned();
            let open = Census::of(&self.site).open;
            if open.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(format!("after {longest:?} of rest jobs are still there: {open:?}"));
            }
            look_again();
        }
    }

    /// They are dead for sure: nobody need wait a lease for each.
    fn end_leases_of_the_poisoned(&self) {
        let poisoned = self.lives.iter().filter(|life| life.poisoned).flat_map(Life::uuids);
        let dead: BTreeSet<String> = poisoned.collect();
        if dead.is_empty() {
            return;
        }
        // Rounds with poison are on one Redis.
        let redis = &self.site.nodes()[0];
        for (member, _) in redis.set(LEASES) {
            if member.split(':').next().is_some_and(|uuid| dead.contains(uuid)) {
                redis.run(&["ZADD", LEASES, "XX", "1000", &member]);
            }
        }
    }

    fn stop_all(&mut self) -> Result<(), String> {
        for place in 0..self.places.len() {
            self.end_place(place);
        }
        let deadline = Instant::now() + STOP_MAX;
        for life in self.lives.iter_mut().filter(|life| !life.is_over()) {
            while life.worker.is_running() {
                if Instant::now() >= deadline {
                    return Err(format!("worker {} does not end", life.place));
                }
                look_again();
            }
            life.note_end();
        }
        Ok(())
    }

    fn judge(&self, jobs: &Jobs, rest: Duration) -> Result<Tally, String> {
        let census = Census::of(&self.site);
        let mut tally = oracle::judge(&self.plan, jobs, &self.lives, &census)?;
        tally.rest = rest;
        Ok(tally)
    }
}

fn place_of(step: Step) -> Option<usize> {
    match step {
        Step::Kill(place)
        | Step::Terminate(place)
        | Step::Start(place)
        | Step::Pause(place)
        | Step::Resume(place)
        | Step::Delay(place, _)
        | Step::Split(place, _)
        | Step::Hold(place)
        | Step::Refuse(place)
        | Step::Clear(place)
        | Step::Forget(place)
        | Step::Cut(place)
        | Step::After(place, ..)
        | Step::StopLog(place)
        | Step::ReadLog(place) => Some(place),
        _ => None,
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    let order = format!("kill -s {name} {pid}");
    assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success(), "{order}");
}
