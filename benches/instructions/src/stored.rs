//! The stored counts: the file, which of them apply to this machine, and what a difference means.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// By how much a count may exceed the stored one. Two runs of one program differ by a few instructions in ten thousand
/// (hash seeds, digits of the time); another release of the C library, whose allocator and copying are counted too, by
/// a few in a hundred.
const TOLERANCE: f64 = 0.05;

/// The same if another compiler built the program: inlining moves, so only gross differences count.
const TOLERANCE_OTHER_COMPILER: f64 = 0.3;

/// Name of the file, next to the sources of this package.
const FILE: &str = "counts.json";

/// What makes the same source run different code: the architecture, and whether it has the vector instructions for
/// which the JSON parser and the C library have special code. Valgrind presents every processor with AVX2 to the
/// program as one and the same model, and hides anything newer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Kind(String);

/// One set of counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// The compiler that built the program.
    pub(crate) compiler: String,
    /// The valgrind that counted.
    pub(crate) valgrind: String,
    /// Instructions of each case, by name.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// The whole file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Stored {
    kinds: BTreeMap<Kind, Counts>,
}

/// The result of the comparison.
#[derive(Debug)]
pub(crate) struct Report {
    /// For people: one line per case, or why nothing is compared.
    pub(crate) text: String,
    /// One line for each case beyond the tolerance.
    pub(crate) regressions: Vec<String>,
}

impl Kind {
    /// The kind of processor this runs on.
    pub(crate) fn of_this_machine() -> Self {
        Self(format!("{ARCH}{}", vectors()))
    }
}

#[cfg(target_arch = "x86_64")]
fn vectors() -> &'static str {
    if std::arch::is_x86_feature_detected!("avx2") { " avx2" } else { "" }
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> &'static str {
    ""
}

impl Stored {
    /// Reads the file; a missing one is empty.
    ///
    /// # Errors
    /// It cannot be read, or does not have the form this program writes.
    pub(crate) fn read() -> Result<Self, Error> {
        let path = path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::system(format!("reading {}", path.display()), error)),
        };
        serde_json::from_str(&text).map_err(|error| Error::Stored { path, error })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self) -> Result<(), Error> {
        let path = path();
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Stored { path: path.clone(), error })?;
        fs::write(&path, text + "\n")
            .map_err(|error| Error::system(format!("writing {}", path.display()), error))
    }

    /// Replaces the counts of the same kind with these.
    pub(crate) fn replace(&mut self, kind: &Kind, counts: Counts) {
        self.kinds.insert(kind.clone(), counts);
    }

    /// Compares measured counts with the stored ones.
    pub(crate) fn compare(&self, kind: &Kind, measured: &Counts) -> Report {
        let mut report = Report { text: String::new(), regressions: Vec::new() };
        let Some(stored) = self.kinds.get(kind) else {
            let known: Vec<&str> = self.kinds.keys().map(|kind| kind.0.as_str()).collect();
            report.line(format!(
                "no counts are stored for {}, only for {known:?}: nothing is compared; make instructions stores them",
                kind.0
            ));
            return report;
        };
        let same = stored.compiler == measured.compiler;
        let tolerance = if same { TOLERANCE } else { TOLERANCE_OTHER_COMPILER };
        if !same {
            report.line(format!(
                "the stored counts are from {}, these from {}: up to {:.0} % more is allowed instead of {:.0} %",
                stored.compiler,
                measured.compiler,
                tolerance * 100.0,
                TOLERANCE * 100.0
            ));
        }
        for (case, count) in &measured.instructions {
            report.case(case, stored.instructions.get(case).copied(), *count, tolerance);
        }
        let gone = stored.instructions.keys().filter(|case| !measured.instructions.contains_key(*case));
        report.regressions.extend(gone.map(|case| {
            format!("{case}: stored, but no longer a case: rename or remove it with make instructions")
        }));
        report
    }
}

impl Report {
    fn case(&mut self, case: &str, stored: Option<u64>, measured: u64, tolerance: f64) {
        let Some(stored) = stored else {
            self.regressions.push(format!("{case}: {measured} instructions, none stored: make instructions"));
            return;
        };
        let ratio = measured as f64 / stored as f64;
        let line =
            format!("{case}: {measured} instructions, {stored} stored ({:+.1} %)", (ratio - 1.0) * 100.0);
        if ratio > 1.0 + tolerance {
            self.regressions.push(format!("{line}, at most {:+.0} % allowed", tolerance * 100.0));
        } else if ratio < 1.0 - tolerance {
            self.line(format!("{line}: cheaper; make instructions keeps it so"));
        } else {
            self.line(line);
        }
    }

    fn line(&mut self, line: impl AsRef<str>) {
        let _infallible = writeln!(self.text, "{}", line.as_ref());
    }
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(compiler: &str, parse: u64) -> Counts {
        let instructions = BTreeMap::from([("parse".to_owned(), parse)]);
        Counts { compiler: compiler.to_owned(), valgrind: "valgrind-3.19.0".to_owned(), instructions }
    }

    fn here() -> Kind {
        Kind("x86_64 avx2".to_owned())
    }

    fn stored() -> Stored {
        let mut stored = Stored::default();
        stored.replace(&here(), counts("rustc 1", 1_000));
        stored
    }

    #[test]
    fn the_tolerance_is_the_bound_and_the_message_names_case_and_both_counts() {
        let regressions = |compiler, parse| stored().compare(&here(), &counts(compiler, parse)).regressions;
        assert_eq!(regressions("rustc 1", 1_049), [""; 0]);
        let failed = regressions("rustc 1", 1_051);
        assert_eq!(failed, ["parse: 1051 instructions, 1000 stored (+5.1 %), at most +5 % allowed"]);
        assert!(Error::Regressions(failed.join("\n")).to_string().contains("make instructions"));
        assert_eq!(regressions("rustc 2", 1_290), [""; 0]);
        assert_eq!(regressions("rustc 2", 1_310).len(), 1);
    }

    #[test]
    fn what_became_cheaper_is_said_and_does_not_fail() {
        let report = stored().compare(&here(), &counts("rustc 1", 900));
        assert!(report.text.contains("cheaper") && report.regressions.is_empty(), "{report:?}");
    }

    #[test]
    fn another_kind_of_processor_is_not_compared_and_said_so() {
        let report = stored().compare(&Kind("aarch64".to_owned()), &counts("rustc 1", 9_000));
        assert!(report.regressions.is_empty(), "{report:?}");
        assert!(report.text.contains("no counts are stored for aarch64"), "{report:?}");
    }

    #[test]
    fn a_case_without_a_count_and_a_count_without_a_case_fail() {
        let mut measured = counts("rustc 1", 1_000);
        let parse = measured.instructions.remove("parse").unwrap();
        measured.instructions.insert("parse it".to_owned(), parse);
        assert_eq!(stored().compare(&here(), &measured).regressions.len(), 2);
    }

    #[test]
    fn the_file_reads_back_as_written() {
        let text = serde_json::to_string_pretty(&stored()).unwrap();
        assert!(text.contains(r#""parse": 1000"#), "{text}");
        let read: Stored = serde_json::from_str(&text).unwrap();
        assert_eq!(read.kinds, stored().kinds);
    }
}
