//! A fork server: the process that has loaded an application, and of which the children of a runner are forks.

use std::io::{self, IoSlice, PipeReader, Read};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Child as Process;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use serde_json::Value;

use super::keeper::{Desk, Order, wait};
use super::output::{Lines, say};
use super::programs::command;
use super::spec::RunnerSpec;
use crate::limits::runner::{
    RUNNER_CHUNK_BYTES, RUNNER_HANDSHAKE_TIME, RUNNER_LINE_BYTES_MAX, RUNNER_LOAD_TIME, RUNNER_SERVER_GRACE,
};

/// See the module.
pub(super) struct Server {
    runner: String,
    process: Process,
    control: UnixStream,
    inbox: Vec<u8>,
    /// `None` once it has ended.
    output: Option<PipeReader>,
    lines: Lines,
    forks: u64,
}

/// What it said over its control socket.
enum Word {
    Ready,
    Forked { order: u64, pid: i32 },
}

impl Server {
    /// Starts it; the application loads from now on.
    pub(super) fn start(spec: &RunnerSpec) -> io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        let (output, writer) = io::pipe()?;
        control.set_nonblocking(true)?;
        rustix::io::ioctl_fionbio(&output, true)?;
        let process = command(spec, theirs.into(), writer.into())?.spawn()?;
        Ok(Self {
            runner: spec.name.clone(),
            process,
            control,
            inbox: Vec::new(),
            output: Some(output),
            lines: Lines::default(),
            forks: 0,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the application is loaded.
    pub(super) fn load(&mut self, desk: &Desk) -> Result<(), String> {
        match self.next(desk, RUNNER_LOAD_TIME)? {
            Word::Ready => Ok(()),
            Word::Forked { .. } => Err("its first word is not ready".to_owned()),
        }
    }

    /// Carries out orders until the worker ends.
    pub(super) fn serve(&mut self, desk: &Desk) -> Result<(), String> {
        loop {
            if desk.stops() {
                return Ok(());
            }
            while let Ok(order) = desk.orders.try_recv() {
                self.fork(order, desk)?;
            }
            self.wait(desk, None)?;
            if let Some(Word::Ready | Word::Forked { .. }) = self.hear()? {
                return Err("it spoke without being asked".to_owned());
            }
        }
    }

    fn fork(&mut self, order: Order, desk: &Desk) -> Result<(), String> {
        if order.answer.is_canceled() {
            return Ok(());
        }
        self.forks += 1;
        let number = self.forks;
        let forked = self.send(number, &order).map_err(|error| format!("it takes no orders: {error}"));
        let forked = forked.and_then(|()| match self.next(desk, RUNNER_HANDSHAKE_TIME)? {
            Word::Forked { order, pid } if order == number && self.is_child(pid) => Ok(pid),
            _ => Err("it did not fork what was ordered".to_owned()),
        });
        // Its shard may be gone.
        let _unheard = order.answer.send(forked.clone());
        forked.map(drop)
    }

    fn send(&self, number: u64, order: &Order) -> io::Result<()> {
        let text = format!("[\"fork\",{number}]\n");
        let descriptors = [order.socket.as_fd(), order.output.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&descriptors));
        let sent =
            sendmsg(&self.control, &[IoSlice::new(text.as_bytes())], &mut rights, SendFlags::NOSIGNAL)?;
        if sent == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// Whether this process is a child of it: its word is not taken for what is to be killed.
    fn is_child(&self, pid: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        parent == Some(self.process.id())
    }

    /// The next thing it says, within this time.
    fn next(&mut self, desk: &Desk, limit: Duration) -> Result<Word, String> {
        let until = Instant::now() + limit;
        loop {
            if let Some(word) = self.hear()? {
                return Ok(word);
            }
            if desk.stops() {
                return Err("the worker ends".to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("it was not ready within {limit:?}"));
            }
            self.wait(desk, Some(left))?;
        }
    }

    /// Waits for its words, its output or the bell; output is logged at once.
    fn wait(&mut self, desk: &Desk, limit: Option<Duration>) -> Result<(), String> {
        let mut fds = vec![PollFd::new(&self.control, PollFlags::IN)];
        fds.extend(self.output.as_ref().map(|output| PollFd::new(output, PollFlags::IN)));
        fds.push(PollFd::new(&desk.bell, PollFlags::IN));
        wait(&mut fds, limit).map_err(|error| format!("it cannot be waited for: {error}"))?;
        self.log_output();
        desk.silence();
        Ok(())
    }

    fn log_output(&mut self) {
        let Some(output) = &mut self.output else { return };
        let (runner, pid) = (&self.runner, i32::try_from(self.process.id()).unwrap_or(0));
        let mut chunk = vec![0; RUNNER_CHUNK_BYTES];
        match output.read(&mut chunk) {
            Ok(0) => self.output = None,
            Ok(count) => {
                self.lines.take(&chunk[..count], Instant::now(), |line| say(runner, pid, None, line));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.output = None,
        }
    }

    fn hear(&mut self) -> Result<Option<Word>, String> {
        let mut chunk = [0; 4 * 1024];
        loop {
            if let Some(end) = self.inbox.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.inbox.drain(..=end).collect();
                return word(&line).map(Some);
            }
            match (&self.control).read(&mut chunk) {
                Ok(0) => return Err("it ended".to_owned()),
                Ok(count) => self.inbox.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("its control socket failed: {error}")),
            }
            if self.inbox.len() > RUNNER_LINE_BYTES_MAX {
                return Err("it sent a line without end".to_owned());
            }
        }
    }

    /// Lets it end, and kills it if it does not.
    pub(super) fn end(mut self) {
        let _status = self.kill();
    }

    /// Ends it and what is left of its group; says how it ended.
    pub(super) fn kill(&mut self) -> String {
        // The end of its control socket tells it to end.
        let _shut = self.control.shutdown(std::net::Shutdown::Both);
        let status = end_process(&mut self.process);
        self.log_output();
        status
    }

    /// The last line that it printed.
    pub(super) fn last_words(&mut self) -> String {
        let (runner, pid) = (&self.runner, i32::try_from(self.process.id()).unwrap_or(0));
        self.lines.finish(Instant::now(), |line| say(runner, pid, None, line));
        let last = self.lines.last();
        if last.is_empty() { String::new() } else { format!(": {last}") }
    }
}

/// Gives a process that was told to end a moment for it, then kills its group. Says how it ended.
pub(super) fn end_process(process: &mut Process) -> String {
    // It is not reaped yet, so its number is its own.
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    if let Some(descriptor) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) {
        let mut fds = [PollFd::new(&descriptor, PollFlags::IN)];
        let _late = wait(&mut fds, Some(RUNNER_SERVER_GRACE));
    }
    if let Some(pid) = pid {
        let _gone = kill_process_group(pid, Signal::KILL);
    }
    process.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
}

fn word(line: &[u8]) -> Result<Word, String> {
    let parts: Vec<Value> = serde_json::from_slice(line).unwrap_or_default();
    let number = |at: usize| parts.get(at).and_then(Value::as_u64);
    match (parts.first().and_then(Value::as_str), number(1), number(2)) {
        (Some("ready"), Some(1), _) => Ok(Word::Ready),
        (Some("forked"), Some(order), Some(pid)) => {
            let pid = i32::try_from(pid).map_err(|_| format!("it forked a process {pid}"))?;
            Ok(Word::Forked { order, pid })
        }
        _ => {
            let start = String::from_utf8_lossy(&line[..line.len().min(100)]);
            Err(format!("it said what a fork server does not say: {}", start.escape_debug()))
        }
    }
}
