//! A schedule: its text, its zone, and the tick that follows a moment.

use std::fmt;
use std::time::Duration;

use super::CronError;
use super::error::shown;
use super::expression::{DAY, Expression};
use super::words;
use super::zone::{Stretch, Zone};
use crate::limits::{CRON_EVERY_MAX, CRON_EVERY_MIN, CRON_SCHEDULE_BYTES_MAX, CRON_YEARS_SEARCHED};

/// When something should happen, again and again.
///
/// Five fields (minute, hour, day of the month, month, weekday), or six with the second first; each `*`, a number, a range
/// `1-5`, any of them with a step `/2`, or a list of those. Months and weekdays have names (`JAN`, `MON`), Sunday is 0 and
/// 7.
/// `L` is the last day of a month, `5L` or `FRI#L` its last Friday, `FRI#2` its second. Words stand for the usual ones:
/// `@yearly`, `@monthly`, `@weekly`, `@daily`, `@hourly`, `@minutely`; `@every 90s` is each multiple of that since 1970.
///
/// ```
/// use jiggler_uring::cron::Schedule;
///
/// let schedule = Schedule::parse("30 2 * * *", "Europe/Berlin")?;
/// // 2026-03-28T12:00:00Z. The next day begins summer time: 02:30 is skipped, so it runs at 03:00, which is 01:00 in UTC.
/// let tick = schedule.next_after(1_774_699_200_000);
/// assert_eq!(tick.map(jiggler_uring::cron::tick_text).as_deref(), Some("2026-03-29T01:00:00Z"));
/// # Ok::<_, jiggler_uring::cron::CronError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    /// Milliseconds.
    Every(i64),
    Calendar(Expression, Zone),
}

/// Years are taken to have a leap day each: never too few days.
const SEARCHED: i64 = CRON_YEARS_SEARCHED * 366 * DAY;

/// Where the search for a first tick begins, to find whether there is any: 2026. From here on [`SEARCHED`] reaches beyond
/// every rhythm of the calendar but the centuries'.
const EPOCH: i64 = 1_767_225_600;

impl Schedule {
    /// Reads a schedule in a time zone of the IANA database. The time taken is bounded, whatever the text: see
    /// [`CRON_SCHEDULE_BYTES_MAX`] and [`CRON_YEARS_SEARCHED`].
    ///
    /// # Errors
    /// [`CronError`]: it is no schedule or never comes, or there is no such zone.
    pub fn parse(text: &str, zone: &str) -> Result<Self, CronError> {
        let text = text.trim();
        if text.len() > CRON_SCHEDULE_BYTES_MAX {
            return Err(CronError::TooLong { bytes: text.len() });
        }
        let zone = Zone::find(zone)?;
        let kind = match text.strip_prefix("@every").filter(|rest| rest.starts_with(char::is_whitespace)) {
            Some(span) => Kind::Every(period(span.trim())?),
            None => {
                let expression = Expression::parse(fields_of(text)?)?;
                if expression.first_in(EPOCH, EPOCH + SEARCHED).is_none() {
                    return Err(CronError::Never { schedule: shown(text) });
                }
                Kind::Calendar(expression, zone)
            }
        };
        Ok(Self { text: text.to_owned(), kind })
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of its zone. A schedule of `@every` has none: it is the same everywhere, and says UTC.
    #[must_use]
    pub fn zone(&self) -> &str {
        match &self.kind {
            Kind::Every(_) => "UTC",
            Kind::Calendar(_, zone) => zone.name(),
        }
    }

    /// The first tick after a moment, both Unix milliseconds; `None`: there is none within [`CRON_YEARS_SEARCHED`], or
    /// before the year 9999.
    #[must_use]
    pub fn next_after(&self, ms: i64) -> Option<i64> {
        match &self.kind {
            Kind::Every(period) => ms.div_euclid(*period).checked_add(1)?.checked_mul(*period),
            Kind::Calendar(expression, zone) => {
                let mut at = ms.div_euclid(1000).checked_add(1)?;
                let limit = at.checked_add(SEARCHED)?;
                while at < limit {
                    let stretch = zone.stretch(at)?;
                    if let Some(tick) = first_in(expression, stretch, at, limit) {
                        return tick.checked_mul(1000);
                    }
                    at = stretch.ends?;
                }
                None
            }
        }
    }

    /// In words: `every day at 03:00 Europe/Berlin`.
    #[must_use]
    pub fn in_words(&self) -> String {
        match &self.kind {
            Kind::Every(period) => format!("every {}", words::span(*period / 1000)),
            Kind::Calendar(expression, zone) => format!("{} {}", words::words(expression), zone.name()),
        }
    }

    /// Whether two schedules have the same ticks because they say the same.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.text == other.text && self.zone() == other.zone()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The fields that a word stands for, or the text itself.
fn fields_of(text: &str) -> Result<&str, CronError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    match text.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => Ok("0 0 1 1 *"),
        "@monthly" => Ok("0 0 1 * *"),
        "@weekly" => Ok("0 0 * * 0"),
        "@daily" | "@midnight" => Ok("0 0 * * *"),
        "@hourly" => Ok("0 * * * *"),
        "@minutely" => Ok("* * * * *"),
        _ => Err(CronError::Word { schedule: shown(text) }),
    }
}

/// The milliseconds of a span such as `90s` or `1h30m`.
fn period(text: &str) -> Result<i64, CronError> {
    let wrong = || CronError::Every { text: shown(text) };
    let seconds = words::seconds(text).ok_or_else(wrong)?;
    let period = Duration::from_secs(seconds);
    if !(CRON_EVERY_MIN..=CRON_EVERY_MAX).contains(&period) {
        return Err(wrong());
    }
    i64::try_from(period.as_millis()).map_err(|_| wrong())
}

/// The first tick of a stretch at or after `at`, which is in it, and before `limit`. See the rules in [`super`].
fn first_in(expression: &Expression, stretch: Stretch, at: i64, limit: i64) -> Option<i64> {
    let Stretch { begins, ends, offset } = stretch;
    let mut from = at + offset;
    if let Some((begin, before)) = begins.filter(|_| !expression.any_hour) {
        let (then, now) = (begin + before, begin + offset);
        if at == begin && then < now && expression.first_in(then, now).is_some() {
            return Some(begin);
        }
        // What the clock has shown before it was set back.
        from = from.max(then);
    }
    let until = ends.unwrap_or(limit).min(limit) + offset;
    Some(expression.first_in(from, until)? - offset)
}

#[cfg(test)]
mod tests;
