//! `loadgen delay-server`: an HTTP server that answers every request after the same time, as the published one does.
//!
//! One thread, one task a connection; it reads requests without a body and keeps connections alive. Not a server for
//! anything else.

use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};

use crate::error::Error;

/// Says where the server listens; the port follows.
pub(crate) const LISTENING: &str = "listening on port ";

/// Ends a request without a body.
const END_OF_REQUEST: &[u8] = b"\r\n\r\n";

/// Longest request; one of the scenario's has about 100 bytes.
const REQUEST_BYTES_MAX: usize = 4_096;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n\r\nHello World!";

/// Serves until the process is ended.
///
/// # Errors
/// No executor, or no free port.
pub(crate) fn serve(delay: Duration) -> Result<(), Error> {
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .name("delay-server")
        .spawn(move || accept(delay))
        .map_err(|error| Error::system("starting the delay server", io::Error::other(error.to_string())))?;
    executor.join().map_err(|error| Error::system("the delay server", io::Error::other(error.to_string())))?
}

async fn accept(delay: Duration) -> Result<(), Error> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        Error::system(what.to_owned(), io::Error::other(error.to_string()))
    };
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| failed("a port to listen on", &error))?;
    let address = listener.local_addr().map_err(|error| failed("the port", &error))?;
    let mut out = io::stdout();
    writeln!(out, "{LISTENING}{}", address.port())
        .and_then(|()| out.flush())
        .map_err(|error| Error::system("telling the port", error))?;
    let delay = Rc::new(delay);
    loop {
        let stream = listener.accept().await.map_err(|error| failed("accepting a connection", &error))?;
        let delay = Rc::clone(&delay);
        // A client that goes away ends its task; nobody waits for it.
        glommio::spawn_local(async move { answer(stream, *delay).await }).detach();
    }
}

async fn answer(mut stream: TcpStream, delay: Duration) -> io::Result<()> {
    stream.set_nodelay(true).map_err(|error| io::Error::other(error.to_string()))?;
    let mut request = Vec::new();
    let mut piece = [0; 1_024];
    loop {
        let read = stream.read(&mut piece).await?;
        if read == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
        request.extend_from_slice(&piece[..read]);
        if request.ends_with(END_OF_REQUEST) {
            request.clear();
            glommio::timer::sleep(delay).await;
            stream.write_all(ANSWER).await?;
        }
    }
}
