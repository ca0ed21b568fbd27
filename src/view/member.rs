//! One process of the fleet as an operator sees it, a Ruby server or one of ours.
//!
//! A Ruby server lists what it runs in its heartbeat; ours list it in their figures, because the gem's page cannot show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits::RUNNING_JOBS_SHOWN_MAX;
use crate::store::survey::{Heartbeat, Process, Summary};
use crate::wire::figures::{Figures, LeftName, QueueSlots, ShardFigures, Trouble};
use crate::wire::heartbeat_key::{Poller, ServedQueue, split_queues};

/// Whose process it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Engine {
    Ruby,
    JigglerUring,
}

/// What is known about a process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Member {
    pub(crate) uuid: String,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) engine: Engine,
    /// Ours report theirs.
    pub(crate) version: Option<String>,
    /// Name and version of the user's program.
    pub(crate) program: Option<String>,
    /// What its deployment is called.
    pub(crate) tag: Option<String>,
    /// `running`, `quiet`, `stopping` or `dead`. A quiet Ruby server has no heartbeat, so those that are seen are running.
    pub(crate) phase: String,
    pub(crate) ok: bool,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) queues: String,
    pub(crate) concurrency: u64,
    pub(crate) busy: u64,
    pub(crate) timeout_s: u64,
    pub(crate) poller: bool,
    pub(crate) rss_kb: Option<u64>,
    /// Unix seconds.
    pub(crate) started_at: u64,
    /// Unix seconds.
    pub(crate) heartbeat: Option<f64>,
    /// By how many seconds the clock of its host is ahead of Redis's, if by more than one; below 0: behind. Ours only.
    pub(crate) clock_skew_s: Option<f64>,
    /// How many of its slots each queue has, if it gives them to queues. Ours only.
    pub(crate) balance: Vec<QueueSlots>,
    /// Names that it does not know, whose jobs it leaves to other workers. Ours only.
    pub(crate) left: Vec<LeftName>,
    /// Names of the jobs it has handlers for; `None`: it does not say.
    pub(crate) names: Option<Vec<String>>,
    pub(crate) shards: Vec<ShardFigures>,
    pub(crate) jobs: Vec<RunningJob>,
    /// Since when it counts as dead, Unix seconds; `None`: it lives, as far as is known. Ours only.
    pub(crate) died_at: Option<f64>,
}

/// The processes. As JSON it is what `processes --json` prints: an object, so that it can grow.
#[derive(Debug, Serialize)]
pub(crate) struct Members {
    pub(crate) processes: Vec<Member>,
}

impl Members {
    pub(crate) fn of(summary: &Summary) -> Self {
        Self { processes: summary.processes.values().map(Member::of).collect() }
    }
}

/// A running job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunningJob {
    pub(crate) name: String,
    pub(crate) jid: String,
    /// Ours only.
    pub(crate) shard: Option<usize>,
    /// Unix seconds.
    pub(crate) since: Option<f64>,
}

impl Member {
    pub(crate) fn of(process: &Process) -> Self {
        let number = |field: fn(&Heartbeat) -> &Option<Box<RawValue>>| -> Option<f64> {
            field(process.heartbeat.as_ref()?).as_ref()?.get().parse().ok()
        };
        let figures = process.figures.as_ref();
        let is_dead = process.died_at.is_some();
        let jobs = match figures {
            // What it ran when it died does not run any more.
            _ if is_dead => Vec::new(),
            Some(figures) => figures.jobs.iter().map(RunningJob::of_ours).collect(),
            None => RunningJob::of_ruby(process),
        };
        let given =
            |field: fn(&Figures) -> &String| figures.map(field).filter(|text| !text.is_empty()).cloned();
        let running = figures
            .filter(|_| !is_dead)
            .map(|figures| figures.shards.iter().map(|shard| shard.running).sum());
        let held = jobs.len() as u64;
        Self {
            uuid: process.uuid.clone(),
            host: process.hostname.clone(),
            pid: process.pid,
            engine: if figures.is_some() { Engine::JigglerUring } else { Engine::Ruby },
            version: given(|figures| &figures.version),
            program: given(|figures| &figures.program),
            tag: given(|figures| &figures.tag),
            phase: phase(process).to_owned(),
            ok: !is_dead && figures.is_none_or(|figures| figures.troubles.is_empty()),
            troubles: figures.map(|figures| figures.troubles.clone()).unwrap_or_default(),
            queues: process.queues.clone(),
            concurrency: process.concurrency,
            // A job that holds up its core is named but not counted by its shard.
            busy: running.unwrap_or(held).max(held),
            timeout_s: process.timeout_s,
            poller: process.poller == Poller::Enabled,
            rss_kb: number(|said| &said.rss).map(|kilobytes| kilobytes as u64),
            started_at: process.started_at,
            heartbeat: number(|said| &said.heartbeat),
            clock_skew_s: figures.and_then(|figures| figures.clock_skew_s),
            balance: figures.map(|figures| figures.balance.clone()).unwrap_or_default(),
            left: figures.map(|figures| figures.left.clone()).unwrap_or_default(),
            names: figures.and_then(|figures| figures.names.clone()),
            shards: figures.map(|figures| figures.shards.clone()).unwrap_or_default(),
            jobs,
            died_at: process.died_at,
        }
    }

    /// For how long there has been no sign of life from it, if it is dead: "for 34 s".
    pub(crate) fn silence(&self, now: f64) -> Option<String> {
        self.died_at?;
        Some(format!("for {:.0} s", (now - self.heartbeat?).max(0.0)))
    }

    /// The first problem, and how many more there are: a process may have hundreds of shards; then whether the clock of its
    /// host is wrong. A Ruby server reports nothing about its health.
    pub(crate) fn health(&self, now: f64) -> String {
        if let Some(silence) = self.silence(now) {
            return format!("dead: silent {silence}");
        }
        let Some(skew) = self.clock_skew_s else { return self.troubled(now) };
        let side = if skew < 0.0 { "behind" } else { "ahead of" };
        format!("{}; clock {:.1} s {side} redis", self.troubled(now), skew.abs())
    }

    fn troubled(&self, now: f64) -> String {
        match self.troubles.as_slice() {
            [] if self.engine == Engine::Ruby => "unknown".to_owned(),
            [] => "ok".to_owned(),
            [trouble] => trouble.at(now).to_string(),
            [trouble, more @ ..] => format!("{} and {} more", trouble.at(now), more.len()),
        }
    }

    /// [`Self::health`], or the phase of a process that is well but no longer takes jobs.
    pub(crate) fn health_or_phase(&self, now: f64) -> String {
        if self.ok && self.phase != "running" { self.phase.clone() } else { self.health(now) }
    }

    /// Its queues as people write them: `payments:3, mails:2`.
    pub(crate) fn queues_text(&self) -> String {
        let text = |queue: ServedQueue<'_>| match queue.priority {
            Some(priority) => format!("{}:{priority}", queue.name),
            None => queue.name.to_owned(),
        };
        split_queues(&self.queues).into_iter().map(text).collect::<Vec<_>>().join(", ")
    }

    /// `ruby`; or the user's program, or the version of ours, with what its deployment is called.
    pub(crate) fn engine_text(&self) -> String {
        let name = match (self.engine, &self.program, &self.version) {
            (Engine::Ruby, ..) => "ruby".to_owned(),
            (_, Some(program), _) => program.clone(),
            (_, None, Some(version)) => format!("uring {version}"),
            (_, None, None) => "uring".to_owned(),
        };
        match &self.tag {
            Some(tag) => format!("{name} {tag}"),
            None => name,
        }
    }

    /// The uuid, with what its deployment is called.
    pub(crate) fn name(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{} {tag}", self.uuid),
            None => self.uuid.clone(),
        }
    }
}

/// `running`, `quiet`, `stopping` or `dead`.
pub(super) fn phase(process: &Process) -> &str {
    if process.died_at.is_some() {
        return "dead";
    }
    process.figures.as_ref().map_or("running", |figures| &figures.phase)
}

/// A Ruby server's `current_jobs`, as far as they are looked at.
#[derive(Debug, Deserialize)]
struct RubyJob {
    #[serde(default)]
    job_args: RubyJobArgs,
    started_at: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
struct RubyJobArgs {
    #[serde(default)]
    name: String,
    #[serde(default)]
    jid: String,
}

impl RunningJob {
    fn of_ours(job: &crate::wire::figures::RunningJob) -> Self {
        Self { name: job.name.clone(), jid: job.jid.clone(), shard: Some(job.shard), since: Some(job.since) }
    }

    fn of_ruby(process: &Process) -> Vec<Self> {
        let said = process.heartbeat.as_ref().and_then(|said| said.current_jobs.as_ref());
        let jobs: BTreeMap<String, RubyJob> =
            said.and_then(|jobs| serde_json::from_str(jobs.get()).ok()).unwrap_or_default();
        let job = |job: RubyJob| Self {
            name: job.job_args.name,
            jid: job.job_args.jid,
            shard: None,
            since: job.started_at,
        };
        jobs.into_values().take(RUNNING_JOBS_SHOWN_MAX).map(job).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::figures;

    fn process(value: &str) -> Process {
        let key = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        Process::read(key, value.as_bytes()).unwrap()
    }

    #[test]
    fn a_ruby_server_is_busy_with_what_its_heartbeat_names() {
        let member = Member::of(&process(
            r#"{"heartbeat":1795299770.3,"rss":36192,"current_jobs":{"p0":{"job_args":{"name":"SleepJob","args":[14],
                "jid":"0d655a187e214821"},"queue":null,"started_at":1795299766.2}}}"#,
        ));
        assert_eq!((member.engine, member.busy, &*member.phase), (Engine::Ruby, 1, "running"));
        assert_eq!((&*member.jobs[0].name, &*member.jobs[0].jid), ("SleepJob", "0d655a187e214821"));
        assert_eq!((member.rss_kb, &*member.health(0.0)), (Some(36192), "unknown"));
        assert_eq!(Member::of(&process("no json")).heartbeat, None);
        let served = |queues: &str| Member { queues: queues.to_owned(), ..member.clone() }.queues_text();
        assert_eq!(served("payments,3,mails,2"), "payments:3, mails:2");
        assert_eq!(served("payments,mails"), "payments, mails");
    }

    #[test]
    fn one_of_ours_reports_it_in_its_figures() {
        let mut process = process(r#"{"heartbeat":1795299770.3,"rss":36192,"current_jobs":{}}"#);
        let json = r#"{"phase":"quiet","version":"0.2.0","shards":[{"running":2},{"running":3}],
            "jobs":[{"shard":1,"name":"A","jid":"j","since":5.5}]}"#;
        process.figures = Some(figures::parse(json.as_bytes()).unwrap());
        let member = Member::of(&process);
        assert_eq!((member.engine, member.busy, &*member.phase), (Engine::JigglerUring, 5, "quiet"));
        assert_eq!((&*member.health(0.0), &*member.engine_text()), ("ok", "uring 0.2.0"));
        assert_eq!((member.jobs[0].shard, member.jobs[0].since), (Some(1), Some(5.5)));
        process.died_at = Some(1795299790.3);
        let dead = Member::of(&process);
        assert_eq!((dead.engine, &*dead.phase, dead.ok), (Engine::JigglerUring, "dead", false));
        assert_eq!(
            (dead.busy, dead.jobs.len(), &*dead.health(1795299800.0)),
            (0, 0, "dead: silent for 30 s")
        );
        process.died_at = None;
        let figures = process.figures.as_mut().unwrap();
        (figures.program, figures.tag) = ("billing 1.4.2".to_owned(), "3f2a1c9".to_owned());
        let member = Member::of(&process);
        assert_eq!(
            (&*member.engine_text(), &*member.name()),
            ("billing 1.4.2 3f2a1c9", "d8625f8721eb 3f2a1c9")
        );
        process.figures.as_mut().unwrap().clock_skew_s = Some(-60.04);
        assert_eq!(Member::of(&process).health(0.0), "ok; clock 60.0 s behind redis");
    }
}
