//! Accepts connections and lets hyper speak HTTP/1.1 over them.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Instant;

use hyper::server::conn::http1;
use hyper::service::service_fn;

use super::route;
use super::seats::{Seats, Taken};
use super::state::State;
use crate::io::listen::{Accepted, Listener};
use crate::io::{self, timer};
use crate::limits::{WEB_ACCEPT_PAUSE, WEB_HEAD_BYTES_MAX, WEB_HEADERS_MAX, WEB_SWEEP_PERIOD};

/// Serves until it is dropped; connections end with the executor.
pub(super) async fn serve(listener: &Listener, state: &Rc<State>) {
    let seats = Rc::new(Seats::default());
    let _sweeping = io::spawn(sweep(Rc::clone(&seats)));
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let taken = seats.take(Instant::now());
                io::spawn(converse(stream, taken, Rc::clone(state))).detach();
            }
            Err(error) => {
                tracing::warn!(%error, connections = seats.count(), "web: a connection cannot be accepted");
                timer::sleep(WEB_ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn sweep(seats: Rc<Seats>) {
    loop {
        timer::sleep(WEB_SWEEP_PERIOD).await;
        seats.cut_late(Instant::now());
    }
}

/// One connection, from its first request to its end.
async fn converse(stream: Accepted, taken: Taken, state: Rc<State>) {
    let seat = taken.seat();
    let service = service_fn(|request| {
        seat.begin(Instant::now());
        let state = Rc::clone(&state);
        async move { Ok::<_, Infallible>(route::answer(&state, request).await) }
    });
    let speaking = http1::Builder::new()
        // Its own timeout needs timers that may cross threads; ours covers the answer too.
        .header_read_timeout(None)
        .max_buf_size(WEB_HEAD_BYTES_MAX)
        .max_headers(WEB_HEADERS_MAX)
        .serve_connection(stream, service);
    let spoken = async {
        if let Err(error) = speaking.await {
            tracing::debug!(%error, "web: a connection ended early");
        }
    };
    futures_lite::future::or(spoken, seat.is_cut()).await;
}
