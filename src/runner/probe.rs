//! Whether a runner would start here: its interpreter, its application, the first word of the protocol. For `doctor`.

use std::io::{self, PipeReader, Read};
#[cfg(feature = "http")]
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::unix::net::UnixStream;
use std::process::Child as Process;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::frame::{self, Hello, PROTOCOL, Said};
use super::keeper::wait;
use super::output::Lines;
use super::programs::{command, forks};
use super::server::end_process;
use super::spec::RunnerSpec;
#[cfg(feature = "http")]
use super::spec::{HttpTarget, Program};
#[cfg(feature = "http")]
use crate::limits::runner::RUNNER_CONNECT_TIME;
use crate::limits::runner::{RUNNER_CHUNK_BYTES, RUNNER_LINE_BYTES_MAX, RUNNER_LOAD_TIME};

/// Loads the application once, or connects to the server, and says how long that took.
///
/// # Errors
/// Why it would not start, with the last line that it printed.
pub(crate) fn probe(spec: &RunnerSpec) -> Result<Duration, String> {
    #[cfg(feature = "http")]
    if let Program::Http(target) = &spec.program {
        spec.ensure_usable().map_err(|error| error.to_string())?;
        return connect(target);
    }
    let failed = |error: io::Error| format!("it cannot be started: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let (output, writer) = io::pipe().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    rustix::io::ioctl_fionbio(&output, true).map_err(|error| failed(error.into()))?;
    let began = Instant::now();
    let process = command(spec, theirs.into(), writer.into()).and_then(|mut command| command.spawn());
    let mut probed =
        Probed { process: process.map_err(failed)?, output: Some(output), lines: Lines::default() };
    let heard = probed.first_line(&ours).and_then(|line| check(spec, &line));
    let took = began.elapsed();
    drop(ours);
    let status = probed.end();
    let last = probed.lines.last();
    heard.map(|()| took).map_err(|reason| match last {
        "" => format!("{reason}; {status}"),
        last => format!("{reason}; {status}: {last}"),
    })
}

/// Whether anybody answers there. Nothing is posted: what a server does with something that is not a job, nobody can know.
#[cfg(feature = "http")]
fn connect(target: &HttpTarget) -> Result<Duration, String> {
    let (host, port) = crate::io::http::address(&target.url).map_err(|error| error.to_string())?;
    let began = Instant::now();
    let addresses = (&*host, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?;
    let mut last = format!("{host} has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, RUNNER_CONNECT_TIME) {
            Ok(_) => return Ok(began.elapsed()),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

struct Probed {
    process: Process,
    output: Option<PipeReader>,
    lines: Lines,
}

impl Probed {
    fn first_line(&mut self, socket: &UnixStream) -> Result<Vec<u8>, String> {
        let until = Instant::now() + RUNNER_LOAD_TIME;
        let mut line = Vec::new();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("it was not ready within {RUNNER_LOAD_TIME:?}"));
            }
            let mut fds = vec![PollFd::new(socket, PollFlags::IN)];
            fds.extend(self.output.as_ref().map(|output| PollFd::new(output, PollFlags::IN)));
            wait(&mut fds, Some(left)).map_err(|error| error.to_string())?;
            self.read_output();
            let mut chunk = vec![0; RUNNER_CHUNK_BYTES];
            match (&*socket).read(&mut chunk) {
                Ok(0) => return Err("it ended before its first word".to_owned()),
                Ok(count) => line.extend_from_slice(&chunk[..count]),
                Err(error) if is_for_later(&error) => {}
                Err(error) => return Err(error.to_string()),
            }
            if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                line.truncate(end);
                return Ok(line);
            }
            if line.len() > RUNNER_LINE_BYTES_MAX {
                return Err("its first word has no end".to_owned());
            }
        }
    }

    fn read_output(&mut self) {
        let Some(output) = &mut self.output else { return };
        let mut chunk = vec![0; RUNNER_CHUNK_BYTES];
        match output.read(&mut chunk) {
            Ok(0) => self.output = None,
            Ok(count) => self.lines.take(&chunk[..count], Instant::now(), |_| {}),
            Err(error) if is_for_later(&error) => {}
            Err(_) => self.output = None,
        }
    }

    /// Ends it; says how it ended.
    fn end(&mut self) -> String {
        let status = end_process(&mut self.process);
        self.read_output();
        self.lines.finish(Instant::now(), |_| {});
        status
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn check(spec: &RunnerSpec, line: &[u8]) -> Result<(), String> {
    if forks(spec) && line == b"[\"ready\",1]" {
        return Ok(());
    }
    match frame::read(line) {
        Ok(Said::Hello(Hello { protocol: PROTOCOL, .. })) => Ok(()),
        Ok(Said::Hello(Hello { protocol, .. })) => Err(frame::Garbage::Version(protocol).to_string()),
        Ok(_) => Err(frame::Garbage::NoHello.to_string()),
        Err(garbage) => Err(garbage.to_string()),
    }
}
