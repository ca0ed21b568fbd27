//! The scenarios: each starts a private Redis, measures one thing, and prints one table.

// No-op jobs through the real worker: the published table.
pub(crate) mod noop;
// What Redis can serve at most with the same commands.
pub(crate) mod limit;
// What a worker costs that has nothing to do.
pub(crate) mod idle;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// What every scenario needs from the terminal.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whether the user wants to stop.
    pub(crate) interrupt: Interrupt,
    /// The bar.
    pub(crate) progress: Progress,
}

impl Session {
    /// Takes over the signals; draws nothing yet.
    ///
    /// # Errors
    /// The kernel refuses the handlers.
    pub(crate) fn begin() -> Result<Self, Error> {
        Ok(Self { interrupt: Interrupt::install()?, progress: Progress::new() })
    }
}
