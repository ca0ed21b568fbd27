//! The worker processes of a round, each with a faulty line of its own, and what their logs say they did.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::plan::{Plan, Role, Step, WorkerPlan};
use super::producer::POISONED_QUEUE;
use super::site::Site;
use crate::fault_proxy::FaultProxy;
use crate::harness::Worker;

/// Log lines of each worker that a failure shows.
const TAIL_LINES: usize = 40;

/// One worker process from start to end.
pub(crate) struct Life {
    pub(crate) place: usize,
    pub(crate) role: Role,
    pub(crate) worker: Worker,
    /// Outlives the worker: what it holds may arrive later. `None`: in a cluster, whose nodes name each other's ports.
    line: Option<FaultProxy>,
    /// Its log stood still once: if it was killed then, lines of it are missing.
    pub(crate) log_stopped: bool,
    /// Ended by SIGKILL, or by a job.
    pub(crate) killed: bool,
    /// Ended by a job.
    pub(crate) poisoned: bool,
    /// Was asked to stop.
    pub(crate) asked: bool,
    /// Its exit status, if it ended by itself or as asked.
    pub(crate) exit: Option<i32>,
}

/// A run of a job, as the log of the process that ran it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) jid: String,
    pub(crate) attempt: String,
}

impl Life {
    pub(crate) fn start(plan: &Plan, place: usize, site: &Site, config: &str, number: u64) -> Self {
        let WorkerPlan { role, cores, concurrency, tcp } = plan.workers[place];
        let seed = plan.seed.wrapping_mul(31).wrapping_add(number);
        let line = (!site.is_cluster()).then(|| FaultProxy::start(&site.nodes()[0].socket(), tcp, seed));
        let mode = if plan.at_least_once { "at-least-once" } else { "at-most-once" };
        let (program, queues) = match role {
            Role::Plain => (PathBuf::from(env!("CARGO_BIN_EXE_jiggler-uring")), site.queues.join(",")),
            Role::Poisoned => (example("misbehaving_jobs"), POISONED_QUEUE.to_owned()),
        };
        let (cores, concurrency) = (cores.to_string(), concurrency.to_string());
        let args = ["--cores", &cores, "-c", &concurrency, "--mode", mode, "-q", &queues, "-C", config, "-v"];
        let args = [&site.nodes()[0].flags(), &args[..]].concat();
        let url = site.worker_url(line.as_ref().map(FaultProxy::url));
        let worker = Worker::launch_through_pipe(&program, &url, &args);
        let (killed, poisoned, asked, log_stopped) = (false, false, false, false);
        Self { place, role, worker, line, log_stopped, killed, poisoned, asked, exit: None }
    }

    /// From now on nobody reads its log.
    pub(crate) fn stop_log(&mut self) {
        self.log_stopped = true;
        self.worker.stop_log();
    }

    /// Changes the weather on its line, if it has one.
    pub(crate) fn on_line(&self, step: Step) {
        let Some(line) = &self.line else { return };
        match step {
            Step::Delay(_, delay) => line.delay(delay),
            Step::Split(_, pieces) => line.split(pieces),
            Step::Hold(_) => line.hold(),
            Step::Refuse(_) => line.refuse(),
            Step::Clear(_) => line.clear(),
            Step::Forget(_) => {
                line.forget();
                line.clear();
            }
            Step::Cut(_) => line.cut(),
            Step::After(_, way, bytes, then) => line.after(way, bytes, then),
            _ => {}
        }
    }

    /// Its line is whole, and its log is read.
    pub(crate) fn end_faults(&self) {
        if let Some(line) = &self.line {
            line.clear();
        }
        self.worker.read_log();
    }

    /// Whether it has come so far as to work. Without Redis a process ends at its start.
    pub(crate) fn has_worked(&self) -> bool {
        !self.worker.lines(" working ").is_empty()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.killed || self.exit.is_some()
    }

    /// Notes how it ended by itself. A poison job may end it even while it is being stopped.
    pub(crate) fn note_end(&mut self) {
        self.exit = self.worker.wait_for_end().code();
        if self.exit.is_none() && self.role == Role::Poisoned {
            // Before it works it runs no job: then it was a TERM that ended it, before it listens to signals.
            (self.killed, self.poisoned) = (true, self.has_worked());
        }
    }

    /// The identities it took, one after the other.
    pub(crate) fn uuids(&self) -> BTreeSet<String> {
        self.worker.lines(" working ").iter().filter_map(|line| field(line, "uuid")).collect()
    }

    /// Identities it has put the jobs of back, being taken for dead, with the time of its log.
    pub(crate) fn reaped(&self) -> Vec<(String, String)> {
        let lines = self.worker.lines("a process died");
        lines.iter().filter_map(|line| Some((field(line, "uuid")?, time(line)?))).collect()
    }

    /// The time of the last line of its log, if it ended in order.
    pub(crate) fn stopped_at(&self) -> Option<String> {
        self.worker.lines(" INFO stopped").last().and_then(|line| time(line))
    }

    /// Whether it found that its jobs had been given to others.
    pub(crate) fn was_fenced(&self) -> bool {
        !self.worker.lines("was believed dead").is_empty()
    }

    /// Whether it ended although Redis could not be told.
    pub(crate) fn left_without_redis(&self) -> bool {
        !self.worker.lines("the heartbeat could not be removed").is_empty()
    }

    /// How many ended jobs it acked apart from a turn, which alone counts.
    pub(crate) fn acked_apart(&self) -> u64 {
        let lines = self.worker.lines("told redis apart from a turn what has ended");
        lines.iter().filter_map(|line| field(line, "acked")?.parse::<u64>().ok()).sum()
    }

    /// Each run of a job that leaves a trace.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let lines = self.worker.lines("job failed");
        let run = |line: &String| Some(Run { jid: field(line, "jid")?, attempt: field(line, "attempt")? });
        lines.iter().filter_map(run).collect()
    }

    /// Panics and the like.
    pub(crate) fn oddities(&self) -> Vec<String> {
        self.worker.lines("panicked")
    }

    pub(crate) fn describe(&self) -> String {
        let mut text = format!(
            "worker {} pid {} {:?}: killed {}, asked {}, exit {:?}\n",
            self.place,
            self.worker.pid(),
            self.uuids(),
            self.killed,
            self.asked,
            self.exit
        );
        let lines: Vec<String> =
            self.worker.lines("").into_iter().filter(|l| !l.contains("job failed")).collect();
        for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
            text.push_str("    ");
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

/// The program of an example, which cargo builds with the tests.
fn example(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_jiggler-uring")).with_file_name("examples").join(name);
    assert!(program.exists(), "{} is missing: cargo build --example {name}", program.display());
    program
}

/// When a log line was written: a text that sorts as the time does.
fn time(line: &str) -> Option<String> {
    line.split_whitespace().next().map(str::to_owned)
}

/// The value of a field in a log line.
fn field(line: &str, name: &str) -> Option<String> {
    let rest = line.split_once(&format!(" {name}="))?.1;
    let value = rest.split(' ').next()?;
    Some(value.trim_matches('"').to_owned())
}
