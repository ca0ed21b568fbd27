//! The stock worker program: the whole command line with the built-in jobs.

use std::process::ExitCode;

use jiggler_uring::{builtin, worker};

fn main() -> ExitCode {
    worker(builtin::registry).run()
}
