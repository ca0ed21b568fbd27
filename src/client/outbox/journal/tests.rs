//! What a crash can leave of a journal, at every byte; what must not be mistaken for that; bounds, locks and
//! permissions.

use tempfile::TempDir;

use super::super::record::Job;
use super::*;
use crate::wire::QueueName;

struct Place {
    directory: TempDir,
    options: OutboxOptions,
}

impl Place {
    fn new() -> Self {
        let options = OutboxOptions { durability: Durability::ProcessCrash, ..OutboxOptions::default() };
        Self { directory: tempfile::tempdir().unwrap(), options }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("outbox")
    }

    fn open(&self) -> Result<Journal, JournalError> {
        Journal::open(&self.path(), &self.options)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

fn line(number: u64, payload: &[u8]) -> Vec<u8> {
    let queue = Some(QueueName::new("img").unwrap());
    let mut line = Vec::new();
    Record::write(
        "0d655a187e214821",
        number,
        &Job { queue, due_at: None, payload: payload.to_vec() },
        &mut line,
    );
    line
}

fn append(journal: &mut Journal, number: u64) {
    journal.append(&line(number, b"{\"name\":\"N\"}"), 1).unwrap();
}

fn numbers(journal: &Journal) -> Vec<u64> {
    journal.page().unwrap().records.iter().map(|record| record.number).collect()
}

#[test]
fn what_is_appended_is_there_at_the_next_opening_until_it_is_done() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    assert!(journal.is_empty() && journal.page().unwrap().records.is_empty());
    (1..=5).for_each(|number| append(&mut journal, number));
    drop(journal);
    let mut journal = place.open().unwrap();
    assert_eq!((journal.len(), numbers(&journal)), (5, vec![1, 2, 3, 4, 5]));
    let mut page = journal.page().unwrap();
    append(&mut journal, 6);
    // As if a page had ended before the fourth.
    page.records.truncate(3);
    page.end = HEADER.len() as u64 + 3 * line(1, b"{\"name\":\"N\"}").len() as u64;
    journal.done(&page).unwrap();
    append(&mut journal, 7);
    drop(journal);
    let mut journal = place.open().unwrap();
    assert_eq!((journal.len(), numbers(&journal)), (4, vec![4, 5, 6, 7]));
    let page = journal.page().unwrap();
    journal.done(&page).unwrap();
    assert!(journal.is_empty());
    assert_eq!(place.bytes(), HEADER);
}

#[test]
fn a_torn_end_is_cut_at_every_byte_and_what_precedes_it_stays() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    (1..=2).for_each(|number| append(&mut journal, number));
    let page = journal.page().unwrap();
    append(&mut journal, 3);
    journal.done(&page).unwrap();
    append(&mut journal, 4);
    drop(journal);
    let whole = place.bytes();
    for end in 0..=whole.len() {
        fs::write(place.path(), &whole[..end]).unwrap();
        let mut journal = place.open().unwrap();
        let jobs = numbers(&journal);
        // Whole lines count, the others are gone; once the line recording that two are done is whole, they are.
        let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
        let expected: &[u64] = match lines {
            0 | 1 => &[],
            2 => &[1],
            3 => &[1, 2],
            4 => &[1, 2, 3],
            5 => &[3],
            _ => &[3, 4],
        };
        assert_eq!(jobs, expected, "cut at byte {end}");
        append(&mut journal, 9);
        drop(journal);
        assert_eq!(numbers(&place.open().unwrap()), [expected, &[9]].concat(), "cut at byte {end}");
    }
}

#[test]
fn zeros_and_garbage_at_the_end_are_cut_like_a_torn_line() {
    for end in [&[0; 5_000][..], b"\n\n\n", b"garbage", &[0xff; 3]] {
        let place = Place::new();
        append(&mut place.open().unwrap(), 1);
        let whole = place.bytes();
        fs::write(place.path(), [&whole[..], end].concat()).unwrap();
        assert_eq!(numbers(&place.open().unwrap()), [1]);
        assert_eq!(place.bytes(), whole);
    }
}

#[test]
fn a_damaged_line_before_whole_ones_is_refused_and_nothing_is_changed() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    (1..=3).for_each(|number| append(&mut journal, number));
    drop(journal);
    let mut damaged = place.bytes();
    let at = HEADER.len() + line(1, b"{\"name\":\"N\"}").len();
    damaged[at + 30] ^= 1;
    fs::write(place.path(), &damaged).unwrap();
    let error = place.open().unwrap_err();
    assert!(matches!(error, JournalError::Damaged { offset, .. } if offset == at as u64), "{error}");
    assert_eq!(place.bytes(), damaged);
}

#[test]
fn a_file_of_another_kind_is_left_alone() {
    let place = Place::new();
    fs::write(place.path(), "my only copy\n").unwrap();
    let error = place.open().unwrap_err();
    assert!(error.to_string().contains("not an outbox journal"), "{error}");
    assert_eq!(place.bytes(), b"my only copy\n");
}

#[test]
fn a_journal_has_one_owner_at_a_time_who_alone_can_read_it() {
    let place = Place::new();
    fs::write(place.path(), "").unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o644)).unwrap();
    let journal = place.open().unwrap();
    assert!(matches!(place.open(), Err(JournalError::InUse { .. })));
    for file in ["outbox", "outbox.lock"] {
        let mode = fs::metadata(place.directory.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE, "{file}");
    }
    drop(journal);
    place.open().unwrap();
}

#[test]
fn bounds_are_held_at_their_edge() {
    let mut place = Place::new();
    place.options.jobs_max = 3;
    place.options.bytes_max = 100;
    let mut journal = place.open().unwrap();
    assert!(journal.has_room(3, 100) && !journal.has_room(4, 1) && !journal.has_room(1, 101));
    append(&mut journal, 1);
    let bytes = line(1, b"{\"name\":\"N\"}").len() as u64;
    assert!(journal.has_room(2, 100 - bytes) && !journal.has_room(3, 1) && !journal.has_room(1, 101 - bytes));
    let page = journal.page().unwrap();
    journal.done(&page).unwrap();
    assert!(journal.has_room(3, 100));
}

#[test]
fn what_is_done_is_cut_out_of_a_long_journal() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    let megabyte = vec![b'x'; PUSH_BYTES_MAX];
    for number in 1..=24 {
        journal.append(&line(number, &megabyte), 1).unwrap();
    }
    let mut taken = Vec::new();
    for _ in 0..20 {
        let page = journal.page().unwrap();
        taken.extend(page.records.iter().map(|record| record.number));
        journal.done(&page).unwrap();
    }
    assert_eq!(taken, (1..=20).collect::<Vec<_>>());
    assert!(place.bytes().len() < 10 * PUSH_BYTES_MAX, "{} bytes", place.bytes().len());
    append(&mut journal, 25);
    drop(journal);
    let mut journal = place.open().unwrap();
    assert_eq!(journal.len(), 5);
    for expected in [vec![21], vec![22], vec![23], vec![24], vec![25]] {
        let page = journal.page().unwrap();
        assert_eq!(page.records.iter().map(|record| record.number).collect::<Vec<_>>(), expected);
        journal.done(&page).unwrap();
    }
    assert_eq!(place.bytes(), HEADER);
}

#[test]
fn after_a_failed_write_that_cannot_be_undone_nothing_is_taken_until_all_is_done() {
    let place = Place::new();
    let mut journal = place.open().unwrap();
    append(&mut journal, 1);
    let writable = std::mem::replace(&mut journal.file, File::open(place.path()).unwrap());
    assert!(matches!(journal.append(&line(2, b"{}"), 1), Err(JournalError::Io { what: "write", .. })));
    journal.file = writable;
    assert!(matches!(journal.append(&line(2, b"{}"), 1), Err(JournalError::Broken { .. })));
    assert_eq!(numbers(&journal), [1]);
    let page = journal.page().unwrap();
    journal.done(&page).unwrap();
    append(&mut journal, 3);
    assert_eq!(numbers(&journal), [3]);
}
