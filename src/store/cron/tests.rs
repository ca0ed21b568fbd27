//! The table on a real Redis: once a tick, nothing half, and holders.

use super::*;
use crate::own_redis::OwnRedis;
use crate::wire::keys::{JIGGLER, SIDEKIQ};

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
    let offer = |tick, next| Change { is_held: true, ..claim("e", tick, next, &["job"]) };
    assert_eq!(lab.change(&[offer(now, now - 1)]).changed, [Changed::Done]);
    lab.redis.run(&[b"ZREM", b"jiggler:uring:leases", lease("bb").as_bytes()]);
    let table = lab.change(&[offer(now - 1, now)]);
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

/// Where a job that was pushed last may be, and whether it lives there: commands, words separated by spaces. Its jid is `x`.
const PLACES: [(&str, bool, &[&str]); 18] = [
    ("nowhere", false, &[]),
    ("its queue", true, &[r#"LPUSH jiggler:list:q {"jid":"x"}"#]),
    ("its queue, after a retry", true, &[r#"LPUSH jiggler:list:q {"jid":"x","attempt":1}"#]),
    ("another queue", false, &[r#"LPUSH jiggler:list:p {"jid":"x"}"#]),
    ("the retry set", true, &[r#"ZADD jiggler:set:retries 5 {"jid":"x","attempt":1}"#]),
    ("the scheduled set", true, &[r#"ZADD jiggler:set:scheduled 5 {"jid":"x"}"#]),
    ("the dead set", false, &[r#"ZADD jiggler:set:dead 5 {"jid":"x"}"#]),
    ("the arguments of another", false, &[r#"LPUSH jiggler:list:q {"jid":"y","args":[{"jid":"x"}]}"#]),
    (
        "the error of another",
        false,
        &[r#"ZADD jiggler:set:retries 5 {"jid":"y","error":{"jid":"x","a":"}"}}"#],
    ),
    (
        "its queue, before members of all kinds",
        true,
        &[r#"LPUSH jiggler:list:q {"args":[[]],"jid":"x","cron":{"name":"a\"}]"},"more":[1,"\\"]}"#],
    ),
    (
        "a batch in flight",
        true,
        &[
            "ZADD jiggler:uring:leases 9e15 aa:2:q",
            "HSET {jiggler:list:q}:inflight:aa:1 7 1",
            r#"RPUSH {jiggler:list:q}:inflight:aa:1:7 {"jid":"w"} {"jid":"x"}"#,
        ],
    ),
    (
        "the wait list of a shard",
        true,
        &["ZADD jiggler:uring:leases 9e15 aa:1:q", r#"RPUSH {jiggler:list:q}:inflight:aa:0:w {"jid":"x"}"#],
    ),
    (
        "a batch that a reaper has begun with",
        true,
        &[
            "ZADD jiggler:uring:leases 1 aa:1:q",
            "SET {jiggler:list:q}:inflight:aa:0 fenced\u{a0}3\u{a0}12",
            r#"RPUSH {jiggler:list:q}:inflight:aa:0:12 {"jid":"x"}"#,
        ],
    ),
    (
        "the suspects of a dead shard",
        true,
        &["ZADD jiggler:uring:leases 1 aa:1:q", r#"RPUSH {jiggler:list:q}:inflight:aa:0:s {"jid":"x"}"#],
    ),
    ("in progress in ruby", true, &[r#"LPUSH jiggler:list:q:in_progress:0123456789ab {"jid":"x"}"#]),
    (
        "in progress of another queue",
        false,
        &[r#"LPUSH jiggler:list:p:in_progress:0123456789ab {"jid":"x"}"#],
    ),
    ("sets that are none", false, &["SET jiggler:set:retries x", "LPUSH jiggler:set:scheduled x"]),
    (
        "leases of another form",
        false,
        &["ZADD jiggler:uring:leases 1 x 2 aa:zz 3 : 4 aa:1:q", "SET {jiggler:list:q}:inflight:aa:0 x"],
    ),
];

/// A claim that is held back by the job `x`, if it lives.
fn claim_unless_lives<'c>(name: &'c str, tick: i64, next: i64) -> Change<'c> {
    let before = LastJob {
        jid: "x".to_owned(),
        payload: br#"{"jid":"x"}"#.to_vec(),
        run_if_lives: b"left out".to_vec(),
    };
    Change { unless_lives: Some(before), ..claim(name, tick, next, &["new"]) }
}

#[test]
fn a_tick_passes_without_a_push_while_the_last_job_lives_wherever_it_is() {
    for realm in [JIGGLER.shared_realm(), SIDEKIQ.shared_realm(), JIGGLER.queue_realm("q")] {
        let has_ruby_lists = realm == JIGGLER.shared_realm();
        for (place, lives, commands) in PLACES {
            let lives = lives && (has_ruby_lists || place != "in progress in ruby");
            let lab = Lab { redis: OwnRedis::start(), realm: realm.clone() };
            for command in commands {
                let words: Vec<String> = command.split(' ').map(|word| in_realm(&realm, word)).collect();
                let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
                lab.redis.run(&words);
            }
            let now = lab.now();
            lab.add("e", now);
            let before = lab.jobs().len();
            let table = lab.change(&[claim_unless_lives("e", now, now + 90_000)]);
            let (changed, run, pushed): (_, &[u8], _) =
                if lives { (Changed::Skipped, b"left out", 0) } else { (Changed::Done, b"ran", 1) };
            assert_eq!(table.changed, [changed], "{place}, {realm:?}");
            assert_eq!(lab.jobs().len(), before + pushed, "{place}, {realm:?}");
            let next = &table.upcoming[0];
            assert_eq!((next.at, next.run.as_deref()), (now + 90_000, Some(run)), "{place}, {realm:?}");
        }
        let lab = Lab { redis: OwnRedis::start(), realm };
        assert_eq!(lab.offer(), Changed::Done);
        assert_eq!(lab.calls("scan") > 0, has_ruby_lists, "nothing is searched for where there is nothing");
    }
}

/// A word of a command, with the keys of a realm.
fn in_realm(realm: &Realm, word: &str) -> String {
    let [retries, scheduled, dead] = ["retries", "scheduled", "dead"].map(|set| format!("jiggler:set:{set}"));
    word.replace('\u{a0}', " ")
        .replace("jiggler:list:", &realm.keys().queue(""))
        .replace("jiggler:uring:leases", &realm.leases)
        .replace(&retries, &realm.retries)
        .replace(&scheduled, &realm.scheduled)
        .replace(&dead, &realm.dead)
}

/// Pushes other jobs, each older than the next, into a queue or a set.
fn fill(lab: &Lab, key: &str, count: usize) {
    let jobs: Vec<String> = (0..count).map(|number| format!("{{\"jid\":\"o{number}\"}}")).collect();
    for (page, jobs) in jobs.chunks(5000).enumerate() {
        let is_set = key.contains(":set:");
        let scores: Vec<String> = (0..jobs.len()).map(|at| (5000 * page + at).to_string()).collect();
        let command = if is_set { b"ZADD" } else { b"LPUSH".as_slice() };
        let mut words = vec![command, key.as_bytes()];
        for (score, job) in scores.iter().zip(jobs) {
            words.extend(is_set.then_some(score.as_bytes()).into_iter().chain([job.as_bytes()]));
        }
        lab.redis.run(&words);
    }
}

#[test]
fn a_job_that_waits_deep_in_its_queue_is_found_and_a_retried_one_at_either_end() {
    let waiting = br#"{"jid":"x"}"#.as_slice();
    let retried = br#"{"jid":"x","attempt":2}"#.as_slice();
    let queue = "jiggler:list:q";
    // How many jobs are older, how many newer.
    for (older, newer, job, found) in [
        (CRON_LIVES_DEEP, CRON_LIVES_DEEP - 1, waiting, Changed::Skipped),
        (CRON_LIVES_DEEP - 1, CRON_LIVES_DEEP, waiting, Changed::Skipped),
        (CRON_LIVES_DEEP, CRON_LIVES_DEEP, waiting, Changed::Done),
        (CRON_LIVES_NEAR, CRON_LIVES_NEAR - 1, retried, Changed::Skipped),
        (CRON_LIVES_NEAR - 1, CRON_LIVES_NEAR, retried, Changed::Skipped),
        (CRON_LIVES_NEAR, CRON_LIVES_NEAR, retried, Changed::Done),
    ] {
        let lab = Lab::new();
        fill(&lab, queue, older);
        lab.redis.run(&[b"LPUSH", queue.as_bytes(), job]);
        fill(&lab, queue, newer);
        assert_eq!(lab.offer(), found, "{older} older, {newer} newer");
    }
}

#[test]
fn a_set_is_looked_at_so_far_from_either_end() {
    let most = CRON_LIVES_NEAR;
    for set in ["jiggler:set:retries", "jiggler:set:scheduled"] {
        let lab = Lab::new();
        fill(&lab, set, 2 * most);
        // The score decides how many are before and after it.
        for (before, found) in
            [(most - 1, Changed::Skipped), (most, Changed::Done), (most + 1, Changed::Skipped)]
        {
            let score = format!("{}.5", before as i64 - 1);
            lab.redis.run(&[b"ZADD", set.as_bytes(), score.as_bytes(), br#"{"jid":"x"}"#]);
            assert_eq!(lab.offer(), found, "{set}, behind {before}");
        }
    }
}

impl Lab {
    /// How often Redis has run a command.
    fn calls(&self, command: &str) -> usize {
        let info = self.redis.run(&[b"INFO", b"commandstats"]);
        let info = String::from_utf8(info.as_bulk().unwrap().to_vec()).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    }

    /// What becomes of the tick of an entry that the job `x` may hold back.
    fn offer(&self) -> Changed {
        let now = self.now();
        self.add("e", now);
        self.change(&[claim_unless_lives("e", now, now + 90_000)]).changed[0]
    }
}

/// Jobs of a megabyte fill the queue. What is read of them is little, and leaves enough for what is elsewhere.
#[test]
fn of_large_payloads_little_is_read_and_what_is_as_it_was_pushed_is_found_all_the_same() {
    const COUNT: usize = 40;
    assert!(COUNT << 20 > 8 * CRON_LIVES_BYTES);
    let retried = br#"{"jid":"x","attempt":2}"#.as_slice();
    let as_pushed = br#"{"jid":"x"}"#.as_slice();
    let in_flight = "{jiggler:list:q}:inflight:aa:0:7";
    let (queue, retries) = ("jiggler:list:q", "jiggler:set:retries");
    for (list, other, job, found) in [
        (queue, None, retried, Changed::Done),
        (queue, None, as_pushed, Changed::Skipped),
        (queue, Some(retries), retried, Changed::Skipped),
        (queue, Some(in_flight), retried, Changed::Skipped),
        (in_flight, None, retried, Changed::Done),
        (in_flight, None, as_pushed, Changed::Skipped),
        (in_flight, Some(retries), retried, Changed::Skipped),
    ] {
        let lab = Lab::new();
        lab.redis.run(&[b"ZADD", b"jiggler:uring:leases", b"9e15", b"aa:1:q"]);
        lab.redis.run(&[b"HSET", b"{jiggler:list:q}:inflight:aa:0", b"7", b"1"]);
        for number in 0..COUNT {
            let large = format!("{{\"args\":[\"{}\"],\"jid\":\"o{number}\"}}", "a".repeat(1 << 20));
            lab.redis.run(&[b"RPUSH", list.as_bytes(), large.as_bytes()]);
            if number == COUNT / 2 && other.is_none() {
                lab.redis.run(&[b"RPUSH", list.as_bytes(), job]);
            }
        }
        match other {
            Some(set) if set == retries => drop(lab.redis.run(&[b"ZADD", set.as_bytes(), b"1", job])),
            Some(list) => drop(lab.redis.run(&[b"RPUSH", list.as_bytes(), job])),
            None => {}
        }
        let text = String::from_utf8_lossy(job);
        assert_eq!(lab.offer(), found, "large jobs in {list}, {text} in {}", other.unwrap_or(list));
    }
}

#[test]
fn one_call_looks_at_so_many_queues_and_the_rest_is_offered_again() {
    let lab = Lab::new();
    let now = lab.now();
    let names: Vec<String> = (0..CRON_LIVES_QUEUES + 2).map(|number| format!("q{number}")).collect();
    let claims: Vec<Change<'_>> = names
        .iter()
        .map(|name| {
            lab.add(name, now);
            Change { queue: name, ..claim_unless_lives(name, now, now + 90_000) }
        })
        .collect();
    let expected = |done: usize, later| [vec![Changed::Done; done], vec![Changed::Later; later]].concat();
    let table = lab.change(&claims);
    assert_eq!(table.changed, expected(CRON_LIVES_QUEUES, 2));
    let left: Vec<_> = table.upcoming.iter().map(|next| next.name.clone()).collect();
    assert_eq!(left, names[CRON_LIVES_QUEUES..]);
    assert_eq!(lab.change(&claims[CRON_LIVES_QUEUES..]).changed, expected(2, 0));
}

#[test]
fn one_call_searches_so_many_jobs_by_bytes_and_the_rest_is_offered_again() {
    let lab = Lab::new();
    let now = lab.now();
    fill(&lab, "jiggler:list:q", 3 * CRON_LIVES_DEEP);
    let most = CRON_LIVES_SEARCHED / (2 * CRON_LIVES_DEEP);
    let names: Vec<String> = (0..=most).map(|number| format!("e{number}")).collect();
    let claims: Vec<Change<'_>> = names
        .iter()
        .map(|name| {
            lab.add(name, now);
            claim_unless_lives(name, now, now + 90_000)
        })
        .collect();
    let changed = lab.change(&claims).changed;
    assert_eq!(changed, [vec![Changed::Done; most], vec![Changed::Later]].concat());
    assert_eq!(lab.calls("lpos"), 2 * most);
    assert_eq!(lab.change(&claims[most..]).changed, [Changed::Done]);
}

#[test]
fn shards_that_do_not_serve_the_queue_are_not_looked_at_and_of_the_others_so_many() {
    let lab = Lab::new();
    lab.redis.run(&[
        b"ZADD",
        b"jiggler:uring:leases",
        b"1",
        b"aa:8:p,qq,r",
        b"2",
        b"bb:3:p,q",
        b"3",
        b"cc:2:q,r",
    ]);
    assert_eq!(lab.offer(), Changed::Done);
    assert_eq!(lab.calls("hkeys"), 5);
    lab.redis.run(&[b"ZADD", b"jiggler:uring:leases", b"1", b"dd:999999999:q"]);
    assert_eq!(lab.offer(), Changed::Done);
    let calls = lab.calls("hkeys") + lab.calls("exists");
    assert!((CRON_LIVES_CALLS / 2..CRON_LIVES_CALLS + 20).contains(&calls), "{calls}");
}

#[test]
fn lists_of_ruby_servers_are_searched_among_so_many_keys() {
    let lab = Lab::new();
    let keys: Vec<String> = (0..2000 * CRON_LIVES_PAGES).map(|number| format!("k{number}")).collect();
    let mut words = vec![b"MSET".as_slice()];
    words.extend(keys.iter().flat_map(|key| [key.as_bytes(), b"1"]));
    lab.redis.run(&words);
    assert_eq!(lab.offer(), Changed::Done);
    assert_eq!(lab.calls("scan"), CRON_LIVES_PAGES);
}
