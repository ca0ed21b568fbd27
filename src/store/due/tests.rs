//! The scripts of due jobs against a real Redis: keys before, one call, keys after.

mod test_pace;

use std::time::Duration;

use super::super::lead;
use super::*;
use crate::net::blocking::BlockingConnection;
use crate::own_redis::OwnRedis;
use crate::wire::QueueName;
use crate::wire::keys::JIGGLER;

const ME: &str = "0123456789ab";
const OTHER: &str = "ba9876543210";
const LEAD: Duration = Duration::from_secs(60);

struct Setup {
    redis: OwnRedis,
    conn: BlockingConnection,
    scripts: Scripts,
    paces: Vec<Pace>,
}

impl Setup {
    fn new() -> Self {
        let (redis, conn, scripts) = OwnRedis::with_scripts();
        Self { redis, conn, scripts, paces: Vec::new() }
    }

    fn look(&mut self, may_lead: bool) -> Due {
        self.look_told(may_lead, None)
    }

    fn look_told(&mut self, may_lead: bool, told: Option<&FirstJob>) -> Due {
        let mut requests = Requests::new();
        let look = DueLook { uuid: ME, lead: LEAD, may_lead, told, paces: &self.paces };
        move_due(&self.scripts, look, &mut requests);
        read_due(&self.conn.call_one(&requests).unwrap()).unwrap()
    }

    /// Looks, and tells what the script could not read, until there is nothing of the kind; what all that brought.
    fn look_and_read(&mut self) -> Due {
        let mut due = self.look(false);
        while let Some(set) = due.unread {
            let mut requests = Requests::new();
            read_first(&self.scripts, set, &mut requests);
            let told = FirstJob::read(Schema::Jiggler, set, &self.conn.call_one(&requests).unwrap()).unwrap();
            let next = self.look_told(false, told.as_ref());
            due.moved += next.moved;
            due.unservable.extend(next.unservable);
            due.unread = next.unread;
        }
        due
    }

    fn add(&self, set: &str, score: &str, job: &[u8]) {
        self.redis.run(&[b"ZADD", set.as_bytes(), score.as_bytes(), job]);
    }

    fn leader(&self) -> Option<String> {
        let reply = self.redis.run(&[b"GET", JIGGLER.names().lead.as_bytes()]);
        reply.as_nil_or_bulk().unwrap().map(|uuid| String::from_utf8_lossy(uuid).into_owned())
    }

    fn lead_ms_left(&self) -> i64 {
        self.redis.run(&[b"PTTL", JIGGLER.names().lead.as_bytes()]).as_integer().unwrap()
    }

    fn commands(&mut self) -> u64 {
        let mut requests = Requests::new();
        requests.command(&[b"INFO", b"stats"]);
        let info = self.conn.call_one(&requests).unwrap();
        let text = String::from_utf8_lossy(info.as_bulk().unwrap()).into_owned();
        let line = text.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
        line.trim().parse().unwrap()
    }
}

#[test]
fn the_lead_goes_to_the_first_to_ask_and_stays_there() {
    // Who leads before, whether we may lead; whether we lead after, and who does.
    let table = [
        (None, false, true, ME),
        (None, true, true, ME),
        (Some(OTHER), false, false, OTHER),
        (Some(OTHER), true, false, OTHER),
        (Some(ME), true, true, ME),
        // It does not ask, so it does not find out.
        (Some(ME), false, false, ME),
    ];
    let mut setup = Setup::new();
    for jobs in [false, true] {
        for (before, may_lead, leads, after) in table {
            setup.redis.run(&[b"FLUSHALL"]);
            if jobs {
                setup.add(JIGGLER.names().retries, "4000000000", b"later");
            }
            if let Some(uuid) = before {
                setup.redis.run(&[
                    b"SET",
                    JIGGLER.names().lead.as_bytes(),
                    uuid.as_bytes(),
                    b"PX",
                    b"1000000",
                ]);
            }
            let due = setup.look(may_lead);
            assert_eq!((due.leads, setup.leader().as_deref()), (leads, Some(after)), "{before:?} {may_lead}");
            assert_eq!(due.next_ms.is_some(), jobs);
            let left_ms = setup.lead_ms_left();
            let expected = if leads { 1..=60_000 } else { 60_001..=1_000_000 };
            assert!(expected.contains(&left_ms), "{before:?} {may_lead}: {left_ms} ms");
        }
    }
}

#[test]
fn a_lead_is_renewed_and_given_up_by_its_holder() {
    let mut setup = Setup::new();
    let mut ask = |write: &dyn Fn(&Scripts, &mut Requests)| {
        let mut requests = Requests::new();
        write(&setup.scripts, &mut requests);
        setup.conn.call_one(&requests).unwrap()
    };
    let renewed = |reply: &Reply| lead::read_renewed(reply, ME).unwrap();
    assert!(
        !renewed(&ask(&|_, requests| lead::renew(JIGGLER.names().lead, LEAD, requests))),
        "there is none"
    );
    setup.redis.run(&[b"SET", JIGGLER.names().lead.as_bytes(), OTHER.as_bytes()]);
    assert!(!renewed(&ask(&|_, requests| lead::renew(JIGGLER.names().lead, LEAD, requests))));
    assert_eq!(
        ask(&|scripts, requests| lead::resign(scripts, JIGGLER.names().lead, ME, requests))
            .as_integer()
            .unwrap(),
        0
    );
    setup.redis.run(&[b"SET", JIGGLER.names().lead.as_bytes(), ME.as_bytes()]);
    assert!(renewed(&ask(&|_, requests| lead::renew(JIGGLER.names().lead, LEAD, requests))));
    let left_ms = setup.redis.run(&[b"PTTL", JIGGLER.names().lead.as_bytes()]).as_integer().unwrap();
    assert!((1..=60_000).contains(&left_ms), "{left_ms}");
    assert_eq!(
        ask(&|scripts, requests| lead::resign(scripts, JIGGLER.names().lead, ME, requests))
            .as_integer()
            .unwrap(),
        1
    );
    assert_eq!(setup.leader(), None);
}

#[test]
fn a_look_at_empty_sets_costs_one_command_in_the_script_for_a_follower() {
    let mut setup = Setup::new();
    setup.redis.run(&[b"SET", JIGGLER.names().lead.as_bytes(), OTHER.as_bytes()]);
    let before = setup.commands();
    assert_eq!(setup.look(false).next_ms, None);
    // The EVALSHA, the EXISTS, and the question itself.
    assert_eq!(setup.commands() - before, 3);
}

#[test]
fn the_next_due_job_is_named_in_milliseconds_whichever_set_has_it() {
    let mut setup = Setup::new();
    let now_s = || {
        let time = setup.redis.strings(&[b"TIME"]);
        time[0].parse::<f64>().unwrap() + time[1].parse::<f64>().unwrap() / 1e6
    };
    let base = now_s();
    setup.add(JIGGLER.names().retries, "inf", b"never");
    setup.add(JIGGLER.names().scheduled, "-inf", b"always");
    setup.add(JIGGLER.names().scheduled, &(base + 300.0).to_string(), b"later");
    setup.add(JIGGLER.names().retries, &(base + 200.0).to_string(), b"sooner");
    let due = setup.look(false);
    assert_eq!((due.moved, due.more), (1, false));
    let ms = due.next_ms.unwrap();
    assert!((100_000..=200_000).contains(&ms), "{ms}");
}

/// One that was left to workers that know its name has waited its turn; one that somebody has planned anew has not.
#[test]
fn a_job_that_was_left_to_others_is_next_in_its_queue() {
    let mut setup = Setup::new();
    let left = r#"{"name":"N","args":["\"left_until\":9.5"],"jid":"l","retry_at":7.25,"queue":"q","left_since":6.5,"left_until":7.25}"#;
    let failed = r#"{"name":"N","args":[],"retry_at":8.5,"queue":"q","left_since":6.5,"left_until":7.25,"error_class":"E"}"#;
    let snoozed = r#"{"name":"N","args":[],"retry_at":7.255,"queue":"q","left_since":6.5,"left_until":7.25}"#;
    for job in [left, failed, snoozed] {
        setup.add(JIGGLER.names().retries, "1", job.as_bytes());
    }
    setup.redis.run(&[b"LPUSH", b"jiggler:list:q", b"old", b"new"]);
    assert_eq!(setup.look(false).moved, 3);
    let mut queue = setup.redis.strings(&[b"LRANGE", b"jiggler:list:q", b"0", b"-1"]);
    assert_eq!(queue.split_off(2), ["new", "old", left], "the rightmost is next");
    queue.sort();
    let mut others = [failed, snoozed];
    others.sort_unstable();
    assert_eq!(queue, others);
}

#[test]
fn each_set_has_its_own_share_of_a_call_in_jobs_and_in_bytes() {
    let mut setup = Setup::new();
    for number in 0..=DUE_JOBS_MAX {
        setup.add(JIGGLER.names().retries, "1", format!("{number}").as_bytes());
    }
    // Two fit and are below the share; the third is beyond it.
    let sized = |bytes: usize| format!(r#"{{"name":"{}","n":"#, "x".repeat(bytes)).into_bytes();
    let large = sized(DUE_BYTES_MAX / 2 - 2_000);
    for number in 0..3 {
        setup.add(JIGGLER.names().scheduled, "1", &[&large[..], format!("{number}}}").as_bytes()].concat());
    }
    let due = setup.look(false);
    assert_eq!((due.moved, due.more), (DUE_JOBS_MAX as u64 + 2, true));
    let due = setup.look(true);
    assert_eq!((due.moved, due.more, due.next_ms), (2, false, None));
    // A job larger than the share goes alone.
    let huge = sized(DUE_BYTES_MAX);
    for number in 0..2 {
        setup.add(JIGGLER.names().retries, "1", &[&huge[..], format!("{number}}}").as_bytes()].concat());
    }
    let due = setup.look(true);
    assert_eq!((due.moved, due.more), (1, true));
}

#[test]
fn a_job_that_is_put_off_is_the_next_if_no_other_is() {
    let mut setup = Setup::new();
    setup.redis.run(&[b"SET", b"jiggler:list:broken", b"no list"]);
    setup.add(JIGGLER.names().retries, "1", br#"{"queue":"broken"}"#);
    let due = setup.look(false);
    assert_eq!((due.moved, due.more, due.held, &*due.broken), (0, false, 1, "jiggler:list:broken"));
    let again_ms = DUE_AGAIN.as_millis() as u64;
    assert!((1..=again_ms).contains(&due.next_ms.unwrap()), "{due:?}");
}

/// Payloads that name this as their queue, one that is decoded and one that is large enough to be searched.
fn naming(value: &str) -> [Vec<u8>; 2] {
    let small = format!(r#"{{"name":"N","args":[],"queue":{value}}}"#);
    let large = format!(r#"{{"name":"N","args":["{}"],"queue":{value}}}"#, "x".repeat(70_000));
    [small.into_bytes(), large.into_bytes()]
}

#[test]
fn a_name_is_servable_if_a_worker_may_be_given_a_queue_of_it() {
    let mut names: Vec<String> = [
        "default",
        "a b",
        "über",
        "😀",
        "a:b",
        "a,b",
        "{a",
        "a}",
        " a",
        "a ",
        "\u{a0}a",
        "a\u{3000}",
        "a\u{2003}b",
        "a\nb",
        "a\0",
        "\u{7f}",
        "a\u{85}",
        "\u{9f}b",
        "in_progress",
        "x_in_progress_y",
        "progress",
        "\u{2028}",
        "\u{feff}a",
    ]
    .map(str::to_owned)
    .into();
    names.extend([127, 128, 129].map(|bytes| "q".repeat(bytes)));
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let near = |random: &mut fastrand::Rng| match random.u8(0..3) {
        0 => random.char('\0'..='\u{7f}'),
        1 => random.char('\u{80}'..='\u{3010}'),
        _ => random.char(..),
    };
    names.extend((0..300).map(|_| (0..random.usize(1..4)).map(|_| near(&mut random)).collect::<String>()));
    let mut setup = Setup::new();
    for name in names {
        setup.redis.run(&[b"FLUSHALL"]);
        for job in naming(&serde_json::to_string(&name).unwrap()) {
            setup.add(JIGGLER.names().scheduled, "1", &job);
        }
        let due = setup.look_and_read();
        let is_servable = QueueName::new(&name).is_ok();
        assert_eq!(due.moved, if is_servable { 2 } else { 0 }, "{name:?}, seed {seed}");
        assert!(due.unservable.iter().all(|job| job.name == name.as_bytes()), "{name:?}");
        assert_eq!(due.unservable.len(), if is_servable { 0 } else { 2 }, "{name:?}, seed {seed}");
    }
}

#[test]
fn a_job_that_names_no_queue_by_a_text_goes_to_the_default() {
    let mut setup = Setup::new();
    for value in ["null", "false", "true", "\"\"", "5", "[1]", "{\"a\":\"b\"}", "\"a:b\",\"queue\":7"] {
        setup.redis.run(&[b"FLUSHALL"]);
        for job in naming(value) {
            setup.add(JIGGLER.names().retries, "1", &job);
        }
        assert_eq!(setup.look_and_read().unservable, [], "{value}");
        let waiting = setup.redis.run(&[b"LLEN", b"jiggler:list:default"]).as_integer().unwrap();
        assert_eq!(waiting, 2, "{value}");
    }
}

#[test]
fn what_no_worker_may_be_given_is_put_off_and_then_buried_whatever_its_bytes() {
    let mut setup = Setup::new();
    let jobs: [&[u8]; 2] = [br#"{"name":"N","queue":"a:b"}"#, b"{\"name\":\"N\",\"queue\":\"a\xff\"}"];
    jobs.iter().for_each(|job| setup.add(JIGGLER.names().scheduled, "1", job));
    setup.add(JIGGLER.names().scheduled, "2", br#"{"name":"N","queue":"good"}"#);
    let due = setup.look(false);
    assert_eq!((due.moved, due.held, due.more, due.unservable.len()), (1, 0, false, 2), "{due:?}");
    assert_eq!(due.unservable.iter().map(|job| &job.job[..]).collect::<Vec<_>>(), jobs);
    assert_eq!(setup.look(false).unservable, [], "they are put off");
    let dead = |number: usize| format!("dead {number}").into_bytes();
    let condemned = due.unservable.iter().enumerate().map(|(number, job)| (job, dead(number))).collect();
    let mut requests = Requests::new();
    let caps = DeadSetCaps { jobs_max: 10, timeout_s: 1_000 };
    bury(&setup.scripts, Set::Scheduled, condemned, caps, &mut requests);
    let killed = operate::read_killed(&setup.conn.call_one(&requests).unwrap()).unwrap();
    assert_eq!(killed.moved, [true, true]);
    assert_eq!(
        setup.redis.strings(&[b"ZRANGE", JIGGLER.names().dead.as_bytes(), b"0", b"-1"]),
        ["dead 0", "dead 1"]
    );
    assert_eq!(setup.redis.run(&[b"EXISTS", JIGGLER.names().scheduled.as_bytes()]).as_integer().unwrap(), 0);
    assert_eq!(setup.redis.strings(&[b"KEYS", b"jiggler:list:*"]), ["jiggler:list:good"]);
}

#[test]
fn an_operator_moves_no_job_where_no_worker_may_be() {
    let mut setup = Setup::new();
    let job = br#"{"name":"N","queue":"a,b"}"#;
    setup.add(JIGGLER.names().dead, "1", job);
    let entry = Entry { newer: 0, size: job.len() as u64, score: None, bytes: Bytes::from_static(job) };
    let mut requests = Requests::new();
    for queue in [None, Some(b"a,b".to_vec())] {
        requests.clear();
        let revived = operate::Revived { entry: &entry, queue, exact: None };
        operate::requeue(&setup.scripts, Set::Dead, &[revived], &mut requests);
        let requeued = operate::read_requeued(&setup.conn.call_one(&requests).unwrap()).unwrap();
        assert_eq!(requeued, [operate::Requeued::Unservable("jiggler:list:a,b".to_owned())]);
    }
    assert_eq!(setup.redis.strings(&[b"KEYS", b"jiggler:*"]), [JIGGLER.names().dead]);
}

/// Though a script reads it that has just seen the member.
#[test]
fn a_text_that_is_called_queue_is_no_member_of_that_name() {
    let mut setup = Setup::new();
    for (number, job) in naming("\"a\",\"x\":\"queue\"").iter().enumerate() {
        setup.add(JIGGLER.names().retries, &number.to_string(), job);
    }
    assert_eq!(setup.look(false).moved, 2);
    assert_eq!(setup.redis.strings(&[b"KEYS", b"jiggler:list:*"]), ["jiggler:list:a"]);
}

#[test]
fn a_job_that_the_script_would_read_for_long_is_read_by_the_caller_and_moved_at_the_next_look() {
    let mut setup = Setup::new();
    let numbers = "1,".repeat(40_000);
    let slow = format!(r#"{{"queue":"img","args":[{numbers}1]}}"#);
    let quick = format!(r#"{{"args":[{numbers}1],"queue":"img"}}"#);
    setup.add(JIGGLER.names().scheduled, "1", quick.as_bytes());
    setup.add(JIGGLER.names().scheduled, "2", slow.as_bytes());
    setup.add(JIGGLER.names().scheduled, "3", br#"{"queue":"img"}"#);
    let due = setup.look(false);
    assert_eq!(
        (due.moved, due.more, due.unread),
        (1, true, Some(Set::Scheduled)),
        "those before it are moved"
    );
    let mut requests = Requests::new();
    read_first(&setup.scripts, Set::Scheduled, &mut requests);
    let told = FirstJob::read(Schema::Jiggler, Set::Scheduled, &setup.conn.call_one(&requests).unwrap())
        .unwrap()
        .unwrap();
    // Of another set it tells nothing.
    let other = FirstJob { set: Set::Retries, ..told.clone() };
    assert_eq!(setup.look_told(true, Some(&other)).unread, Some(Set::Scheduled));
    let due = setup.look_told(true, Some(&told));
    assert_eq!((due.moved, due.more, due.unread), (2, false, None));
    let key = JIGGLER.queue("img");
    assert_eq!(setup.redis.strings(&[b"LRANGE", key.as_bytes(), b"1", b"2"]), [slow, quick]);
    // It is put off as any other.
    setup.redis.run(&[b"SET", key.as_bytes(), b"no list"]);
    setup.add(JIGGLER.names().scheduled, "1", format!(r#"{{"queue":"img","args":[{numbers}1]}}"#).as_bytes());
    assert_eq!(setup.look_told(true, Some(&told)).held, 1);
    assert_eq!(
        FirstJob::read(Schema::Jiggler, Set::Retries, &setup.redis.run(&[b"ZRANGE", b"none", b"0", b"0"]))
            .unwrap(),
        None
    );
}
