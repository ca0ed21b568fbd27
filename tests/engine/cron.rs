//! Periodic jobs: each tick is pushed once, whichever process leads or is killed; what operators add stays, what processes
//! declare goes with the last of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::harness::wait::{wait_for, wait_until, wait_within};
use crate::harness::{Redis, Worker, config_file, output_of};
use crate::internal::limits::CRON_HOLDERS_WAIT;
use crate::own_jobs::example;

const TICKS: &str = "jiggler:list:ticks";

#[track_caller]
fn cron(redis: &Redis, args: &[&str]) -> String {
    cron_at(&redis.url(), args)
}

/// What the order says that changes or shows the table.
#[track_caller]
pub(crate) fn cron_at(url: &str, args: &[&str]) -> String {
    let output = output_of(&[&["cron"], args, &["--redis-url", url]].concat());
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The ticks of the jobs in a queue that nobody serves, in the order in which they were pushed: Unix seconds.
pub(crate) fn ticks(redis: &Redis, queue: &str) -> Vec<i64> {
    let mut jobs = redis.list(&["LRANGE", queue, "0", "-1"]);
    jobs.reverse();
    jobs.iter().map(|job| tick_of(job)).collect()
}

pub(crate) fn tick_of(job: &[u8]) -> i64 {
    let job: Value = serde_json::from_slice(job).unwrap();
    let tick: jiff::Timestamp = job["cron"]["tick"].as_str().unwrap().parse().unwrap();
    assert_eq!(job["cron"]["key"], format!("{}@{tick}", job["cron"]["name"].as_str().unwrap()));
    tick.as_second()
}

/// The uuid of the process that leads the pollers.
fn leader(redis: &Redis) -> Option<String> {
    redis.text("jiggler:uring:poller")
}

/// Fails if a second between the first of these ticks and the last is missing, or comes twice.
#[track_caller]
pub(crate) fn check_every_second(ticks: &[i64]) {
    let expected: Vec<i64> = (0..ticks.len() as i64).map(|after| ticks[0] + after).collect();
    assert_eq!(ticks, expected, "a tick is missing, doubled or out of order");
}

#[test]
fn each_tick_is_pushed_once_although_leaders_are_killed() {
    let redis = Redis::start();
    cron(&redis, &["add", "every second", "* * * * * *", "Noop", "--queue", "ticks", "--catch-up", "none"]);
    let config = config_file("poll_interval: 1\n");
    let start = || Worker::start(&redis, &["-q", "elsewhere", "-C", &config.path()]);
    let mut workers: Vec<Worker> = (0..3).map(|_| start()).collect();
    let uuid_of = |worker: &Worker| {
        let line = worker.lines(" working ").remove(0);
        line.split(" uuid=").nth(1).unwrap().split(' ').next().unwrap().trim_matches('"').to_owned()
    };
    for _ in 0..3 {
        let before = ticks(&redis, TICKS).len();
        wait_until("two more ticks are pushed", || ticks(&redis, TICKS).len() >= before + 2);
        // Until its lead lapses, that of the last one that was killed is still there.
        let at = wait_for("a living process leads", || {
            let leads = leader(&redis)?;
            workers.iter().position(|worker| uuid_of(worker) == leads)
        });
        workers[at].kill();
        workers[at] = start();
    }
    let before = ticks(&redis, TICKS).len();
    wait_until("ticks go on after the last kill", || ticks(&redis, TICKS).len() >= before + 3);
    check_every_second(&ticks(&redis, TICKS));
}

#[test]
fn an_entry_that_is_added_while_the_leader_sleeps_wakes_it() {
    let redis = Redis::start();
    let config = config_file("poll_interval: 60\n");
    let worker = Worker::start(&redis, &["-q", "elsewhere", "-C", &config.path()]);
    wait_until("it leads", || leader(&redis).is_some());
    cron(&redis, &["add", "a", "* * * * * *", "Noop", "--queue", "ticks"]);
    wait_until("it pushes", || ticks(&redis, TICKS).len() >= 2);
    check_every_second(&ticks(&redis, TICKS));
    cron(&redis, &["pause", "a"]);
    let shown = cron(&redis, &["list"]);
    assert!(shown.starts_with("a: every second UTC, paused\n"), "{shown}");
    let paused = redis.integer(&["LLEN", TICKS]);
    cron(&redis, &["add", "b", "* * * * * *", "Noop", "--queue", "others"]);
    wait_until("another one goes on", || redis.integer(&["LLEN", "jiggler:list:others"]) >= 2);
    assert_eq!(redis.integer(&["LLEN", TICKS]), paused, "it is paused");
    cron(&redis, &["run", "a"]);
    assert_eq!(redis.integer(&["LLEN", TICKS]), paused + 1);
    cron(&redis, &["resume", "a"]);
    wait_until("it goes on", || redis.integer(&["LLEN", TICKS]) > paused + 1);
    cron(&redis, &["remove", "a"]);
    cron(&redis, &["remove", "b"]);
    assert_eq!(redis.keys("jiggler:uring:cron:*"), [""; 0]);
    assert_eq!(worker.lines("ERROR"), [""; 0]);
}

#[test]
fn a_tick_is_left_out_while_the_last_run_waits_runs_or_is_to_be_retried() {
    let redis = Redis::start();
    cron(&redis, &["add", "slow", "* * * * * *", "Sleep", "[3]", "--overlap", "skip", "--queue", "slow"]);
    let skipped = || {
        let shown = cron(&redis, &["list", "--json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let entry = &shown["entries"][0];
        (entry["pushed"].as_u64().unwrap(), entry["skipped"].as_u64().unwrap())
    };
    let pusher = Worker::start(&redis, &["-q", "elsewhere"]);
    wait_until("ticks are left out while the first waits", || skipped().1 >= 2);
    assert_eq!((skipped().0, redis.integer(&["LLEN", "jiggler:list:slow"])), (1, 1));
    let in_queue = skipped().1;
    let runner = Worker::start(&redis, &["-q", "slow"]);
    wait_until("it runs", || redis.integer(&["LLEN", "jiggler:list:slow"]) == 0);
    wait_until("ticks are left out while it runs", || skipped().1 > in_queue);
    wait_until("the next one is pushed when it has ended", || skipped().0 >= 2);
    drop(runner);
    drop(pusher);
}

#[test]
fn a_spoilt_entry_is_reported_and_the_others_go_on() {
    let redis = Redis::start();
    for (name, entry) in [
        ("broken", "{"),
        ("never", r#"{"schedule":"0 0 30 2 *","job":"J"}"#),
        ("nowhere", r#"{"schedule":"@daily","zone":"Mars/Olympus","job":"J"}"#),
        ("no array", r#"{"schedule":"@daily","job":"J","args":{}}"#),
    ] {
        redis.run(&["HSET", "jiggler:uring:cron:entries", name, entry]);
        redis.run(&["ZADD", "jiggler:uring:cron:ticks", "1", name]);
    }
    redis.run(&["ZADD", "jiggler:uring:cron:ticks", "1", "orphan"]);
    cron(&redis, &["add", "good", "* * * * * *", "Noop", "--queue", "ticks"]);
    let worker = Worker::start(&redis, &["-q", "elsewhere"]);
    wait_until("the good one is pushed", || ticks(&redis, TICKS).len() >= 2);
    for name in ["broken", "never", "nowhere", "no array", "orphan"] {
        let said = worker.lines("put aside");
        assert_eq!(said.iter().filter(|line| line.contains(name)).count(), 1, "{said:?}");
    }
    let shown = cron(&redis, &["list"]);
    assert!(shown.contains("never: spoilt: the schedule `0 0 30 2 *` never comes"), "{shown}");
}

#[test]
fn a_key_of_the_table_that_is_spoilt_is_named_and_stops_nothing_else() {
    for key in ["ticks", "entries", "runs", "holders"] {
        let key = format!("jiggler:uring:cron:{key}");
        let redis = Redis::start();
        redis.run(&["SET", &key, "x"]);
        let config = config_file(
            "cron:\n  - {name: mine, schedule: '* * * * * *', job: Noop, queue: ticks}\npoll_interval: 1\n",
        );
        let mut worker = Worker::start(&redis, &["-C", &config.path()]);
        let named = format!("the key {key} of the table of periodic jobs is a string, not a");
        wait_until("it is said", || !worker.lines("periodic jobs cannot be declared").is_empty());
        redis.push("default", &[r#"{"name":"Noop","jid":"j","args":[]}"#]);
        wait_until("a job runs", || redis.text("jiggler:stats:processed_counter").as_deref() == Some("1"));
        let said = worker.lines("periodic jobs cannot be declared");
        assert!(said.len() == 1 && said[0].contains(&named), "{said:?}");
        for order in [&["list"][..], &["run", "mine"], &["add", "other", "@daily", "Noop"]] {
            let output = output_of(&[&["cron"], order, &["--redis-url", &redis.url()]].concat());
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{order:?}: {said}");
            assert!(said.contains(&named) && said.contains("rename or delete it"), "{order:?}: {said}");
        }
        redis.run(&["DEL", &key]);
        wait_until("it is declared and pushed", || !ticks(&redis, TICKS).is_empty());
        worker.stop();
    }
}

#[test]
fn a_declared_entry_runs_in_the_fleet_and_goes_with_its_last_process() {
    let redis = Redis::start();
    let program = example("periodic");
    let launch = || {
        let worker = Worker::launch_program(&program, &redis.url(), &["-q", "elsewhere"]);
        worker.wait_for_line("declared periodic jobs");
        worker
    };
    let mut first = launch();
    let entry = redis.run(&["HGET", "jiggler:uring:cron:entries", "Tick"]);
    let entry = String::from_utf8(entry.as_bulk().unwrap().to_vec()).unwrap();
    assert!(entry.contains(r#""origin":"code""#), "{entry}");
    wait_until("it is pushed", || ticks(&redis, TICKS).len() >= 2);
    // The next deployment is there before the last one goes.
    let mut second = launch();
    first.stop();
    let before = ticks(&redis, TICKS).len();
    wait_until("it goes on", || ticks(&redis, TICKS).len() >= before + 2);
    second.stop();
    check_every_second(&ticks(&redis, TICKS));
    let left = redis.integer(&["LLEN", TICKS]);
    let other = Worker::start(&redis, &["-q", "elsewhere"]);
    // While a fleet starts, those that declare it may come later than others.
    let within = CRON_HOLDERS_WAIT + Duration::from_secs(30);
    wait_within(within, "it is removed", || {
        (!other.lines("no living process declares it any more").is_empty()).then_some(())
    });
    // The other one has not had a tick since.
    assert_eq!(redis.list(&["HKEYS", "jiggler:uring:cron:entries"]), [b"nightly report"]);
    assert_eq!(redis.integer(&["LLEN", TICKS]), left);
}

#[test]
fn a_fleet_that_was_stopped_finds_its_entries_as_they_were_and_catches_up() {
    let redis = Redis::start();
    let config = config_file(
        "cron:
  - {name: each, schedule: '*/2 * * * * *', job: Noop, queue: ticks}
  - {name: held, schedule: '* * * * * *', job: Noop, queue: ticks}
poll_interval: 1
",
    );
    let start = || Worker::start(&redis, &["-q", "elsewhere", "-C", &config.path()]);
    let shown = || -> Value { serde_json::from_str(&cron(&redis, &["list", "--json"])).unwrap() };
    let pushed = |at: usize| shown()["entries"][at]["pushed"].as_u64().unwrap_or(0);
    let mut first = start();
    wait_until("both are pushed", || pushed(0) >= 1 && pushed(1) >= 1);
    cron(&redis, &["pause", "held"]);
    first.stop();
    let (each, held) = (pushed(0), pushed(1));
    let due = || {
        let scores =
            redis.list(&["ZRANGEBYSCORE", "jiggler:uring:cron:ticks", "-inf", &unix_ms().to_string()]);
        scores.len() == 2
    };
    wait_until("ticks of both have passed", due);
    let mut others = Worker::start(&redis, &["-q", "others", "-v"]);
    wait_until("another program has found them", || {
        others.lines("waits for a process that declares it").len() >= 2
    });
    let mut second = start();
    wait_until("it goes on", || pushed(0) > each);
    assert_eq!((pushed(1), &shown()["entries"][1]["entry"]["paused"]), (held, &Value::Bool(true)));
    for worker in [&mut others, &mut second] {
        assert_eq!(worker.lines("a periodic job was removed"), [""; 0]);
        worker.stop();
    }
    assert!(cron(&redis, &["remove", "held"]).contains("a worker that declares it adds it again"));
}

fn unix_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

#[test]
fn bad_input_is_refused_with_what_is_wrong() {
    let cases: BTreeMap<&[&str], &str> = BTreeMap::from([
        (["add", "n", "60 * * * *", "J"].as_slice(), "the minute `60` of a schedule is wrong"),
        (["add", "n", "0 0 30 2 *", "J"].as_slice(), "never comes"),
        (["add", "n", "@daily", "J", "--zone", "Mars/Olympus"].as_slice(), "no time zone `Mars/Olympus`"),
        (["add", "n", "@daily", "J", "{}"].as_slice(), "must be a JSON array"),
        (["add", "n", "@daily", "J", "--overlap", "some"].as_slice(), "no way to overlap"),
        (["add", "n", "@daily", "J", "--catch-up", "some"].as_slice(), "no way to catch up"),
        (["add", "", "@daily", "J"].as_slice(), "the name `` of a periodic job is wrong"),
    ]);
    for (args, reason) in cases {
        let output = output_of(&[&["cron"], args].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(reason), "{args:?}: {said}");
    }
}

#[test]
fn a_bad_list_in_the_file_stops_a_worker_and_the_orders_of_periodic_jobs_and_no_others() {
    let redis = Redis::start();
    let config = config_file("cron:\n  - {name: a, schedule: '60 * * * *', job: J}\n");
    let run = |order: &[&str]| {
        let url = redis.url();
        let output = output_of(&[order, &["-C", &config.path(), "--redis-url", &url]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for order in [["summary"].as_slice(), &["queues"], &["enqueue", "Noop"]] {
        let (code, said) = run(order);
        assert_eq!(code, Some(0), "{order:?}: {said}");
    }
    for order in [[].as_slice(), &["cron", "list"], &["doctor"]] {
        let (code, said) = run(order);
        assert!(code == Some(2) && said.contains("line 2, periodic job `a`"), "{order:?}: {code:?} {said}");
    }
}

/// Each item but the second and the last is wrong.
const BAD: &str = "cron:
  - {name: minute, schedule: '60 * * * *', job: Noop}
  - {name: good, schedule: '* * * * * *', job: Noop, queue: ticks}
  - {name: nowhere, schedule: '@daily', zone: Mars/Olympus, job: Noop}
  - {name: never, schedule: '0 0 30 2 *', job: Noop}
  - {name: no array, schedule: '@daily', job: Noop, args: {a: 1}}
  - {name: good, schedule: '@hourly', job: Noop}
  - {name: nobody, schedule: '@yearly', job: Nobody}
";

/// The line of each that is wrong, its name, and the reason.
const REASONS: [(usize, &str, &str); 5] = [
    (2, "minute", "the minute `60` of a schedule is wrong"),
    (4, "nowhere", "no time zone `Mars/Olympus`"),
    (5, "never", "the schedule `0 0 30 2 *` never comes"),
    (6, "no array", "the arguments are an object"),
    (7, "good", "another one has this name"),
];

#[test]
fn what_is_wrong_in_the_file_is_named_by_line_and_a_worker_that_is_told_to_goes_on_with_the_rest() {
    let redis = Redis::start();
    let config = config_file(BAD);
    let place = |line: usize, name: &str| format!("{} line {line}, periodic job `{name}`", config.path());
    let output = output_of(&["-C", &config.path(), "--redis-url", &redis.url()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for (line, name, reason) in REASONS {
        assert!(
            said.contains(&format!("{}: ", place(line, name))) && said.contains(reason),
            "{name}: {said}"
        );
    }
    assert!(said.contains("--ignore-bad-cron") && !said.contains(" line 3,"), "{said}");
    assert_eq!(redis.keys("*"), [""; 0], "it did not start");

    let mut worker = Worker::start(&redis, &["-q", "elsewhere", "-C", &config.path(), "--ignore-bad-cron"]);
    wait_until("the good one is pushed", || ticks(&redis, TICKS).len() >= 2);
    check_every_second(&ticks(&redis, TICKS));
    for (line, name, reason) in REASONS {
        let lines = worker.lines(&place(line, name));
        assert!(lines.len() == 1 && lines[0].contains(reason), "{name}: {lines:?}");
    }
    // Its queue is served elsewhere, so it is for others to know it.
    let unknown = worker.lines("a periodic job is declared that others have to run");
    assert!(unknown.len() == 1 && unknown[0].contains(&place(8, "nobody")), "{unknown:?}");
    let mut names = redis.list(&["HKEYS", "jiggler:uring:cron:entries"]);
    names.sort();
    assert_eq!(names, [b"good".as_slice(), b"nobody"]);
    worker.stop();
}

#[test]
fn a_name_that_nobody_here_knows_is_refused_by_line_in_a_queue_that_is_served_here() {
    let redis = Redis::start();
    let config = config_file(
        "cron:
  - {name: good, schedule: '* * * * * *', job: Noop, queue: ticks}
  - {name: nobody, schedule: '@yearly', job: Nobody}
  - {name: elsewhere, schedule: '@yearly', job: Nobody, queue: theirs}
  - {name: no one, schedule: '@yearly', job: Noone}
",
    );
    let place = |line: usize, name: &str| format!("{} line {line}, periodic job `{name}`", config.path());
    let output = output_of(&["-C", &config.path(), "--redis-url", &redis.url()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for (line, name, job) in [(3, "nobody", "Nobody"), (5, "no one", "Noone")] {
        let reason = format!("{}: no handler here is registered for {job}", place(line, name));
        assert!(said.contains(&reason), "{said}");
    }
    assert!(said.contains("--ignore-bad-cron"), "{said}");
    assert!(redis.keys("jiggler:uring:cron*").is_empty(), "it declared something");

    let mut worker = Worker::start(&redis, &["-C", &config.path(), "--ignore-bad-cron"]);
    wait_until("the good one is pushed", || !ticks(&redis, TICKS).is_empty());
    for (line, name) in [(3, "nobody"), (5, "no one")] {
        let lines = worker.lines(&place(line, name));
        assert!(lines.len() == 1 && lines[0].contains("and left out"), "{name}: {lines:?}");
    }
    let mut names = redis.list(&["HKEYS", "jiggler:uring:cron:entries"]);
    names.sort();
    assert_eq!(names, [b"elsewhere".as_slice(), b"good"]);
    worker.stop();
}
