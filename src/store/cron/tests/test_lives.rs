//! The look for the last run of an entry: where it is found, and what it costs at most.

use super::*;
use crate::limits::CRON_OUTCOME_SLACK;
use crate::store::cron::outcome::{self, Found, Outcome, Pushed};

impl Lab {
    /// What became of runs: jid, queue, and when they were pushed, in seconds.
    fn outcomes(&self, runs: &[(&str, &str, i64)]) -> Vec<Option<Found>> {
        let runs: Vec<_> = runs
            .iter()
            .map(|&(jid, queue, at_s)| Pushed { jid, queue, payload: b"", at: at_s * 1000 })
            .collect();
        let mut requests = Requests::new();
        outcome::ask(&self.realm, &runs, &mut requests);
        outcome::read(&self.redis.connect().call_one(&requests).unwrap()).unwrap()
    }
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

/// Where the look for the last run of `x` finds it, for each of [`PLACES`].
#[test]
fn what_became_of_the_last_run_is_told_by_the_place_it_is_in() {
    for realm in [JIGGLER.shared_realm(), SIDEKIQ.shared_realm(), JIGGLER.queue_realm("q")] {
        let has_ruby_lists = realm == JIGGLER.shared_realm();
        for (place, lives, commands) in PLACES {
            let lab = Lab { redis: OwnRedis::start(), realm: realm.clone() };
            for command in commands {
                let words: Vec<String> = command.split(' ').map(|word| in_realm(&realm, word)).collect();
                lab.redis.run(&words.iter().map(String::as_bytes).collect::<Vec<_>>());
            }
            let expected = match place {
                "the dead set" => Outcome::Dead,
                "the retry set" => Outcome::Retrying,
                "the scheduled set" => Outcome::Scheduled,
                "in progress in ruby" if !has_ruby_lists => Outcome::Done,
                _ if !lives => Outcome::Done,
                _ if place.starts_with("its queue") => Outcome::Queued,
                _ => Outcome::Running,
            };
            let [Some(found)] = &lab.outcomes(&[("x", "q", 3)])[..] else {
                panic!("{place} is not answered")
            };
            assert_eq!(found.outcome, expected, "{place}, {realm:?}");
            let is_in_set = place.ends_with(" set");
            assert_eq!(found.job.is_empty(), !is_in_set, "{place}: {found:?}");
        }
    }
}

#[test]
fn a_run_is_only_said_to_be_done_if_all_places_were_read() {
    let lab = Lab::new();
    fill(&lab, "jiggler:list:q", 3 * CRON_LIVES_NEAR);
    let outcome = |queue: &str, at_s: i64| lab.outcomes(&[("x", queue, at_s)])[0].clone().unwrap().outcome;
    assert_eq!((outcome("q", 0), outcome("p", 0)), (Outcome::Unknown, Outcome::Done));
    // Those who died before it was pushed do not matter.
    fill(&lab, "jiggler:set:dead", 3 * CRON_LIVES_NEAR);
    let slack = CRON_OUTCOME_SLACK.as_secs() as i64;
    assert_eq!(outcome("p", 0), Outcome::Unknown);
    assert_eq!(outcome("p", slack + 3 * CRON_LIVES_NEAR as i64), Outcome::Done);
    // More queues than a call looks at: the rest is for the next.
    let queues = ["a", "b", "c", "d", "e"].map(|queue| ("x", queue, 0));
    let answered: Vec<bool> = lab.outcomes(&queues).iter().map(Option::is_some).collect();
    assert_eq!(answered, [true, true, true, true, false]);
    fill(&lab, "jiggler:set:retries", 3 * CRON_LIVES_NEAR);
    assert_eq!(outcome("p", i64::MAX / 1000), Outcome::Unknown);
    assert_eq!(lab.outcomes(&[]), []);
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
    const { assert!(COUNT << 20 > 8 * CRON_LIVES_BYTES) };
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
