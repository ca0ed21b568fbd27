//! A server that plays one connection as a test directs: on a thread, over TCP, parsing one command at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use jiggler_uring::internal::resp::RedisUrl;

/// The server's end of the one connection it accepts.
pub(crate) struct Peer {
    stream: BufReader<TcpStream>,
}

/// Accepts one connection, answers its introduction, and then runs `play`; the connection closes with it.
pub(crate) fn peer(play: impl FnOnce(&mut Peer) + Send + 'static) -> (RedisUrl, JoinHandle<()>) {
    raw_peer(|peer| {
        assert_eq!(peer.command()[..2], [b"CLIENT".to_vec(), b"SETNAME".to_vec()]);
        peer.say(b"+OK\r\n");
        play(peer);
    })
}

/// The same without the introduction.
pub(crate) fn raw_peer(play: impl FnOnce(&mut Peer) + Send + 'static) -> (RedisUrl, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = RedisUrl::parse(&format!("redis://{}", listener.local_addr().unwrap())).unwrap();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        play(&mut Peer { stream: BufReader::new(stream) });
    });
    (url, thread)
}

impl Peer {
    /// The next command, argument by argument.
    pub(crate) fn command(&mut self) -> Vec<Vec<u8>> {
        let count = self.header(b'*');
        (0..count)
            .map(|_| {
                let mut arg = vec![0; self.header(b'$') + 2];
                self.stream.read_exact(&mut arg).unwrap();
                arg.truncate(arg.len() - 2);
                arg
            })
            .collect()
    }

    fn header(&mut self, kind: u8) -> usize {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).unwrap();
        assert_eq!(line[0], kind, "{}", line.escape_ascii());
        String::from_utf8_lossy(&line[1..]).trim().parse().unwrap()
    }

    /// Writes bytes, in one piece.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Reads until the other end closes.
    pub(crate) fn until_closed(&mut self) {
        // What else arrives, or how the connection ends, does not matter to the test.
        let _ended = std::io::copy(&mut self.stream, &mut std::io::sink());
    }
}
