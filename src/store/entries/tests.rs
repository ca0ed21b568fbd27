//! Pages of places against a real Redis: what one call reads, in which order, and where it stops.

use super::*;
use crate::net::{self, blocking::BlockingConnection};
use crate::own_redis::OwnRedis;
use crate::wire::keys::JIGGLER;

const QUEUE: &str = "jiggler:list:img";

struct Setup {
    redis: OwnRedis,
    conn: BlockingConnection,
    scripts: Scripts,
}

impl Setup {
    fn new() -> Self {
        let (redis, conn, scripts) = OwnRedis::with_scripts();
        Self { redis, conn, scripts }
    }

    fn page(&mut self, place: &Place, window: Window) -> Result<Page, net::Error> {
        let mut requests = Requests::new();
        page(&self.scripts, place, window, &mut requests);
        Ok(read_page(&self.conn.call_one(&requests)?, window)?)
    }

    /// The total number, and for each entry how many are newer, its score and its text.
    fn read(&mut self, place: &Place, skip: u64, count: usize, order: Order) -> (u64, Vec<String>) {
        let page = self.page(place, Window { skip, count, order }).unwrap();
        let text = |entry: &Entry| {
            assert!(entry.is_whole());
            let score = entry.score.map_or_else(String::new, |score| format!("@{score}"));
            format!("{}:{}{score}", entry.newer, String::from_utf8_lossy(&entry.bytes))
        };
        (page.total, page.entries.iter().map(text).collect())
    }
}

fn queue() -> Place {
    Place::Queue("img".parse().unwrap())
}

#[test]
fn a_window_is_counted_from_the_end_that_was_asked_for() {
    let mut setup = Setup::new();
    for (job, score) in [("a", "1.5"), ("b", "2"), ("c", "3"), ("d", "inf")] {
        setup.redis.run(&[b"LPUSH", QUEUE.as_bytes(), job.as_bytes()]);
        setup.redis.run(&[b"ZADD", JIGGLER.names().dead.as_bytes(), score.as_bytes(), job.as_bytes()]);
    }
    let dead = Place::Set(Set::Dead);
    // Place, skip, count, order, entries.
    let table: &[(&Place, u64, usize, Order, &[&str])] = &[
        (&queue(), 0, 2, Order::Newest, &["0:d", "1:c"]),
        (&queue(), 1, 9, Order::Newest, &["1:c", "2:b", "3:a"]),
        (&queue(), 0, 2, Order::Oldest, &["3:a", "2:b"]),
        (&queue(), 3, 9, Order::Oldest, &["0:d"]),
        (&queue(), 4, 9, Order::Oldest, &[]),
        (&queue(), 9, 9, Order::Newest, &[]),
        (&queue(), 0, 0, Order::Newest, &[]),
        (&dead, 0, 2, Order::Newest, &["0:d@inf", "1:c@3"]),
        (&dead, 2, 9, Order::Newest, &["2:b@2", "3:a@1.5"]),
        (&dead, 0, 3, Order::Oldest, &["3:a@1.5", "2:b@2", "1:c@3"]),
        (&dead, 4, 1, Order::Oldest, &[]),
    ];
    for (place, skip, count, order, expected) in table {
        let (total, entries) = setup.read(place, *skip, *count, *order);
        assert_eq!(
            (total, &entries[..]),
            (4, &expected.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>()[..])
        );
    }
    assert_eq!(setup.read(&Place::Set(Set::Retries), 0, 5, Order::Newest), (0, Vec::new()));
}

#[test]
fn a_window_of_many_steps_is_read_whole_and_in_order() {
    let mut setup = Setup::new();
    let count = 3 * ENTRIES_READ_STEP + 7;
    for number in 0..count {
        setup.redis.run(&[b"LPUSH", QUEUE.as_bytes(), format!("{number}").as_bytes()]);
    }
    let (total, entries) = setup.read(&queue(), 2, count, Order::Oldest);
    assert_eq!(total, count as u64);
    let expected: Vec<String> = (2..count).map(|number| format!("{}:{number}", count - 1 - number)).collect();
    assert_eq!(entries, expected);
}

#[test]
fn a_call_stops_at_its_bytes_and_a_single_larger_entry_comes_alone() {
    let mut setup = Setup::new();
    let half = vec![b'x'; ENTRIES_BYTES_PER_CALL / 2];
    let more = vec![b'y'; ENTRIES_BYTES_PER_CALL + 1];
    for entry in [&more, &half, &half, &half] {
        setup.redis.run(&[b"LPUSH", QUEUE.as_bytes(), entry]);
    }
    let mut sizes = |skip| {
        let page = setup.page(&queue(), Window { skip, count: 10, order: Order::Newest }).unwrap();
        page.entries.iter().map(|entry| entry.bytes.len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(0), [half.len(), half.len()]);
    assert_eq!(sizes(2), [half.len()]);
    assert_eq!(sizes(3), [more.len()]);
}

#[test]
fn only_the_head_is_read_of_what_is_larger_than_a_buried_job() {
    let mut setup = Setup::new();
    for bytes in [ENTRY_BYTES_MAX, ENTRY_BYTES_MAX + 1] {
        setup.redis.run(&[b"LPUSH", QUEUE.as_bytes(), &vec![b'x'; bytes]]);
    }
    let mut read = |skip| {
        setup.page(&queue(), Window { skip, count: 1, order: Order::Newest }).unwrap().entries.remove(0)
    };
    let (large, largest) = (read(0), read(1));
    assert_eq!((large.size, large.bytes.len()), (ENTRY_BYTES_MAX as u64 + 1, ENTRY_HEAD_BYTES));
    assert!(!large.is_whole() && largest.is_whole());
}

#[test]
fn a_key_of_another_type_is_redis_own_error() {
    let mut setup = Setup::new();
    setup.redis.run(&[b"SET", QUEUE.as_bytes(), b"no list"]);
    let window = Window { skip: 0, count: 1, order: Order::Newest };
    let error = setup.page(&queue(), window).unwrap_err();
    assert!(matches!(&error, net::Error::Redis(error) if error.code() == "WRONGTYPE"), "{error}");
}
