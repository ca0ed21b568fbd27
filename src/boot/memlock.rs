//! The limit of locked memory: raised where the process may; otherwise an error says how.

use rlimit::Resource;

use super::Error;

/// What to do about the limits.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Nothing.
    Enough,
    /// Raise the soft limit to this; every process may, up to its hard limit.
    RaiseSoft(u64),
    /// Raise both; only a privileged process may.
    RaiseBoth,
}

/// Makes `needed` bytes lockable.
///
/// # Errors
/// [`Error::MemlockTooSmall`], or [`Error::Memlock`] if the system does not answer.
pub(crate) fn ensure(needed: u64) -> Result<(), Error> {
    let failed = |source| Error::Memlock { source };
    let (soft, hard) = Resource::MEMLOCK.get().map_err(failed)?;
    match plan(soft, hard, needed) {
        Plan::Enough => Ok(()),
        Plan::RaiseSoft(limit) => Resource::MEMLOCK.set(limit, hard).map_err(failed),
        Plan::RaiseBoth => {
            Resource::MEMLOCK.set(needed, needed).map_err(|_| Error::MemlockTooSmall { needed, hard })
        }
    }
}

fn plan(soft: u64, hard: u64, needed: u64) -> Plan {
    match (soft >= needed, hard >= needed) {
        (true, _) => Plan::Enough,
        // As high as possible: handlers and later rings need some too.
        (false, true) => Plan::RaiseSoft(hard),
        (false, false) => Plan::RaiseBoth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_before_anyone_complains() {
        let needed = 512;
        assert_eq!(plan(512, 512, needed), Plan::Enough);
        assert_eq!(plan(u64::MAX, u64::MAX, needed), Plan::Enough);
        assert_eq!(plan(511, 4096, needed), Plan::RaiseSoft(4096));
        assert_eq!(plan(0, u64::MAX, needed), Plan::RaiseSoft(u64::MAX));
        assert_eq!(plan(64, 511, needed), Plan::RaiseBoth);
    }

    #[test]
    fn the_error_names_the_three_ways_out() {
        let text = Error::MemlockTooSmall { needed: 512 * 1024, hard: 65_536 }.to_string();
        for part in ["524288", "65536", "ulimit -l 512", "LimitMEMLOCK", "--ulimit memlock"] {
            assert!(text.contains(part), "{part:?} is not in: {text}");
        }
    }
}
