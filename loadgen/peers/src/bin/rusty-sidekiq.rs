//! rusty-sidekiq: no-op jobs, pushed in the format of Sidekiq and run by its processor.

use std::error::Error;

use async_trait::async_trait;
use bb8::Pool;
use peers::Order;
use sidekiq::{Processor, ProcessorConfig, RedisConnectionManager, Worker, WorkerOpts};

/// Connections beside one for each worker: for its own clocks and statistics.
const SPARE_CONNECTIONS: u32 = 5;

/// Jobs of one push.
const PUSH_JOBS: u64 = 1_000;

#[derive(Clone)]
struct Noop;

#[async_trait]
impl Worker<()> for Noop {
    fn opts() -> WorkerOpts<(), Self> {
        WorkerOpts::new().queue("default")
    }

    async fn perform(&self, _arguments: ()) -> sidekiq::Result<()> {
        peers::done();
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match Order::read()? {
        Order::Enqueue { url, jobs } => {
            let pool = Pool::builder().build(RedisConnectionManager::new(url)?).await?;
            for start in (0..jobs).step_by(PUSH_JOBS as usize) {
                let pushes = (start..jobs.min(start + PUSH_JOBS)).map(|_| Noop::perform_async(&pool, ()));
                futures::future::try_join_all(pushes).await?;
            }
            Ok(())
        }
        Order::Work { url, concurrency, jobs } => {
            peers::expect(jobs);
            let connections = u32::try_from(concurrency)? + SPARE_CONNECTIONS;
            let pool = Pool::builder()
                .max_size(connections)
                .test_on_check_out(false)
                .build(RedisConnectionManager::new(url)?)
                .await?;
            let config = ProcessorConfig::default().num_workers(concurrency);
            let mut processor = Processor::new(pool, vec!["default".to_owned()]).with_config(config);
            processor.register(Noop);
            processor.run().await;
            Ok(())
        }
    }
}
