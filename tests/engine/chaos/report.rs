//! What a long run says: where it ran, one line a round, a summary; to standard output, and to a file that is kept.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::Command;

use crate::harness::Redis;

/// Where the lines go.
pub(crate) struct Report {
    file: Option<File>,
}

impl Report {
    /// A report that is also written to a file of this name, if there is one. What it held before is gone.
    pub(crate) fn to(name: Option<&str>) -> io::Result<Self> {
        Ok(Self { file: name.map(File::create).transpose()? })
    }

    /// Says one line. It is in the file before the next thing happens: a run that is killed leaves what it said.
    pub(crate) fn line(&mut self, line: &dyn Display) -> io::Result<()> {
        writeln!(io::stdout(), "{line}")?;
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}")?;
            file.flush()?;
        }
        Ok(())
    }

    /// Says what runs, where and when.
    pub(crate) fn header(&mut self) -> io::Result<()> {
        let commit = output("git", &["rev-parse", "--short=12", "HEAD"]);
        let changed =
            if output("git", &["status", "--porcelain"]).is_empty() { "" } else { ", with changes" };
        self.line(&format!("# jiggler-uring {}, commit {commit}{changed}", env!("CARGO_PKG_VERSION")))?;
        self.line(&format!("# {}", output("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"])))?;
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let (cpu, memory) = (proc_field("cpuinfo", "model name"), proc_field("meminfo", "MemTotal"));
        self.line(&format!("# {cores} cores of {cpu}, {memory}, {}", output("uname", &["-sr"])))?;
        self.line(&format!("# redis {}", redis_version()))
    }
}

/// What a program answers, or nothing: the header is a help, not a condition.
fn output(program: &str, args: &[&str]) -> String {
    let answer = Command::new(program).args(args).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&answer).trim().to_owned()
}

fn proc_field(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{file}")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split(':').nth(1).unwrap_or("unknown").trim().to_owned()
}

fn redis_version() -> String {
    let reply = Redis::start().run(&["INFO", "server"]);
    let info = String::from_utf8_lossy(reply.as_bulk().unwrap_or_default()).into_owned();
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    version.unwrap_or("unknown").to_owned()
}
