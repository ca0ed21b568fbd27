//! Schedules over changes of the clock, leap years and whatever text, and against a slow search by jiff's own calendar.

use jiff::{Timestamp, civil, tz::TimeZone};
use proptest::prelude::*;

use super::*;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// The ticks after a moment, as local times with their offset.
fn ticks(schedule: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let schedule = Schedule::parse(schedule, zone).unwrap();
    let zone = TimeZone::get(zone).unwrap();
    let mut at = ms(after);
    let mut texts = Vec::new();
    while texts.len() < count {
        at = schedule.next_after(at).unwrap();
        let time = Timestamp::from_millisecond(at).unwrap().to_zoned_datetime(zone.clone());
        texts.push(time.strftime("%m-%d %H:%M:%S %:z").to_string());
    }
    texts
}

#[test]
fn a_time_that_the_clock_skips_runs_once_after_the_gap() {
    let spring = |schedule, count| ticks(schedule, "Europe/Berlin", "2026-03-28T22:59:59Z", count);
    assert_eq!(spring("30 2 * * *", 2), ["03-29 03:00:00 +02:00", "03-30 02:30:00 +02:00"]);
    assert_eq!(
        spring("*/20 2 * * *", 2),
        ["03-29 03:00:00 +02:00", "03-30 02:00:00 +02:00"],
        "three skipped times are one run"
    );
    // The skipped run and the ordinary one fall together.
    assert_eq!(
        spring("30 2,3 * * *", 3),
        ["03-29 03:00:00 +02:00", "03-29 03:30:00 +02:00", "03-30 02:30:00 +02:00"]
    );
    assert_eq!(spring("0 3 * * *", 2), ["03-29 03:00:00 +02:00", "03-30 03:00:00 +02:00"]);
    assert_eq!(spring("0 2,3 * * *", 2), ["03-29 03:00:00 +02:00", "03-30 02:00:00 +02:00"]);
    // A schedule for every hour owes nothing for an hour that did not pass.
    assert_eq!(
        spring("30 * * * *", 4)[1..],
        ["03-29 01:30:00 +01:00", "03-29 03:30:00 +02:00", "03-29 04:30:00 +02:00"]
    );
}

#[test]
fn a_time_that_comes_twice_runs_once_and_every_hour_runs_in_both() {
    let autumn = |schedule, count| ticks(schedule, "Europe/Berlin", "2026-10-24T22:30:00Z", count);
    assert_eq!(autumn("30 2 * * *", 2), ["10-25 02:30:00 +02:00", "10-26 02:30:00 +01:00"]);
    assert_eq!(
        autumn("*/30 2 * * *", 3),
        ["10-25 02:00:00 +02:00", "10-25 02:30:00 +02:00", "10-26 02:00:00 +01:00"]
    );
    assert_eq!(autumn("0 3 * * *", 1), ["10-25 03:00:00 +01:00"]);
    assert_eq!(
        autumn("30 * * * *", 4),
        ["10-25 01:30:00 +02:00", "10-25 02:30:00 +02:00", "10-25 02:30:00 +01:00", "10-25 03:30:00 +01:00"]
    );
}

#[test]
fn a_zone_that_moves_by_half_an_hour_keeps_the_same_rules() {
    // Lord Howe: 02:00 becomes 02:30 on 4 October 2026, and 02:00 becomes 01:30 on 5 April.
    let spring = |schedule, count| ticks(schedule, "Australia/Lord_Howe", "2026-10-03T14:00:00Z", count);
    assert_eq!(spring("15 2 * * *", 2), ["10-04 02:30:00 +11:00", "10-05 02:15:00 +11:00"]);
    assert_eq!(spring("45 2 * * *", 1), ["10-04 02:45:00 +11:00"]);
    let autumn = |schedule, count| ticks(schedule, "Australia/Lord_Howe", "2026-04-04T14:00:00Z", count);
    assert_eq!(autumn("45 1 * * *", 2), ["04-05 01:45:00 +11:00", "04-06 01:45:00 +10:30"]);
    assert_eq!(autumn("15 1 * * *", 2), ["04-05 01:15:00 +11:00", "04-06 01:15:00 +10:30"]);
    assert_eq!(
        autumn("45 * * * *", 3),
        ["04-05 01:45:00 +11:00", "04-05 01:45:00 +10:30", "04-05 02:45:00 +10:30"]
    );
}

#[test]
fn a_day_that_a_zone_skips_is_made_up_for_once() {
    // Samoa went from the end of 29 December 2011 to 31 December.
    let samoa = ticks("0 12 * * *", "Pacific/Apia", "2011-12-29T23:00:00Z", 2);
    assert_eq!(samoa, ["12-31 00:00:00 +14:00", "12-31 12:00:00 +14:00"]);
}

#[test]
fn leap_years_and_ends_of_months_are_those_of_the_calendar() {
    let utc = |schedule, after, count| ticks(schedule, "UTC", after, count);
    assert_eq!(utc("0 0 29 2 *", "2026-01-01T00:00:00Z", 1), ["02-29 00:00:00 +00:00"]);
    let leap = Schedule::parse("0 0 29 2 *", "UTC").unwrap();
    assert_eq!(leap.next_after(ms("2096-03-01T00:00:00Z")), Some(ms("2104-02-29T00:00:00Z")));
    let rare = Schedule::parse("0 0 * 2 MON#5", "UTC").unwrap();
    assert_eq!(rare.next_after(ms("2072-03-01T00:00:00Z")), Some(ms("2112-02-29T00:00:00Z")));
    assert_eq!(
        utc("0 0 L * *", "2027-01-15T00:00:00Z", 3),
        ["01-31 00:00:00 +00:00", "02-28 00:00:00 +00:00", "03-31 00:00:00 +00:00"]
    );
    assert_eq!(
        utc("0 0 * * 5L,MON#1", "2026-12-02T00:00:00Z", 3),
        ["12-07 00:00:00 +00:00", "12-25 00:00:00 +00:00", "01-04 00:00:00 +00:00"]
    );
    // Either is enough, if both are restricted.
    assert_eq!(
        utc("0 0 13 * 5", "2026-12-02T00:00:00Z", 3),
        ["12-04 00:00:00 +00:00", "12-11 00:00:00 +00:00", "12-13 00:00:00 +00:00"]
    );
}

#[test]
fn what_never_comes_is_refused_at_once() {
    for schedule in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 9 ?"] {
        let begun = std::time::Instant::now();
        let error = Schedule::parse(schedule, "Europe/Berlin").unwrap_err();
        assert!(matches!(error, CronError::Never { .. }), "{schedule}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}

#[test]
fn every_counts_from_1970_so_that_all_processes_agree() {
    let every = Schedule::parse("@every 90s", "UTC").unwrap();
    assert_eq!(
        [0, 1, 89_999, 90_000].map(|at| every.next_after(at)),
        [90_000, 90_000, 90_000, 180_000].map(Some)
    );
    assert_eq!(every.in_words(), "every 1m30s");
    for wrong in
        ["@every", "@every ", "@every 0s", "@every 5x", "@every 99999d", "@every -1s", "@everyday", "@reboot"]
    {
        assert!(Schedule::parse(wrong, "UTC").is_err(), "{wrong}");
    }
    for (word, words) in [
        ("@daily", "every day at 00:00 UTC"),
        ("@hourly", "every hour UTC"),
        ("@Weekly", "on Sunday at 00:00 UTC"),
        ("@yearly", "on day 1 of the month in January at 00:00 UTC"),
    ] {
        assert_eq!(Schedule::parse(word, "UTC").unwrap().in_words(), words);
    }
}

#[test]
fn bounds_are_held_at_their_edge() {
    let long = |bytes: usize| {
        // The other four fields take eight bytes.
        let minutes = ",0".repeat((bytes - 9) / 2) + if bytes.is_multiple_of(2) { "0" } else { "" };
        format!("0{minutes} * * * *")
    };
    let parse = |bytes| Schedule::parse(&long(bytes), "UTC");
    assert_eq!([511, 512].map(|bytes| long(bytes).len()), [511, 512]);
    assert!(parse(CRON_SCHEDULE_BYTES_MAX - 1).is_ok() && parse(CRON_SCHEDULE_BYTES_MAX).is_ok());
    assert!(matches!(parse(CRON_SCHEDULE_BYTES_MAX + 1), Err(CronError::TooLong { .. })));
    let daily = Schedule::parse("@daily", "Europe/Berlin").unwrap();
    for at in [i64::MIN, i64::MAX, i64::MAX - 1, ms("9999-12-30T22:00:00Z")] {
        let _bounded = daily.next_after(at);
    }
}

/// A field of a schedule: any, a number, a step, a range or a list.
fn field(first: u32, last: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        3 => (first..=last).prop_map(|value| value.to_string()),
        1 => (1..=last).prop_map(|step| format!("*/{step}")),
        1 => (first..=last, first..=last).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (first..=last, first..=last).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

fn schedules() -> impl Strategy<Value = String> {
    (field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns"];

/// Which minutes of a day fit, by a reading of the fields that shares nothing with the one under test.
fn fits(schedule: &str, time: civil::DateTime) -> bool {
    let fields: Vec<&str> = schedule.split(' ').collect();
    let has = |text: &str, first: u32, value: u32| {
        text.split(',').any(|part| match part.split_once('-') {
            Some((a, b)) => (a.parse().unwrap()..=b.parse::<u32>().unwrap()).contains(&value),
            None => match part.split_once('/') {
                Some((_, step)) => (value - first).is_multiple_of(step.parse().unwrap()),
                None => part == "*" || part.parse::<u32>().unwrap() == value,
            },
        })
    };
    let weekday = time.weekday().to_sunday_zero_offset() as u32;
    let by_day = has(fields[2], 1, time.day() as u32);
    let by_weekday =
        has(fields[4], 0, weekday) || weekday == 0 && !fields[4].contains('*') && has(fields[4], 0, 7);
    let days = match fields[2].starts_with('*') || fields[4].starts_with('*') {
        true => by_day && by_weekday,
        false => by_day || by_weekday,
    };
    let clock = has(fields[0], 0, time.minute() as u32) && has(fields[1], 0, time.hour() as u32);
    clock && has(fields[3], 1, time.month() as u32) && days
}

/// The ticks of some days minute by minute, by the rules as [`super::super`] tells them.
fn slowly(schedule: &str, zone: &TimeZone, from: Timestamp, until: Timestamp) -> Vec<i64> {
    let minute = jiff::SignedDuration::from_mins(1);
    let is_hourly = schedule.split(' ').nth(1) == Some("*");
    let local = |at: Timestamp| zone.to_datetime(at);
    let mut ticks = Vec::new();
    let mut at = from;
    while at < until {
        let (now, before) = (local(at), local(at - minute));
        let step = now.duration_since(before);
        let skipped = !is_hourly && step > minute && {
            let mut time = before + minute;
            let mut found = false;
            while time < now {
                found |= fits(schedule, time);
                time += minute;
            }
            found
        };
        // Whether the clock has shown this time before: in the hours before a change it is ahead of now.
        let again = !is_hourly && (1..=180).any(|back| local(at - minute * back) == now);
        if skipped || fits(schedule, now) && !again {
            ticks.push(at.as_millisecond());
        }
        at += minute;
    }
    ticks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ticks_are_those_of_a_clock_that_is_watched_minute_by_minute(
        text in schedules(),
        zone in 0..ZONES.len(),
        change in 0..5_usize,
    ) {
        let starts = ["2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z", "2026-04-04T00:00:00Z", "2026-10-31T00:00:00Z",
            "2026-03-07T12:00:00Z"];
        let from: Timestamp = starts[change].parse().unwrap();
        let until = from + jiff::SignedDuration::from_hours(48);
        let rules = TimeZone::get(ZONES[zone]).unwrap();
        let expected = slowly(&text, &rules, from, until);
        let schedule = Schedule::parse(&text, ZONES[zone]).unwrap();
        let mut ticks = Vec::new();
        let mut at = from.as_millisecond() - 1;
        while let Some(tick) = schedule.next_after(at).filter(|tick| *tick < until.as_millisecond()) {
            prop_assert!(tick > at);
            ticks.push(tick);
            at = tick;
        }
        prop_assert_eq!(ticks, expected, "{} {}", text, ZONES[zone]);
    }

    #[test]
    fn no_text_takes_long_or_panics(text in "[ -~]{0,60}", zone in 0..ZONES.len(), at in any::<i64>()) {
        if let Ok(schedule) = Schedule::parse(&text, ZONES[zone]) {
            let _words = schedule.in_words();
            if let Some(tick) = schedule.next_after(at) {
                prop_assert!(tick > at);
            }
        }
    }

    #[test]
    fn texts_that_look_like_schedules_take_no_longer(text in "[*/,L#?0-9a-zA-Z -]{0,40}( [*0-9L#,/-]{1,6}){4}") {
        if let Ok(schedule) = Schedule::parse(&text, "Europe/Berlin") {
            let mut at = 0;
            for _ in 0..5 {
                let Some(tick) = schedule.next_after(at) else { break };
                prop_assert!(tick > at && tick % 1000 == 0);
                at = tick;
            }
        }
    }
}
