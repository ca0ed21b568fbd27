//! Runs a case under callgrind and reads how many instructions it took.
//!
//! Each case is run twice, with few rounds and with many: the difference excludes start, warm-up and end, and needs no
//! function names, which a compiler may mangle or inline.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cases::Case;
use crate::error::Error;

/// Rounds of the shorter run: by then tables have grown and buffers are warm.
const ROUNDS_FEW: u64 = 20;

/// Rounds of the longer run: a second or two each under valgrind.
const ROUNDS_MANY: u64 = 100;

/// How many lines of a failed case are shown.
const LOG_LINES: usize = 20;

/// A working valgrind, and where its files go.
#[derive(Debug)]
pub(crate) struct Counter {
    program: PathBuf,
    folder: PathBuf,
    version: String,
}

impl Counter {
    /// Looks for valgrind.
    ///
    /// # Errors
    /// It is not there, or no folder can be created for its files.
    pub(crate) fn find() -> Result<Self, Error> {
        let output = Command::new("valgrind").arg("--version").output().map_err(Error::ValgrindMissing)?;
        let program = env::current_exe().map_err(|error| Error::system("finding this program", error))?;
        // Next to the program, so in the target directory: callgrind_annotate reads them.
        let folder = program.with_file_name("callgrind");
        fs::create_dir_all(&folder)
            .map_err(|error| Error::system(format!("creating {}", folder.display()), error))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(Self { program, folder, version })
    }

    /// As valgrind calls itself.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Instructions of one unit of a case, rounded.
    ///
    /// # Errors
    /// The case fails, or valgrind does.
    pub(crate) fn count(&self, case: &Case) -> Result<u64, Error> {
        let (few, many) = (self.total(case, ROUNDS_FEW)?, self.total(case, ROUNDS_MANY)?);
        let difference = many.checked_sub(few).filter(|difference| *difference > 0);
        let Some(difference) = difference else {
            let (few_rounds, many_rounds) = (ROUNDS_FEW, ROUNDS_MANY);
            return Err(Error::NoDifference { case: case.name, few, few_rounds, many, many_rounds });
        };
        let units = (ROUNDS_MANY - ROUNDS_FEW) * case.units;
        Ok((difference + units / 2) / units)
    }

    /// Instructions of a whole run.
    fn total(&self, case: &Case, rounds: u64) -> Result<u64, Error> {
        let file = self.folder.join(format!("{}.{rounds}", case.name.replace(' ', "-")));
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(&self.program)
            .args(["run", case.name, &rounds.to_string()])
            // The user's settings for logging, allocators and the like are not counted.
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::null())
            .output()
            .map_err(Error::ValgrindMissing)?;
        if !output.status.success() {
            return Err(Error::CaseFailed { case: case.name, log: last_lines(&output.stderr) });
        }
        summary(&file)
    }
}

fn summary(file: &Path) -> Result<u64, Error> {
    let text = fs::read_to_string(file)
        .map_err(|error| Error::system(format!("reading {}", file.display()), error))?;
    let number = text.lines().find_map(|line| line.strip_prefix("summary:")?.trim().parse().ok());
    number.ok_or_else(|| Error::NoSummary(file.to_owned()))
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_callgrinds_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "version: 1\nevents: Ir\nsummary: 1234567\n\nfn=(1) main\n1 5\n").unwrap();
        assert_eq!(summary(file.path()).unwrap(), 1_234_567);
        fs::write(file.path(), "version: 1\n").unwrap();
        assert!(summary(file.path()).unwrap_err().to_string().contains("summary"));
    }

    #[test]
    fn only_the_end_of_a_long_log_is_shown() {
        let log: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let shown = last_lines(log.as_bytes());
        assert!(shown.starts_with("line 80") && shown.ends_with("line 99"), "{shown}");
    }
}
