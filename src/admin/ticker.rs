//! The progress of a long command: one line on standard error that is overwritten, if that is a terminal.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use crate::limits::COMMAND_PROGRESS_PERIOD;

/// The line. It is wiped when dropped, so that what is printed next is on its own line.
pub(super) struct Ticker {
    is_terminal: bool,
    started: Instant,
    shown: Option<Instant>,
}

impl Ticker {
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), started: Instant::now(), shown: None }
    }

    /// Shows the progress, unless it was shown just now. A command that finishes at once shows nothing.
    pub(super) fn tell(&mut self, text: impl FnOnce(Duration) -> String) {
        let last = self.shown.unwrap_or(self.started);
        if !self.is_terminal || last.elapsed() < COMMAND_PROGRESS_PERIOD {
            return;
        }
        self.shown = Some(Instant::now());
        let mut stderr = io::stderr().lock();
        // A terminal that is gone does not end a command.
        let _ = write!(stderr, "\r\x1b[K{}", text(self.started.elapsed()));
        let _ = stderr.flush();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Jobs per second, as text.
pub(super) fn rate(jobs: u64, elapsed: Duration) -> String {
    format!("{:.0} jobs/s", jobs as f64 / elapsed.as_secs_f64().max(0.001))
}
