//! Whether the runners of a worker would start here: each loads its application once, and ends again; servers answer.

use super::Check;
use crate::config::{Config, RunnerSpec};
use crate::runner::probe;
use crate::runner::spec::Program;

/// One check for each runner.
#[must_use]
pub(super) fn checks(config: &Config) -> Vec<Check> {
    let check = |spec: &RunnerSpec| {
        let (name, loads) = (&spec.name, spec.shown());
        match probe(spec) {
            Ok(took) => {
                Check::ok("runner", format!("{name}: {loads} is ready after {:.1} s", took.as_secs_f64()))
            }
            Err(reason) => Check::failed(
                "runner",
                format!("{name}: {loads}: {reason}"),
                match spec.program {
                    Program::Http(_) => "look whether the server runs, and its url from this host",
                    _ => "run the program by hand in this directory, as this user, with this environment",
                },
            ),
        }
    };
    config.runners.iter().map(check).collect()
}
