//! SIGHUP reloads the configuration: what may change does, what may not is named, a refused file changes nothing.

use std::fs;

use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json};

fn heartbeat_key(redis: &Redis) -> String {
    let keys = redis.keys("jiggler:svr:*");
    assert_eq!(keys.len(), 1, "{keys:?}");
    keys[0].clone()
}

#[test]
fn what_may_change_changes_and_the_rest_is_named() {
    let redis = Redis::start();
    let config = config_file("stats_interval: 3600\npoller_enabled: false\nmax_dead_jobs: 100\n");
    // The harness's `-t` would win over the file.
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_until("the heartbeat is there", || redis.keys("jiggler:svr:*").len() == 1);
    let before = heartbeat_key(&redis);
    assert!(before.contains(":default:0:"), "{before}");
    let fail = |jid: usize| format!(r#"{{"name":"Fail","args":["x"],"jid":"{jid}"}}"#);
    redis.push("default", &(0..5).map(fail).collect::<Vec<_>>());
    wait_until("they are dead", || redis.count("jiggler:set:dead") == 5);
    fs::write(
        config.path(),
        "stats_interval: 1\npoll_interval: 1\nmax_dead_jobs: 2\nverbose: true\nqueues: [other]\n",
    )
    .unwrap();
    worker.signal("HUP");
    worker.wait_for_line("configuration reread");
    let line = worker.lines("configuration reread").remove(0);
    for option in ["stats_interval", "poller_enabled", "poll_interval", "max_dead_jobs", "verbose"] {
        assert!(line.contains(option), "{option} is missing in: {line}");
    }
    let warned = worker.lines("need a restart");
    assert!(warned.len() == 1 && warned[0].contains("options=\"queues\""), "{warned:?}");
    // The key says that there is a poller now, and the old key is gone.
    wait_until("the key has changed", || heartbeat_key(&redis).contains(":default:1:"));
    let beat = || json(redis.text(&heartbeat_key(&redis)).unwrap())["heartbeat"].as_f64().unwrap();
    let first = beat();
    wait_until("heartbeats come", || beat() > first);
    // Now it polls, keeps two dead jobs, and logs at debug level.
    let due = r#"{"name":"Fail","args":["due"],"jid":"due"}"#;
    redis.run(&["ZADD", "jiggler:set:scheduled", "1", due]);
    wait_until("the due job has died", || redis.failures() == 6);
    assert_eq!(redis.count("jiggler:set:dead"), 2);
    assert!(!worker.lines("DEBUG ").is_empty());
    worker.stop();
    assert_eq!(redis.keys("jiggler:svr:*"), [""; 0]);
}

/// Each is named that has changed, wherever in the file it stands.
#[test]
fn lists_of_the_file_that_have_changed_wait_for_a_restart() {
    let redis = Redis::start();
    let (slots, pace) = ("slots: {default: {min: 2}}\n", "pace: {mail: 5}\n");
    let cron = "cron: [{name: nightly, schedule: 0 3 * * *, job: Noop}]\n";
    let config = config_file(&format!("balance: even\n{slots}{pace}{cron}"));
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    let files = [
        (format!("{cron}{pace}balance: even\n\n{slots}"), None),
        (format!("{cron}balance: even\n{slots}"), Some("\"pace\"")),
        (
            format!("{}balance: even\n{}{pace}", cron.replace('3', "4"), slots.replace('2', "3")),
            Some("\"slots,cron\""),
        ),
    ];
    for (reread, (text, named)) in files.iter().enumerate() {
        let warned = worker.lines("need a restart").len();
        fs::write(config.path(), text).unwrap();
        worker.signal("HUP");
        wait_until("it is reread", || worker.lines("configuration reread").len() > reread);
        if let Some(named) = named {
            wait_until("it is told", || worker.lines("need a restart").len() > warned);
            let line = worker.lines("need a restart").pop().unwrap();
            assert!(line.contains(&format!("options={named}")), "{line}");
        }
        assert_eq!(worker.lines("need a restart").len(), warned + usize::from(named.is_some()), "{text}");
    }
    worker.stop();
}

#[test]
fn a_file_that_is_refused_changes_nothing_and_is_reported_once() {
    let redis = Redis::start();
    let config = config_file("stats_interval: 1\n");
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    fs::write(config.path(), "stats_interval: soon\n").unwrap();
    worker.signal("HUP");
    worker.wait_for_line("the configuration cannot be reread");
    let line = worker.lines("cannot be reread");
    assert!(line.len() == 1 && line[0].contains("soon") && line[0].contains(&config.path()), "{line:?}");
    // It keeps running, and the file can be fixed.
    fs::write(config.path(), "stats_interval: 2\n").unwrap();
    worker.signal("HUP");
    worker.wait_for_line("configuration reread");
    redis.push("default", &[r#"{"name":"Noop"}"#]);
    wait_until("it works", || redis.processed() == 1);
    worker.stop();
}

#[test]
fn without_a_file_a_hangup_is_an_orderly_stop() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &[]);
    worker.signal("HUP");
    assert_eq!(worker.wait_for_end().code(), Some(0));
    worker.wait_for_line("no configuration file to read again");
    assert_eq!(redis.keys("jiggler:svr:*"), [""; 0]);
}
