//! What the kernel knows about this process: memory, files, threads, CPU time.

use std::fs;
use std::time::Duration;

use rlimit::Resource;
use rustix::time::{ClockId, clock_gettime};

use crate::limits::COMPANION_NAME_PART;

/// See the module. What the kernel does not tell is absent.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Machine {
    pub(super) resident_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    /// Threads that run blocking jobs beside a shard.
    pub(super) companions: Option<u64>,
    pub(super) open_fds: Option<u64>,
    pub(super) max_fds: Option<u64>,
    pub(super) cpu: Duration,
}

impl Machine {
    /// Reads it.
    pub(super) fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            resident_bytes: number(&status, "VmRSS:").map(|kilobytes| kilobytes * 1024),
            threads: number(&status, "Threads:"),
            companions: companions(),
            // One of them is the folder that is read.
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as u64),
            max_fds: Resource::NOFILE.get_soft().ok(),
            cpu: Duration::new(
                u64::try_from(cpu.tv_sec).unwrap_or(0),
                u32::try_from(cpu.tv_nsec).unwrap_or(0),
            ),
        }
    }
}

/// The number after a name at the start of a line.
fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn companions() -> Option<u64> {
    let tasks = fs::read_dir("/proc/self/task").ok()?;
    let names = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    Some(names.filter(|name| name.contains(COMPANION_NAME_PART)).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let named = std::thread::Builder::new().name(format!("shard-0{COMPANION_NAME_PART}-0"));
        let (kept, dropped) = std::sync::mpsc::channel::<()>();
        let thread = named.spawn(move || dropped.recv().is_err()).unwrap();
        // The thread names itself before it runs anything, which may be a moment after it is there.
        crate::wait::wait_until("the thread has its name", || {
            Machine::read().companions.is_some_and(|count| count >= 1)
        });
        let machine = Machine::read();
        assert!(machine.resident_bytes.unwrap() > 1024 * 1024);
        assert!(machine.threads.unwrap() >= 2);
        assert!(machine.open_fds.unwrap() >= 3 && machine.max_fds.unwrap() >= machine.open_fds.unwrap());
        assert!(machine.cpu > Duration::ZERO);
        drop(kept);
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_number_is_read_after_its_name() {
        assert_eq!(number("Name:\tx\nVmRSS:\t  123 kB\n", "VmRSS:"), Some(123));
        assert_eq!(number("VmRSS:\tmuch\n", "VmRSS:"), None);
    }
}
