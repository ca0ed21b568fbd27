//! The progress bar: on stderr, and only when that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws per second: looks smooth and does not disturb the measurement.
const REDRAWS_PER_SECOND: u8 = 5;

/// One bar, reused for all steps of a scenario.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar without a task yet.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND));
        // The template is a constant; if it has a spelling mistake, indicatif's own style is used.
        if let Ok(style) = ProgressStyle::with_template("{msg:48} {wide_bar} {human_pos}/{human_len}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Starts a step of `length` units.
    pub(crate) fn step(&self, message: String, length: u64) {
        self.0.reset();
        self.0.set_length(length);
        self.0.set_message(message);
    }

    /// Shows `done` units of the step.
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Removes the bar, so that what is printed next is on its own line.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
