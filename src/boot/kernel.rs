//! The kernel's version, in whatever form its vendor writes it, and what follows from it.

use std::{fmt, fs};

use super::Error;
use crate::limits::{KERNEL_MIN, KERNEL_WITHOUT_MEMLOCK, MEMLOCK_BYTES_MIN};

const OSRELEASE: &str = "/proc/sys/kernel/osrelease";

/// The first two numbers of a version, to which our bounds refer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// Reads `6.1.0-18-amd64`, `5.8-rc1`, `7.2.4`: a number, a point, a number, then anything but a digit.
    #[must_use]
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (major, rest) = text.split_once('.')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let minor = rest.get(..digits)?;
        let number =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some(Self { major: number(major)?, minor: number(minor)? })
    }
}

impl From<(u32, u32)> for Version {
    fn from((major, minor): (u32, u32)) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The running kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    release: String,
    version: Option<Version>,
}

impl Kernel {
    /// The kernel this process runs on, as `uname -r` names it.
    ///
    /// # Errors
    /// [`Error::Proc`] if /proc is not mounted.
    pub(crate) fn running() -> Result<Self, Error> {
        let release =
            fs::read_to_string(OSRELEASE).map_err(|source| Error::Proc { path: OSRELEASE, source })?;
        Ok(Self::named(release.trim()))
    }

    /// A kernel with this release name.
    #[must_use]
    pub(crate) fn named(release: &str) -> Self {
        Self { release: release.to_owned(), version: Version::parse(release) }
    }

    /// Its name, such as `6.1.0-18-amd64`.
    #[must_use]
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// Refuses a kernel that is known to be too old. One whose name cannot be read is left to the io_uring check, which
    /// asks the kernel itself.
    ///
    /// # Errors
    /// [`Error::KernelTooOld`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.version {
            Some(version) if version < Version::from(KERNEL_MIN) => {
                Err(Error::KernelTooOld { release: self.release.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Bytes that must be lockable for `executors` executors. Newer kernels charge rings to the process's memory; there
    /// only glommio's own fixed demand is left.
    #[must_use]
    pub(crate) fn memlock_bytes(&self, executors: usize) -> u64 {
        match self.version {
            Some(version) if version < Version::from(KERNEL_WITHOUT_MEMLOCK) => {
                MEMLOCK_BYTES_MIN * u64::try_from(executors.max(1)).unwrap_or(u64::MAX / MEMLOCK_BYTES_MIN)
            }
            _ => MEMLOCK_BYTES_MIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_many_vendors_are_read() {
        for (release, version) in [
            ("6.1.0-18-amd64", Some((6, 1))),
            ("5.8.0-rc1", Some((5, 8))),
            ("5.8-rc1", Some((5, 8))),
            ("6.8", Some((6, 8))),
            ("6.12+", Some((6, 12))),
            ("5.15.90.1-microsoft-standard-WSL2", Some((5, 15))),
            ("4.18.0-553.el8_10.x86_64", Some((4, 18))),
            ("5.10.205-195.807.amzn2.x86_64", Some((5, 10))),
            ("10.0.0", Some((10, 0))),
            ("", None),
            ("6", None),
            ("six.one", None),
            ("v6.1", None),
            ("6.", None),
            (".1", None),
            ("+6.1", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(Version::parse(release), version.map(Version::from), "{release:?}");
        }
    }

    #[test]
    fn kernels_are_refused_below_the_bound_only() {
        for (release, valid) in [
            ("5.7.19", false),
            ("4.19.0", false),
            ("5.8.0", true),
            ("5.10.0", true),
            ("6.0", true),
            ("odd", true),
        ] {
            assert_eq!(Kernel::named(release).check().is_ok(), valid, "{release}");
        }
        let text = Kernel::named("4.18.0-553.el8").check().unwrap_err().to_string();
        assert!(text.contains("4.18.0-553.el8") && text.contains("5.8"), "{text}");
    }

    #[test]
    fn locked_memory_grows_with_the_executors_only_on_old_kernels() {
        for (release, bytes) in [("5.11.22", 4 * MEMLOCK_BYTES_MIN), ("5.12.0", MEMLOCK_BYTES_MIN)] {
            assert_eq!(Kernel::named(release).memlock_bytes(4), bytes, "{release}");
        }
    }
}
