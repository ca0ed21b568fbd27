//! The real program as a process: started, read, signalled, ended.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, mpsc};

use tempfile::NamedTempFile;

use super::log_pipe::LogPipe;
use super::redis::Redis;
use super::wait::{PATIENCE, wait_for, wait_until};

/// Prints its command line and log when the test fails. Killed, by its id, when dropped.
pub(crate) struct Worker {
    child: Child,
    command: String,
    log: Log,
    /// Copies its log to the file if it does not write there itself.
    pipe: Option<LogPipe>,
}

/// What the program has written to standard error: a file, so that whatever it wrote before it acted can be read once
/// the act is seen. A pipe with its own reader may lag behind.
struct Log {
    file: NamedTempFile,
    lines: Mutex<Vec<String>>,
}

impl Log {
    /// Reads what has arrived since, up to the last whole line, and returns all lines with this text.
    fn lines(&self, text: &str) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap();
        let mut file = self.file.as_file();
        let before = file.stream_position().unwrap();
        let mut new = Vec::new();
        file.read_to_end(&mut new).unwrap();
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        file.seek(SeekFrom::Start(before + whole as u64)).unwrap();
        lines.extend(String::from_utf8_lossy(&new[..whole]).lines().map(str::to_owned));
        lines.iter().filter(|line| line.contains(text)).cloned().collect()
    }
}

impl Worker {
    /// Starts a worker on one core with a stop timeout of 1 s, unless the arguments say otherwise, and waits until it
    /// works.
    #[track_caller]
    pub(crate) fn start(redis: &Redis, args: &[&str]) -> Self {
        let worker = Self::launch(&redis.url(), &[&redis.flags(), args].concat());
        worker.wait_for_line(" working ");
        worker
    }

    /// Like [`Self::start`], with any url, and without waiting.
    #[track_caller]
    pub(crate) fn launch(url: &str, args: &[&str]) -> Self {
        Self::launch_program(Path::new(env!("CARGO_BIN_EXE_jiggler-uring")), url, args)
    }

    /// Like [`Self::launch`], with a log that goes elsewhere.
    #[track_caller]
    pub(crate) fn launch_into(log: Stdio, url: &str, args: &[&str]) -> Self {
        let mut command = with_args(Path::new(env!("CARGO_BIN_EXE_jiggler-uring")), url, args);
        let text = format!("{command:?}");
        let child = command.stderr(log).spawn().unwrap();
        let log = Log { file: NamedTempFile::new().unwrap(), lines: Mutex::default() };
        Self { child, command: text, log, pipe: None }
    }

    #[track_caller]
    pub(crate) fn launch_program(program: &Path, url: &str, args: &[&str]) -> Self {
        Self::launch_with(program, url, args, &[])
    }

    /// Like [`Self::launch_program`], with more environment variables.
    #[track_caller]
    pub(crate) fn launch_with(program: &Path, url: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(with_args(program, url, args).envs(variables.iter().copied()))
    }

    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let text = format!("{command:?}");
        let file = NamedTempFile::new().unwrap();
        // A separate handle, which appends: the test's read position is not the program's.
        let stderr = std::fs::File::options().append(true).open(file.path()).unwrap();
        let child = command.stderr(stderr).spawn().unwrap();
        Self { child, command: text, log: Log { file, lines: Mutex::default() }, pipe: None }
    }

    /// Like [`Self::launch_program`], with a log whose reader can be stopped.
    #[track_caller]
    pub(crate) fn launch_through_pipe(program: &Path, url: &str, args: &[&str]) -> Self {
        let mut command = with_args(program, url, args);
        let text = format!("{command:?}");
        let file = NamedTempFile::new().unwrap();
        let (pipe, writer) = LogPipe::into_file(file.reopen().unwrap());
        let child = command.stderr(writer).spawn().unwrap();
        Self { child, command: text, log: Log { file, lines: Mutex::default() }, pipe: Some(pipe) }
    }

    /// Stops reading its log, if it goes through a pipe.
    pub(crate) fn stop_log(&self) {
        self.pipe.iter().for_each(LogPipe::stop);
    }

    /// Reads its log again.
    pub(crate) fn read_log(&self) {
        self.pipe.iter().for_each(LogPipe::read);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lines of the log that contain a text.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        self.log.lines(text)
    }

    /// How many shards have logged that they cannot work with Redis, whatever the cause.
    pub(crate) fn shards_without_redis(&self) -> usize {
        let said = self.lines("; trying again shard=");
        (0..2).filter(|shard| said.iter().any(|line| line.contains(&format!("shard={shard} ")))).count()
    }

    /// Waits until the log has a line with this text.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, text: &str) {
        wait_until(&format!("the log contains: {text}"), || !self.lines(text).is_empty());
    }

    /// Sends a signal: `TERM`, `TSTP`, `INT`, `STOP`, `CONT`.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        send(self.pid(), name);
    }

    /// Ends it as a crash would.
    #[track_caller]
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait_for_end();
    }

    #[track_caller]
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        let status = wait_for("the worker ends", || self.child.try_wait().unwrap());
        self.pipe.iter_mut().for_each(LogPipe::finish);
        status
    }

    /// Asks it to stop and checks that it ended cleanly.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait_for_end();
        assert_eq!(status.code(), Some(0), "how the worker ended");
    }

    #[track_caller]
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its resident memory.
    #[track_caller]
    pub(crate) fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Seconds of processor time it has used.
    #[track_caller]
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name of the program, in parentheses, may contain blanks.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u64 = [fields[11], fields[12]].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        ticks as f64 / TICKS_PER_SECOND
    }
}

/// What the kernel reports to user space on every Linux (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

impl Drop for Worker {
    fn drop(&mut self) {
        // Neither failure matters: the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.pipe.iter_mut().for_each(LogPipe::finish);
        if std::thread::panicking() {
            eprintln!("{}", self.command);
            for line in self.log.lines("") {
                eprintln!("  {line}");
            }
        }
    }
}

/// The program, with nothing in its environment that it would read, and never with any Redis but the test's.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for variable in ["APP_ENV", "RUST_LOG", "DYNO", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(variable);
    }
    command.env("REDIS_URL", "unix:///nonexistent/redis.sock").stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A worker of the program on one core, with a stop timeout of 1 s.
pub(crate) fn with_args(program: &Path, url: &str, args: &[&str]) -> Command {
    let mut command = command(program);
    command.args(["--redis-url", url]);
    for (flag, value) in [("--cores", "1"), ("-t", "1")] {
        if !args.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command.args(args);
    command
}

/// Runs the program to its end with exactly these arguments.
#[track_caller]
pub(crate) fn output_of(args: &[&str]) -> Output {
    output_with(&[], args)
}

/// The same with more environment variables.
#[track_caller]
pub(crate) fn output_with(variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = command(Path::new(env!("CARGO_BIN_EXE_jiggler-uring")));
    command.envs(variables.iter().copied());
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
    let output = receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        send(id, "KILL");
        panic!("it does not end: {command:?}: {:?}", receiver.recv())
    });
    waiter.join().unwrap().unwrap();
    output
}

/// Sends a signal through the shell's `kill`: the standard library has no safe call for it.
#[track_caller]
fn send(id: u32, signal: &str) {
    let order = format!("kill -s {signal} {id}");
    assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success());
}
