//! The table on a real Redis: once a tick, nothing half, and holders.

use super::*;
use crate::own_redis::OwnRedis;
use crate::wire::keys::{JIGGLER, SIDEKIQ};

mod test_lives;

struct Lab {
    redis: OwnRedis,
    realm: Realm,
}

impl Lab {
    fn new() -> Self {
        Self { redis: OwnRedis::start(), realm: JIGGLER.shared_realm() }
    }

    fn change(&self, changes: &[Change<'_>]) -> Table {
        let mut requests = Requests::new();
        change(&self.realm, changes, &mut requests);
        read(&self.redis.connect().call_one(&requests).unwrap()).unwrap()
    }

    fn now(&self) -> i64 {
        self.change(&[]).now
    }

    /// An entry with this tick.
    fn add(&self, name: &str, tick: i64) {
        let add = Change {
            entry: Next::This(b"{}".to_vec()),
            tick: Next::This(tick),
            ..Change::of(name.as_bytes(), "q")
        };
        assert_eq!(self.change(&[add]).changed, [Changed::Done]);
    }

    fn jobs(&self) -> Vec<String> {
        self.redis.strings(&[b"LRANGE", self.realm.keys().queue("q").as_bytes(), b"0", b"-1"])
    }

    fn table(&self) -> [Vec<String>; 4] {
        let ticks = self.redis.strings(&[b"ZRANGE", b"jiggler:uring:cron:ticks", b"0", b"-1"]);
        let keys = ["entries", "runs", "holders"].map(|key| format!("jiggler:uring:cron:{key}"));
        let [entries, runs, holders] = keys.map(|key| self.redis.strings(&[b"HKEYS", key.as_bytes()]));
        [ticks, entries, runs, holders]
    }
}

/// Beside Sidekiq a queue that is not named in the registry is not seen.
#[test]
fn a_tick_names_its_queue_where_there_is_a_registry() {
    let lab = Lab { redis: OwnRedis::start(), realm: SIDEKIQ.shared_realm() };
    lab.add("a", 1);
    assert_eq!(lab.change(&[claim("a", 1, 5_000_000_000_000, &["job"])]).changed, [Changed::Done]);
    assert_eq!(lab.redis.strings(&[b"LRANGE", b"queue:q", b"0", b"-1"]), ["job"]);
    assert_eq!(lab.redis.strings(&[b"SMEMBERS", b"queues"]), ["q"]);
}

/// The claim of a tick that pushes these jobs.
fn claim<'c>(name: &'c str, tick: i64, next: i64, jobs: &[&str]) -> Change<'c> {
    Change {
        entry_is: Stored::This(b"{}"),
        tick_is: Stored::This(tick),
        due: Some(tick),
        tick: Next::This(next),
        run: Next::This(b"ran".to_vec()),
        payloads: jobs.iter().map(|job| job.as_bytes().to_vec()).collect(),
        ..Change::of(name.as_bytes(), "q")
    }
}

#[test]
fn a_tick_is_pushed_once_however_often_it_is_offered() {
    let lab = Lab::new();
    let now = lab.now();
    lab.add("e", now - 5);
    let offer = claim("e", now - 5, now + 60_000, &["a", "b"]);
    let table = lab.change(&[offer.clone(), offer.clone()]);
    assert_eq!(table.changed, [Changed::Done, Changed::Not]);
    assert_eq!(lab.change(&[offer]).changed, [Changed::Not]);
    assert_eq!(lab.jobs(), ["b", "a"], "the first is taken first");
    let upcoming = Upcoming {
        name: Bytes::from_static(b"e"),
        at: now + 60_000,
        entry: Some(Bytes::from_static(b"{}")),
        run: Some(Bytes::from_static(b"ran")),
    };
    assert_eq!(table.upcoming, [upcoming]);
}

#[test]
fn what_is_not_due_by_redis_or_has_changed_is_not_pushed() {
    let lab = Lab::new();
    let now = lab.now();
    lab.add("early", now + 60_000);
    lab.add("edited", now);
    let early = claim("early", now + 60_000, now + 120_000, &["a"]);
    let edited = Change { entry_is: Stored::This(b"{ }"), ..claim("edited", now, now + 1, &["a"]) };
    let moved = claim("edited", now - 1, now + 1, &["a"]);
    let gone = claim("gone", now, now + 1, &["a"]);
    // The tick is due, but a later one that would be pushed with it is not.
    let later = Change { due: Some(now + 60_000), ..claim("edited", now, now + 1, &["a"]) };
    let taken = Change {
        entry_is: Stored::Nothing,
        entry: Next::This(b"new".to_vec()),
        ..Change::of(b"edited", "q")
    };
    let table = lab.change(&[early, edited, moved, gone, later, taken]);
    assert_eq!(table.changed, [Changed::Not; 6]);
    assert_eq!(lab.jobs(), [""; 0]);
    // Only what comes first is told.
    let names: Vec<_> = table.upcoming.iter().map(|next| next.name.clone()).collect();
    assert_eq!(names, ["edited"]);
}

#[test]
fn an_entry_whose_queue_is_no_list_is_put_off_and_the_others_go_on() {
    let lab = Lab::new();
    let now = lab.now();
    lab.redis.run(&[b"SET", b"jiggler:list:broken", b"x"]);
    lab.add("a", now);
    lab.add("b", now);
    let broken = Change { queue: "broken", ..claim("a", now, now + 1000, &["a"]) };
    let table = lab.change(&[broken, claim("b", now, now + 90_000, &["b"])]);
    assert_eq!(table.changed, [Changed::Held, Changed::Done]);
    assert_eq!(lab.jobs(), ["b"]);
    let again = table.upcoming[0].at - table.now;
    assert!(table.upcoming[0].name == "a" && again == AGAIN_MS as i64, "{again}");
    assert_eq!(table.upcoming[0].run, None, "it has not run");
}

#[test]
fn an_entry_goes_with_its_last_holder() {
    let lab = Lab::new();
    let now = lab.now();
    let lease = |uuid: &str| format!("{uuid}:2:default");
    for uuid in ["aa", "bb"] {
        lab.redis.run(&[b"ZADD", b"jiggler:uring:leases", b"1", lease(uuid).as_bytes()]);
        let declare = Change {
            entry: Next::This(b"{}".to_vec()),
            tick: Next::This(now),
            holder: Some(uuid),
            ..Change::of(b"e", "q")
        };
        // Twice, as a process does that was not sure of the first time.
        assert_eq!(lab.change(&[declare.clone(), declare]).changed, [Changed::Done; 2]);
    }
    let held = lab.redis.run(&[b"HGET", b"jiggler:uring:cron:holders", b"e"]);
    assert_eq!(held.as_bulk().unwrap(), b"aa bb");
    lab.redis.run(&[b"ZREM", b"jiggler:uring:leases", lease("aa").as_bytes()]);
    let offer = |tick, next| Change { unheld: Unheld::Goes, ..claim("e", tick, next, &["job"]) };
    assert_eq!(lab.change(&[offer(now, now - 1)]).changed, [Changed::Done]);
    lab.redis.run(&[b"ZREM", b"jiggler:uring:leases", lease("bb").as_bytes()]);
    // A process that holds it may be starting.
    let waits = Change { unheld: Unheld::Waits, ..offer(now - 1, now) };
    let table = lab.change(&[waits]);
    let again = table.upcoming[0].at;
    assert_eq!(table.changed, [Changed::Waits]);
    assert!((now + 1000..now + 9000).contains(&again) && lab.jobs() == ["job"], "{again}");
    let table = lab.change(&[Change { due: None, ..offer(again, now) }]);
    assert_eq!((table.changed, table.upcoming), (vec![Changed::Forgotten], vec![]));
    assert_eq!(lab.table(), [const { Vec::<String>::new() }; 4]);
    assert_eq!(lab.jobs(), ["job"]);
}

#[test]
fn a_change_that_is_refused_in_the_middle_leaves_nothing_behind() {
    let lab = Lab::new();
    let now = lab.now();
    lab.add("e", now);
    lab.redis.run(&[b"SET", b"jiggler:uring:cron:runs", b"spoilt"]);
    let mut requests = Requests::new();
    change(&lab.realm, &[claim("e", now, now + 1, &["a"])], &mut requests);
    let replies = lab.redis.connect().call(&requests).unwrap();
    assert!(matches!(read(&replies[0]), Err(Error::Redis(error)) if error.code() == "WRONGTYPE"));
    assert_eq!(lab.jobs(), [""; 0]);
    lab.redis.run(&[b"DEL", b"jiggler:uring:cron:runs"]);
    assert_eq!(lab.change(&[claim("e", now, now + 1, &["a"])]).changed, [Changed::Done]);
}

#[test]
fn what_was_spoilt_by_hand_is_told_and_can_be_put_aside() {
    let lab = Lab::new();
    for (name, score) in [("none", "-inf"), ("half", "1.5"), ("large", "2")] {
        lab.redis.run(&[b"ZADD", b"jiggler:uring:cron:ticks", score.as_bytes(), name.as_bytes()]);
    }
    let large = vec![b'x'; CRON_ENTRY_BYTES_MAX + 1];
    lab.redis.run(&[b"HSET", b"jiggler:uring:cron:entries", b"large", &large]);
    let table = lab.change(&[]);
    let told: Vec<_> =
        table.upcoming.iter().map(|next| (&next.name[..], next.at, next.entry.is_some())).collect();
    let least = -9_000_000_000_000_000;
    assert_eq!(told, [(&b"none"[..], least, false), (b"half", 1, false), (b"large", 2, false)]);
    let aside: Vec<_> = table
        .upcoming
        .iter()
        .map(|next| Change {
            tick_is: Stored::This(next.at),
            tick: Next::Nothing,
            ..Change::of(&next.name, "q")
        })
        .collect();
    assert_eq!(lab.change(&aside).changed, [Changed::Done; 3]);
    assert_eq!(lab.table()[0], [""; 0]);
}

#[test]
fn rows_are_read_with_what_belongs_to_them() {
    let lab = Lab::new();
    lab.add("a", 7);
    lab.add("b", 8);
    lab.redis.run(&[b"ZREM", b"jiggler:uring:cron:ticks", b"b"]);
    let mut requests = Requests::new();
    ask_names(&lab.realm, &mut requests);
    let names = lab.redis.connect().call_one(&requests).unwrap();
    assert_eq!(names.as_array().unwrap().count(), 2);
    let names: Vec<Bytes> = ["a", "b", "c"].map(|name| Bytes::from_static(name.as_bytes())).to_vec();
    requests.clear();
    ask_rows(&lab.realm, &names, &mut requests);
    let rows = read_rows(&names, &lab.redis.connect().call(&requests).unwrap()).unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.entry.is_some(), row.at)).collect();
    assert_eq!(seen, [(true, Some(7)), (true, None), (false, None)]);
}
