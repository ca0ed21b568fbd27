//! Readings from outside: a process's CPU clock and memory, Redis's own counters. Computes differences, no rates.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::ClockId;
use nix::unistd::Pid;
use serde::Serialize;

use crate::error::Error;
use crate::redis::{Client, Sent};

/// Reads one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessMeter {
    pid: Pid,
}

/// Resident memory of a process, in kB as `/proc` counts them (1,024 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    /// `VmRSS`: now.
    pub(crate) rss_kb: u64,
    /// `VmHWM`: the most since the start.
    pub(crate) peak_kb: u64,
}

impl ProcessMeter {
    /// A meter for the process `pid`, which must be a child that has not been reaped yet.
    pub(crate) fn new(pid: Pid) -> Self {
        Self { pid }
    }

    /// User and system time of all threads, ended ones included, since the start of the process.
    ///
    /// The kernel's CPU clock of the process: the sum of utime and stime of `/proc/<pid>/stat`, but in nanoseconds
    /// instead of ticks of 10 ms, which would be 4 % of a run of 100,000 jobs.
    ///
    /// # Errors
    /// The process no longer exists.
    pub(crate) fn cpu(self) -> Result<Duration, Error> {
        let failed = |errno| Error::system(format!("CPU clock of process {}", self.pid), errno);
        let clock = ClockId::pid_cpu_clock_id(self.pid).map_err(failed)?;
        Ok(duration(clock.now().map_err(failed)?))
    }

    /// Resident memory, now and peak.
    ///
    /// # Errors
    /// The process no longer exists.
    pub(crate) fn memory(self) -> Result<Memory, Error> {
        let file = format!("/proc/{}/status", self.pid);
        let status = fs::read_to_string(&file).map_err(|error| Error::system(file.clone(), error))?;
        let field = |name| {
            kilobytes(&status, name).ok_or_else(|| Error::KernelFile { file: file.clone(), field: name })
        };
        Ok(Memory { rss_kb: field("VmRSS")?, peak_kb: field("VmHWM")? })
    }
}

fn duration(time: TimeSpec) -> Duration {
    Duration::from(time)
}

/// A field `Name:   1234 kB` of `/proc/<pid>/status`.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Redis's counters since its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RedisCounters {
    /// Commands run, including those called by scripts.
    pub(crate) commands: u64,
    /// Reads from sockets: about one per round trip of a client.
    pub(crate) reads: u64,
    /// Error replies, including those inside scripts.
    pub(crate) errors: u64,
    /// Calls of each command, including those by scripts.
    pub(crate) calls: BTreeMap<String, u64>,
}

impl RedisCounters {
    /// Two round trips: `INFO stats` and `INFO commandstats`.
    ///
    /// # Errors
    /// Redis does not answer, or lacks a field.
    fn read(client: &mut Client) -> Result<Self, Error> {
        let stats = client.text(&["INFO", "stats"])?;
        let calls = client.text(&["INFO", "commandstats"])?;
        let field = |name| {
            number_of(&stats, name)
                .ok_or_else(|| Error::KernelFile { file: "INFO stats".to_owned(), field: name })
        };
        Ok(Self {
            commands: field("total_commands_processed")?,
            reads: field("total_reads_processed")?,
            errors: field("total_error_replies")?,
            calls: command_calls(&calls),
        })
    }

    /// What happened since `earlier`. Commands that were not called are left out.
    fn since(&self, earlier: &Self) -> Self {
        let calls = self.calls.iter().map(|(name, calls)| {
            (name.clone(), calls.saturating_sub(earlier.calls.get(name).copied().unwrap_or(0)))
        });
        Self {
            commands: self.commands.saturating_sub(earlier.commands),
            reads: self.reads.saturating_sub(earlier.reads),
            errors: self.errors.saturating_sub(earlier.errors),
            calls: calls.filter(|(_, calls)| *calls > 0).collect(),
        }
    }

    /// Subtracts what loadgen itself sent in the meantime.
    fn without_own(mut self, own: &Sent) -> Self {
        self.commands = self.commands.saturating_sub(own.calls.values().sum());
        self.reads = self.reads.saturating_sub(own.writes);
        for (name, calls) in &own.calls {
            if let Some(total) = self.calls.get_mut(name) {
                *total = total.saturating_sub(*calls);
            }
        }
        self.calls.retain(|_, calls| *calls > 0);
        self
    }
}

/// Reads what Redis did for clients other than `client` in a span of time.
#[derive(Debug)]
pub(crate) struct TrafficMeter {
    sent: Sent,
    counters: RedisCounters,
}

impl TrafficMeter {
    /// Starts the span.
    ///
    /// # Errors
    /// Redis does not answer, or lacks a field.
    pub(crate) fn begin(client: &mut Client) -> Result<Self, Error> {
        // An INFO does not count itself, but the next one counts it: so the span includes as many of our commands as
        // are sent from the start of the first reading to the start of the second.
        let sent = client.sent().clone();
        Ok(Self { sent, counters: RedisCounters::read(client)? })
    }

    /// What happened in the span, which ends here.
    ///
    /// # Errors
    /// Redis does not answer, or lacks a field.
    pub(crate) fn end(&self, client: &mut Client) -> Result<RedisCounters, Error> {
        let own = client.sent().since(&self.sent);
        Ok(RedisCounters::read(client)?.since(&self.counters).without_own(&own))
    }
}

/// A field `name:1234` of an INFO reply.
fn number_of(info: &str, name: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

/// The lines `cmdstat_lpush:calls=3,usec=…` of an INFO reply.
fn command_calls(info: &str) -> BTreeMap<String, u64> {
    info.lines()
        .filter_map(|line| {
            let (name, fields) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let calls = fields.strip_prefix("calls=")?.split(',').next()?.parse().ok()?;
            Some((name.to_owned(), calls))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use nix::unistd::getpid;

    use super::*;

    #[test]
    fn fields_of_proc_status_are_found_by_their_whole_name() {
        let status = "VmHWM:\t    9000 kB\nVmRSSX:\t1 kB\nVmRSS:\t    5120 kB\n";
        assert_eq!(kilobytes(status, "VmRSS"), Some(5120));
        assert_eq!(kilobytes(status, "VmHWM"), Some(9000));
        assert_eq!(kilobytes(status, "VmSwap"), None);
    }

    #[test]
    fn this_process_can_be_read_and_its_clock_moves_with_work() {
        let meter = ProcessMeter::new(getpid());
        let memory = meter.memory().unwrap();
        assert!(memory.rss_kb > 0 && memory.rss_kb <= memory.peak_kb, "{memory:?}");
        let before = meter.cpu().unwrap();
        let sum = (0..2_000_000_u64).fold(0, |sum: u64, number| sum.wrapping_add(black_box(number * number)));
        black_box(sum);
        assert!(meter.cpu().unwrap() > before);
    }

    #[test]
    fn own_commands_are_taken_away_from_a_difference() {
        let info = "# Commandstats\r\ncmdstat_get:calls=5,usec=1\r\ncmdstat_config|get:calls=2,usec=3\r\n";
        let counters =
            |commands, reads, info| RedisCounters { commands, reads, errors: 0, calls: command_calls(info) };
        let earlier = counters(10, 10, "cmdstat_get:calls=1,usec=1");
        let own = Sent { calls: BTreeMap::from([("config|get".to_owned(), 2)]), writes: 1 };
        let rest = counters(17, 16, info).since(&earlier).without_own(&own);
        assert_eq!(rest, counters(5, 5, "cmdstat_get:calls=4,usec=1"));
    }
}
