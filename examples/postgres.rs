//! A worker whose jobs write to PostgreSQL over their core's ring. They run at least once, so they are written such
//! that a second run changes nothing.
//!
//! ```sh
//! export DATABASE_URL=postgresql://app@127.0.0.1/ledger
//! cargo run --example postgres --features postgres -- --cores 1
//! jiggler-uring enqueue Book '[17, 4200]' --retries 5
//! ```

use std::process::ExitCode;

use jiggler_uring::io::postgres::Pool;
use jiggler_uring::{Ctx, JobError, JobResult, Registry};

struct App {
    db: Pool,
}

/// Books an order once, and counts it once, however often the job runs.
async fn book(ctx: Ctx<App>, order: i64, cents: i64) -> JobResult {
    let mut conn = ctx.state().db.get().await?;
    // Prepared once per connection.
    let insert = "INSERT INTO bookings (order_id, cents) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let insert = conn.prepare_cached(insert).await?;
    let add = conn.prepare_cached("UPDATE totals SET cents = cents + $1").await?;
    let transaction = conn.transaction().await?;
    if transaction.execute(&insert, &[&order, &cents]).await? == 1 {
        transaction.execute(&add, &[&cents]).await?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn app() -> Result<App, JobError> {
    let config = std::env::var("DATABASE_URL").map_err(|_| {
        JobError::new("NoDatabase", "set DATABASE_URL, such as postgresql://app@127.0.0.1/ledger")
    })?;
    let db = Pool::new(&config)?;
    let conn = db.get().await?;
    // Several cores may do this at the same time, which IF NOT EXISTS alone does not survive: one after the other.
    conn.batch_execute(
        "BEGIN; SELECT pg_advisory_xact_lock(4711); \
         CREATE TABLE IF NOT EXISTS bookings (order_id bigint PRIMARY KEY, cents bigint NOT NULL); \
         CREATE TABLE IF NOT EXISTS totals (cents bigint NOT NULL); \
         INSERT INTO totals SELECT 0 WHERE NOT EXISTS (SELECT FROM totals); COMMIT",
    )
    .await?;
    drop(conn);
    Ok(App { db })
}

fn main() -> ExitCode {
    jiggler_uring::worker(|_core| async { Ok::<_, JobError>(Registry::new(app().await?).job("Book", book)) })
        .run()
}
