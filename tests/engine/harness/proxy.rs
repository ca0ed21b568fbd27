//! A faulty line between a worker and its Redis: a proxy on a unix socket that drops connections where a plan says
//! so.
//!
//! A connection is lost whole, as real ones are: with a request that never arrived, or with the reply to one that
//! did.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

/// What happens to a piece of what a worker sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives, and so does its reply.
    Arrive,
    /// It does not arrive: the connection is lost first.
    LoseRequest,
    /// It arrives; the connection is lost instead of delivering the reply.
    LoseReply,
    /// It arrives; these bytes take the place of its reply.
    Answer(&'static [u8]),
    /// It arrives, and these bytes are the immediate answer; its reply, whenever it comes, is discarded. The connection to
    /// the server stays, whatever the client does, like one that a load balancer owns.
    AnswerAtOnce(&'static [u8]),
}

/// Decides the fate of each piece; called by one connection at a time.
type Plan = Arc<Mutex<dyn FnMut(&[u8]) -> Fate + Send>>;

/// Serves until the test ends; its threads end with their connections.
pub(crate) struct Proxy {
    directory: TempDir,
}

impl Proxy {
    /// A proxy in front of the server at `upstream`.
    pub(crate) fn start(upstream: PathBuf, plan: impl FnMut(&[u8]) -> Fate + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("proxy.sock")).unwrap();
        let plan: Plan = Arc::new(Mutex::new(plan));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&upstream)) else { continue };
                let plan = Arc::clone(&plan);
                thread::spawn(move || serve(client, server, &plan));
            }
        });
        Self { directory }
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.directory.path().join("proxy.sock").display())
    }
}

/// One connection: what the client sends goes through the plan; a separate thread copies the replies.
fn serve(mut client: UnixStream, mut server: UnixStream, plan: &Plan) {
    let replies = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let muted = Arc::new(Mutex::new(Fate::Arrive));
    let copier = thread::spawn({
        let muted = Arc::clone(&muted);
        move || copy_replies(replies.0, replies.1, &muted)
    });
    let mut chunk = vec![0; 1 << 20];
    while let Ok(bytes @ 1..) = client.read(&mut chunk) {
        let fate = (plan.lock().unwrap())(&chunk[..bytes]);
        *muted.lock().unwrap() = fate;
        if fate == Fate::LoseRequest || server.write_all(&chunk[..bytes]).is_err() {
            break;
        }
        if let Fate::AnswerAtOnce(answer) = fate {
            // Anything more from the client is not passed on: it would wait behind what blocks.
            let _ = client.write_all(answer).and_then(|()| client.read(&mut chunk));
            let _ = client.shutdown(Shutdown::Both);
            let _ = copier.join();
            return;
        }
    }
    // Nothing to do if one side is already gone.
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    let _ = copier.join();
}

/// Copies replies until the connection ends; while it is muted, the first reply ends it.
fn copy_replies(mut server: UnixStream, mut client: UnixStream, muted: &Mutex<Fate>) {
    let mut chunk = vec![0; 1 << 20];
    while let Ok(bytes @ 1..) = server.read(&mut chunk) {
        let fate = *muted.lock().unwrap();
        let answer = match fate {
            Fate::LoseReply => break,
            Fate::AnswerAtOnce(_) => continue,
            Fate::Answer(answer) => answer,
            Fate::Arrive | Fate::LoseRequest => &chunk[..bytes],
        };
        if client.write_all(answer).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
