//! Entries are read as they were written, once, and bytes that are no entry do no harm.

use std::time::Duration;

use super::*;
use crate::stats::{LiveRow, Outcome};

/// A class that has run this many jobs of 20 ms, of which one failed.
fn busy(jobs: u64) -> Tallied {
    let live = LiveRow::default();
    for job in 0..jobs {
        live.count(if job == 0 { Outcome::Retried } else { Outcome::Done });
        live.ran(Duration::from_micros(5_000 + job % 40 * 1_000));
    }
    (0..jobs / 10).for_each(|batch| live.waited(Duration::from_micros(100 + batch % 5 * 150)));
    Tallied::of(&live.copy())
}

fn slice(rows: &[(&str, &str, u64)], depths: &[(&str, u64)]) -> Slice {
    let mut slice = Slice::default();
    rows.iter().for_each(|(queue, class, jobs)| slice.add(queue, class, &busy(*jobs)));
    depths.iter().for_each(|(queue, jobs)| slice.note_depth(queue, *jobs));
    slice
}

/// What each minute has, read from these entries.
fn read(entries: &[Vec<u8>]) -> BTreeMap<u8, Slice> {
    let (mut reader, mut found) = (Reader::default(), BTreeMap::<u8, Slice>::new());
    for entry in entries {
        reader.read(entry, |minute| Some(found.entry(minute).or_default()));
    }
    found
}

#[test]
fn entries_of_several_processes_add_up_minute_by_minute() {
    let (mut one, mut other) = (Writer::new([1, 2, 3]), Writer::new([1, 2, 4]));
    let first = slice(&[("img", "Resize", 100), ("img", "Crop", 5)], &[("img", 7)]);
    let second = slice(&[("mail", "Send", 3)], &[("img", 9), ("mail", 0)]);
    let entries =
        [one.entry(10, &first), other.entry(10, &second), one.entry(11, &first), other.entry(11, &first)];
    assert!(entries[2].len() < entries[0].len(), "names are written once");
    let mut together = first.clone();
    together.merge(&second);
    let mut twice = first.clone();
    twice.merge(&first);
    assert_eq!(read(&entries), BTreeMap::from([(10, together), (11, twice)]));
    assert_eq!(twice_of(&first).depths, BTreeMap::from([("img".into(), 7)]), "depths do not add up");
}

fn twice_of(slice: &Slice) -> Slice {
    let mut twice = slice.clone();
    twice.merge(slice);
    twice
}

#[test]
fn an_entry_that_was_sent_twice_counts_once() {
    let mut writer = Writer::new([9; 3]);
    let minute = slice(&[("q", "A", 10)], &[]);
    let (one, same_minute) = (writer.entry(3, &minute), writer.entry(3, &minute));
    assert_eq!(read(&[one.clone(), one.clone()])[&3], minute);
    assert_eq!(read(&[one, same_minute])[&3], twice_of(&minute));
}

#[test]
fn an_hour_is_one_value_that_needs_no_other() {
    let hour = slice(&[("img", "Resize", 60_000), ("mail", "Send", 1)], &[("img", 70_000)]);
    assert_eq!(Slice::from_bytes(&hour.to_bytes()), hour);
    assert_eq!(Slice::from_bytes(&Slice::default().to_bytes()), Slice::default());
    assert!(Slice::from_bytes(b"").is_empty());
}

#[test]
fn rows_whose_names_are_lost_are_shown_as_others() {
    let mut writer = Writer::new([9; 3]);
    let minute = slice(&[("q", "A", 10)], &[]);
    writer.entry(3, &minute);
    assert_eq!(read(&[writer.entry(4, &minute)])[&4], slice(&[(OTHER, OTHER, 10)], &[]));
    writer.forget_names();
    assert_eq!(read(&[writer.entry(5, &minute)])[&5], minute);
}

#[test]
fn bytes_that_are_no_entry_are_left_out() {
    let whole = Writer::new([1; 3]).entry(1, &slice(&[("q", "A", 10), ("q", "B", 10)], &[("q", 3)]));
    for cut in 0..whole.len() {
        let found = read(&[whole[..cut].to_vec()]);
        assert!(found.values().all(|slice| slice.rows.len() < 2), "{cut} bytes");
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        (0..random.usize(1..6)).for_each(|_| {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        });
        read(&[bytes]);
    }
}

#[test]
fn counts_are_those_since_the_last_look() {
    let (before, now) = (busy(10), busy(30));
    let mut sum = before.clone();
    sum.merge(&now.since(&before));
    assert_eq!(sum, now);
    assert_eq!((now.since(&before).count(Outcome::Done), before.since(&now)), (20, Tallied::default()));
}

#[test]
fn quantiles_are_within_their_bucket() {
    let row = busy(1_000);
    assert_eq!((row.run.count(), row.wait.count()), (1_000, 100));
    let median = row.run.quantile(0.5).unwrap();
    assert!((0.0156..=0.0313).contains(&median), "{median}");
    assert!((row.run_seconds() - 24.5).abs() < 0.01, "{}", row.run_seconds());
    assert_eq!(Histogram::default().quantile(0.5), None);
    let live = LiveRow::default();
    live.ran(Duration::from_secs(100_000));
    live.ran(Duration::ZERO);
    let run = Tallied::of(&live.copy()).run;
    assert_eq!(run.buckets().collect::<Vec<_>>(), [(2_f64.powi(-16), 1), (f64::INFINITY, 1)]);
    assert_eq!(run.quantile(1.0), Some(8_192.0));
}

/// What it was used for is kept for up to five years.
#[test]
fn the_earlier_form_is_read() {
    let items = [
        &[1, 1, b'q', 1, b'A'][..],
        // Done and retried; two buckets of runs from the tenth, 5/1024 s in all; no waits.
        &[0b11, 0xac, 2, 3, 2, 10, 0xac, 2, 3, 5, 0],
        &[1 << 2 | 0b11, 1, b'q', 9],
    ]
    .concat();
    let mut row = Tallied { run_sum: 5, ..Tallied::default() };
    row.outcomes[..2].copy_from_slice(&[300, 3]);
    row.run.counts[10..12].copy_from_slice(&[300, 3]);
    let mut expected = Slice::default();
    expected.add("q", "A", &row);
    expected.note_depth("q", 9);
    let entry = |minute: u8, number: u8| [&[7, 7, 7, minute, number][..], &items].concat();
    assert_eq!(read(&[entry(12, 0)]), BTreeMap::from([(12, expected.clone())]));
    assert_eq!(Slice::from_bytes(&entry(0, 0)), expected);
    // A fleet of two releases: both forms stand in one list.
    let new = Writer::new([8; 3]).entry(12, &expected);
    assert_eq!(read(&[entry(12, 0), new])[&12], twice_of(&expected));
}

/// Any counts come back as they were, whether or not the number of done jobs follows from the rest.
#[test]
fn any_row_is_read_as_it_was_written() {
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..5_000 {
        let mut row = Tallied::default();
        let number = |random: &mut fastrand::Rng| random.u64(..) >> random.u32(..64);
        for _ in 0..random.usize(..5) {
            row.outcomes[random.usize(..8)] = number(&mut random);
            row.run.counts[random.usize(..31)] = number(&mut random);
            row.wait.counts[random.usize(..31)] = number(&mut random);
        }
        row.run_sum = number(&mut random);
        if random.bool() {
            row.outcomes[DONE] = row.done_of_runs();
        }
        let mut slice = Slice::default();
        slice.add("q", "A", &row);
        assert_eq!(Slice::from_bytes(&slice.to_bytes()), slice);
    }
}

/// A busy class costs about as much in each minute as is promised: 1,440 of them a day.
#[test]
fn a_minute_of_a_busy_class_takes_about_twenty_bytes() {
    let mut writer = Writer::new([1; 3]);
    let minute = slice(&[("img", "Resize", 1_000)], &[]);
    writer.entry(0, &minute);
    let bytes = writer.entry(1, &minute).len();
    assert!(bytes <= 25, "{bytes} bytes");
}
