//! apalis-redis: no-op jobs, pushed in bulk and run by two workers that fetch in batches.

use std::error::Error;

use apalis_core::backend::TaskSink;
use apalis_core::worker::builder::WorkerBuilder;
use apalis_redis::{Config, RedisStorage};
use peers::Order;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};

/// Jobs of one fetch, the best that was found.
const BATCH_JOBS: usize = 100;

/// Workers, each with a connection of its own.
const WORKERS: usize = 2;

/// Jobs of one push.
const PUSH_JOBS: u64 = 1_000;

/// Moves the pushed jobs from the set of scheduled ones, where version 1.0.0 puts every job, to the list of active ones, in
/// pages. A worker's first fetch would move all due jobs in one call, which Lua refuses beyond about 8,000.
async fn activate<C: redis::aio::ConnectionLike>(conn: &mut C, config: &Config) -> redis::RedisResult<()> {
    loop {
        let page: Vec<String> = redis::cmd("ZRANGE")
            .arg(config.scheduled_jobs_set())
            .arg(0)
            .arg(PUSH_JOBS - 1)
            .query_async(conn)
            .await?;
        if page.is_empty() {
            return redis::cmd("LPUSH").arg(config.signal_list()).arg(1).query_async(conn).await;
        }
        let () = redis::cmd("RPUSH").arg(config.active_jobs_list()).arg(&page).query_async(conn).await?;
        let () = redis::cmd("ZREM").arg(config.scheduled_jobs_set()).arg(&page).query_async(conn).await?;
    }
}

async fn noop(_number: u64) {
    peers::done();
}

/// What the results of jobs are kept for, and the events of them, nobody asks here. Nor is there a lease for each job,
/// beside the worker's set of those in flight: with leases it came to a stand with 150,000 jobs.
fn config() -> Config {
    Config::default()
        .queue("noop")
        .batch_size(BATCH_JOBS)
        .persist_results(false)
        .emit_events(false)
        .lock_tasks(false)
}

/// As the library's own `connect`, which gives an answer up after half a second: a worker ends when that happens.
async fn connect(url: String) -> redis::RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new().set_response_timeout(None);
    redis::Client::open(url)?.get_connection_manager_with_config(config).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Order::read()? {
        Order::Enqueue { url, jobs } => {
            let mut storage = RedisStorage::new(connect(url).await?).with_config(config());
            for start in (0..jobs).step_by(PUSH_JOBS as usize) {
                let numbers: Vec<u64> = (start..jobs.min(start + PUSH_JOBS)).collect();
                storage.push_bulk(numbers).await?;
            }
            activate(storage.get_connection(), &config()).await?;
            Ok(())
        }
        Order::Work { url, jobs, .. } => {
            peers::expect(jobs);
            let mut workers = Vec::new();
            for number in 0..WORKERS {
                let storage = RedisStorage::new(connect(url.clone()).await?).with_config(config());
                let worker = WorkerBuilder::new(format!("worker-{number}")).backend(storage).build(noop);
                workers
                    .push(tokio::spawn(async move { worker.run().await.map_err(|error| error.to_string()) }));
            }
            for worker in workers {
                worker.await??;
            }
            Ok(())
        }
    }
}
