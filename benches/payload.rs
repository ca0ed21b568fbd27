//! What one job's bytes cost a shard: parsing the payload, decoding its arguments, changing it after a failure.
//!
//! The limit applies to parsing a payload of 90 bytes: well under 400 ns, without an allocation (which
//! `tests/parts/allocations.rs` asserts). serde_json into an owned value is there for comparison.

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiggler_uring::internal::job::Schema;
use jiggler_uring::internal::job::bad::bury_unparsable;
use jiggler_uring::internal::job::failure::ErrorInfo;
use jiggler_uring::internal::job::parse::Parser;
use jiggler_uring::internal::job::retry::{Course, FailureTimes, Plan, decide, gem_delay};

/// 90 bytes, as the gem writes a job with two arguments.
const SMALL: &[u8] =
    br#"{"name":"ResizeImageJob","args":[8467123,1280],"retries":5,"jid":"0db89b3e2a1cde66","x":1}"#;

/// Every JSON type the gem writes.
const MIXED: &[u8] = r#"{"name":"PlainJob","args":[1,-2,"two",3.5,1.0e+21,12345678901234567890,null,true,false,[1,[2]],{"k":"v"},"é ✓ 😀","line\nbreak \"q\" \\ / <b>&"],"retries":0,"jid":"0d655a187e214821"}"#.as_bytes();

/// A job that failed once.
const FAILED: &[u8] = br#"{"name":"FailJob","args":[1,"x"],"retries":2,"jid":"4c33ba07cc275b66","started_at":1795299903.7095177,"error_message":"boom","error_class":"ArgumentError","retry_at":1795299919.7095342,"attempt":1,"queue":"custom_retries"}"#;

fn parse(criterion: &mut Criterion) {
    let large =
        format!(r#"{{"name":"N","args":["{}"],"retries":0,"jid":"0d655a187e214821"}}"#, "x".repeat(10_000));
    let huge_number = SMALL.to_ascii_lowercase();
    let huge_number = String::from_utf8(huge_number).unwrap().replace("1280", "1e400");
    let mut group = criterion.benchmark_group("parse");
    for (name, payload) in [
        ("small", SMALL),
        ("mixed", MIXED),
        ("failed", FAILED),
        ("10 kB text", large.as_bytes()),
        ("second opinion", huge_number.as_bytes()),
    ] {
        let mut parser = Parser::default();
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| parser.parse(black_box(payload)).unwrap().history);
        });
    }
    group.bench_function("small, serde_json value", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(SMALL)).unwrap());
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut parser = Parser::default();
    criterion.bench_function("parse small and decode (u64, u32)", |bencher| {
        bencher.iter(|| {
            let mut args = parser.parse(black_box(SMALL)).unwrap().args;
            (args.take::<u64>().unwrap(), args.take::<u32>().unwrap())
        });
    });
}

fn write(criterion: &mut Criterion) {
    let history = Parser::default().parse(FAILED).unwrap().history;
    let error = ErrorInfo::new("ArgumentError", "boom");
    let course = Course::Retry { after: gem_delay(1) };
    let plan = Plan {
        schema: Schema::Jiggler,
        queue: "default",
        retry_queue: "custom_retries",
        course,
        backtrace: None,
    };
    let times = FailureTimes::at(1_795_299_919.812_253_5);
    criterion.bench_function("decide on a failure", |bencher| {
        bencher.iter(|| decide(black_box(FAILED), history, &plan, &error, times).unwrap());
    });
    let reason = Parser::default().parse(b"this is not json").unwrap_err();
    criterion.bench_function("bury bytes that are not a job", |bencher| {
        bencher.iter(|| {
            bury_unparsable(Schema::Jiggler, black_box(b"this is not json"), &reason, "default", 1.0)
        });
    });
}

criterion_group!(benches, parse, decode, write);
criterion_main!(benches);
