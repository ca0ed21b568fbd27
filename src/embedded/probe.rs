//! Two messages for the private server before there is any connection layer: "do you answer?" and "please end".
//!
//! Plain blocking I/O with a deadline on a unix socket. Everything else goes through `resp` and `store`.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::limits::{EMBEDDED_ANSWER_TIMEOUT, EMBEDDED_POLL_PAUSE};

/// What a socket answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A server answers.
    Ready,
    /// A server is reading its append-only file.
    Loading,
    /// No file, no listener, or not a Redis.
    Nobody,
    /// Something listens, but stays silent for a while.
    Silent,
}

/// Asks once, without waiting for a server to appear.
#[must_use]
pub(crate) fn ask(socket: &Path) -> Answer {
    let ask = || -> io::Result<Answer> {
        let mut stream = connect(socket, EMBEDDED_ANSWER_TIMEOUT)?;
        stream.write_all(b"PING\r\n")?;
        let mut reply = [0; 8];
        stream.read_exact(&mut reply[..5])?;
        Ok(match &reply[..5] {
            b"+PONG" => Answer::Ready,
            b"-LOAD" => Answer::Loading,
            _ => Answer::Nobody,
        })
    };
    ask().unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Answer::Silent,
        _ => Answer::Nobody,
    })
}

/// Tells the server to write its append-only file out and end, as SIGTERM would; no process id is needed, so no other
/// process can be hit. Returns when the server has closed the connection or refused, or after `patience`.
///
/// # Errors
/// The error of the socket; [`io::ErrorKind::Other`] with the server's words if it refuses.
pub(crate) fn shut_down(socket: &Path, patience: Duration) -> io::Result<()> {
    // To a socket, zero means no time-out at all.
    let mut stream = connect(socket, patience.max(EMBEDDED_POLL_PAUSE))?;
    stream.write_all(b"SHUTDOWN\r\n")?;
    let mut reply = Vec::new();
    let mut chunk = [0; 256];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
            Ok(count) => reply.extend_from_slice(&chunk[..count]),
        }
        // The server closes silently when it obeys; a whole line is a refusal.
        if reply.contains(&b'\n') {
            return Err(io::Error::other(String::from_utf8_lossy(&reply).trim().to_owned()));
        }
    }
}

fn connect(socket: &Path, patience: Duration) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    /// A socket whose one connection gets `reply`, after one line was read from it.
    fn served(reply: &'static [u8]) -> (tempfile::TempDir, std::path::PathBuf, thread::JoinHandle<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = [0; 64];
            let count = stream.read(&mut line).unwrap();
            stream.write_all(reply).unwrap();
            String::from_utf8_lossy(&line[..count]).into_owned()
        });
        (dir, path, server)
    }

    #[test]
    fn answers_are_told_apart() {
        for (reply, answer) in [
            (&b"+PONG\r\n"[..], Answer::Ready),
            (b"-LOADING Redis is loading the dataset in memory\r\n", Answer::Loading),
            (b"HTTP/1.1 400\r\n", Answer::Nobody),
            (b"", Answer::Nobody),
        ] {
            let (_dir, path, server) = served(reply);
            assert_eq!(ask(&path), answer, "{reply:?}");
            assert_eq!(server.join().unwrap(), "PING\r\n");
        }
    }

    #[test]
    fn nobody_answers_on_a_missing_and_on_an_abandoned_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert_eq!(ask(&path), Answer::Nobody);
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert_eq!(ask(&path), Answer::Nobody);
    }

    #[test]
    fn a_refused_shutdown_carries_the_servers_words() {
        let (_dir, path, server) = served(b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
        let error = shut_down(&path, EMBEDDED_ANSWER_TIMEOUT).unwrap_err();
        assert!(error.to_string().contains("Check logs"), "{error}");
        server.join().unwrap();
        let (_dir, path, server) = served(b"");
        shut_down(&path, EMBEDDED_ANSWER_TIMEOUT).unwrap();
        server.join().unwrap();
    }
}
