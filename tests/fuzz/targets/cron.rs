//! Schedules and stored entries of periodic jobs: any text is read or refused, in bounded time; ticks only go forward; what
//! is read can be written again.

use jiggler_uring::cron::{CronEntry, Run, Schedule, first_tick, plan, pushed_at};

/// Ticks that are followed for each schedule.
const TICKS: usize = 4;

/// Checks one text: as a schedule, with a zone behind a line break if there is one, and as an entry.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let (schedule, zone) = text.split_once('\n').unwrap_or((text, "Europe/Berlin"));
        if let Ok(schedule) = Schedule::parse(schedule, zone) {
            check_schedule(&schedule);
        }
    }
    if let Ok(entry) = CronEntry::from_json("name", data) {
        check_entry(&entry);
    }
    let run = Run::read(Some(data));
    assert_eq!(Run::read(Some(&run.to_json())), run);
}

fn check_schedule(schedule: &Schedule) {
    assert!(!schedule.in_words().is_empty());
    let again = Schedule::parse(schedule.text(), schedule.zone()).unwrap();
    assert!(again.says_the_same_as(schedule));
    for start in [0, 1_774_742_399_999, 1_792_886_399_999, i64::MAX - 1, i64::MIN] {
        let mut at = start;
        for _ in 0..TICKS {
            let Some(tick) = schedule.next_after(at) else { break };
            assert!(tick > at && tick % 1000 == 0, "{tick} after {at}");
            // Nothing is between them.
            assert_eq!(schedule.next_after(tick - 1), Some(tick));
            at = tick;
        }
    }
}

fn check_entry(entry: &CronEntry) {
    check_schedule(entry.schedule());
    let now = 1_774_742_399_999;
    let Some(tick) = first_tick(entry, now) else { return };
    assert!(pushed_at(entry, tick) >= tick);
    let plan = plan(entry, tick, tick + 3_600_000);
    assert!(plan.ticks.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(plan.next.is_none_or(|next| next > tick + 3_600_000 && next > plan.latest));
}
