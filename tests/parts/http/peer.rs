//! An HTTP server that does as a test directs: one thread per connection, bytes written as given.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// One connection, with the test playing the server's side.
pub(crate) struct Peer<S> {
    stream: BufReader<S>,
    /// Which connection it is, from 0.
    pub(crate) number: usize,
}

/// A request that arrived.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A server; its threads end with the process.
pub(crate) struct Server {
    pub(crate) url: String,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    /// Handles every connection with `play`, which returns when the connection is to be closed.
    pub(crate) fn start(play: impl Fn(&mut Peer<TcpStream>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, play) = (Arc::clone(&accepted), Arc::new(play));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (stream, play) = (stream.unwrap(), Arc::clone(&play));
                stream.set_nodelay(true).unwrap();
                thread::spawn(move || play(&mut Peer::new(stream, number)));
            }
        });
        Self { url, accepted }
    }

    /// How many connections have been accepted.
    pub(crate) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl<S: Read + Write> Peer<S> {
    pub(crate) fn new(stream: S, number: usize) -> Self {
        Self { stream: BufReader::new(stream), number }
    }

    /// The next request, or `None` if the client has closed.
    pub(crate) fn asked(&mut self) -> Option<Asked> {
        let mut head = String::new();
        loop {
            match self.stream.read_line(&mut head) {
                Ok(0) | Err(_) => return None,
                Ok(_) if head.ends_with("\r\n\r\n") => break,
                Ok(_) => {}
            }
        }
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).unwrap();
        Some(Asked { head, body })
    }

    /// Writes bytes; whether the client accepts them is not the test's concern.
    pub(crate) fn say(&mut self, text: impl AsRef<[u8]>) {
        let _gone = self.stream.get_mut().write_all(text.as_ref());
        let _gone = self.stream.get_mut().flush();
    }

    /// Answers with this body.
    pub(crate) fn answer(&mut self, body: &str) {
        self.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    }

    /// Waits until the client closes.
    pub(crate) fn until_closed(&mut self) {
        let _ended = std::io::copy(&mut self.stream, &mut std::io::sink());
    }
}

impl Peer<TcpStream> {
    /// Ends the connection with a reset: what was sent and not read is lost.
    pub(crate) fn reset(&mut self) {
        let socket = socket2::SockRef::from(self.stream.get_ref());
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Closes the sending side.
    pub(crate) fn close(&mut self) {
        let _gone = self.stream.get_ref().shutdown(Shutdown::Both);
    }
}
