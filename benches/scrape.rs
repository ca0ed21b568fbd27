//! What it costs to write the metrics of a large process: 500 classes in 50 queues. Run: `cargo bench --bench scrape`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiggler_uring::internal::web::Scrape;

/// Classes, each in one of the queues.
const CLASSES: usize = 500;

const QUEUES: usize = 50;

fn write(criterion: &mut Criterion) {
    let scrape = Scrape::of(CLASSES, QUEUES);
    let mut group = criterion.benchmark_group("scrape");
    group.throughput(Throughput::Bytes(scrape.write().len() as u64));
    group.bench_function("500 classes in 50 queues", |bencher| bencher.iter(|| black_box(scrape.write())));
    group.finish();
}

criterion_group!(benches, write);
criterion_main!(benches);
