//! PostgreSQL over the ring: tokio-postgres's protocol, a pool of connections per core, TLS with the feature `tls`.
//!
//! ```
//! use jiggler_uring::io::postgres::{self, Pool};
//! use jiggler_uring::{Ctx, JobResult};
//!
//! struct App {
//!     db: Pool, // one per core
//! }
//!
//! async fn book(ctx: Ctx<App>, order: i64, cents: i64) -> JobResult {
//!     let mut conn = ctx.state().db.get().await?;
//!     let tx = conn.transaction().await?; // rolled back when dropped before its commit
//!     tx.execute("INSERT INTO bookings (order_id, cents) VALUES ($1, $2) ON CONFLICT DO NOTHING", &[&order, &cents])
//!         .await?;
//!     tx.commit().await?;
//!     Ok(())
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = App { db: Pool::new("host=/run/postgresql user=app dbname=ledger")? };
//! # drop((app, book));
//! # Ok(())
//! # }
//! ```
//!
//! [`Conn`] is a [`tokio_postgres::Client`], and queries are written the same way. Jobs get connections in the order
//! they ask. Connections are opened on demand, or ahead of time when a worker sets up ([`Pool::warm_up`]); they are
//! kept while they are in use, and thrown away when they break.
//!
//! A connection goes to the next job only at rest: every answer has arrived and no transaction is open, according to
//! the server itself. If its job was dropped in the middle of a query, it is given a moment to finish and is closed
//! otherwise, so no job sees another's transaction or waits behind its query. What a job has *set* on it (`SET`,
//! temporary tables, session-level advisory locks, listening) stays: use `SET LOCAL` and transaction-level locks.

mod conn;
mod error;
mod link;
mod pool;
mod rest;
mod settle;
#[cfg(feature = "tls")]
mod tls;

pub use conn::Conn;
pub use error::Error;
pub use pool::{Pool, PoolOptions};
pub use tokio_postgres;
