//! The real gem sidekiq as the counterpart: its client, its server, its API and its page, from Debian's packages
//! (`make ruby`). `make test-all` runs it; `cargo test` does not.
//!
//! Where Ruby or the gem cannot be had it says so in one line, and ends well.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a program that says what it tried; what fails ends it, with all that is known of it"
)]

#[expect(dead_code, unused_imports, reason = "shared with the tests of the engine, which use all of it")]
#[path = "../engine/harness/mod.rs"]
mod harness;

#[path = "ruby_sidekiq/browser.rs"]
mod browser;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use browser::{Browser, free_port};
use harness::wait::{wait_for, wait_until, wait_within};
use harness::{Redis, Worker, json, output_of};
use jiggler_uring::internal::wire::Dialect;
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

/// Enough for a kill to come in the middle.
const JOBS: usize = 20_000;

/// What a drain by Ruby may take on a loaded machine.
const LONG: Duration = Duration::from_secs(300);

/// A heartbeat comes each ten seconds, Ruby's each five.
const A_BEAT: Duration = Duration::from_secs(40);

/// A Redis, and the journal in which each run of a job is a line.
struct Site {
    redis: Redis,
    journal: NamedTempFile,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let redis = Redis::start_in(Dialect::Sidekiq);
        Self { redis, journal: NamedTempFile::new().unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    fn ruby(&self, script: &str, args: &[&str]) -> Command {
        let mut command = Command::new("ruby");
        command.arg(scripts().join(script)).args(args);
        self.place(&mut command);
        command
    }

    fn place(&self, command: &mut Command) {
        command.env("REDIS_URL", self.redis.tcp_url()).env("JOURNAL", self.journal.path());
        command.env_remove("RUBYOPT").stdin(Stdio::null());
    }

    /// Runs a script to its end.
    #[track_caller]
    fn run(&self, script: &str, args: &[&str]) -> String {
        let output = self.ruby(script, args).output().unwrap();
        assert!(output.status.success(), "{script} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the gem's API makes of it.
    #[track_caller]
    fn view(&self) -> Value {
        json(self.run("view.rb", &[]))
    }

    /// The gem's server.
    fn server(&self, args: &[&str]) -> Ended {
        let log = std::fs::File::create(self.folder.path().join("sidekiq.log")).unwrap();
        let mut command = Command::new("sidekiq");
        command.args(["-r", scripts().join("jobs.rb").to_str().unwrap()]).args(args);
        self.place(&mut command);
        Ended(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    /// Our worker, with the handler that the example has.
    #[track_caller]
    fn worker(&self, args: &[&str]) -> Worker {
        let config = self.folder.path().join("ours.yml");
        std::fs::write(&config, "poll_interval: 1\nstats_interval: 2\n").unwrap();
        let config = config.to_str().unwrap().to_owned();
        let all = [&["--dialect", "sidekiq", "-C", &config], args].concat();
        let journal = self.journal.path().to_str().unwrap().to_owned();
        let worker =
            Worker::launch_with(&example(), &self.redis.url(), &all, &[("JOURNAL", journal.as_str())]);
        worker.wait_for_line(" working ");
        worker
    }

    /// Lines of the journal: who ran it, jid, number, attempt.
    fn runs(&self) -> Vec<[String; 4]> {
        let text = std::fs::read_to_string(self.journal.path()).unwrap();
        let parts = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        text.lines().map(parts).collect()
    }

    /// How many ran there: `rust`, `ruby`, `only`.
    fn count(&self, who: &str) -> usize {
        self.runs().iter().filter(|run| run[0] == who).count()
    }

    /// Each of these numbers ran; those that fail once ran again; nothing else is left. Returns how many ran more often
    /// than that.
    #[track_caller]
    fn assert_all_ran(&self, jobs: usize) -> usize {
        let mut times: BTreeMap<usize, usize> = BTreeMap::new();
        for [who, _, number, _] in self.runs() {
            if who == "only" {
                continue;
            }
            *times.entry(number.parse().unwrap()).or_default() += 1;
        }
        let missing: Vec<usize> = (0..jobs).filter(|number| !times.contains_key(number)).collect();
        assert!(
            missing.is_empty(),
            "{} jobs are lost: {:?}",
            missing.len(),
            &missing[..missing.len().min(9)]
        );
        let wanted = |number: usize| if number.is_multiple_of(10) { 2 } else { 1 };
        times.into_iter().map(|(number, times)| times.saturating_sub(wanted(number))).sum()
    }

    fn is_drained(&self) -> bool {
        let keys = ["queue:default", "retry", "schedule"];
        keys.iter().all(|key| self.redis.integer(&["EXISTS", key]) == 0)
            && harness::account::lists_in_flight(&self.redis).is_empty()
    }
}

/// A process that ends with its test.
struct Ended(Child);

impl Ended {
    fn signal(&self, name: &str) {
        let order = format!("kill -s {name} {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &order]).status().unwrap().success());
    }

    fn stop(&mut self) {
        self.signal("TERM");
        self.0.wait().unwrap();
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alone/ruby_sidekiq")
}

/// The example beside this test's own program.
fn example() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join("examples/beside_sidekiq")
}

// ---------------------------------------------------------------------------------------------------------------------
// The cases
// ---------------------------------------------------------------------------------------------------------------------

fn rubys_client_pushes_and_our_worker_runs() {
    let site = Site::new();
    site.run("push.rb", &["0", "500"]);
    let mut worker = site.worker(&[]);
    wait_within(LONG, "all have run", || (site.is_drained() && site.count("rust") >= 550).then_some(()));
    assert_eq!((site.assert_all_ran(500), site.count("rust")), (0, 550));
    wait_within(A_BEAT, "the counter of the day", || (site.view()["today"] == 550).then_some(()));
    let view = site.view();
    assert_eq!((&view["processed"], &view["failed"]), (&550.into(), &50.into()));
    worker.stop();
}

fn our_client_pushes_and_rubys_server_runs() {
    let site = Site::new();
    let url = site.redis.tcp_url();
    for number in 0..20 {
        let args = format!("[{number}, {}]", number % 10 == 0);
        let output = output_of(&["enqueue", "Counted", &args, "--dialect", "sidekiq", "--redis-url", &url]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let later =
        ["enqueue", "Counted", "[20, false]", "--in", "1", "--dialect", "sidekiq", "--redis-url", &url];
    assert!(output_of(&later).status.success());
    let mut server = site.server(&["-q", "default", "-c", "5"]);
    wait_within(LONG, "all have run", || (site.is_drained() && site.count("ruby") >= 23).then_some(()));
    assert_eq!(site.assert_all_ran(21), 0);
    let told = |command: &str| {
        let output = output_of(&[command, "--all", "--dialect", "sidekiq", "--redis-url", &url]);
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    // By the signals that it looks for in Redis.
    for (command, what) in [("quiet", "is quiet"), ("stop", "has left")] {
        let (is_done, said) = told(command);
        assert!(is_done && said.contains(what), "{command}: {said}");
    }
    assert!(server.0.wait().unwrap().success());
}

fn both_serve_one_queue_and_a_kill_of_ours_loses_nothing() {
    let site = Site::new();
    let mut server = site.server(&["-q", "default", "-c", "10"]);
    let mut doomed = site.worker(&["-c", "5"]);
    site.run("push.rb", &["0", &JOBS.to_string()]);
    site.run("push.rb", &["0", "100", "RubyOnly"]);
    wait_within(LONG, "both have run some", || {
        (site.count("ruby") > 100 && site.count("rust") > 500).then_some(())
    });
    doomed.kill();
    let mut next = site.worker(&["-c", "5"]);
    wait_within(LONG, "all have run", || (site.is_drained() && site.count("only") >= 100).then_some(()));
    let again = site.assert_all_ran(JOBS);
    assert_eq!(site.count("only"), 100, "what only Ruby has ran there, once each");
    println!(
        "  both on one queue: ruby ran {}, ours {}, {again} more than once after the kill",
        site.count("ruby"),
        site.count("rust")
    );
    assert_eq!(site.redis.integer(&["ZCARD", "dead"]), 0);
    next.stop();
    server.stop();
}

fn the_gems_api_sees_what_ours_does_and_steers_it() {
    let site = Site::new();
    let sleeper = r#"{"retry":true,"queue":"default","class":"Sleep","args":[120],"jid":"0d655a187e214821aaaaaaaa","created_at":1795300595.5,"enqueued_at":1795300595.5}"#;
    let failing = r#"{"retry":true,"queue":"default","class":"Fail","args":["boom"],"jid":"0d655a187e214821bbbbbbbb","created_at":1795300595.5,"enqueued_at":1795300595.5}"#;
    for payload in [sleeper, failing, "no json"] {
        site.redis.run(&["LPUSH", "queue:default", payload]);
    }
    let mut worker = Worker::launch(
        &site.redis.url(),
        &["--dialect", "sidekiq", "-q", "default,2", "-q", "low", "-t", "1"],
    );
    worker.wait_for_line(" working ");
    let view = wait_within(A_BEAT, "the job that runs is seen", || {
        let view = site.view();
        (view["works"].as_array().unwrap().len() == 1 && view["retries"] == 1).then_some(view)
    });
    let process = &view["processes"][0];
    assert_eq!((&process["concurrency"], &process["quiet"]), (&10.into(), &"false".into()));
    assert_eq!(process["queues"], serde_json::json!(["default", "low"]));
    let work = &view["works"][0];
    assert_eq!((&work["process"], &work["work"]["queue"]), (&process["identity"], &"default".into()));
    let retry = &view["retry_set"][0];
    assert_eq!(
        (&retry["error"], &retry["message"], &retry["retry_count"]),
        (&"JobFailed".into(), &"boom".into(), &0.into())
    );
    let dead = &view["dead_set"][0];
    assert_eq!(
        (&dead["class"], &dead["error"]),
        (&"InvalidPayload".into(), &"JigglerUring::BadPayload".into())
    );

    // By score and jid, as the pages do.
    site.run("act.rb", &["retry"]);
    wait_until("it has failed again", || site.redis.text("stat:failed").as_deref() == Some("3"));
    let retry = wait_for("the retry", || site.view()["retry_set"].get(0).cloned());
    assert_eq!(retry["retry_count"], 0, "an operator's retry is not counted, as in the gem");
    site.run("act.rb", &["kill"]);
    assert_eq!(site.view()["dead"], 2);
    site.run("act.rb", &["delete"]);
    assert_eq!((&site.view()["dead"], &site.view()["retries"]), (&0.into(), &0.into()));
    site.run("act.rb", &["clear"]);
    site.redis.run(&["LPUSH", "queue:low", failing]);
    wait_until("a queue that was cleared is served", || {
        site.redis.text("stat:failed").as_deref() == Some("4")
    });

    site.run("act.rb", &["quiet"]);
    wait_within(A_BEAT, "it is quiet", || (site.view()["processes"][0]["stopping"] == true).then_some(()));
    site.run("act.rb", &["stop"]);
    assert_eq!(worker.wait_for_end().code(), Some(0));
    let view = site.view();
    assert_eq!((&view["processes"], &view["works"]), (&serde_json::json!([]), &serde_json::json!([])));
    // What ran is handed back, where the page sees it.
    assert_eq!((&view["queues"][0]["name"], &view["queues"][0]["size"]), (&"default".into(), &1.into()));
}

fn the_gems_page_shows_ours_and_its_buttons_work() {
    let site = Site::new();
    let port = free_port();
    let mut command = site.ruby("page.rb", &[&port.to_string()]);
    let page = Ended(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let failing = r#"{"retry":true,"queue":"default","class":"Fail","args":["boom"],"jid":"0d655a187e214821bbbbbbbb","created_at":1795300595.5,"enqueued_at":1795300595.5}"#;
    for payload in ["no json", failing] {
        site.redis.run(&["LPUSH", "queue:default", payload]);
    }
    let mut worker = Worker::launch(&site.redis.url(), &["--dialect", "sidekiq", "-t", "1"]);
    worker.wait_for_line(" working ");
    wait_until("both have ended", || site.redis.integer(&["EXISTS", "retry", "dead"]) == 2);
    wait_within(A_BEAT, "the page is there", || TcpStream::connect(("127.0.0.1", port)).ok().map(drop));
    let identity = {
        let found = site.redis.list(&["SMEMBERS", "processes"]).remove(0);
        String::from_utf8(found).unwrap()
    };
    let mut browser = Browser::new(port);
    for path in ["/", "/busy", "/queues", "/queues/default", "/scheduled", "/retries", "/morgue", "/stats"] {
        let (status, body) = browser.get(path);
        assert_eq!(status, 200, "{path}: {body}");
    }
    let (_, busy) = browser.get("/busy");
    assert!(busy.contains(&identity), "{busy}");
    let (_, retries) = browser.get("/retries");
    assert!(retries.contains("JobFailed") && retries.contains("boom"), "{retries}");
    let name = |key| {
        let entry = site.redis.list(&["ZRANGE", key, "0", "-1", "WITHSCORES"]);
        let (member, score) = (json(&entry[0]), String::from_utf8(entry[1].clone()).unwrap());
        format!("{score}-{}", member["jid"].as_str().unwrap())
    };
    for (set, key) in [("retries", "retry"), ("morgue", "dead")] {
        let (status, body) = browser.get(&format!("/{set}/{}", name(key)));
        assert_eq!(status, 200, "{set}: {body}");
    }
    let token = |body: &str| {
        let rest = body.split("authenticity_token").nth(1).unwrap();
        let value = rest.split("value=").nth(1).unwrap();
        value[1..].split(['"', '\'']).next().unwrap().to_owned()
    };
    let form = |token: &str, more: &str| {
        format!(
            "authenticity_token={}&{more}",
            token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
        )
    };
    // One entry: the button for all goes on while there are any, and this one is soon back.
    let retry = form(&token(&retries), &format!("key%5B%5D={}&retry=Retry", name("retry")));
    browser.post("/retries", &retry);
    wait_until("it has failed again", || site.redis.text("stat:failed").as_deref() == Some("3"));
    // A token is good for one form.
    let (_, busy) = browser.get("/busy");
    let quiet = form(&token(&busy), &format!("identity={identity}&quiet=1"));
    browser.post("/busy", &quiet);
    wait_within(A_BEAT, "it is quiet", || (!worker.lines("quiet: no more jobs").is_empty()).then_some(()));
    let (_, busy) = browser.get("/busy");
    browser.post("/busy", &form(&token(&busy), &format!("identity={identity}&stop=1")));
    assert_eq!(worker.wait_for_end().code(), Some(0));
    let (_, busy) = browser.get("/busy");
    assert!(!busy.contains(&identity), "{busy}");
    drop(page);
}

fn main() -> ExitCode {
    let has =
        |args: &[&str]| Command::new(args[0]).args(&args[1..]).output().is_ok_and(|out| out.status.success());
    if !has(&["ruby", "-e", "require 'sidekiq'"]) {
        println!("not tried beside the real sidekiq: there is no ruby with that gem here (make ruby)");
        return ExitCode::SUCCESS;
    }
    let mut cases: Vec<(&str, fn())> = vec![
        ("ruby's client pushes, our worker runs", rubys_client_pushes_and_our_worker_runs),
        ("our client pushes, ruby's server runs", our_client_pushes_and_rubys_server_runs),
        (
            "both serve one queue, a kill of ours loses nothing",
            both_serve_one_queue_and_a_kill_of_ours_loses_nothing,
        ),
        ("the gem's api sees what ours does and steers it", the_gems_api_sees_what_ours_does_and_steers_it),
    ];
    if has(&["ruby", "-e", "require 'rack/handler/puma'"]) {
        cases.push((
            "the gem's page shows ours, its buttons work",
            the_gems_page_shows_ours_and_its_buttons_work,
        ));
    } else {
        println!("not tried with the gem's page: there is no puma here");
    }
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let mut failed = 0;
    for (name, case) in cases.into_iter().filter(|(name, _)| name.contains(&wanted)) {
        match std::panic::catch_unwind(case) {
            Ok(()) => println!("ok: {name}"),
            Err(_) => {
                println!("FAILED: {name}");
                failed += 1;
            }
        }
    }
    if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
