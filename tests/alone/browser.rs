//! The pages in a real browser: whole with and without JavaScript, full, empty and with a Redis that hangs, in a narrow
//! window and by keyboard alone; numbers change in place; what is hostile runs nowhere. `make test-all` runs it; `make test`
//! does not, because it takes a Chromium (Debian's package). With `SCREENSHOTS=FOLDER` it takes pictures as well.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails, fails the test")]

#[path = "browser/chrome.rs"]
mod chrome;
#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[expect(dead_code, unused_imports, reason = "shared with the tests of the engine, which use all of it")]
#[path = "../engine/harness/mod.rs"]
mod harness;

use std::path::{Path, PathBuf};
use std::process::Command;

use chrome::Chrome;
use harness::redis::{DEAD, RETRIES, SCHEDULED};
use harness::wait::wait_until;
use harness::{ConfigFile, Redis, Worker, command, config_file};
use jiggler_uring::internal;

const PAGES: [&str; 12] = [
    "",
    "queues",
    "classes",
    "errors",
    "busy",
    "periodic",
    "retries",
    "scheduled",
    "dead",
    "history",
    "processes",
    "audit",
];

/// Its password is `abc`: a test vector of jBCrypt.
const ANN: &str = "ann:$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";

/// The pages of this Redis, for somebody who may do everything.
struct Site {
    web: Worker,
    _file: ConfigFile,
}

impl Site {
    fn of(redis: &Redis) -> Self {
        let file = config_file(&format!("{ANN}\n"));
        let program = Path::new(env!("CARGO_BIN_EXE_jiggler-uring"));
        let url = redis.url();
        let path = file.path();
        let args = ["web", "--web", "127.0.0.1:0", "--redis-url", &url, "--web-auth", &path, "--tag", "shop"];
        Self { web: Worker::spawn(command(program).args(args)), _file: file }
    }

    fn page(&self, path: &str) -> String {
        format!("http://{}/{path}", self.web.web_address())
    }

    /// A browser that is known here.
    fn browser(&self) -> Chrome {
        let mut chrome = Chrome::start();
        let headers = serde_json::json!({"headers": {"Authorization": "Basic YW5uOmFiYw=="}});
        chrome.call("Network.setExtraHTTPHeaders", &headers);
        chrome
    }
}

/// Jobs, errors and a past as a shop has them.
fn fill(redis: &Redis) {
    let now = internal::time::unix_now();
    let classes =
        ["OrderConfirmation", "Invoice::Render", "ResizeImage", "SearchIndex::Update", "NightlyReport"];
    let errors = [
        ("Net::ReadTimeout", "smtp.example.org:587 did not answer within 10 s"),
        ("ActiveRecord::Deadlocked", "deadlock detected while updating order 48213"),
        ("ImageTooLarge", "9231 by 6112 pixels, at most 8000 are taken"),
    ];
    let job = |number: usize, failed: bool| {
        let name = classes[number % classes.len()];
        let (class, message) = errors[number % errors.len()];
        let at = now - (number * 47 % 20_000) as f64 - 60.0;
        let error = format!(
            r#","error_class":"{class}","error_message":"{message}","started_at":{at},"retried_at":{at},"attempt":3"#
        );
        format!(
            r#"{{"name":"{name}","args":[{},{{"locale":"en","token":"s3cret"}}],"jid":"{:016x}","queue":"mail","retries":5{}}}"#,
            48_000 + number,
            0x0d65_5a18_7e21_4821_u64.wrapping_mul(number as u64 + 1),
            if failed { error.as_str() } else { "" }
        )
    };
    let add = |set: &str, many: usize, failed: bool, at: &dyn Fn(usize) -> f64| {
        for number in 0..many {
            redis.run(&["ZADD".to_owned(), set.to_owned(), at(number).to_string(), job(number, failed)]);
        }
    };
    add(DEAD, 412, true, &|number| now - (number * 331) as f64);
    add(RETRIES, 96, true, &|number| now + 30.0 + (number * 41) as f64);
    add(SCHEDULED, 230, false, &|number| now + 600.0 + (number * 97) as f64);
    for (queue, many) in [("mail", 1_840), ("images", 312), ("search", 57), ("reports", 4), ("legacy", 23)] {
        let jobs: Vec<String> = (0..many).map(|number| job(number, false)).collect();
        redis.push(queue, &jobs);
    }
    periodic(redis, now);
    past(redis, now as u64 / 3_600, &classes);
}

/// Periodic jobs: one has run, one failed, one is paused, one is spoilt.
fn periodic(redis: &Redis, now: f64) {
    let hour_ago = ((now - 3_600.0) * 1000.0) as i64;
    let last = |jid: &str| {
        format!(r#"{{"last":{{"tick":{hour_ago},"at":{hour_ago},"jid":"{jid}"}},"pushed":118,"skipped":2}}"#)
    };
    // The job that was first added to the dead set.
    let dead = format!("{:016x}", 0x0d65_5a18_7e21_4821_u64);
    for (name, entry, run) in [
        (
            "nightly report",
            r#"{"schedule":"0 3 * * *","zone":"Europe/Berlin","job":"NightlyReport","queue":"reports"}"#,
            last("gone"),
        ),
        (
            "sweep carts",
            r#"{"schedule":"@every 90s","job":"SweepCarts","queue":"mail","overlap":"skip"}"#,
            last(&dead),
        ),
        (
            "invoices",
            r#"{"schedule":"0 6 L * *","job":"Invoice::Month","queue":"mail","paused":true}"#,
            "{}".to_owned(),
        ),
        ("by hand", "{", "{}".to_owned()),
    ] {
        redis.run(&["HSET", "jiggler:uring:cron:entries", name, entry]);
        redis.run(&["HSET", "jiggler:uring:cron:runs", name, &run]);
        let at = ((now + 3_000.0) * 1000.0) as i64;
        redis.run(&["ZADD", "jiggler:uring:cron:ticks", &at.to_string(), name]);
    }
}

/// Sixty days of history, with mornings and evenings.
fn past(redis: &Redis, hour: u64, classes: &[&str]) {
    let keys = internal::wire::keys::JIGGLER;
    let slice = |at: u64, scale: u64| {
        let mut bytes = vec![0; 5];
        for (number, class) in classes.iter().enumerate() {
            let wave = (((at % 24) as f64 / 24.0 * std::f64::consts::TAU).sin() + 1.3) * 40.0;
            let done = (wave as u64 + 10 * (number as u64 + 1)) * scale;
            bytes.push((number as u8) << 2 | 1);
            for name in ["mail", class] {
                bytes.push(name.len() as u8);
                bytes.extend(name.bytes());
            }
            bytes.push(3);
            varint(done, &mut bytes);
            varint(done / 25 + 1, &mut bytes);
            bytes.extend([3, 10 + number as u8]);
            for count in [done / 2, done / 3, done / 9] {
                varint(count, &mut bytes);
            }
            varint(done * 51, &mut bytes);
            bytes.extend([3, 4 + number as u8]);
            for count in [done / 3, done / 3, 1 + done / 30] {
                varint(count, &mut bytes);
            }
        }
        // How many waited.
        let queues =
            [("mail", 70), ("images", 40), ("search", 12), ("legacy", 23), ("reports", 3), ("exports", 9)];
        for (number, (queue, many)) in queues.into_iter().enumerate() {
            bytes.extend([((classes.len() + number) as u8) << 2 | 3, queue.len() as u8]);
            bytes.extend(queue.bytes());
            varint((at + 3 * number as u64) % 24 * many, &mut bytes);
        }
        bytes
    };
    for ago in 1..72 {
        let unit = hour - ago;
        let key = keys.history_hours(unit / 24);
        redis.run(&[b"HSET", key.as_bytes(), unit.to_string().as_bytes(), &slice(unit, 60)]);
    }
    for ago in 1..60 {
        let day = hour / 24 - ago;
        let key = keys.history_days(day);
        redis.run(&[b"HSET", key.as_bytes(), day.to_string().as_bytes(), &slice(day * 7 % 24, 1_440)]);
    }
    for minute in 0..60_u8 {
        let mut bytes = slice(u64::from(minute) % 24, 1);
        bytes[..4].copy_from_slice(&[1, 2, minute, minute]);
        redis.run(&[b"RPUSH", keys.history_minutes(hour).as_bytes(), &bytes]);
    }
}

fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

#[test]
fn every_page_is_whole_in_a_browser_with_and_without_scripts() {
    let redis = Redis::start();
    fill(&redis);
    let site = Site::of(&redis);
    let worker = Worker::start(&redis, &["-q", "mail:3,images:2,search", "--tag", "shop"]);
    worker.signal("TSTP");
    let mut chrome = site.browser();
    for run in [true, false] {
        chrome.scripts(run);
        for width in [1_280, 360] {
            chrome.look(width, 900, !run);
            for path in PAGES {
                chrome.open(&site.page(path));
                assert!(chrome.eval("document.querySelector('h1').textContent").is_string(), "{path}");
                let wide = chrome.eval("document.documentElement.scrollWidth").as_u64().unwrap();
                assert!(wide <= u64::from(width), "{path} is {wide} wide in a window of {width}");
            }
        }
    }
    assert_eq!(chrome.complaints, [""; 0]);
}

#[test]
fn numbers_change_in_place_until_the_reader_stops_it() {
    let redis = Redis::start();
    let site = Site::of(&redis);
    let mut chrome = site.browser();
    chrome.open(&site.page(""));
    chrome.wait("document.getElementById('f-0').textContent === '0'");
    redis.push("mail", &["a", "b", "c"]);
    chrome.wait("document.getElementById('f-0').textContent === '3'");
    chrome.eval("document.getElementById('live').click()");
    redis.push("mail", &["d"]);
    // Another page sees it; this one has stopped.
    wait_until("it is known here", || {
        let mut other = site.browser();
        other.open(&site.page(""));
        other.eval("document.getElementById('f-0').textContent") == "4"
    });
    assert_eq!(chrome.eval("document.getElementById('f-0').textContent"), "3");
    chrome.eval("document.getElementById('live').click()");
    chrome.wait("document.getElementById('f-0').textContent === '4'");
    assert_eq!(chrome.complaints, [""; 0]);
}

#[test]
fn a_job_is_deleted_by_keyboard_alone_without_scripts() {
    let redis = Redis::start();
    redis.run(&["ZADD", DEAD, "1", r#"{"name":"Mail","jid":"j1","args":[]}"#]);
    let site = Site::of(&redis);
    let mut chrome = site.browser();
    chrome.scripts(false);
    chrome.open(&site.page("job?place=dead&id=j1"));
    let focus = |chrome: &mut Chrome, text: &str| {
        for _ in 0..60 {
            chrome.press("Tab", 9);
            if chrome.eval("document.activeElement.textContent") == text {
                let ring = chrome.eval("getComputedStyle(document.activeElement).outlineStyle");
                assert_eq!(ring, "solid", "where the focus is has to be seen");
                return;
            }
        }
        panic!("no way to {text} by keyboard");
    };
    focus(&mut chrome, "Delete");
    chrome.press("Enter", 13);
    chrome.wait("location.pathname === '/act' && document.readyState === 'complete'");
    focus(&mut chrome, "Delete job j1");
    chrome.press("Enter", 13);
    chrome.wait("location.pathname === '/task' && document.readyState === 'complete'");
    wait_until("it is gone", || redis.count(DEAD) == 0);
    assert!(
        chrome.eval("document.body.textContent").as_str().unwrap().contains("of the dead set was deleted")
    );
}

#[test]
fn what_is_hostile_runs_nowhere_and_a_redis_that_hangs_is_shown_as_such() {
    let redis = Redis::start();
    let script =
        "</script></td><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
    let text = serde_json::to_string(script).unwrap();
    let job =
        format!(r#"{{"name":{text},"jid":{text},"args":[{text}],"queue":{text},"error_class":{text}}}"#);
    redis.run(&["ZADD", DEAD, "1", &job]);
    redis.push(script, &[&job]);
    let site = Site::of(&redis);
    let mut chrome = site.browser();
    for path in PAGES {
        chrome.open(&site.page(path));
        assert!(chrome.eval("document.title").as_str().unwrap().ends_with("jiggler-uring"), "{path}");
        assert_eq!(chrome.eval("document.images.length"), 0, "{path}");
        assert_eq!(chrome.eval("document.scripts.length"), 1, "{path}");
    }
    chrome.open(&site.page("dead"));
    chrome.eval("document.querySelector('tbody a').click()");
    chrome.wait("location.pathname === '/job' && document.readyState === 'complete'");
    assert!(chrome.eval("document.title").as_str().unwrap().ends_with("jiggler-uring"));
    assert_eq!(chrome.complaints, [""; 0]);
    chrome.open(&site.page(""));
    let signal = |name: &str| {
        let kill = format!("kill -s {name} {}", redis.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    };
    signal("STOP");
    chrome.wait("document.getElementById('health-word').textContent === 'unknown'");
    signal("CONT");
    chrome.wait("document.getElementById('health-word').textContent !== 'unknown'");
}

/// `make screenshots`.
#[test]
fn pictures_are_taken_where_they_are_wanted() {
    let Some(folder) = std::env::var_os("SCREENSHOTS").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&folder).unwrap();
    let redis = Redis::start();
    fill(&redis);
    let site = Site::of(&redis);
    let _worker = Worker::start(&redis, &["-q", "slow", "--tag", "shop"]);
    let sleep = |number: usize| format!(r#"{{"name":"Sleep","args":[600],"jid":"0d655a187e21482{number}"}}"#);
    redis.push("slow", &(0..7).map(sleep).collect::<Vec<_>>());
    let paused = r#"{"queues":{"legacy":{"at":1796200000,"by":"ann","why":"waits for the new printer"}}}"#;
    redis.run(&["SET", "jiggler:uring:paused", paused]);
    let mut chrome = site.browser();
    chrome.open(&site.page("act?do=retry&place=dead&name=NightlyReport"));
    wait_until("what runs is named", || {
        chrome.open(&site.page("busy"));
        chrome.eval("document.querySelectorAll('tbody tr').length") == 7
    });
    for (name, width, height, dark) in
        [("light", 1_280, 900, false), ("dark", 1_280, 900, true), ("narrow", 360, 740, false)]
    {
        for path in PAGES.iter().chain(&[
            "act?do=delete&place=dead&name=Invoice::*",
            "queue?queue=mail",
            "history?range=30d",
            "?range=24h",
            "?range=1000s",
        ]) {
            // With all of its charts.
            let is_overview = path.is_empty() || path.starts_with('?');
            chrome.look(width, if is_overview { 1_500 } else { height }, dark);
            chrome.open(&site.page(path));
            let file: String =
                path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let file = if file.is_empty() { "overview".to_owned() } else { file };
            chrome.picture(&folder.join(format!("{file}-{name}.png")));
        }
        chrome.look(width, height, dark);
        chrome.open(&site.page("dead"));
        chrome.eval("document.querySelector('tbody a').click()");
        chrome.wait("location.pathname === '/job' && document.readyState === 'complete'");
        chrome.picture(&folder.join(format!("job-{name}.png")));
    }
}
