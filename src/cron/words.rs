//! A schedule in words, and spans of time in both directions.

use super::expression::Expression;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const NTH: [&str; 6] = ["", "first", "second", "third", "fourth", "fifth"];

/// Times of day that are listed one by one.
const TIMES_LISTED_MAX: u32 = 6;

/// An expression in words, without its zone.
pub(super) fn words(expression: &Expression) -> String {
    let (times, is_time_of_day) = times(expression);
    let days = days(expression);
    let months = if expression.months == range(1, 12) {
        String::new()
    } else {
        format!(" in {}", list(values(expression.months).map(|month| MONTHS[month as usize - 1].to_owned())))
    };
    match (days, is_time_of_day) {
        (None, true) => format!("every day{months} {times}"),
        (None, false) => format!("{times}{months}"),
        (Some(days), true) => format!("{days}{months} {times}"),
        (Some(days), false) => format!("{times} {days}{months}"),
    }
}

/// When on a day, and whether that is at certain times of it rather than all day long.
fn times(expression: &Expression) -> (String, bool) {
    let Expression { seconds, minutes, hours, .. } = *expression;
    let count = hours.count_ones() * minutes.count_ones() * seconds.count_ones();
    if count <= TIMES_LISTED_MAX {
        let mut texts = Vec::new();
        for hour in values(hours) {
            for minute in values(minutes) {
                for second in values(seconds) {
                    texts.push(match seconds {
                        1 => format!("{hour:02}:{minute:02}"),
                        _ => format!("{hour:02}:{minute:02}:{second:02}"),
                    });
                }
            }
        }
        return (format!("at {}", list(texts.into_iter())), true);
    }
    let mut text = match (seconds, minutes) {
        (1, minutes) => unit(minutes, "minute", 60),
        (seconds, minutes) if minutes == range(0, 59) => unit(seconds, "second", 60),
        (seconds, minutes) => format!("{}, {}", unit(seconds, "second", 60), unit(minutes, "minute", 60)),
    };
    if (seconds, minutes) == (1, 1) {
        text = unit(hours, "hour", 24);
    } else if hours != range(0, 23) {
        text = format!("{text}, {}", unit(hours, "hour", 24));
    }
    (text, false)
}

/// A set of minutes, say: `every minute`, `every 5 minutes`, `at minutes 0, 7 and 9 to 12`.
fn unit(set: u64, name: &str, count: u32) -> String {
    if set == range(0, count - 1) {
        return format!("every {name}");
    }
    let stepped = (2..=count / 2).find(|step| count.is_multiple_of(*step) && set == steps(*step, count));
    match stepped {
        Some(step) => format!("every {step} {name}s"),
        None if set.count_ones() == 1 => format!("at {name} {}", set.trailing_zeros()),
        None => format!("at {name}s {}", list(ranges(set))),
    }
}

/// Which days; `None`: every day.
fn days(expression: &Expression) -> Option<String> {
    let weekdays = weekdays(expression);
    let all_days = expression.days == range(1, 31);
    let by_day = match (values(expression.days).next(), expression.last_day) {
        _ if all_days => None,
        (None, _) => Some("on the last day of the month".to_owned()),
        (Some(_), is_last) => {
            let last = if is_last { " and the last one" } else { "" };
            let s = if expression.days.count_ones() == 1 { "" } else { "s" };
            Some(format!("on day{s} {}{last} of the month", list(ranges(expression.days))))
        }
    };
    match (by_day, weekdays) {
        (None, None) => None,
        (Some(by_day), None) => Some(by_day),
        (None, Some(weekdays)) => Some(format!("on {weekdays}")),
        (Some(by_day), Some(weekdays)) => {
            let both = expression.any_day || expression.any_weekday;
            Some(format!("{by_day} {} on {weekdays}", if both { "if it is" } else { "and" }))
        }
    }
}

fn weekdays(expression: &Expression) -> Option<String> {
    if expression.weekdays == range(0, 6) {
        return None;
    }
    let mut texts: Vec<String> =
        values(expression.weekdays).map(|day| WEEKDAYS[day as usize].to_owned()).collect();
    for (day, nths) in expression.nth.iter().enumerate() {
        for nth in values(u64::from(*nths)) {
            texts.push(format!("the {} {} of the month", NTH[nth as usize], WEEKDAYS[day]));
        }
    }
    for day in values(expression.last_weekdays) {
        texts.push(format!("the last {} of the month", WEEKDAYS[day as usize]));
    }
    Some(list(texts.into_iter()))
}

fn range(first: u32, last: u32) -> u64 {
    (first..=last).fold(0, |set, value| set | 1 << value)
}

fn steps(step: u32, count: u32) -> u64 {
    (0..count).step_by(step as usize).fold(0, |set, value| set | 1 << value)
}

fn values(set: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |value| set & 1 << value != 0)
}

/// Runs of values as ranges.
fn ranges(set: u64) -> impl Iterator<Item = String> {
    let mut texts = Vec::new();
    let mut rest = set;
    while rest != 0 {
        let first = rest.trailing_zeros();
        let length = (rest >> first).trailing_ones();
        let last = first + length - 1;
        match length {
            1 => texts.push(first.to_string()),
            2 => texts.extend([first.to_string(), last.to_string()]),
            _ => texts.push(format!("{first} to {last}")),
        }
        rest &= !range(first, last);
    }
    texts.into_iter()
}

/// `a, b and c`.
fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    match items.pop() {
        None => String::new(),
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} and {last}", items.join(", ")),
    }
}

/// The units of a span, largest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// The seconds of a span: a number, or whole numbers with units from days down (`90`, `1h30m`).
pub(super) fn seconds(text: &str) -> Option<u64> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    if let Some(seconds) = number(text) {
        return Some(seconds);
    }
    let (mut rest, mut sum) = (text, 0_u64);
    for (unit, length) in UNITS {
        if let Some((count, after)) = rest.split_once(unit) {
            sum = sum.checked_add(number(count)?.checked_mul(length)?)?;
            rest = after;
        }
    }
    (rest.is_empty() && !text.is_empty()).then_some(sum)
}

/// A span as text: `1h30m`.
pub(super) fn span(seconds: i64) -> String {
    let mut rest = u64::try_from(seconds).unwrap_or_default();
    let mut text = String::new();
    for (unit, length) in UNITS {
        if rest >= length {
            text.push_str(&format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_reads_like_a_sentence() {
        for (schedule, expected) in [
            ("0 3 * * *", "every day at 03:00"),
            ("30 8,20 * * *", "every day at 08:30 and 20:30"),
            ("15 30 8 * * *", "every day at 08:30:15"),
            ("* * * * *", "every minute"),
            ("*/5 * * * *", "every 5 minutes"),
            ("*/10 * * * * *", "every 10 seconds"),
            ("* * * * * *", "every second"),
            ("0 * * * *", "every hour"),
            ("0 */2 * * *", "every 2 hours"),
            ("7 * * * *", "at minute 7"),
            (
                "*/15 9-17 * * 1-5",
                "every 15 minutes, at hours 9 to 17 on Monday, Tuesday, Wednesday, Thursday and Friday",
            ),
            ("0 0 1 * *", "on day 1 of the month at 00:00"),
            ("0 0 L * *", "on the last day of the month at 00:00"),
            (
                "0 0 1,15-17,L 1,7 *",
                "on days 1 and 15 to 17 and the last one of the month in January and July at 00:00",
            ),
            (
                "0 9 * * MON#1,5L",
                "on the first Monday of the month and the last Friday of the month at 09:00",
            ),
            ("0 0 13 * 5", "on day 13 of the month and on Friday at 00:00"),
            ("0 12 * 12 *", "every day in December at 12:00"),
        ] {
            assert_eq!(words(&Expression::parse(schedule).unwrap()), expected, "{schedule}");
        }
    }

    #[test]
    fn spans_are_read_and_written() {
        for (text, seconds_of) in
            [("90", 90), ("90s", 90), ("1h30m", 5_400), ("2d", 172_800), ("1d1s", 86_401)]
        {
            assert_eq!(seconds(text), Some(seconds_of), "{text}");
        }
        for text in ["", "s", "5", "m5", "5m2h", "1.5h", "-5s", "99999999999", "5m5m", "5x", "1h ", "é"] {
            assert_eq!(seconds(text).is_some(), text == "5", "{text}");
        }
        assert_eq!((span(90), span(5_400), span(86_401)), ("1m30s".into(), "1h30m".into(), "1d1s".into()));
    }
}
