//! Whether this process may have an io_uring: it creates a small one, and if that fails, finds out what forbids it.

use std::{fs, io};

use io_uring::IoUring;

use super::Error;

const SYSCTL: &str = "/proc/sys/kernel/io_uring_disabled";

/// Creates a ring with one entry and drops it.
///
/// # Errors
/// [`Error::UringMissing`], [`Error::UringDisabled`], [`Error::UringForbidden`] or [`Error::UringFailed`].
pub(crate) fn check() -> Result<(), Error> {
    match IoUring::new(1) {
        Ok(_) => Ok(()),
        Err(error) => {
            // Kernels before 6.6 do not have the switch; then it forbids nothing.
            let switch = fs::read_to_string(SYSCTL).ok().and_then(|text| text.trim().parse().ok());
            Err(diagnose(error, switch.unwrap_or(0)))
        }
    }
}

/// What forbids it: `error` of io_uring_setup(2), `switch` the value of `kernel.io_uring_disabled`.
fn diagnose(error: io::Error, switch: u8) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => Error::UringMissing,
        Some(libc::EPERM) if switch != 0 => Error::UringDisabled { value: switch },
        Some(libc::EPERM | libc::EACCES) => Error::UringForbidden { cause: error },
        _ => Error::UringFailed { source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_diagnosis() {
        let of = |errno, switch| diagnose(io::Error::from_raw_os_error(errno), switch);
        assert!(matches!(of(libc::ENOSYS, 0), Error::UringMissing));
        assert!(matches!(of(libc::EPERM, 1), Error::UringDisabled { value: 1 }));
        assert!(matches!(of(libc::EPERM, 2), Error::UringDisabled { value: 2 }));
        assert!(matches!(of(libc::EPERM, 0), Error::UringForbidden { .. }));
        assert!(matches!(of(libc::EACCES, 0), Error::UringForbidden { .. }));
        assert!(matches!(of(libc::EMFILE, 0), Error::UringFailed { .. }));
    }
}
