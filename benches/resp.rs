//! The codec alone: commands into bytes, bytes into replies, whole and in reads of a socket's size.
//! Run: `cargo bench --bench resp`.
#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiggler_uring::internal::resp::{Pipeline, ReplyLimits, Requests};

const BULKS: usize = 500;

const BULK: [u8; 100] = [b'x'; 100];

fn encode(criterion: &mut Criterion) {
    let mut requests = Requests::new();
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Elements(BULKS as u64));
    group.bench_function("one command of 500 bulks", |bencher| {
        bencher.iter(|| {
            requests.clear();
            let mut command = requests.begin(1 + BULKS);
            command.arg(b"PUSH");
            (0..BULKS).for_each(|_| {
                command.arg(black_box(&BULK));
            });
        });
    });
    group.bench_function("500 commands of a number", |bencher| {
        bencher.iter(|| {
            requests.clear();
            (0..BULKS as u64).for_each(|number| {
                requests.begin(2).arg(b"PUSH").arg_u64(black_box(number));
            });
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut wire = format!("*{BULKS}\r\n").into_bytes();
    for _ in 0..BULKS {
        wire.extend_from_slice(b"$100\r\n");
        wire.extend_from_slice(&BULK);
        wire.extend_from_slice(b"\r\n");
    }
    let mut ask = Requests::new();
    ask.command(&[b"ASK"]);
    let mut group = criterion.benchmark_group("decode an array of 500 bulks");
    group.throughput(Throughput::Elements(BULKS as u64));
    for (name, chunk) in [("at once", wire.len()), ("in reads of 1 KiB", 1_024)] {
        let mut pipeline = Pipeline::new(ReplyLimits::default());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                pipeline.push(&ask).unwrap();
                pipeline.wrote(ask.as_bytes().len());
                let mut reply = None;
                for bytes in wire.chunks(chunk) {
                    pipeline.feed(black_box(bytes));
                    reply = pipeline.next_reply().unwrap();
                }
                reply.unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
