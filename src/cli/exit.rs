//! From an invocation to an exit code: 0 done, 1 failed while running, 2 wrong usage or configuration.
//!
//! The only place that decides exit codes and that writes a final error to the terminal. A reader that goes away
//! (`jiggler-uring summary | head -1`) is success: nothing failed, nobody wants the rest. An order that changes something
//! is carried out to its end whatever happens to its output; what could not be written is in the final error.

use std::{
    borrow::Cow,
    error::Error as StdError,
    ffi::OsString,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use super::{
    Error, Invocation, output::Output, parse_with_notes, process_orders::ProcessOrder, program::own,
};
use crate::boot::logging::Stderr;
use crate::config::Variables;
use crate::foreign::neutral;
use crate::resp::url::masked;

const PROGRAM: &str = "jiggler-uring";

/// Why an invocation was not carried out, which determines the exit code.
///
/// With `?` any error becomes [`Failure::Run`]; what the user must fix before trying again is marked [`Failure::Usage`] at
/// the place that knows it.
#[derive(Debug)]
pub enum Failure {
    /// The command line, the configuration or the machine's set-up is wrong (exit code 2).
    Usage(Box<dyn StdError + Send + Sync>),
    /// It started and failed (exit code 1).
    Run(Box<dyn StdError + Send + Sync>),
}

impl Failure {
    /// A failure the user must fix before trying again.
    pub fn usage(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Usage(error.into())
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Run(Box::new(error))
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Done,
    Failed,
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
        }
    }
}

/// Reads the command line in `args` (the program's path first) and the environment, has `perform` carry it out, and returns
/// what `main` returns. `perform` writes its results, if any, to the writer; errors are printed here.
pub fn run<A, F>(args: A, perform: F) -> ExitCode
where
    A: IntoIterator<Item = OsString>,
    F: FnOnce(Invocation, &mut dyn Write) -> Result<(), Failure>,
{
    let variables = |name: &str| std::env::var_os(name);
    let mut err = Stderr;
    let exit = run_with(args.into_iter().collect(), &variables, &mut io::stdout(), &mut err, perform);
    // A reader that stops reading does not affect the exit code, and costs at most a second.
    let _written = err.flush();
    exit.into()
}

fn run_with<F>(
    args: Vec<OsString>,
    variables: Variables<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
    perform: F,
) -> Exit
where
    F: FnOnce(Invocation, &mut dyn Write) -> Result<(), Failure>,
{
    let program =
        args.first().and_then(|path| Path::new(path).file_name()).map(|name| name.to_string_lossy());
    let program = program.map_or_else(|| PROGRAM.to_owned(), Cow::into_owned);
    let mut out = Output::new(out);
    let result = match parse_with_notes(args, variables) {
        Ok((invocation, notes)) => {
            for note in notes {
                let _ = err.write_all(format!("{program}: warning: {}\n", neutral(&note)).as_bytes());
            }
            out.is_report = changes_something(&invocation);
            perform(invocation, &mut out)
        }
        Err(Error::Arguments(error)) if error.use_stderr() => {
            // The text is clap's, complete with usage line, and quotes what it does not recognise, which may be a url. That
            // the terminal is gone does not change the exit code.
            let _ = err.write_all(neutral(&masked(&error.render().to_string())).as_bytes());
            return Exit::Usage;
        }
        Err(Error::Arguments(error)) => write!(out, "{}", error.render()).map_err(Failure::from),
        Err(Error::Config(error)) => Err(Failure::usage(error)),
    };
    let result = result.and_then(|()| out.flush().map_err(Failure::from));
    let untold = out.untold.take();
    let (exit, error) = match result {
        Ok(()) if untold.is_some() => (Exit::Failed, None),
        Ok(()) => return Exit::Done,
        Err(_) if out.broken => return Exit::Done,
        Err(Failure::Usage(error)) => (Exit::Usage, Some(error)),
        Err(Failure::Run(error)) => (Exit::Failed, Some(error)),
    };
    let mut words = untold.map_or_else(String::new, |untold| untold.words(&program));
    if let Some(error) = error {
        // A way out that it names is one of this program.
        let told = own(&Chain(&*error).to_string());
        words.push_str(&format!("{program}: {}\n", neutral(&told)));
    }
    // In one piece: other processes may be writing to the same terminal.
    let _ = err.write_all(words.as_bytes());
    exit
}

/// Whether the output reports what the order has done, which must not end half-way because nobody reads it.
fn changes_something(invocation: &Invocation) -> bool {
    match invocation {
        Invocation::Enqueue(_)
        | Invocation::EnqueueBulk(_)
        | Invocation::Cancel(_)
        | Invocation::Act(_)
        | Invocation::Prune(_)
        | Invocation::Cron(_)
        | Invocation::Run(_)
        | Invocation::Pause(_)
        | Invocation::Process(ProcessOrder::Steer { .. }) => true,
        Invocation::Work(_)
        | Invocation::Summary(_)
        | Invocation::Queues(_)
        | Invocation::History(_)
        | Invocation::Jobs(_)
        | Invocation::Show(_)
        | Invocation::Why(_)
        | Invocation::Progress(_)
        | Invocation::Process(_) => false,
    }
}

/// An error with its sources, on one line.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::VERSION;

    /// A writer whose reader is gone, or whose disk is full.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn end<F>(line: &str, out: &mut dyn Write, perform: F) -> (Exit, String)
    where
        F: FnOnce(Invocation, &mut dyn Write) -> Result<(), Failure>,
    {
        let mut err = Vec::new();
        let args = line.split(' ').map(OsString::from).collect();
        let exit = run_with(args, &|_| None, out, &mut err, perform);
        (exit, String::from_utf8(err).unwrap())
    }

    fn nothing(_: Invocation, _: &mut dyn Write) -> Result<(), Failure> {
        Ok(())
    }

    #[test]
    fn what_was_done_exits_0() {
        let mut out = Vec::new();
        assert_eq!(end("prog", &mut out, nothing), (Exit::Done, String::new()));
        let (exit, err) = end("prog --version", &mut out, |_, _| panic!("a version runs nothing"));
        assert_eq!((exit, err.as_str()), (Exit::Done, ""));
        assert_eq!(String::from_utf8(out).unwrap(), format!("jiggler-uring {VERSION}\n"));
        assert!(VERSION.starts_with(env!("CARGO_PKG_VERSION")), "{VERSION}");
    }

    #[test]
    fn what_failed_exits_1_with_its_causes_on_one_line() {
        let perform = |_: Invocation, _: &mut dyn Write| {
            let source = io::Error::from(io::ErrorKind::ConnectionRefused);
            Err(crate::config::Error::Read { path: "x.yml".into(), source }.into())
        };
        let (exit, err) = end("/usr/bin/prog", &mut Vec::new(), perform);
        assert_eq!(
            (exit, err.as_str()),
            (Exit::Failed, "prog: read configuration file x.yml: connection refused\n")
        );
    }

    #[test]
    fn wrong_usage_and_wrong_configuration_exit_2() {
        for (line, part) in [
            ("prog --cores 0", "--cores: `0` is not allowed; give a whole number from 1 to 1024"),
            ("prog --nonsense", "--nonsense"),
            ("prog sumary", "summary"),
            ("prog -C /nonexistent.yml", "/nonexistent.yml"),
            ("prog --cores 2 summary", "cannot be used with"),
        ] {
            let (exit, err) = end(line, &mut Vec::new(), |_, _| panic!("{line} must not run"));
            assert!(exit == Exit::Usage && err.contains(part), "{line}: {exit:?} {err}");
        }
        let (exit, err) = end("prog", &mut Vec::new(), |_, _| Err(Failure::usage("kernel too old")));
        assert_eq!((exit, err.as_str()), (Exit::Usage, "prog: kernel too old\n"));
    }

    #[test]
    fn a_url_in_the_wrong_place_is_not_repeated_with_its_password() {
        for line in [
            "prog redis://:s3cret@h",
            "prog summary redis://me:s3cret@h/1",
            "prog jobs redis://s3cret@h",
            "prog --redis-ur=redis://:s3cret@h",
            "prog --redis-url redis://s3cret:s3cret",
        ] {
            let (exit, err) = end(line, &mut Vec::new(), |_, _| panic!("{line} must not run"));
            assert!(exit == Exit::Usage && !err.contains("s3cret"), "{line}: {exit:?} {err}");
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_success_but_a_full_disk_and_a_broken_connection_are_not() {
        let print = |_: Invocation, out: &mut dyn Write| Ok(writeln!(out, "text")?);
        assert_eq!(end("prog", &mut Refusing(io::ErrorKind::BrokenPipe), print), (Exit::Done, String::new()));
        assert_eq!(end("prog --help", &mut Refusing(io::ErrorKind::BrokenPipe), nothing).0, Exit::Done);
        assert_eq!(end("prog", &mut Refusing(io::ErrorKind::StorageFull), print).0, Exit::Failed);
        let broken =
            |_: Invocation, _: &mut dyn Write| Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        assert_eq!(end("prog", &mut Vec::new(), broken).0, Exit::Failed);
    }

    #[test]
    fn an_order_is_carried_out_though_its_output_cannot_be_written_and_the_error_says_what_was_done() {
        let mut steps = 0;
        let mut enqueue = |out: &mut dyn Write| {
            for number in 0..3 {
                writeln!(out, "enqueued job {number}")?;
                steps += 1;
            }
            Ok(())
        };
        let (exit, err) =
            end("prog enqueue Noop", &mut Refusing(io::ErrorKind::StorageFull), |_, out| enqueue(out));
        let done = "prog: done: enqueued job 0\nprog: done: enqueued job 1\nprog: done: enqueued job 2\n";
        assert!(exit == Exit::Failed && err.contains(done), "{exit:?} {err}");
        assert!(err.starts_with("prog: write the output: "), "{err}");
        let (exit, err) =
            end("prog enqueue Noop", &mut Refusing(io::ErrorKind::BrokenPipe), |_, out| enqueue(out));
        assert_eq!((exit, err.as_str(), steps), (Exit::Done, "", 6));
    }

    #[test]
    fn an_order_that_fails_after_its_reader_went_away_has_failed() {
        let perform = |_: Invocation, out: &mut dyn Write| {
            writeln!(out, "deleted one of two")?;
            Err(io::Error::from(io::ErrorKind::ConnectionReset).into())
        };
        let (exit, err) = end("prog prune all --yes", &mut Refusing(io::ErrorKind::BrokenPipe), perform);
        assert_eq!((exit, err.as_str()), (Exit::Failed, "prog: connection reset\n"));
    }
}
