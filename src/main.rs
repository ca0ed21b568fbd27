//! The stock worker program: the whole command line with the built-in jobs.

use std::process::ExitCode;

use jiggler_uring::cli;

fn main() -> ExitCode {
    cli::run(std::env::args_os(), |invocation, _out| match invocation {
        // SEAM: `server::work(config)`, `client` and `admin` are called here once they exist.
        cli::Invocation::Work(_) | cli::Invocation::Enqueue(_) | cli::Invocation::Summary(_) => {
            Err(cli::Failure::usage("this build holds the command line only, not the engine"))
        }
    })
}
