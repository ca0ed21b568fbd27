//! Latencies on their way from the worker's cores to the scenario: histograms in files.
//!
//! Each core of `loadgen worker` keeps two histograms and writes them when its worker ends; the scenario reads the
//! files of all cores and checks that they contain every job. Nothing is written while jobs run.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use hdrhistogram::Histogram;

use crate::error::Error;

/// Names the directory for the files. Without it nothing is written.
pub(crate) const DIRECTORY_VARIABLE: &str = "LOADGEN_LATENCIES";

/// Longest latency that is distinguished from a longer one: an hour, in nanoseconds.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// Digits kept of each latency: an error of at most one thousandth.
const DIGITS: u8 = 3;

const FROM_INTENDED: &str = "intended";
const FROM_SENT: &str = "sent";

/// One core's latencies.
#[derive(Debug)]
pub(crate) struct Recorder {
    directory: Option<PathBuf>,
    core: usize,
    latencies: RefCell<Latencies>,
}

/// How long jobs took from enqueueing to start, in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Latencies {
    /// From the scheduled time: a late producer does not hide a wait (no coordinated omission).
    pub(crate) from_intended: Histogram<u64>,
    /// From the moment the producer actually sent it.
    pub(crate) from_sent: Histogram<u64>,
}

impl Latencies {
    /// Empty histograms.
    ///
    /// # Errors
    /// The bounds are not valid for a histogram.
    pub(crate) fn new() -> Result<Self, Error> {
        let empty = || {
            Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
                .map_err(|error| Error::Latencies(error.to_string()))
        };
        Ok(Self { from_intended: empty()?, from_sent: empty()? })
    }

    /// Reads what all cores have written to `directory`.
    ///
    /// # Errors
    /// A file cannot be read or is not a histogram.
    pub(crate) fn read(directory: &Path) -> Result<Self, Error> {
        let mut all = Self::new()?;
        let failed = |error| Error::system(format!("reading {}", directory.display()), error);
        for entry in fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let sum = match path.extension().and_then(|extension| extension.to_str()) {
                Some(FROM_INTENDED) => &mut all.from_intended,
                Some(FROM_SENT) => &mut all.from_sent,
                _ => continue,
            };
            let bad = |what: String| Error::Latencies(format!("{}: {what}", path.display()));
            let text = fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
            for line in text.lines() {
                let (latency, jobs) = parse(line).ok_or_else(|| bad(format!("not a latency: {line}")))?;
                sum.saturating_record_n(latency, jobs);
            }
        }
        Ok(all)
    }

    fn write(&self, directory: &Path, core: usize) -> Result<(), Error> {
        for (name, histogram) in [(FROM_INTENDED, &self.from_intended), (FROM_SENT, &self.from_sent)] {
            let path = directory.join(format!("{}-{core}.{name}", std::process::id()));
            let lines = histogram
                .iter_recorded()
                .map(|step| format!("{} {}\n", step.value_iterated_to(), step.count_at_value()));
            fs::write(&path, lines.collect::<String>())
                .map_err(|error| Error::system(format!("writing {}", path.display()), error))?;
        }
        Ok(())
    }
}

/// A line `nanoseconds jobs`.
fn parse(line: &str) -> Option<(u64, u64)> {
    let (latency, jobs) = line.split_once(' ')?;
    Some((latency.parse().ok()?, jobs.parse().ok()?))
}

impl Recorder {
    /// A recorder for one core, for the directory named by the environment.
    ///
    /// # Errors
    /// The bounds are not valid for a histogram.
    pub(crate) fn open(core: usize) -> Result<Self, Error> {
        let directory = env::var_os(DIRECTORY_VARIABLE).map(PathBuf::from);
        Ok(Self { directory, core, latencies: RefCell::new(Latencies::new()?) })
    }

    /// Counts one job; a latency beyond an hour counts as an hour.
    pub(crate) fn record(&self, from_intended_ns: u64, from_sent_ns: u64) {
        let mut latencies = self.latencies.borrow_mut();
        latencies.from_intended.saturating_record(from_intended_ns);
        latencies.from_sent.saturating_record(from_sent_ns);
    }
}

impl Drop for Recorder {
    /// The core's work is over. The scenario counts the jobs, so it notices a missing file.
    fn drop(&mut self) {
        let Some(directory) = &self.directory else { return };
        if let Err(error) = self.latencies.borrow().write(directory, self.core) {
            eprintln!("loadgen worker: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_cores_recorded_is_read_as_one() {
        let folder = tempfile::tempdir().unwrap();
        for core in 0..2 {
            let recorder = Recorder {
                directory: Some(folder.path().to_owned()),
                core,
                latencies: RefCell::new(Latencies::new().unwrap()),
            };
            (1..=50).for_each(|number| recorder.record(number * 2_000, number * 1_000));
        }
        let all = Latencies::read(folder.path()).unwrap();
        assert_eq!((all.from_intended.len(), all.from_sent.len()), (100, 100));
        assert!(all.from_intended.max() >= 100_000 && all.from_sent.max() < 51_000);
    }
}
