//! What Sidekiq's page of metrics reads: how many jobs of a class ran in a minute, how many failed, how long they took; and
//! the keys under which versions 7 and 8 of the gem look for that.
//!
//! Not for when it is written, nor for the commands. Times come from buckets of ours, whose bounds differ: one that is
//! within a tenth of a bound of Sidekiq's may be counted on its other side.

use std::{fmt, str::FromStr};

use ::time::OffsetDateTime;

use crate::limits::{METRICS_MINUTE_TTL_S, METRICS_TEN_MINUTES_TTL_S};
use crate::stats::{Outcome, Row};

/// The limits of Sidekiq's histograms, in milliseconds: a run is counted at the first that is greater, or after the last.
const LIMITS_MS: [u32; BUCKETS - 1] = [
    20, 30, 45, 65, 100, 150, 225, 335, 500, 750, 1_100, 1_700, 2_500, 3_800, 5_750, 8_500, 13_000, 20_000,
    30_000, 45_000, 65_000, 100_000, 150_000, 225_000, 335_000,
];

/// Counters of a histogram.
const BUCKETS: usize = 26;

/// For which versions of the gem metrics are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MetricsFor {
    /// For none.
    Off,
    /// For the pages of 7.
    Seven,
    /// For the pages of 8.
    #[default]
    Eight,
    /// For the pages of both, at twice the cost.
    Both,
}

impl MetricsFor {
    const ALL: [Self; 4] = [Self::Off, Self::Seven, Self::Eight, Self::Both];

    /// The word of flags and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Seven => "7",
            Self::Eight => "8",
            Self::Both => "both",
        }
    }

    /// How the keys are spelt.
    #[must_use]
    pub const fn spellings(self) -> &'static [Spelling] {
        match self {
            Self::Off => &[],
            Self::Seven => &[Spelling::Seven],
            Self::Eight => &[Spelling::Eight],
            Self::Both => &[Spelling::Seven, Spelling::Eight],
        }
    }
}

impl fmt::Display for MetricsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MetricsFor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|versions| versions.as_str() == text);
        found.ok_or_else(|| format!("`{text}` is neither 7, 8, both nor off"))
    }
}

/// How a version of the gem spells the keys of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As 7.0 to 7.3.
    Seven,
    /// As 8.
    Eight,
}

impl Spelling {
    /// The hashes with the sums of the minute of this Unix time (UTC), and how long each is kept, in seconds.
    #[must_use]
    pub fn sums(self, unix: f64) -> Vec<(String, u64)> {
        let Moment { year, month, day, hour, minute } = Moment::of(unix);
        match self {
            Self::Seven => {
                vec![(format!("j|{year:04}{month:02}{day:02}|{hour}:{minute}"), METRICS_MINUTE_TTL_S)]
            }
            Self::Eight => {
                let (short, tens) = (year.rem_euclid(100), minute / 10);
                let of_day = format!("j|{short:02}{month:02}{day:02}|{hour}");
                vec![
                    (format!("{of_day}:{minute:02}"), METRICS_MINUTE_TTL_S),
                    (format!("{of_day}:{tens}"), METRICS_TEN_MINUTES_TTL_S),
                ]
            }
        }
    }

    /// The histogram of a class in the minute of this Unix time.
    #[must_use]
    pub fn histogram(self, class: &str, unix: f64) -> String {
        let Moment { day, hour, minute, .. } = Moment::of(unix);
        match self {
            Self::Seven => format!("{class}-{day:02}-{hour:02}:{minute}"),
            Self::Eight => format!("h|{class}-{day}-{hour}:{minute}"),
        }
    }
}

struct Moment {
    year: i32,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
}

impl Moment {
    fn of(unix: f64) -> Self {
        let at = OffsetDateTime::from_unix_timestamp(unix as i64).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self {
            year: at.year(),
            month: u8::from(at.month()),
            day: at.day(),
            hour: at.hour(),
            minute: at.minute(),
        }
    }
}

/// Where a histogram counts a run of so many seconds.
fn bucket(seconds: f64) -> usize {
    LIMITS_MS.iter().position(|limit| f64::from(*limit) > seconds * 1e3).unwrap_or(BUCKETS - 1)
}

/// What became of the runs of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassRuns {
    /// Runs that ended, failed ones included.
    pub executed: u64,
    /// Those that failed.
    pub failed: u64,
    /// How long those took together that did not fail, in milliseconds.
    pub ms: u64,
    /// How many of those took how long.
    pub took: [u64; BUCKETS],
}

impl ClassRuns {
    /// What a shard has counted.
    pub(crate) fn of(row: &Row) -> Self {
        let count = |outcome| row.count(outcome);
        let failed = count(Outcome::Retried) + count(Outcome::Dead) + count(Outcome::Cancelled);
        let failed = failed + row.forgotten;
        // Those that are forgotten are among the discarded.
        let discarded = count(Outcome::Discarded).saturating_sub(row.forgotten);
        let mut took = [0_u64; BUCKETS];
        for (middle_s, count) in row.run.buckets() {
            took[bucket(middle_s)] += count;
        }
        for (middle_s, count) in row.failed_run.iter().flat_map(|times| times.buckets()) {
            let took = &mut took[bucket(middle_s)];
            *took = took.saturating_sub(count);
        }
        let failed_s = row.failed_run.as_ref().map_or(0.0, |times| times.sum_s());
        Self {
            executed: count(Outcome::Done) + discarded + failed,
            failed,
            ms: ((row.run.sum_s() - failed_s).max(0.0) * 1e3) as u64,
            took,
        }
    }

    /// Adds what others have counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.executed += other.executed;
        self.failed += other.failed;
        self.ms += other.ms;
        for (count, more) in self.took.iter_mut().zip(&other.took) {
            *count += more;
        }
    }

    /// What was counted after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let mut took = self.took;
        for (count, before) in took.iter_mut().zip(&before.took) {
            *count = count.saturating_sub(*before);
        }
        Self {
            executed: self.executed.saturating_sub(before.executed),
            failed: self.failed.saturating_sub(before.failed),
            ms: self.ms.saturating_sub(before.ms),
            took,
        }
    }

    /// The numbers of a hash of sums, by what follows the name of the class there: as the gem, those of which there is any.
    #[must_use]
    pub fn sums(&self) -> Vec<(&'static str, u64)> {
        let succeeded = self.executed > self.failed;
        let sums = [
            ("|ms", self.ms, succeeded || self.ms > 0),
            ("|p", self.executed, true),
            ("|f", self.failed, self.failed > 0),
        ];
        sums.into_iter().filter(|(.., counts)| *counts).map(|(end, number, _)| (end, number)).collect()
    }

    /// The counters of the histogram that have counted anything, by number.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.took.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::stats::LiveRow;

    #[test]
    fn keys_are_spelt_as_each_version_spells_them() {
        // 2026-11-05, 03:07:09.
        let at = 1_793_848_029.5;
        let names = |spelling: Spelling| {
            let sums: Vec<String> = spelling.sums(at).into_iter().map(|(key, _)| key).collect();
            (sums.join(" "), spelling.histogram("A::B", at))
        };
        assert_eq!(names(Spelling::Seven), ("j|20261105|3:7".to_owned(), "A::B-05-03:7".to_owned()));
        assert_eq!(
            names(Spelling::Eight),
            ("j|261105|3:07 j|261105|3:0".to_owned(), "h|A::B-5-3:7".to_owned())
        );
        for versions in MetricsFor::ALL {
            assert_eq!(versions.to_string().parse(), Ok(versions));
        }
        assert!("6".parse::<MetricsFor>().is_err());
    }

    #[test]
    fn runs_are_counted_without_the_times_of_those_that_failed() {
        let live = LiveRow::default();
        for ms in [1, 25, 400_000] {
            live.count(Outcome::Done);
            live.ran(Duration::from_millis(ms));
        }
        live.count(Outcome::Retried);
        live.ran(Duration::from_millis(500));
        live.failed_after(Duration::from_millis(500));
        live.count(Outcome::Discarded);
        live.forget();
        let runs = ClassRuns::of(&live.copy());
        assert_eq!((runs.executed, runs.failed), (5, 2));
        assert!((400_025..=400_026).contains(&runs.ms), "{}", runs.ms);
        assert_eq!(runs.buckets().collect::<Vec<_>>(), [(0, 1), (1, 1), (25, 1)]);
        assert_eq!(runs.sums(), [("|ms", runs.ms), ("|p", 5), ("|f", 2)]);
        let mut both = runs.clone();
        both.merge(&runs);
        assert_eq!(both.since(&runs), runs);
        let failed = ClassRuns { executed: 1, failed: 1, ..ClassRuns::default() };
        assert_eq!(failed.sums(), [("|p", 1), ("|f", 1)]);
    }
}
