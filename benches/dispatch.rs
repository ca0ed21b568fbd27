//! What a shard itself costs per job: parse, look up, decode the arguments, run, record the end. No Redis, no socket.
//!
//! The limit is 600 ns for a job that does nothing. Figures are per batch of 100 jobs and per job (`thrpt` is jobs per
//! second).

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use glommio::{LocalExecutorBuilder, Placement};
use jiggler_uring::internal::Dispatch;
use jiggler_uring::{Ctx, JobError, JobResult, Registry};

/// Jobs of one batch.
const JOBS: usize = 100;

async fn noop() {}

async fn resize(id: u64, width: u32, format: Option<String>) {
    black_box((id, width, format));
}

async fn with_context(ctx: Ctx<()>, id: u64, width: u32) {
    black_box((ctx.job().attempt, id, width));
}

async fn fail(_id: u64, _width: u32) -> JobResult {
    Err(JobError::new("Broken", "on purpose"))
}

fn registry() -> Registry {
    Registry::new(())
        .job("Noop", noop)
        .job("ResizeImage", resize)
        .job("WithContext", with_context)
        .job("Fail", fail)
}

fn payloads(name: &str, args: &str) -> Vec<Bytes> {
    let one = |number: usize| {
        let text =
            format!(r#"{{"name":"{name}","args":{args},"retries":5,"jid":"0db89b3e2a1c{number:04x}"}}"#);
        Bytes::from(text)
    };
    (0..JOBS).map(one).collect()
}

fn dispatch(criterion: &mut Criterion) {
    let executor = LocalExecutorBuilder::new(Placement::Unbound).make().unwrap();
    let mut group = criterion.benchmark_group("dispatch");
    group.throughput(Throughput::Elements(JOBS as u64));
    for (label, name, args) in [
        ("noop", "Noop", "[]"),
        ("two numbers", "ResizeImage", "[8467123,1280]"),
        ("two numbers and a context", "WithContext", "[8467123,1280]"),
        ("a failure", "Fail", "[8467123,1280]"),
        ("wrong arguments", "ResizeImage", r#"[8467123,"wide"]"#),
    ] {
        let dispatch = Dispatch::new(registry(), 10).unwrap();
        let batch = payloads(name, args);
        group.bench_function(label, |bencher| {
            bencher.iter_custom(|rounds| {
                executor.run(async {
                    let mut spent = Duration::ZERO;
                    for _ in 0..rounds {
                        let batch = batch.clone();
                        let began = Instant::now();
                        black_box(dispatch.run(batch).await);
                        spent += began.elapsed();
                    }
                    spent
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, dispatch);
criterion_main!(benches);
