//! A web application that pushes jobs: `POST /mails` answers at once, a worker does the work.
//!
//! ```sh
//! REDIS_URL=redis://localhost:6379 PORT=3000 cargo run --example axum_enqueue --features tokio
//! curl -d '{"to":"ada@example.org","subject":"hello"}' -H 'content-type: application/json' localhost:3000/mails
//! ```
//!
//! The job is a struct that the worker's program shares: see `examples/long_jobs.rs` for that side.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use jiggler_uring::{Job, TokioClient, client};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The job, and the body of the request.
#[derive(Serialize, Deserialize)]
struct SendMail {
    to: String,
    subject: String,
    /// Send it this many seconds later.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_s: Option<u32>,
}

impl Job for SendMail {
    const NAME: &'static str = "SendMail";
    const QUEUE: &'static str = "mails";
    const RETRIES: Option<u32> = Some(5);
}

/// One connection for all requests: whatever is pushed at the same moment shares a round trip.
#[derive(Clone)]
struct App {
    client: TokioClient,
}

async fn send_mail(State(app): State<App>, Json(mail): Json<SendMail>) -> (StatusCode, String) {
    if !mail.to.contains('@') {
        return (StatusCode::UNPROCESSABLE_ENTITY, format!("{} is not an address\n", mail.to));
    }
    let pushed = match mail.delay_s {
        None => app.client.enqueue(&mail).await,
        Some(seconds) => app.client.enqueue_in(Duration::from_secs(seconds.into()), &mail).await,
    };
    match pushed {
        Ok(jid) => (StatusCode::ACCEPTED, format!("{jid}\n")),
        Err(error @ client::Error::Job(_)) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")),
        // The caller may try again, but should know when the mail may already be on its way.
        Err(error) if error.may_have_pushed() => (StatusCode::GATEWAY_TIMEOUT, format!("{error}\n")),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://localhost:6379".to_owned());
    let port: u16 = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let app = App { client: TokioClient::connect(&url).await? };
        let router = Router::new().route("/mails", post(send_mail)).with_state(app);
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
        Ok(axum::serve(listener, router).await?)
    })
}
