//! What is started for a runner: the interpreter with the engine's own runner for its language, in a process group of its
//! own, that ends with its keeper's thread.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::spec::{Language, Program, RunnerSpec};

const RUBY: &str = include_str!("programs/runner.rb");
const PYTHON: &str = include_str!("programs/runner.py");
const PYTHON_MODULE: &str = include_str!("programs/jiggler_uring.py");
const NODE: &str = include_str!("programs/runner.mjs");

/// The descriptor at which a program finds its socket.
const SOCKET: &str = "3";

/// Gives the program its socket as another descriptor than stdin. As stdin it needs no descriptor that any other process,
/// started at the same moment, would inherit too.
const MOVE_SOCKET: &str = "exec 3<&0 </dev/null \"$@\"";

/// Whether a runner loads its application once and forks.
pub(super) fn forks(spec: &RunnerSpec) -> bool {
    matches!(spec.program, Program::Interpreter(Language::Ruby | Language::Python, _))
}

/// The command of a fork server, or of a child that is not forked.
pub(super) fn command(spec: &RunnerSpec, socket: OwnedFd, output: OwnedFd) -> io::Result<Command> {
    let shell = ["sh", "-c", MOVE_SOCKET, "sh"];
    let mut command = if is_in_path("setpriv") {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(shell);
        command
    } else {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]);
        command
    };
    match &spec.program {
        Program::Interpreter(Language::Ruby, path) => command.args(["ruby", "-e", RUBY, "--"]).arg(path),
        Program::Interpreter(Language::Python, path) => {
            command.args(["python3", "-c", PYTHON, PYTHON_MODULE]).arg(path)
        }
        Program::Interpreter(Language::Node, path) => {
            command.args(["node", "--input-type=module", "-e", NODE, "--"]).arg(path)
        }
        Program::Command(words) => command.args(words),
        Program::Http(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    command
        .env("JIGGLER_URING_FD", SOCKET)
        .env("JIGGLER_URING_ROLE", if forks(spec) { "server" } else { "child" })
        .env("JIGGLER_URING_THREADS", spec.threads().to_string())
        .env("JIGGLER_URING_RUNNER", &spec.name)
        .env("PYTHONUNBUFFERED", "1")
        .process_group(0)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::from(output.try_clone()?))
        .stderr(Stdio::from(output));
    if spec.max_memory.is_some() {
        command.env("JIGGLER_URING_MEMORY", "1");
    }
    Ok(command)
}

fn is_in_path(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(OsStr::new(&paths))
        .any(|path: std::path::PathBuf| Path::new(&path).join(program).is_file())
}
