//! A time zone: which stretch of time with one offset a moment belongs to.
//!
//! The rules are those of the host (`/usr/share/zoneinfo`), which are updated without us; a host without them has those that
//! are built in. Two hosts with different rules may disagree about a tick's time, never about whether it was pushed.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::CronError;
use super::error::shown;
use crate::limits::CRON_NAME_BYTES_MAX;

/// A zone of the IANA database, or UTC.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    rules: TimeZone,
    name: String,
}

/// A stretch of time in which local time goes evenly: its bounds in Unix seconds, offsets in seconds east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Where it begins, and the offset before; `None`: it has no beginning.
    pub(super) begins: Option<(i64, i64)>,
    /// Where the next one begins; `None`: it has no end.
    pub(super) ends: Option<i64>,
    /// Its offset.
    pub(super) offset: i64,
}

impl Zone {
    /// The zone of this name, whose letters may be of either case.
    ///
    /// # Errors
    /// [`CronError::Zone`]
    pub(super) fn find(name: &str) -> Result<Self, CronError> {
        let unknown = || CronError::Zone { zone: shown(name) };
        if name.len() > CRON_NAME_BYTES_MAX {
            return Err(unknown());
        }
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self { rules: TimeZone::UTC, name: "UTC".to_owned() });
        }
        let rules = TimeZone::get(name).map_err(|_| unknown())?;
        let name = rules.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { rules, name })
    }

    /// Its name, as the database spells it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The stretch that a moment belongs to; `None` beyond the year 9999.
    pub(super) fn stretch(&self, at: i64) -> Option<Stretch> {
        let moment = Timestamp::from_second(at).ok()?;
        let offset = |moment: Timestamp| i64::from(self.rules.to_offset(moment).seconds());
        // Transitions before a moment do not include one at the moment.
        let after = Timestamp::from_second(at + 1).ok()?;
        let begins = self.rules.preceding(after).next().map(|transition| transition.timestamp());
        let begins = match begins {
            Some(moment) => {
                let before = Timestamp::from_second(moment.as_second() - 1).ok()?;
                Some((moment.as_second(), offset(before)))
            }
            None => None,
        };
        let ends = self.rules.following(moment).next().map(|transition| transition.timestamp().as_second());
        Some(Stretch { begins, ends, offset: offset(moment) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn a_stretch_ends_where_the_clock_is_changed() {
        let berlin = Zone::find("europe/berlin").unwrap();
        assert_eq!(berlin.name(), "Europe/Berlin");
        let (spring, autumn) = (at("2026-03-29T01:00:00Z"), at("2026-10-25T01:00:00Z"));
        let summer = Stretch { begins: Some((spring, 3600)), ends: Some(autumn), offset: 7200 };
        for moment in [spring, at("2026-07-01T00:00:00Z"), autumn - 1] {
            assert_eq!(berlin.stretch(moment), Some(summer));
        }
        assert_eq!(berlin.stretch(spring - 1).unwrap().ends, Some(spring));
        assert_eq!(berlin.stretch(autumn).unwrap().begins, Some((autumn, 7200)));
        let utc = Zone::find("UTC").unwrap();
        assert_eq!(utc.stretch(spring), Some(Stretch { begins: None, ends: None, offset: 0 }));
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for name in ["", "Berlin", "../../etc/passwd", "Europe/Berlin\n", &"x".repeat(10_000)] {
            assert!(matches!(Zone::find(name), Err(CronError::Zone { .. })), "{name:?}");
        }
    }
}
