//! The executors of a process, each with a thread on its CPU.

use core_affinity::CoreId;
use glommio::{CpuSet, LocalExecutorBuilder};

use crate::limits::{EXECUTOR_IO_BYTES, EXECUTOR_PREEMPT};

/// An executor on this CPU. Where the kernel does not show its CPUs, glommio cannot place it, and the executor's thread
/// pins itself: [`pin`].
pub(super) fn executor(name: &str, cpu: usize) -> LocalExecutorBuilder {
    let placement = match CpuSet::online() {
        Ok(cpus) if !cpus.clone().filter(|location| location.cpu == cpu).is_empty() => {
            glommio::Placement::Fixed(cpu)
        }
        _ => glommio::Placement::Unbound,
    };
    LocalExecutorBuilder::new(placement)
        .name(name)
        .io_memory(EXECUTOR_IO_BYTES)
        .preempt_timer(EXECUTOR_PREEMPT)
}

/// Keeps this thread on its CPU; of no effect where glommio has done so.
pub(super) fn pin(cpu: usize) {
    if !core_affinity::set_for_current(CoreId { id: cpu }) {
        tracing::warn!(cpu, "a thread cannot be kept on its cpu (sched_setaffinity); it moves between them");
    }
}

/// Logs what glommio lacks in order to know the CPUs.
pub(super) fn look_at_cpus() {
    if let Err(error) = CpuSet::online() {
        tracing::warn!(
            %error,
            "the kernel does not show its cpus (/sys/devices/system/cpu), so threads are kept on theirs without a look at \
             which share a core; mount /sys to change that"
        );
    }
}
