//! Which core runs what, and how many slots it has.

use thiserror::Error;

use crate::config::Config;
use crate::limits::CONCURRENCY_PER_CORE;

/// The core a factory builds state for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Core {
    /// Its index among the cores that run jobs, from 0.
    pub index: usize,
    /// How many cores run jobs.
    pub count: usize,
}

/// Where the shards go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    /// The CPU of each shard. Control shares the first.
    pub(super) cpus: Vec<usize>,
    /// Slots of each shard; together the concurrency of the process.
    pub(super) slots: Vec<usize>,
}

/// Why no placement is possible.
#[derive(Debug, Error)]
pub(super) enum PlacementError {
    /// The kernel does not report which CPUs this process may use.
    #[error(
        "the cpus this process may use cannot be read (sched_getaffinity); does a sandbox (seccomp) forbid it?"
    )]
    NoCpus,
}

/// Places shards on the CPUs this process may use: `cores` of them, or all. If there are fewer, it uses those there are,
/// with a warning. There are no more shards than jobs that may run at once.
pub(super) fn place(config: &Config) -> Result<Placement, PlacementError> {
    let cores = config.cores;
    let available = core_affinity::get_core_ids().unwrap_or_default();
    let cpus: Vec<usize> = available.into_iter().map(|core| core.id).collect();
    if cpus.is_empty() {
        return Err(PlacementError::NoCpus);
    }
    if let Some(cores) = cores
        && cores > cpus.len()
    {
        tracing::warn!(
            asked = cores,
            available = cpus.len(),
            "fewer cores are available than requested; using these"
        );
    }
    let cores = cores.unwrap_or(cpus.len()).clamp(1, cpus.len());
    Ok(split(&cpus, cores, Some(config.concurrency_on(cores))))
}

fn split(cpus: &[usize], cores: usize, concurrency: Option<usize>) -> Placement {
    let cores = cores.clamp(1, cpus.len());
    let concurrency = concurrency.unwrap_or(CONCURRENCY_PER_CORE * cores).max(1);
    let shards = cores.min(concurrency);
    let (each, more) = (concurrency / shards, concurrency % shards);
    Placement {
        cpus: cpus[..shards].to_vec(),
        slots: (0..shards).map(|shard| each + usize::from(shard < more)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_split_over_the_cores_and_add_up() {
        let placement = split(&[0, 1, 4], 3, Some(10));
        assert_eq!(placement, Placement { cpus: vec![0, 1, 4], slots: vec![4, 3, 3] });
    }

    #[test]
    fn more_cores_than_available_are_reduced_to_those_available() {
        assert_eq!(split(&[2, 3], 64, None), Placement { cpus: vec![2, 3], slots: vec![10, 10] });
    }

    #[test]
    fn a_concurrency_below_the_cores_leaves_cores_alone() {
        assert_eq!(split(&[0, 1, 2, 3], 4, Some(2)), Placement { cpus: vec![0, 1], slots: vec![1, 1] });
    }
}
