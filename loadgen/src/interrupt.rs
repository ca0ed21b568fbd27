//! Ctrl-C and SIGTERM become an error at the next safe point, so that children and temporary files are cleaned up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::Error;

/// Whether the user wants to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over SIGINT and SIGTERM for this process.
    ///
    /// # Errors
    /// The kernel refuses the handlers.
    pub(crate) fn install() -> Result<Self, Error> {
        let raised = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&raised))
                .map_err(|error| Error::system("installing signal handlers", error))?;
        }
        Ok(Self(raised))
    }

    /// Call this in every loop that waits or works for long.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once a signal has come.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}
