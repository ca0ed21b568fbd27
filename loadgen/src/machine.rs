//! What a measurement was made on: without this a number means nothing.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::error::Error;
use crate::placement::Placement;
use crate::redis::Client;
use crate::worker::{self, Program};

/// The machine and the versions of one run of loadgen. What cannot be found out is marked as such.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Model name of the first CPU.
    pub(crate) cpu: String,
    /// CPUs the machine shows.
    pub(crate) cpus: usize,
    /// Runnable processes over the minute before the run; above about 0.3 something else was running.
    pub(crate) load_average: Option<f64>,
    /// Kernel release.
    pub(crate) kernel: String,
    /// Server name and version.
    pub(crate) redis: String,
    /// What the worker's `--version` prints; none in scenarios without a worker.
    pub(crate) worker: Option<String>,
    /// Commit of the workspace, with `-dirty` if files differ from it.
    pub(crate) commit: String,
    /// Whether loadgen itself was built with optimisation; the null client needs it.
    pub(crate) loadgen_optimized: bool,
    /// Which CPUs were used for what.
    pub(crate) placement: Placement,
    /// When the run started, in seconds since 1970.
    pub(crate) unix_time_seconds: u64,
}

impl Machine {
    /// Collects all of it.
    ///
    /// # Errors
    /// Redis does not answer.
    pub(crate) fn describe(
        client: &mut Client,
        placement: &Placement,
        program: Option<&Program>,
    ) -> Result<Self, Error> {
        Ok(Self {
            redis: redis_version(&client.text(&["INFO", "server"])?),
            worker: program.map(|program| output_line(program.command().arg("--version"))),
            placement: placement.clone(),
            ..Self::alone()
        })
    }

    /// Without a Redis and a worker.
    pub(crate) fn alone() -> Self {
        let cpu_info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cpu: cpu_model(&cpu_info),
            // Not std's available parallelism: by now loadgen has pinned itself.
            cpus: cpu_info.lines().filter(|line| line.starts_with("processor")).count(),
            load_average: load_average(&fs::read_to_string("/proc/loadavg").unwrap_or_default()),
            kernel: first_line(&fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default()),
            redis: "no redis".to_owned(),
            worker: None,
            commit: output_line(
                Command::new("git")
                    .args(["describe", "--always", "--dirty"])
                    .current_dir(worker::workspace_root()),
            ),
            loadgen_optimized: !cfg!(debug_assertions),
            placement: Placement { redis_cpus: Vec::new(), worker_cpus: Vec::new() },
            unix_time_seconds: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        }
    }

    /// A machine for tests of the outputs.
    #[cfg(test)]
    pub(crate) fn made_up() -> Self {
        Self {
            cpu: UNKNOWN.to_owned(),
            cpus: 2,
            load_average: None,
            kernel: UNKNOWN.to_owned(),
            redis: UNKNOWN.to_owned(),
            worker: None,
            commit: UNKNOWN.to_owned(),
            loadgen_optimized: true,
            placement: Placement { redis_cpus: vec![0], worker_cpus: vec![1] },
            unix_time_seconds: 0,
        }
    }

    /// One line for the report.
    pub(crate) fn line(&self) -> String {
        let worker = self.worker.as_deref().map(|version| format!(", {version}")).unwrap_or_default();
        let load = self.load_average.map_or_else(|| UNKNOWN.to_owned(), |load| format!("{load:.2}"));
        format!(
            "{} ({} CPUs, load average {load} before), Linux {}, {}{worker}, commit {}; {}",
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

/// Runnable processes over the last minute, the first field of `/proc/loadavg`.
fn load_average(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

fn cpu_model(cpu_info: &str) -> String {
    let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
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

/// The first line a program prints, if it succeeds.
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
    fn the_load_average_is_that_of_the_last_minute() {
        assert_eq!(load_average("3.21 2.06 1.12 2/345 6789\n"), Some(3.21));
        assert_eq!(load_average(""), None);
    }

    #[test]
    fn a_program_that_fails_is_unknown() {
        assert_eq!(output_line(&mut Command::new("false")), UNKNOWN);
        assert_eq!(output_line(Command::new("echo").arg("jiggler-uring 0.1.0")), "jiggler-uring 0.1.0");
    }
}
