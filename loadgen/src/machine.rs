//! What a measurement was made on: without it a number means nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::Error;
use crate::placement::Placement;
use crate::redis::Client;
use crate::worker;

/// Machine and versions of one run of loadgen. What cannot be found out says so.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Model name of the first CPU.
    pub(crate) cpu: String,
    /// CPUs the machine shows.
    pub(crate) cpus: usize,
    /// Kernel release.
    pub(crate) kernel: String,
    /// Server name and version.
    pub(crate) redis: String,
    /// What the worker's `--version` says; none for scenarios without a worker.
    pub(crate) worker: Option<String>,
    /// Commit of the workspace, with `-dirty` when files differ from it.
    pub(crate) commit: String,
    /// Whether loadgen itself was built with optimisation; the null client needs it.
    pub(crate) loadgen_optimized: bool,
    /// Which CPUs were used for what.
    pub(crate) placement: Placement,
    /// When the run began, in seconds since 1970.
    pub(crate) unix_time_seconds: u64,
}

impl Machine {
    /// Looks around.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(crate) fn describe(
        client: &mut Client,
        placement: &Placement,
        binary: Option<&Path>,
    ) -> Result<Self, Error> {
        Ok(Self {
            cpu: cpu_model(),
            cpus: thread::available_parallelism().map_or(0, usize::from).max(placement.worker_cpus.len() + 1),
            kernel: first_line(&fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default()),
            redis: redis_version(&client.text(&["INFO", "server"])?),
            worker: binary.map(|program| output_line(Command::new(program).arg("--version"))),
            commit: output_line(
                Command::new("git")
                    .args(["describe", "--always", "--dirty"])
                    .current_dir(worker::workspace_root()),
            ),
            loadgen_optimized: !cfg!(debug_assertions),
            placement: placement.clone(),
            unix_time_seconds: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        })
    }

    /// One line for the report.
    pub(crate) fn line(&self) -> String {
        let worker = self.worker.as_deref().map(|version| format!(", {version}")).unwrap_or_default();
        format!(
            "{} ({} CPUs), Linux {}, {}{worker}, commit {}; {}",
            self.cpu,
            self.cpus,
            self.kernel,
            self.redis,
            self.commit,
            self.placement.describe()
        )
    }
}

const UNKNOWN: &str = "unknown";

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| UNKNOWN.to_owned(), |(_, name)| name.trim().to_owned())
}

fn redis_version(info: &str) -> String {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match (field("valkey_version:"), field("redis_version:")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => UNKNOWN.to_owned(),
    }
}

/// The first line a program prints, if it ends well.
fn output_line(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    first_line(&output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or(UNKNOWN).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valkey_is_not_taken_for_the_redis_it_claims_to_be() {
        assert_eq!(redis_version("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n"), "Valkey 8.0.1");
        assert_eq!(redis_version("# Server\r\nredis_version:7.0.15\r\n"), "Redis 7.0.15");
        assert_eq!(redis_version(""), UNKNOWN);
    }

    #[test]
    fn a_program_that_fails_is_unknown() {
        assert_eq!(output_line(&mut Command::new("false")), UNKNOWN);
        assert_eq!(output_line(Command::new("echo").arg("jiggler-uring 0.1.0")), "jiggler-uring 0.1.0");
    }
}
