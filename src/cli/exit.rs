//! From an invocation to an exit code: 0 done, 1 failed while running, 2 wrong usage or configuration.
//!
//! The only place that decides exit codes and that writes a final error to the terminal. A reader that goes away
//! (`jiggler-uring summary | head -1`) is success: nothing failed, nobody wants the rest.

use std::{
    borrow::Cow,
    error::Error as StdError,
    ffi::OsString,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use super::{Error, Invocation, parse};
use crate::config::Variables;

const PROGRAM: &str = "jiggler-uring";

/// Why an invocation was not carried out, and so which exit code follows.
///
/// Any error becomes [`Failure::Run`] with `?`; what the user must mend before trying again is named
/// [`Failure::Usage`] at the place that knows it.
#[derive(Debug)]
pub enum Failure {
    /// The command line, the configuration or the machine's set-up is wrong (exit code 2).
    Usage(Box<dyn StdError + Send + Sync>),
    /// It began and failed (exit code 1).
    Run(Box<dyn StdError + Send + Sync>),
}

impl Failure {
    /// A failure the user must mend before trying again.
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

/// Reads the command line in `args` (the program's path first) and the environment, has `perform` carry it out and
/// returns what `main` returns. `perform` writes its results, if any, to the writer; errors are printed here.
pub fn run<A, F>(args: A, perform: F) -> ExitCode
where
    A: IntoIterator<Item = OsString>,
    F: FnOnce(Invocation, &mut dyn Write) -> Result<(), Failure>,
{
    let variables = |name: &str| std::env::var_os(name);
    run_with(args.into_iter().collect(), &variables, &mut io::stdout(), &mut io::stderr(), perform).into()
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
    let mut out = Output { inner: out, broken: false };
    let result = match parse(args, variables) {
        Ok(invocation) => perform(invocation, &mut out),
        Err(Error::Arguments(error)) if error.use_stderr() => {
            // The text is clap's, complete with usage line. That the terminal is gone changes no exit code.
            let _ = write!(err, "{}", error.render());
            return Exit::Usage;
        }
        Err(Error::Arguments(error)) => write!(out, "{}", error.render()).map_err(Failure::from),
        Err(Error::Config(error)) => Err(Failure::usage(error)),
    };
    let result = result.and_then(|()| out.flush().map_err(Failure::from));
    let (exit, error) = match result {
        Ok(()) => return Exit::Done,
        Err(_) if out.broken => return Exit::Done,
        Err(Failure::Usage(error)) => (Exit::Usage, error),
        Err(Failure::Run(error)) => (Exit::Failed, error),
    };
    let _ = writeln!(err, "{program}: {}", Chain(&*error));
    exit
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

/// Standard output that remembers whether its reader went away, so that a broken Redis connection is not taken for it.
struct Output<'a> {
    inner: &'a mut dyn Write,
    broken: bool,
}

impl Output<'_> {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.broken |= matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        result
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.inner.flush();
        self.note(result)
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
    fn a_reader_that_goes_away_is_success_but_a_full_disk_and_a_broken_connection_are_not() {
        let print = |_: Invocation, out: &mut dyn Write| Ok(writeln!(out, "text")?);
        assert_eq!(end("prog", &mut Refusing(io::ErrorKind::BrokenPipe), print), (Exit::Done, String::new()));
        assert_eq!(end("prog --help", &mut Refusing(io::ErrorKind::BrokenPipe), nothing).0, Exit::Done);
        assert_eq!(end("prog", &mut Refusing(io::ErrorKind::StorageFull), print).0, Exit::Failed);
        let broken =
            |_: Invocation, _: &mut dyn Write| Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        assert_eq!(end("prog", &mut Vec::new(), broken).0, Exit::Failed);
    }
}
