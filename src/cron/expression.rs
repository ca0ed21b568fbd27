//! A cron expression as sets of bits, and the first local time that fits it.
//!
//! Local time is counted in seconds since the first of January 1970, as if there were neither zones nor leap seconds.

use super::CronError;
use super::error::shown;

/// Seconds in a day of a calendar.
pub(super) const DAY: i64 = 86_400;

/// Five or six fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    pub(super) hours: u64,
    /// Days of the month, from bit 1.
    pub(super) days: u64,
    /// `L`: the last day of the month.
    pub(super) last_day: bool,
    /// From bit 1.
    pub(super) months: u64,
    /// Days of the week, Sunday is bit 0: every one of the month.
    pub(super) weekdays: u64,
    /// For each day of the week the ones of the month that count, from bit 1.
    pub(super) nth: [u8; 7],
    /// Days of the week of which the last of the month counts.
    pub(super) last_weekdays: u64,
    /// Whether the field of the days begins with `*` or `?`.
    pub(super) any_day: bool,
    /// Whether that of the days of the week does.
    pub(super) any_weekday: bool,
    /// Whether the hour is `*`: see the rules in [`super`].
    pub(super) any_hour: bool,
}

/// What a field is about.
struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", first: 0, last: 59, names: &[] };
const MINUTE: Field = Field { name: "minute", first: 0, last: 59, names: &[] };
const HOUR: Field = Field { name: "hour", first: 0, last: 23, names: &[] };
const DAY_OF_MONTH: Field = Field { name: "day", first: 1, last: 31, names: &[] };
const MONTH: Field = Field { name: "month", first: 1, last: 12, names: &MONTHS };
/// 7 is Sunday, too.
const WEEKDAY: Field = Field { name: "weekday", first: 0, last: 7, names: &WEEKDAYS };

const MONTHS: [&str; 13] =
    ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Field {
    fn wrong(&self, text: &str, reason: impl Into<String>) -> CronError {
        CronError::Field { field: self.name, text: shown(text), reason: reason.into() }
    }

    fn value(&self, text: &str) -> Result<u32, CronError> {
        let named = self.names.iter().position(|name| !name.is_empty() && name.eq_ignore_ascii_case(text));
        let number = named.and_then(|at| u32::try_from(at).ok()).or_else(|| number(text));
        match number {
            Some(number) if (self.first..=self.last).contains(&number) => Ok(number),
            _ if self.names.is_empty() => {
                Err(self.wrong(text, format!("a number from {} to {} is expected", self.first, self.last)))
            }
            _ => Err(self.wrong(
                text,
                format!(
                    "a number from {} to {}, or a name such as {}, is expected",
                    self.first,
                    self.last,
                    self.names[1].to_uppercase()
                ),
            )),
        }
    }

    /// The set that a part of a list stands for: `*`, `3`, `1-5`, each with a step or without.
    fn part(&self, part: &str) -> Result<u64, CronError> {
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => match number(step) {
                Some(step) if (1..=self.last).contains(&step) => (range, Some(step)),
                _ => {
                    return Err(self.wrong(part, format!("a step is a number from 1 to {}", self.last)));
                }
            },
        };
        // The other name of Sunday is not counted twice.
        let end = if self.last == 7 { 6 } else { self.last };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (self.first, end),
            None => {
                let first = self.value(range)?;
                (first, if step.is_some() { end.max(first) } else { first })
            }
            Some((first, last)) => (self.value(first)?, self.value(last)?),
        };
        // `FRI-SUN` ends with a Sunday, which is 7 there.
        let last = if self.last == 7 && last == 0 && first > 0 { 7 } else { last };
        if first > last {
            return Err(self.wrong(part, "a range ends before it begins"));
        }
        let step = step.unwrap_or(1) as usize;
        Ok((first..=last).step_by(step).fold(0, |set, value| set | 1 << value))
    }

    fn set(&self, text: &str) -> Result<u64, CronError> {
        text.split(',').try_fold(0, |set, part| Ok(set | self.part(part)?))
    }
}

/// A number of at most four digits, without a sign.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl Expression {
    /// Reads fields that are separated by white space.
    pub(super) fn parse(text: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = text.split_ascii_whitespace().take(8).collect();
        let (second, fields) = match fields.as_slice() {
            [second, fields @ ..] if fields.len() == 5 => (*second, fields),
            fields if fields.len() == 5 => ("0", fields),
            fields => return Err(CronError::Fields { schedule: shown(text), fields: fields.len() }),
        };
        let [minute, hour, day, month, weekday] = fields else {
            return Err(CronError::Fields { schedule: shown(text), fields: fields.len() });
        };
        let is_any = |text: &str| text.starts_with(['*', '?']);
        let mut expression = Self {
            seconds: SECOND.set(second)?,
            minutes: MINUTE.set(minute)?,
            hours: HOUR.set(hour)?,
            days: 0,
            last_day: false,
            months: MONTH.set(month)?,
            weekdays: 0,
            nth: [0; 7],
            last_weekdays: 0,
            any_day: is_any(day),
            any_weekday: is_any(weekday),
            any_hour: *hour == "*",
        };
        for part in day.split(',') {
            if part.eq_ignore_ascii_case("l") {
                expression.last_day = true;
            } else {
                expression.days |= DAY_OF_MONTH.part(part)?;
            }
        }
        for part in weekday.split(',') {
            expression.add_weekday(part)?;
        }
        Ok(expression)
    }

    fn add_weekday(&mut self, part: &str) -> Result<(), CronError> {
        if let Some((day, which)) = part.split_once('#') {
            let day = WEEKDAY.value(day)? as usize % 7;
            match number(which) {
                Some(nth @ 1..=5) => self.nth[day] |= 1 << nth,
                _ if which.eq_ignore_ascii_case("l") => self.last_weekdays |= 1 << day,
                _ => {
                    return Err(WEEKDAY.wrong(part, "after # comes which one of the month, 1 to 5, or L"));
                }
            }
            return Ok(());
        }
        // `5L`: the last Friday of the month.
        if let Some(day) = part.strip_suffix(['l', 'L']).filter(|day| number(day).is_some()) {
            self.last_weekdays |= 1 << (WEEKDAY.value(day)? % 7);
            return Ok(());
        }
        let set = WEEKDAY.part(part)?;
        self.weekdays |= set & 0x7f | set >> 7;
        Ok(())
    }

    /// The first fitting time at or after `from` and before `until`.
    pub(super) fn first_in(&self, from: i64, until: i64) -> Option<i64> {
        let mut day = from.div_euclid(DAY);
        let mut second = from.rem_euclid(DAY);
        while day * DAY + second < until {
            let date = Date::of(day);
            if self.months & 1 << date.month == 0 {
                day += i64::from(date.month_days - date.day) + 1;
            } else {
                let fits = self.fits(date);
                if let Some(time) = fits.then(|| self.time_from(second)).flatten() {
                    return Some(day * DAY + time).filter(|time| *time < until);
                }
                day += 1;
            }
            second = 0;
        }
        None
    }

    /// Whether the day fits. As in every cron since Vixie's: if both the day and the weekday are restricted, one of them is
    /// enough.
    fn fits(&self, date: Date) -> bool {
        let by_day = self.days & 1 << date.day != 0 || self.last_day && date.day == date.month_days;
        let nth = (date.day - 1) / 7 + 1;
        let by_weekday = self.weekdays & 1 << date.weekday != 0
            || self.nth[date.weekday as usize] & 1 << nth != 0
            || self.last_weekdays & 1 << date.weekday != 0 && date.day + 7 > date.month_days;
        if self.any_day || self.any_weekday { by_day && by_weekday } else { by_day || by_weekday }
    }

    /// The first fitting second of a day at or after this one.
    fn time_from(&self, second: i64) -> Option<i64> {
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let at = |hour: u32, minute: u32, second: u32| i64::from(hour * 3600 + minute * 60 + second);
        let first = |set: u64| (set != 0).then(|| set.trailing_zeros());
        let from = |set: u64, value: i64| set >> value << value;
        if self.hours & 1 << hour != 0 {
            if self.minutes & 1 << minute != 0
                && let Some(second) = first(from(self.seconds, second))
            {
                return Some(at(hour as u32, minute as u32, second));
            }
            if let Some(minute) = first(from(self.minutes, minute + 1)) {
                return Some(at(hour as u32, minute, first(self.seconds)?));
            }
        }
        let hour = first(from(self.hours, hour + 1))?;
        Some(at(hour, first(self.minutes)?, first(self.seconds)?))
    }
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Date {
    /// From 1.
    month: u32,
    /// From 1.
    day: u32,
    /// Days of its month.
    month_days: u32,
    /// Sunday is 0.
    weekday: u32,
}

impl Date {
    /// The date so many days after the first of January 1970. Years begin in March here, so that a leap day comes last; 400
    /// of them are an era.
    fn of(day: i64) -> Self {
        const ERA: i64 = 146_097;
        let since_march = day + 719_468;
        let of_era = since_march.rem_euclid(ERA);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + i64::from(month <= 2);
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let month_days = match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let small = |value: i64| u32::try_from(value).unwrap_or_default();
        Self {
            month: small(month),
            day: small(of_year - (153 * from_march + 2) / 5 + 1),
            month_days,
            // The first of January 1970 was a Thursday.
            weekday: small((day + 4).rem_euclid(7)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let mut date = jiff::civil::date(1968, 1, 1);
        for day in -731..60_000 {
            let Date { month, day: of_month, month_days, weekday } = Date::of(day);
            let expected = (
                date.month() as u32,
                date.day() as u32,
                date.days_in_month() as u32,
                date.weekday().to_sunday_zero_offset() as u32,
            );
            assert_eq!((month, of_month, month_days, weekday), expected, "{date}");
            date = date.tomorrow().unwrap();
        }
    }

    #[test]
    fn a_field_is_a_set() {
        let set = |field: &Field, text: &str| field.set(text).unwrap();
        let of = |values: &[u32]| values.iter().fold(0_u64, |set, value| set | 1 << value);
        assert_eq!(set(&MINUTE, "0"), 1);
        assert_eq!(set(&MINUTE, "*/20"), of(&[0, 20, 40]));
        assert_eq!(set(&MINUTE, "5/20"), of(&[5, 25, 45]));
        assert_eq!(set(&MINUTE, "1-5/2,58-59"), of(&[1, 3, 5, 58, 59]));
        assert_eq!(set(&MONTH, "Jan,DEC,3-4"), of(&[1, 3, 4, 12]));
        let weekdays = |text: &str| Expression::parse(&format!("0 0 * * {text}")).unwrap().weekdays;
        assert_eq!(weekdays("0,7"), 1);
        assert_eq!(weekdays("FRI-SUN"), of(&[0, 5, 6]));
        assert_eq!(weekdays("mon-fri"), of(&[1, 2, 3, 4, 5]));
        assert_eq!(weekdays("SUN-MON"), of(&[0, 1]));
    }

    #[test]
    fn what_is_no_field_is_refused_with_the_part_that_is_wrong() {
        for (text, part) in [
            ("60 * * * *", "60"),
            ("1,,2 * * * *", "``"),
            ("-1 * * * *", "``"),
            ("*/0 * * * *", "*/0"),
            ("*/99999999999 * * * *", "*/99999999999"),
            ("5-1 * * * *", "5-1"),
            ("* 24 * * *", "24"),
            ("* * 0 * *", "0"),
            ("* * 32 * *", "32"),
            ("* * * 13 *", "13"),
            ("* * * foo *", "foo"),
            ("* * * * 8", "8"),
            ("* * * * 1#6", "1#6"),
            ("* * * * L", "L"),
            ("* * 1-999999999999 * *", "999999999999"),
            ("+1 * * * *", "+1"),
            ("* * * * MON#", "MON#"),
        ] {
            let error = Expression::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        for fields in ["", "*", "* * * *", "* * * * * * *", "* * * * * * * * * * * *"] {
            assert!(matches!(Expression::parse(fields), Err(CronError::Fields { .. })), "{fields}");
        }
    }
}
