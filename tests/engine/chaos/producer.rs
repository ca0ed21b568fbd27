//! Pushes jobs that leave a trace, straight to Redis, through all of its outages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use jiggler_uring::client::{Client, Dialect, NewJob};
use jiggler_uring::internal::net::blocking::BlockingOptions;
use jiggler_uring::internal::resp::RedisUrl;

use super::plan::{Plan, Severity};
use super::site::Site;
use crate::harness::wait::measure_over;

/// What becomes of a job when all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Fails at once and lies in the dead set.
    Fail,
    /// Fails twice.
    Retry,
    /// Takes its time and leaves nothing but a count.
    Sleep,
    /// Fails at once, in the queue where poison is.
    Neighbour,
    /// Kills its process each time it runs.
    Poison,
}

/// A job that was pushed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pushed {
    pub(crate) kind: Kind,
    /// Whether Redis has said so. If not, the job may be there or not.
    pub(crate) sure: bool,
}

/// Every job by its jid.
pub(crate) type Jobs = BTreeMap<String, Pushed>;

/// A thread that pushes until it is told to end.
pub(crate) struct Producer {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Jobs>,
}

/// Where poison is pushed, and what is to survive it.
pub(crate) const POISONED_QUEUE: &str = "poisoned";

/// Large jobs of a round that has some.
const LARGE_JOBS: usize = 6;

/// The largest of them.
const LARGE_BYTES_MAX: usize = 8_000_000;

/// Between two pushes.
const TICK: Duration = Duration::from_millis(20);

/// Longest wait for one answer; what comes later counts as unsure.
const PATIENCE: Duration = Duration::from_secs(2);

impl Producer {
    pub(crate) fn start(site: &Site, plan: &Plan) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let url = RedisUrl::parse(&site.producer_url()).unwrap();
        let mut mix = Mix {
            random: Rng::with_seed(plan.seed),
            queues: site.queues.clone(),
            large: if plan.large { LARGE_JOBS } else { 0 },
            retries: plan.severity != Severity::Short,
            dialect: site.nodes()[0].dialect(),
            poison: plan.has_poison(),
        };
        let thread = thread::spawn({
            let over = Arc::clone(&over);
            move || push_until(&over, &url, &mut mix)
        });
        Self { over, thread }
    }

    pub(crate) fn finish(self) -> Jobs {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// What is pushed, by chance.
struct Mix {
    random: Rng,
    queues: Vec<String>,
    /// Large jobs still to be pushed.
    large: usize,
    retries: bool,
    dialect: Dialect,
    /// Neighbours are pushed, and poison until it is sure that Redis has one.
    poison: bool,
}

fn push_until(over: &AtomicBool, url: &RedisUrl, mix: &mut Mix) -> Jobs {
    let options = BlockingOptions {
        client_name: "producer".to_owned(),
        connect_timeout: PATIENCE,
        call_timeout: PATIENCE,
        ..BlockingOptions::default()
    };
    let mut jobs = Jobs::new();
    let mut client: Option<Client> = None;
    while !over.load(Ordering::SeqCst) {
        measure_over(TICK);
        if client.is_none() {
            client =
                Client::connect_with(url, options.clone()).ok().map(|client| client.speaking(mix.dialect));
        }
        let Some(open) = &mut client else { continue };
        let kinds = mix.kinds(&jobs);
        let mut batch = Vec::with_capacity(kinds.len());
        let mut pushed = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let jid = format!("{:08}", jobs.len() + pushed.len());
            let queue = mix.queue(kind);
            let retries = u32::from(kind == Kind::Retry);
            let job = mix.job(kind).jid(&jid).unwrap().retries(retries).unwrap();
            batch.push(job.queue_named(&queue).unwrap());
            pushed.push((jid, kind));
        }
        let scheduled = batch.len() < 8 && mix.random.u8(0..10) == 0;
        let result = if scheduled {
            let due_at = jiggler_uring::internal::time::unix_now() + mix.random.f64() * 2.0;
            open.enqueue_bulk_at(due_at, &batch)
        } else {
            open.enqueue_bulk(&batch)
        };
        let sure = result.is_ok();
        jobs.extend(pushed.into_iter().map(|(jid, kind)| (jid, Pushed { kind, sure })));
        if !sure {
            client = None;
        }
    }
    jobs
}

impl Mix {
    /// What is pushed next.
    fn kinds(&mut self, jobs: &Jobs) -> Vec<Kind> {
        let random = &mut self.random;
        if self.poison && random.u8(0..8) == 0 {
            let mut kinds = vec![Kind::Neighbour; random.usize(1..40)];
            if !jobs.values().any(|job| job.kind == Kind::Poison && job.sure) {
                let at = random.usize(..kinds.len());
                kinds[at] = Kind::Poison;
            }
            return kinds;
        }
        // Mostly a trickle that finds the workers idle, now and then a backlog.
        let count = match random.u8(0..50) {
            0 => random.usize(500..1_500),
            1..25 => random.usize(1..8),
            _ => 1,
        };
        let retries = self.retries;
        let kind = |random: &mut Rng| match random.u8(0..100) {
            0..4 if retries => Kind::Retry,
            4..12 => Kind::Sleep,
            _ => Kind::Fail,
        };
        (0..count).map(|_| kind(random)).collect()
    }

    fn queue(&mut self, kind: Kind) -> String {
        match kind {
            Kind::Neighbour | Kind::Poison => POISONED_QUEUE.to_owned(),
            Kind::Fail | Kind::Retry | Kind::Sleep => {
                self.queues[self.random.usize(..self.queues.len())].clone()
            }
        }
    }

    fn job(&mut self, kind: Kind) -> NewJob {
        match kind {
            Kind::Fail => {
                let job = NewJob::new("Fail", &["traced"]).unwrap();
                if self.large == 0 || self.random.u8(0..30) > 0 {
                    return job;
                }
                self.large -= 1;
                let bytes = LARGE_BYTES_MAX >> self.random.u32(0..8);
                job.member("padding", &"x".repeat(bytes)).unwrap()
            }
            Kind::Retry => NewJob::new("Fail", &["traced twice"]).unwrap(),
            Kind::Sleep => NewJob::new("Sleep", &[0.01 + self.random.f64() * 0.15]).unwrap(),
            Kind::Neighbour => NewJob::new("Count", &(1, "traced")).unwrap(),
            Kind::Poison => NewJob::new("Abort", &()).unwrap(),
        }
    }
}
