//! The machine's monotonic clock as a number that all processes on the machine share.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine started. The same in every process, so one can stamp what another reads.
pub(crate) fn nanoseconds() -> u64 {
    // The kernel documents no failure for this clock; a 0 would show as a latency of the machine's whole uptime.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(std::time::Duration::ZERO, Into::into);
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_forward_by_nanoseconds() {
        let first = nanoseconds();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let passed = nanoseconds() - first;
        assert!((2_000_000..2_000_000_000).contains(&passed), "{passed}");
    }
}
