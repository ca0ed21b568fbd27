//! What it costs a shard to settle a batch once its jobs have run: the marks of a batch that is acked whole; for one
//! that failed, the amended payloads; and the call that tells Redis, without its socket. Run: `cargo bench --bench
//! settle`.
#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

use std::hint::black_box;
use std::rc::Rc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiggler_uring::internal::Dispatch;
use jiggler_uring::internal::resp::{Pipeline, Reply, ReplyLimits, Requests};
use jiggler_uring::internal::store::scripts::{LOAD_REPLIES, Scripts};
use jiggler_uring::internal::store::turn::{QueueKeys, Turn, TurnContext};
use jiggler_uring::internal::wire::keys::JIGGLER;
use jiggler_uring::{JobError, JobResult, Registry};

/// Jobs of one batch.
const JOBS: usize = 100;

/// How every job of a batch ends.
type End = fn() -> JobResult;

async fn noop() {}

fn payloads() -> Vec<Bytes> {
    let one = |number: usize| {
        Bytes::from(format!(r#"{{"name":"Noop","args":[],"retries":5,"jid":"0db89b3e2a1c{number:04x}"}}"#))
    };
    (0..JOBS).map(one).collect()
}

fn scripts() -> Scripts {
    let hash = || -> Reply {
        let mut pipeline = Pipeline::new(ReplyLimits::default());
        let mut requests = Requests::new();
        requests.command(&[b"ASK"]);
        pipeline.push(&requests).unwrap();
        pipeline.feed(format!("$40\r\n{}\r\n", "0123456789".repeat(4)).as_bytes());
        pipeline.next_reply().unwrap().unwrap()
    };
    Scripts::read(JIGGLER.shared_realm(), &(0..LOAD_REPLIES).map(|_| hash()).collect::<Vec<_>>()).unwrap()
}

fn settle(criterion: &mut Criterion) {
    let scripts = scripts();
    let queues: Rc<[QueueKeys]> = Rc::new([QueueKeys::new(JIGGLER, "default", "0123456789ab", 0)]);
    let context = TurnContext {
        queues,
        keep_in_flight: true,
        dead_jobs_max: 10_000.into(),
        dead_timeout_s: 1e7.into(),
        looks_at_each: false.into(),
    };
    let dispatch = Dispatch::new(Registry::new(()).job("Noop", noop), 10).unwrap();
    let batch = payloads();
    let mut requests = Requests::new();
    let mut group = criterion.benchmark_group("settle a batch of 100 and write the turn");
    group.throughput(Throughput::Elements(JOBS as u64));
    let results: [(&str, End); 2] =
        [("all succeeded", || Ok(())), ("all failed", || Err(JobError::new("Broken", "on purpose")))];
    for (name, result) in results {
        group.bench_function(name, |bencher| {
            let settle = |started| {
                let settled = dispatch.settle(started, result);
                requests.clear();
                let (number, now) = (18, 1_795_299_919.0);
                let turn =
                    Turn { number, after: 0, wanted: JOBS, order: &[0], limits: &[], settled: &settled, now };
                context.write(&scripts, &turn, &mut requests);
                black_box(requests.as_bytes().len())
            };
            bencher.iter_batched(|| dispatch.started(batch.clone()), settle, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, settle);
criterion_main!(benches);
