//! A web application that pushes jobs: `POST /mails` answers at once, a worker does the work.
//!
//! ```sh
//! REDIS_URL=redis://localhost:6379 PORT=3000 cargo run --example axum_enqueue
//! curl -d '{"to":"ada@example.org","subject":"hello"}' -H 'content-type: application/json' localhost:3000/mails
//! ```
//!
//! The job is a struct that the worker's program shares: see `examples/long_jobs.rs` for that side.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use jiggler_uring::{Client, Job, client};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The job, and the body of the request.
#[derive(Serialize, Deserialize)]
struct SendMail {
    to: String,
    subject: String,
    /// Send it so many seconds later.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_s: Option<u32>,
}

impl Job for SendMail {
    const NAME: &'static str = "SendMail";
    const QUEUE: &'static str = "mails";
    const RETRIES: u32 = 5;
}

/// One connection for all requests: a push takes some 50 microseconds.
#[derive(Clone)]
struct App {
    client: Arc<Mutex<Client>>,
}

async fn send_mail(State(app): State<App>, Json(mail): Json<SendMail>) -> (StatusCode, String) {
    if !mail.to.contains('@') {
        return (StatusCode::UNPROCESSABLE_ENTITY, format!("{} is no address\n", mail.to));
    }
    // The client blocks while Redis answers, which an async worker thread must not.
    let pushed = tokio::task::spawn_blocking(move || {
        let mut client = app.client.lock().unwrap_or_else(PoisonError::into_inner);
        match mail.delay_s {
            None => client.enqueue(&mail),
            Some(seconds) => client.enqueue_in(Duration::from_secs(seconds.into()), &mail),
        }
    });
    match pushed.await {
        Ok(Ok(jid)) => (StatusCode::ACCEPTED, format!("{jid}\n")),
        Ok(Err(error @ client::Error::Job(_))) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        Err(panic) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{panic}\n")),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://localhost:6379".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let app = App { client: Arc::new(Mutex::new(Client::connect(&url)?)) };
    let router = Router::new().route("/mails", post(send_mail)).with_state(app);
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
        Ok(axum::serve(listener, router).await?)
    })
}
