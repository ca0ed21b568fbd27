//! How often a scenario measures each of its rows, where three runs are the default.

use clap::Args;
use serde::Serialize;

use crate::cli::runs;
use crate::report::format::counted;

/// How often each row is measured.
#[derive(Debug, Clone, Copy, Args, Serialize)]
pub(crate) struct RepeatOptions {
    /// Runs per row: the table shows medians
    #[arg(short, long, default_value = "3", value_name = "N", value_parser = runs)]
    pub(super) runs: u64,
}

impl RepeatOptions {
    /// What is said below the table.
    pub(super) fn remark(self) -> String {
        format!("Medians of {}.", counted(self.runs, "run"))
    }
}
