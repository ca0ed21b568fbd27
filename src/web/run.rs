//! The executor from start to end.

use std::io;

use super::options::WebOptions;
use super::server::serve;
use super::state::State;
use crate::io::listen::{Lifeline, Listener};

/// Serves until the other end of the lifeline is closed.
///
/// # Errors
/// The kernel has no memory for watched sockets.
pub(crate) async fn run(options: WebOptions) -> io::Result<()> {
    let WebOptions { listener, lifeline, shown } = options;
    let (listener, lifeline) = (Listener::new(listener)?, Lifeline::new(lifeline)?);
    let state = State::start(shown);
    futures_lite::future::or(serve(&listener, &state), lifeline.is_cut()).await;
    Ok(())
}
