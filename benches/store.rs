//! A turn at full load without its socket: the call that acks one batch, whole and job by job, and the reply that
//! brings the next. Run: `cargo bench --bench store`.
#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

use std::hint::black_box;
use std::rc::Rc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiggler_uring::internal::limits::BATCH_JOBS_MAX;
use jiggler_uring::internal::resp::{Pipeline, Reply, ReplyLimits, Requests};
use jiggler_uring::internal::store::scripts::{LOAD_REPLIES, Scripts};
use jiggler_uring::internal::store::turn::{
    BatchName, Destination, Move, QueueKeys, Settlement, Turn, TurnContext, TurnReply,
};
use jiggler_uring::internal::wire::keys::JIGGLER;

const PAYLOAD: &[u8] =
    br#"{"name":"Noop","args":[],"jid":"0db89b3e2a1cde66","retries":0,"attempt":0,"queue":"default"}"#;

/// Decodes a reply as a connection does.
fn reply(wire: &[u8]) -> Reply {
    let mut pipeline = Pipeline::new(ReplyLimits::default());
    let mut requests = Requests::new();
    requests.command(&[b"ASK"]);
    pipeline.push(&requests).unwrap();
    pipeline.feed(wire);
    pipeline.next_reply().unwrap().unwrap()
}

fn scripts() -> Scripts {
    let hash = reply(format!("$40\r\n{}\r\n", "0123456789".repeat(4)).as_bytes());
    Scripts::read(JIGGLER.shared_realm(), &vec![hash; LOAD_REPLIES]).unwrap()
}

fn settlements() -> [(&'static str, Settlement); 3] {
    let jobs = BATCH_JOBS_MAX as u64;
    let raw = Bytes::from_static(PAYLOAD);
    let from = (0, BatchName::Turn(17));
    let single = (0, BatchName::Turn(17), raw.clone());
    let to = Destination::Retries;
    let job = Move { from, raw, to, score: 1_795_299_919.812, payload: PAYLOAD.to_vec() };
    [
        ("a whole batch", Settlement { processed: jobs, wholes: vec![(0, 17)], ..Settlement::default() }),
        (
            "500 jobs one by one",
            Settlement { processed: jobs, singles: vec![single; BATCH_JOBS_MAX], ..Settlement::default() },
        ),
        (
            "500 failures",
            Settlement {
                processed: jobs,
                failed: jobs,
                moves: vec![job; BATCH_JOBS_MAX],
                ..Settlement::default()
            },
        ),
    ]
}

fn encode(criterion: &mut Criterion) {
    let scripts = scripts();
    let queues: Rc<[QueueKeys]> = Rc::new([QueueKeys::new(JIGGLER, "default", "0123456789ab", 0)]);
    let context = TurnContext {
        queues,
        keep_in_flight: true,
        dead_jobs_max: 10_000.into(),
        dead_timeout_s: 1e7.into(),
        looks_at_each: false.into(),
    };
    let mut group = criterion.benchmark_group("encode a turn that settles");
    for (name, settled) in settlements() {
        let mut requests = Requests::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                requests.clear();
                let turn = Turn {
                    number: 18,
                    after: 0,
                    wanted: BATCH_JOBS_MAX,
                    order: &[0],
                    limits: &[],
                    settled: black_box(&settled),
                    now: 1_795_299_919.0,
                };
                context.write(&scripts, &turn, &mut requests);
                requests.as_bytes().len()
            });
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let answer = reply(format!("*4\r\n:1\r\n:{BATCH_JOBS_MAX}\r\n:0\r\n:9999999\r\n").as_bytes());
    let mut wire = format!("*{BATCH_JOBS_MAX}\r\n").into_bytes();
    for _ in 0..BATCH_JOBS_MAX {
        wire.extend_from_slice(format!("${}\r\n", PAYLOAD.len()).as_bytes());
        wire.extend_from_slice(PAYLOAD);
        wire.extend_from_slice(b"\r\n");
    }
    let mut group = criterion.benchmark_group("read the reply to a turn");
    group.throughput(Throughput::Elements(BATCH_JOBS_MAX as u64));
    let decoded = [answer.clone(), reply(&wire)];
    group.bench_function("500 jobs, decoded already", |bencher| {
        bencher.iter(|| TurnReply::read(black_box(&decoded), &[0]).unwrap());
    });
    group.bench_function("500 jobs, from the wire", |bencher| {
        bencher.iter(|| TurnReply::read(&[answer.clone(), reply(black_box(&wire))], &[0]).unwrap());
    });
    group.finish();
}

criterion_group!(benches, encode, read);
criterion_main!(benches);
