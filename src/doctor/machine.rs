//! What this process may use of its machine: kernel, io_uring, locked memory, cores, files.
//!
//! Readings are separate from what follows from them.

use std::fs;
use std::path::{Path, PathBuf};

use rlimit::Resource;

use super::Check;
use crate::boot::{files as open_files, kernel::Kernel, memlock, uring};
use crate::config::Config;

/// Where the kernel shows control groups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Where it shows which CPUs there are.
const CPUS: &str = "/sys/devices/system/cpu/online";

/// Every check of the machine.
#[must_use]
pub(crate) fn checks(config: &Config) -> Vec<Check> {
    let shards = shards(config);
    let mut checks = kernel(shards);
    checks.push(match uring::check() {
        Ok(()) => Check::ok("io_uring", "allowed"),
        Err(error) => Check::refused("io_uring", &error),
    });
    checks.push(cores(config.cores, cpus().len()));
    checks.extend(shown(Path::new(CPUS)));
    checks.push(if Path::new(CGROUPS).is_dir() {
        quota(cpu_quota(Path::new(CGROUPS), &own_group()), shards)
    } else {
        Check::skipped("cpu quota", format!("{CGROUPS} is not there"))
    });
    checks.push(match Resource::NOFILE.get() {
        Ok((soft, hard)) => files(soft, hard, open_files::wanted(config, shards)),
        Err(error) => Check::skipped("open files", format!("the limit cannot be read: {error}")),
    });
    checks
}

/// Shards that a worker of this configuration would have here.
pub(super) fn shards(config: &Config) -> usize {
    let available = cpus().len().max(1);
    let cores = config.cores.unwrap_or(available).clamp(1, available);
    config.concurrency.map_or(cores, |concurrency| cores.min(concurrency))
}

/// A warning for a kernel that does not show its CPUs, because shards are placed by what it shows.
fn shown(path: &Path) -> Option<Check> {
    let error = fs::read_to_string(path).err()?;
    let found = format!("{} cannot be read: {error}; which cpus share a core is not known", path.display());
    Some(Check::warning("cpu topology", found, "mount /sys (read-only will do)"))
}

fn cpus() -> Vec<core_affinity::CoreId> {
    core_affinity::get_core_ids().unwrap_or_default()
}

fn kernel(shards: usize) -> Vec<Check> {
    let kernel = match Kernel::running() {
        Ok(kernel) => kernel,
        Err(error) => return vec![Check::refused("kernel", &error)],
    };
    let version = match kernel.check() {
        Ok(()) => Check::ok("kernel", kernel.release()),
        Err(error) => Check::refused("kernel", &error),
    };
    let needed = kernel.memlock_bytes(shards + 1);
    let limit =
        |limit: u64| if limit == u64::MAX { "unlimited".to_owned() } else { format!("{limit} bytes") };
    let memory = match (Resource::MEMLOCK.get(), memlock::ensure(needed)) {
        (_, Err(error)) => Check::refused("locked memory", &error),
        (Ok((_, hard)), Ok(())) => Check::ok("locked memory", format!("{needed} bytes of {}", limit(hard))),
        (Err(_), Ok(())) => Check::ok("locked memory", format!("{needed} bytes")),
    };
    vec![version, memory]
}

fn cores(asked: Option<usize>, available: usize) -> Check {
    match asked {
        _ if available == 0 => Check::failed(
            "cores",
            "the cpus this process may use cannot be read",
            "allow sched_getaffinity in the sandbox (seccomp), and look at the cpu set of the container",
        ),
        Some(asked) if asked > available => Check::warning(
            "cores",
            format!("{asked} requested, {available} in the cpu set of this process"),
            format!("give --cores {available}, or widen the cpu set (AllowedCPUs, --cpuset-cpus, taskset)"),
        ),
        _ => Check::ok("cores", format!("{} of {available}", asked.unwrap_or(available))),
    }
}

/// Compares the quota of the control group, in cores, with the shards, each of which takes a whole core while there is
/// work.
fn quota(quota: Option<f64>, shards: usize) -> Check {
    match quota {
        None => Check::ok("cpu quota", "none"),
        Some(cores) if cores < shards as f64 => {
            let fitting = (cores.floor() as usize).max(1);
            Check::warning(
                "cpu quota",
                format!(
                    "{cores:.2} cores for {shards} shards: the kernel will pause them in turn, in the middle of jobs"
                ),
                format!("give --cores {fitting}, or raise the quota (CPUQuota, --cpus, limits.cpu)"),
            )
        }
        Some(cores) => Check::ok("cpu quota", format!("{cores:.2} cores for {shards} shards")),
    }
}

/// The path of this process's control group: in version 2, or that of the cpu controller in version 1.
fn own_group() -> String {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let ours = controllers.is_empty() || controllers.split(',').any(|controller| controller == "cpu");
        ours.then(|| path.to_owned())
    };
    groups.lines().find_map(path).unwrap_or_else(|| "/".to_owned())
}

/// The smallest quota of a group and those above it, in cores. In a container the group's path may be that of the host,
/// so what is missing is skipped.
fn cpu_quota(root: &Path, group: &str) -> Option<f64> {
    let group = Path::new(group.trim_start_matches('/'));
    let places = [root.to_owned(), root.join("cpu"), root.join("cpu,cpuacct")];
    let above = |place: &PathBuf| group.ancestors().map(|path| place.join(path)).collect::<Vec<_>>();
    places.iter().flat_map(above).filter_map(|directory| quota_in(&directory)).min_by(f64::total_cmp)
}

fn quota_in(directory: &Path) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let (quota, period) = match read("cpu.max") {
        Some(text) => {
            let (quota, period) = text.trim().split_once(' ')?;
            // `max` means no quota.
            (number(quota)?, number(period)?)
        }
        None => (number(&read("cpu.cfs_quota_us")?)?, number(&read("cpu.cfs_period_us")?)?),
    };
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

fn files(soft: u64, hard: u64, needed: u64) -> Check {
    let found = format!("{needed} may be needed (one for each job among them), {soft} are allowed");
    let advice = "raise it with `ulimit -n`, LimitNOFILE in the systemd unit, or docker run --ulimit nofile";
    match (soft >= needed, hard >= needed) {
        (true, _) => Check::ok("open files", found),
        (false, true) => {
            Check::warning("open files", found, format!("{advice}; up to {hard} needs no privilege"))
        }
        (false, false) => Check::failed("open files", found, advice),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn fewer_cores_than_shards_are_warned_of() {
        assert_eq!(cores(None, 4).status, Status::Ok);
        assert_eq!(cores(Some(4), 4).found, "4 of 4");
        assert!(cores(Some(8), 4).advice.unwrap().contains("--cores 4"));
        assert_eq!(cores(Some(1), 0).status, Status::Failed);
        assert_eq!(quota(None, 4).status, Status::Ok);
        assert_eq!(quota(Some(4.0), 4).status, Status::Ok);
        assert!(quota(Some(2.5), 4).advice.unwrap().contains("--cores 2"));
        assert!(quota(Some(0.5), 1).advice.unwrap().contains("--cores 1"));
    }

    #[test]
    fn a_kernel_that_does_not_show_its_cpus_is_warned_of() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("online");
        let check = shown(&path).unwrap();
        assert!(check.status == Status::Warning && check.found.contains("No such file"), "{check:?}");
        fs::write(&path, "0-1\n").unwrap();
        assert_eq!(shown(&path), None);
    }

    #[test]
    fn the_smallest_quota_on_the_way_up_counts_in_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(cpu_quota(root.path(), "/a/b"), None);
        write("a/b/cpu.max", "max 100000\n");
        assert_eq!(cpu_quota(root.path(), "/a/b"), None);
        write("a/cpu.max", "150000 100000\n");
        assert_eq!(cpu_quota(root.path(), "/a/b"), Some(1.5));
        write("cpu/docker/x/cpu.cfs_quota_us", "50000\n");
        write("cpu/docker/x/cpu.cfs_period_us", "100000\n");
        assert_eq!(cpu_quota(root.path(), "/docker/x"), Some(0.5));
        write("cpu/docker/x/cpu.cfs_quota_us", "-1\n");
        assert_eq!(cpu_quota(root.path(), "/docker/x"), None);
    }

    #[test]
    fn files_are_counted_against_both_limits() {
        assert_eq!(files(1_024, 4_096, 1_024).status, Status::Ok);
        assert_eq!(files(1_024, 4_096, 1_025).status, Status::Warning);
        assert_eq!(files(1_024, 4_096, 4_097).status, Status::Failed);
    }
}
