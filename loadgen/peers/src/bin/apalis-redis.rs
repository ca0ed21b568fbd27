//! apalis-redis: no-op jobs, pushed in bulk and run by two workers that fetch in batches.

use std::error::Error;

use apalis_core::backend::TaskSink;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_redis::{Config, RedisStorage};
use peers::Order;

/// Jobs of one fetch, the best that was found.
const BATCH_JOBS: usize = 100;

/// Workers, each with a connection of its own.
const WORKERS: usize = 2;

/// Jobs of one push.
const PUSH_JOBS: u64 = 1_000;

async fn noop(_number: u64) {
    peers::done();
}

/// What the results of jobs are kept for, and the events of them, nobody asks here.
fn config() -> Config {
    Config::default().queue("noop").batch_size(BATCH_JOBS).persist_results(false).emit_events(false)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Order::read()? {
        Order::Enqueue { url, jobs } => {
            let mut storage = RedisStorage::new(apalis_redis::connect(url).await?).with_config(config());
            for start in (0..jobs).step_by(PUSH_JOBS as usize) {
                let numbers: Vec<u64> = (start..jobs.min(start + PUSH_JOBS)).collect();
                storage.push_bulk(numbers).await?;
            }
            Ok(())
        }
        Order::Work { url, jobs, .. } => {
            peers::expect(jobs);
            let mut workers = Vec::new();
            for number in 0..WORKERS {
                let storage = RedisStorage::new(apalis_redis::connect(url.clone()).await?).with_config(config());
                let worker = WorkerBuilder::new(format!("worker-{number}")).backend(storage).build(noop);
                workers.push(tokio::spawn(async move { worker.run().await.map_err(|error| error.to_string()) }));
            }
            for worker in workers {
                worker.await??;
            }
            Ok(())
        }
    }
}
