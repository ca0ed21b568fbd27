//! The worker under measurement: the real release binary as a child process.
//!
//! Finds or builds it, starts it as a user would, stops it with SIGTERM. The scenarios watch what it does with jobs
//! through Redis, never by asking the worker.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use jiggler_uring::internal::resp::url::RedisUrl;
use nix::unistd::Pid;
use serde_json::Value;

use crate::child::Child;
use crate::cli::Mode;
use crate::error::Error;
use crate::keys;
use crate::measure::ProcessMeter;

/// The binary's name, as cargo knows it.
const NAME: &str = "jiggler-uring";

/// The subcommand of this program that is a worker with more jobs than the stock program.
pub(crate) const OWN_WORKER: &str = "worker";

/// The subcommand of this program that answers HTTP requests.
pub(crate) const DELAY_SERVER: &str = "delay-server";

/// How long the worker may take to end after SIGTERM: its own default wait for running jobs is 25 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A program that takes the worker's flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    path: PathBuf,
    /// Precedes the worker's flags.
    subcommand: Option<&'static str>,
}

/// How a worker is started.
#[derive(Debug, Clone)]
pub(crate) struct Launch<'a> {
    /// The program.
    pub(crate) program: &'a Program,
    /// `--cores`.
    pub(crate) cores: u64,
    /// `--concurrency`: jobs in flight of the whole process.
    pub(crate) concurrency: u64,
    /// `--queue`: how many.
    pub(crate) queues: u64,
    /// `--mode`.
    pub(crate) mode: Mode,
    /// `--redis-url`.
    pub(crate) url: &'a RedisUrl,
    /// Where its output goes.
    pub(crate) log: &'a Path,
    /// Environment variables in addition to those of loadgen.
    pub(crate) variables: &'a [(&'a str, &'a OsStr)],
}

/// A running worker. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
}

impl Worker {
    /// Starts the worker on the CPUs of the calling thread. The user's `REDIS_URL` and `APP_ENV` do not reach it.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn start(launch: &Launch<'_>) -> Result<Self, Error> {
        let mut command = launch.program.command();
        command
            .args(["--redis-url", &launch.url.to_string()])
            .args(["--cores", &launch.cores.to_string()])
            .args(["-c", &launch.concurrency.to_string()])
            .args(["-q", &(0..launch.queues).map(keys::queue_name).collect::<Vec<_>>().join(",")])
            .args(["--mode", launch.mode.flag()])
            .env_remove("REDIS_URL")
            .env_remove("APP_ENV")
            .envs(launch.variables.iter().copied());
        Ok(Self { child: Child::spawn("worker", command, launch.log)? })
    }

    /// Fails if the worker has ended on its own.
    ///
    /// # Errors
    /// [`Error::WorkerEnded`] with the end of its log.
    pub(crate) fn check_alive(&mut self) -> Result<(), Error> {
        match self.child.ended()? {
            None => Ok(()),
            Some(status) => Err(Error::WorkerEnded { status, log: self.child.log_tail() }),
        }
    }

    /// Reads this process's clocks and memory.
    pub(crate) fn meter(&self) -> ProcessMeter {
        ProcessMeter::new(self.pid())
    }

    /// Its process id, as it reports it.
    pub(crate) fn id(&self) -> u32 {
        self.pid().as_raw().cast_unsigned()
    }

    fn pid(&self) -> Pid {
        self.child.pid()
    }

    /// The end of its log, for error messages.
    pub(crate) fn log_tail(&self) -> String {
        self.child.log_tail()
    }

    /// SIGKILL: nothing of it keeps running.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn kill(mut self) -> Result<(), Error> {
        self.child.kill().map(drop)
    }

    /// SIGTERM; expects exit code 0.
    ///
    /// # Errors
    /// Another exit code, a signal, or it did not end in time.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        let status = self.child.terminate(STOP_TIMEOUT)?;
        if status.success() { Ok(()) } else { Err(Error::WorkerStop { status, log: self.child.log_tail() }) }
    }
}

impl Program {
    /// The stock program: the chosen one, or the release binary of this workspace, which cargo brings up to date.
    ///
    /// # Errors
    /// The chosen program does not exist, or the build fails.
    pub(crate) fn stock(chosen: Option<&Path>) -> Result<Self, Error> {
        Ok(Self { path: chosen.map_or_else(build, absolute)?, subcommand: None })
    }

    /// A program with the jobs of [`crate::jobs`]: the chosen one, or this one.
    ///
    /// # Errors
    /// The chosen program does not exist.
    pub(crate) fn own(chosen: Option<&Path>) -> Result<Self, Error> {
        if let Some(chosen) = chosen {
            return Ok(Self { path: absolute(chosen)?, subcommand: None });
        }
        let path = env::current_exe().map_err(|error| Error::system("finding this program", error))?;
        Ok(Self { path, subcommand: Some(OWN_WORKER) })
    }

    /// The server of the HTTP scenario, which is also this program.
    ///
    /// # Errors
    /// This program cannot be found.
    pub(crate) fn delay_server(answer_after: Duration) -> Result<Command, Error> {
        let mut command = Command::new(Self::own(None)?.path);
        command.args([DELAY_SERVER, "--milliseconds", &answer_after.as_millis().to_string()]);
        Ok(command)
    }

    /// The program without any flag.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(self.subcommand);
        command
    }
}

fn absolute(program: &Path) -> Result<PathBuf, Error> {
    if !program.is_file() {
        return Err(Error::ProgramMissing(program.to_owned()));
    }
    program.canonicalize().map_err(|error| Error::system(format!("resolving {}", program.display()), error))
}

/// Cargo knows best whether the binary is older than its sources, and where it is.
fn build() -> Result<PathBuf, Error> {
    let output = Command::new("cargo")
        .args(["build", "--release", "--bin", NAME, "--message-format", "json-render-diagnostics"])
        .current_dir(workspace_root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Error::system("starting cargo to build the worker", error))?;
    check_build(output.status)?;
    executable(&String::from_utf8_lossy(&output.stdout)).ok_or(Error::WorkerNotNamed)
}

fn check_build(status: ExitStatus) -> Result<(), Error> {
    if status.success() { Ok(()) } else { Err(Error::WorkerBuild(status)) }
}

/// The workspace this program was compiled in.
pub(crate) fn workspace_root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The executable in cargo's messages, one JSON object per line.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == NAME)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_read_from_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"libc"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"jiggler-uring"},"executable":"/t/release/jiggler-uring"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/release/jiggler-uring")));
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn a_binary_that_is_not_there_is_named() {
        let error = Program::stock(Some(Path::new("/nonexistent/worker"))).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/worker"), "{error}");
    }
}
