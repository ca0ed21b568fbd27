//! What is pushed in time, late, and after an outage.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::client::NewJob;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn entry(schedule: &str) -> CronEntry {
    CronEntry::new("e", schedule, "UTC", NewJob::new("J", &()).unwrap()).unwrap()
}

fn catching(schedule: &str, catch_up: CatchUp) -> CronEntry {
    entry(schedule).catch_up(catch_up).unwrap()
}

#[test]
fn a_tick_in_time_is_pushed_whatever_is_caught_up() {
    for catch_up in [CatchUp::None, CatchUp::Last, CatchUp::All(3)] {
        let hourly = catching("0 * * * *", catch_up);
        for late in [0, 1, 59_999, 60_000] {
            let expected = Plan { ticks: vec![HOUR], missed: 0, latest: HOUR, next: Some(2 * HOUR) };
            assert_eq!(plan(&hourly, HOUR, HOUR + late), expected);
        }
        // A leader died: nothing of its half minute is lost.
        let seconds = catching("* * * * * *", catch_up);
        let plan = plan(&seconds, HOUR, HOUR + 30_000);
        assert_eq!((plan.ticks.len(), plan.missed, plan.next), (31, 0, Some(HOUR + 31_000)));
    }
}

#[test]
fn what_is_late_is_caught_up_as_the_entry_says() {
    let pushed = |catch_up, now| {
        let Plan { ticks, missed, latest, next } = plan(&catching("0 * * * *", catch_up), HOUR, now);
        assert_eq!(latest, now / HOUR * HOUR);
        assert_eq!(next, Some(latest + HOUR));
        (ticks.iter().map(|tick| tick / HOUR).collect::<Vec<_>>(), missed)
    };
    let now = 5 * HOUR + 30 * MINUTE;
    assert_eq!(pushed(CatchUp::None, now), (vec![], 5));
    assert_eq!(pushed(CatchUp::Last, now), (vec![5], 4));
    assert_eq!(pushed(CatchUp::All(3), now), (vec![3, 4, 5], 2));
    assert_eq!(pushed(CatchUp::All(100), now), (vec![1, 2, 3, 4, 5], 0));
    // The last one is in time after all: it is the last.
    assert_eq!(pushed(CatchUp::None, 5 * HOUR + 1), (vec![5], 4));
    assert_eq!(pushed(CatchUp::Last, 5 * HOUR + 1), (vec![5], 4));
}

#[test]
fn an_outage_of_a_year_costs_no_more_than_its_last_ticks() {
    let seconds = catching("* * * * * *", CatchUp::All(100));
    let year = 365 * 24 * HOUR;
    let begun = std::time::Instant::now();
    let plan = plan(&seconds, HOUR, HOUR + year);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let expected: Vec<i64> = (0..100).map(|back| HOUR + year - (99 - back) * 1000).collect();
    assert_eq!(plan.ticks, expected);
    assert!(plan.missed > 0);
}

#[test]
fn a_paused_entry_lets_its_ticks_pass() {
    let paused = catching("0 * * * *", CatchUp::All(9)).paused(true);
    let expected = Plan { ticks: vec![], missed: 0, latest: 5 * HOUR, next: Some(6 * HOUR) };
    assert_eq!(plan(&paused, HOUR, 5 * HOUR + 1), expected);
}

#[test]
fn nothing_runs_before_its_begin_or_after_its_end() {
    let between = entry("0 * * * *").between(Some(7200.0), Some(4.0 * 3600.0)).unwrap();
    assert_eq!(first_tick(&between, 0), Some(2 * HOUR));
    assert_eq!(first_tick(&between, 3 * HOUR), Some(4 * HOUR), "both ends are included");
    assert_eq!(first_tick(&between, 4 * HOUR), None);
    assert_eq!(plan(&between, 4 * HOUR, 4 * HOUR + 5).next, None);
}

#[test]
fn jitter_is_the_same_each_time_and_spreads_ticks_and_entries() {
    let jittery = entry("0 * * * *").jitter(Duration::from_secs(600)).unwrap();
    let late = |tick: i64| pushed_at(&jittery, tick) - tick;
    let mut tenths = BTreeMap::new();
    for tick in 0..2_000 {
        let late = late(tick * HOUR);
        assert!((0..=600_000).contains(&late));
        *tenths.entry(late / 60_001).or_insert(0) += 1;
    }
    assert!(tenths.len() == 10 && tenths.values().all(|count| *count > 100), "{tenths:?}");
    assert_eq!(late(HOUR), late(HOUR));
    assert_eq!(pushed_at(&entry("0 * * * *"), HOUR), HOUR);
    // What is pushed late because of its jitter is in time.
    let none = jittery.catch_up(CatchUp::None).unwrap();
    assert_eq!(plan(&none, HOUR, pushed_at(&none, HOUR)).ticks, [HOUR]);
}

proptest! {
    #[test]
    fn plans_one_after_the_other_leave_out_no_tick_and_push_none_twice(
        pauses in prop::collection::vec(1..90_000_i64, 1..40),
        schedule in prop_oneof![Just("* * * * * *"), Just("*/7 * * * * *"), Just("* * * * *"), Just("@every 11s")],
    ) {
        // No pause is longer than what counts as in time, by much: all catch up with all.
        let entry = catching(schedule, CatchUp::All(100));
        let mut now = 1_000_000;
        let mut tick = first_tick(&entry, now).unwrap();
        let (mut pushed, first) = (Vec::new(), tick);
        for pause in pauses {
            now += pause;
            if tick <= now {
                let plan = plan(&entry, tick, now);
                prop_assert_eq!(plan.missed, 0);
                pushed.extend(plan.ticks);
                tick = plan.next.unwrap();
            }
        }
        let mut expected = Vec::new();
        let mut at = first;
        while at <= now {
            expected.push(at);
            at = first_tick(&entry, at).unwrap();
        }
        prop_assert_eq!(pushed, expected);
    }
}
