//! Which CPU Redis gets and which ones the worker gets.
//!
//! Redis runs commands on one thread; if that thread shares its CPU with the worker, a run measures the scheduler. So
//! Redis gets its own CPU wherever there are enough, and loadgen and the worker share the others.

use std::sync::OnceLock;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::Serialize;

use crate::error::Error;

/// The calling thread, in the affinity calls.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// The CPUs of one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Placement {
    /// The CPUs Redis may use: its own one, or all of them if there are too few.
    pub(crate) redis_cpus: Vec<usize>,
    /// The CPUs of the worker and of loadgen itself.
    pub(crate) worker_cpus: Vec<usize>,
}

impl Placement {
    /// Plans for a worker with `cores` shards on the CPUs this process may use.
    ///
    /// # Errors
    /// The affinity cannot be read, or `redis_cpu` is not an allowed CPU.
    pub(crate) fn plan(cores: usize, redis_cpu: Option<usize>) -> Result<Self, Error> {
        Self::choose(&allowed_cpus()?, cores, redis_cpu)
    }

    fn choose(allowed: &[usize], cores: usize, redis_cpu: Option<usize>) -> Result<Self, Error> {
        let redis = match redis_cpu {
            Some(cpu) if !allowed.contains(&cpu) => {
                return Err(Error::CpuNotAllowed { cpu, allowed: format!("{allowed:?}") });
            }
            Some(cpu) => Some(cpu),
            None => allowed.first().copied().filter(|_| allowed.len() > cores),
        };
        let Some(redis) = redis else {
            return Ok(Self { redis_cpus: allowed.to_vec(), worker_cpus: allowed.to_vec() });
        };
        let others: Vec<usize> = allowed.iter().copied().filter(|cpu| *cpu != redis).collect();
        let worker_cpus = if others.is_empty() { vec![redis] } else { others };
        Ok(Self { redis_cpus: vec![redis], worker_cpus })
    }

    /// Whether Redis and the worker can disturb each other.
    pub(crate) fn shared(&self) -> bool {
        self.redis_cpus.iter().any(|cpu| self.worker_cpus.contains(cpu))
    }

    /// Pins the calling thread, and every child it starts from now on, to Redis's CPUs.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn enter_redis(&self) -> Result<(), Error> {
        pin(&self.redis_cpus)
    }

    /// Pins the calling thread, and every child it starts from now on, to the worker's CPUs.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(crate) fn enter_worker(&self) -> Result<(), Error> {
        pin(&self.worker_cpus)
    }

    /// One line for the report.
    pub(crate) fn describe(&self) -> String {
        if self.redis_cpus.is_empty() && self.worker_cpus.is_empty() {
            return "no CPU reserved".to_owned();
        }
        let list = |cpus: &[usize]| cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let note = if self.shared() { " (shared: too few CPUs to reserve one)" } else { "" };
        format!(
            "Redis on CPU {}{note}, worker and loadgen on CPU {}",
            list(&self.redis_cpus),
            list(&self.worker_cpus)
        )
    }
}

/// The CPUs this process was started on, in ascending order: read before it pins itself, since afterwards it may only
/// use what the last scenario left to it.
fn allowed_cpus() -> Result<Vec<usize>, Error> {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    if let Some(allowed) = ALLOWED.get() {
        return Ok(allowed.clone());
    }
    let set =
        sched_getaffinity(THIS_THREAD).map_err(|errno| Error::system("reading the CPU affinity", errno))?;
    let allowed = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect();
    Ok(ALLOWED.get_or_init(|| allowed).clone())
}

fn pin(cpus: &[usize]) -> Result<(), Error> {
    let failed = |errno| Error::system(format!("pinning to CPUs {cpus:?}"), errno);
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu).map_err(failed)?;
    }
    sched_setaffinity(THIS_THREAD, &set).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_gets_the_first_cpu_when_the_worker_still_has_enough() {
        let placement = Placement::choose(&[0, 1, 2], 2, None).unwrap();
        assert_eq!(placement, Placement { redis_cpus: vec![0], worker_cpus: vec![1, 2] });
        assert!(!placement.shared());
    }

    #[test]
    fn a_plan_does_not_depend_on_what_an_earlier_one_has_pinned() {
        let before = Placement::plan(1, None).unwrap();
        before.enter_worker().unwrap();
        assert_eq!(Placement::plan(1, None).unwrap(), before);
    }

    #[test]
    fn too_few_cpus_are_shared_and_said_so() {
        let placement = Placement::choose(&[4, 6], 2, None).unwrap();
        assert_eq!(placement.redis_cpus, placement.worker_cpus);
        assert!(placement.describe().contains("shared"));
    }

    #[test]
    fn a_chosen_cpu_is_kept_from_the_worker_and_an_unknown_one_refused() {
        let placement = Placement::choose(&[0, 1], 2, Some(1)).unwrap();
        assert_eq!(placement, Placement { redis_cpus: vec![1], worker_cpus: vec![0] });
        let error = Placement::choose(&[0, 1], 1, Some(7)).unwrap_err().to_string();
        assert!(error.contains('7') && error.contains("[0, 1]"), "{error}");
    }
}
