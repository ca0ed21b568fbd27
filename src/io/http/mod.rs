//! An HTTP/1.1 client over the ring: hyper's protocol, kept-alive connections per core, https with the feature `tls`.
//!
//! ```
//! use std::time::Duration;
//!
//! use jiggler_uring::io::http;
//! use jiggler_uring::{Ctx, JobResult, Registry};
//! use serde::{Deserialize, Serialize};
//!
//! struct App {
//!     http: http::Client, // one per core: its connections are shared by the jobs of the core
//! }
//!
//! #[derive(Deserialize)]
//! struct Weather {
//!     celsius: f64,
//! }
//!
//! #[derive(Serialize)]
//! struct Reading {
//!     tenths: i64,
//! }
//!
//! async fn forward(ctx: Ctx<App>, city: String) -> JobResult {
//!     let http = &ctx.state().http;
//!     let weather: Weather = http.get(&format!("http://weather.example/{city}")).send().await?.json().await?;
//!     let reading = Reading { tenths: (weather.celsius * 10.0) as i64 };
//!     let answer = http
//!         .post("http://ledger.example/readings")
//!         .header("idempotency-key", &city)
//!         .json(&reading)
//!         .timeout(Duration::from_secs(5))
//!         .send()
//!         .await?;
//!     answer.error_for_status()?;
//!     Ok(())
//! }
//!
//! let registry = Registry::new(App { http: http::Client::new() }).job("Forward", forward);
//! # drop(registry);
//! ```
//!
//! Limits, all with a default and all in [`ClientOptions`] or the request: the time to connect, the time from the
//! start of a request to the last byte of the answer's body, the size of a body, connections in total, idle
//! connections, and how long those are kept.
//!
//! No task runs per connection: a connection is driven by the request that uses it, so dropping a request (its job
//! was cancelled, or it timed out) closes its connection and affects nothing else. A request that finds its
//! kept-alive connection closed is sent again over a new one, once, if none of it was sent or its method is
//! idempotent.
//!
//! A waiting request takes about 2 KB in all, including the job's own task, and no system calls except the write
//! before and the read after: hyper has its connection only while the answer arrives. Opening a connection costs far
//! more than using one; [`Client::warm_up`] opens them when a worker sets up, before it takes its first job:
//!
//! ```
//! # use jiggler_uring::io::http;
//! # struct App { http: http::Client }
//! async fn open(_core: jiggler_uring::Core) -> Result<jiggler_uring::Registry<App>, http::Error> {
//!     let http = http::Client::new();
//!     http.warm_up("https://ledger.example/", 100).await?;
//!     Ok(jiggler_uring::Registry::new(App { http }))
//! }
//! # drop(open);
//! ```
//!
//! What it does not do: follow redirects, speak HTTP/2, go through proxies, decompress, keep cookies, stream a
//! request's body. A job that needs any of these can use reqwest on the companion runtime (feature `tokio`).

mod client;
mod conn;
mod error;
mod head;
mod options;
mod request;
mod response;
mod retry_after;
mod target;
mod wire;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
pub use client::Client;
pub use error::Error;
pub use options::ClientOptions;
pub use request::Request;
pub use response::Response;
pub(crate) use retry_after::retry_after;

/// Whether a client could request this url.
///
/// # Errors
/// Why not, without showing what may be secret of it.
pub(crate) fn check_url(url: &str) -> Result<(), Error> {
    let target = target::Target::parse(url)?;
    if target.origin.tls && cfg!(not(feature = "tls")) {
        let reason = "it begins with https://, and this build has no tls".to_owned();
        return Err(Error::Url { reason });
    }
    Ok(())
}

/// Host and port of a url, for a look whether anybody is there.
///
/// # Errors
/// As [`check_url`].
pub(crate) fn address(url: &str) -> Result<(String, u16), Error> {
    let origin = target::Target::parse(url)?.origin;
    let host = origin.host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, origin.port))
}
