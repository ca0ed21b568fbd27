//! Pushes jobs that leave a trace, straight to Redis, through all of its outages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use jiggler_uring::client::{Client, NewJob};
use jiggler_uring::resp::RedisUrl;
use jiggler_uring::resp::blocking::BlockingOptions;

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

/// Between two pushes.
const TICK: Duration = Duration::from_millis(20);

/// Longest wait for one answer; what comes later counts as unsure.
const PATIENCE: Duration = Duration::from_secs(2);

impl Producer {
    pub(crate) fn start(url: &str, seed: u64, queues: usize, retries: bool) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let url = RedisUrl::parse(url).unwrap();
        let thread = thread::spawn({
            let over = Arc::clone(&over);
            move || push_until(&over, &url, &mut Rng::with_seed(seed), queues, retries)
        });
        Self { over, thread }
    }

    pub(crate) fn finish(self) -> Jobs {
        self.over.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

fn push_until(over: &AtomicBool, url: &RedisUrl, random: &mut Rng, queues: usize, retries: bool) -> Jobs {
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
            client = Client::connect_with(url, options.clone()).ok();
        }
        let Some(open) = &mut client else { continue };
        // Mostly a trickle that finds the workers idle, now and then a backlog.
        let count = match random.u8(0..50) {
            0 => random.usize(500..1_500),
            1..25 => random.usize(1..8),
            _ => 1,
        };
        let mut batch = Vec::with_capacity(count);
        let mut kinds = Vec::with_capacity(count);
        for _ in 0..count {
            let jid = format!("{:08}", jobs.len() + kinds.len());
            let kind = match random.u8(0..100) {
                0..4 if retries => Kind::Retry,
                4..12 => Kind::Sleep,
                _ => Kind::Fail,
            };
            let queue = if random.usize(0..queues) == 0 { "default" } else { "img" };
            batch.push(job(kind, random).jid(&jid).unwrap().queue_named(queue).unwrap());
            kinds.push((jid, kind));
        }
        let scheduled = count < 8 && random.u8(0..10) == 0;
        let result = if scheduled {
            let due_at = jiggler_uring::time::unix_now() + random.f64() * 2.0;
            open.enqueue_bulk_at(due_at, &batch)
        } else {
            open.enqueue_bulk(&batch)
        };
        let sure = result.is_ok();
        jobs.extend(kinds.into_iter().map(|(jid, kind)| (jid, Pushed { kind, sure })));
        if !sure {
            client = None;
        }
    }
    jobs
}

fn job(kind: Kind, random: &mut Rng) -> NewJob {
    match kind {
        Kind::Fail => NewJob::new("Fail", &["traced"]).unwrap(),
        Kind::Retry => NewJob::new("Fail", &["traced twice"]).unwrap().retries(1).unwrap(),
        Kind::Sleep => NewJob::new("Sleep", &[0.01 + random.f64() * 0.15]).unwrap(),
    }
}
