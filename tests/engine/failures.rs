//! What an operator sees of failures: the dead job that knows its queue, the log that says what failed, the hook for error
//! reporters, and the process that was killed.

use crate::fleet::uuid_of;
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json, output_of};
use crate::internal::limits::LOG_SAMPLE_LINES;
use crate::own_jobs::example;

/// What a command prints, and its exit code.
#[track_caller]
fn told(redis: &Redis, args: &[&str]) -> (String, Option<i32>) {
    let output = output_of(&[args, &["--redis-url", &redis.url()]].concat());
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

fn fail(jid: &str, retries: u32) -> String {
    format!(r#"{{"name":"Fail","args":["no luck"],"retries":{retries},"jid":"{jid}"}}"#)
}

#[test]
fn a_job_that_dies_at_its_first_failure_names_its_queue_and_is_retried_there() {
    let redis = Redis::start();
    redis.push("mails", &[fail("d", 0)]);
    let mut worker = Worker::start(&redis, &["-q", "mails"]);
    wait_until("it is dead", || redis.count(DEAD) == 1);
    let dead = redis.set(DEAD).remove(0).0;
    assert!(dead.ends_with(r#","error_class":"JobFailed","queue":"mails"}"#), "{dead}");
    let (jobs, _) = told(&redis, &["jobs", "dead"]);
    assert!(jobs.contains("d    Fail  mails"), "{jobs}");
    let (jobs, _) = told(&redis, &["jobs", "dead", "--json"]);
    assert_eq!(json(&jobs)["jobs"][0]["queue"], "mails");
    let retried = told(&redis, &["retry", "d"]);
    assert_eq!(retried, ("moved job d (Fail) from the dead set to queue mails\n".to_owned(), Some(0)));
    wait_until("it has died again", || redis.failures() == 2 && redis.count(DEAD) == 1);
    worker.stop();

    let (said, code) = told(&redis, &["retry", "--all", "dead"]);
    let warning =
        "warning: no living process serves queue mails: 1 job waits until a worker does (-q mails)\n";
    assert_eq!(said, format!("moved 1 job from the dead set to their queues: mails 1\n{warning}"));
    assert_eq!((code, redis.queue("mails").len()), (Some(0), 1));

    // Elsewhere it dies again, and is from there.
    redis.run(&["LMOVE", "jiggler:list:mails", "jiggler:list:gone", "LEFT", "LEFT"]);
    redis.run(&["DEL", "jiggler:list:gone"]);
    redis.run(&["ZADD", DEAD, "1", &dead]);
    let mut worker = Worker::start(&redis, &["-q", "live"]);
    wait_until("it has a heartbeat", || redis.keys("jiggler:svr:*").len() == 1);
    let retried = told(&redis, &["retry", "d", "--queue", "live"]);
    assert_eq!(retried, ("moved job d (Fail) from the dead set to queue live\n".to_owned(), Some(0)));
    wait_until("it has died there", || redis.failures() == 3 && redis.count(DEAD) == 1);
    assert_eq!(json(&redis.set(DEAD)[0].0)["queue"], "live");
    worker.stop();
}

#[test]
fn a_due_job_with_a_bad_queue_name_is_buried_under_it_and_retried_only_elsewhere() {
    let redis = Redis::start();
    let due = r#"{"name":"Noop","args":[],"jid":"b","queue":"a:b"}"#;
    redis.run(&["ZADD", "jiggler:set:scheduled", "1", due]);
    let config = config_file("poll_interval: 1\n");
    let mut worker = Worker::start(&redis, &["-C", &config.path()]);
    wait_until("it is buried", || redis.count(DEAD) == 1);
    let buried = json(&redis.set(DEAD)[0].0);
    assert_eq!((&buried["name"], &buried["queue"]), (&"InvalidPayload".into(), &"a:b".into()));
    let jid = buried["jid"].as_str().unwrap();
    let (said, code) = told(&redis, &["retry", jid]);
    assert!(said.contains("contains ':'") && said.contains("--queue NAME"), "{said}");
    assert_eq!((code, redis.count(DEAD), redis.processed()), (Some(1), 1, 0));
    assert_eq!(told(&redis, &["retry", jid, "--queue", "default"]).1, Some(0));
    wait_until("it runs", || redis.processed() == 1);
    worker.stop();
}

#[test]
fn failures_are_in_the_log_with_all_that_is_known_of_them() {
    let redis = Redis::start();
    redis.push("default", &[fail("r", 1), fail("d", 0)]);
    let mut worker = Worker::start(&redis, &[]);
    wait_until("both have failed", || redis.failures() == 2);
    // A log is complete when its worker has ended.
    worker.stop();
    let all = r#"queue="default" attempt=0 class="JobFailed" error="no luck""#;
    let retried = worker.lines(" WARN a job failed and will be retried");
    assert!(
        retried.len() == 1 && retried[0].ends_with(&format!(r#" job="Fail" jid="r" {all}"#)),
        "{retried:?}"
    );
    let dead = worker.lines("ERROR a job failed and goes to the dead set");
    assert!(dead.len() == 1 && dead[0].ends_with(&format!(r#" job="Fail" jid="d" {all}"#)), "{dead:?}");
}

#[test]
fn a_flood_of_failures_is_summed_up_and_hides_no_other_job() {
    const JOBS: usize = 400;
    let redis = Redis::start();
    redis.push("default", &vec![fail("x", 0); JOBS]);
    redis.push("default", &[r#"{"name":"Sleep","args":[-1],"jid":"s"}"#]);
    let mut worker = Worker::start(&redis, &["--log-format", "text"]);
    wait_until("all have died", || redis.failures() == JOBS as u64 + 1);
    worker.stop();
    let lines = worker.lines(r#"dead set job="Fail""#);
    let sums = worker.lines("more like it in");
    let told: usize = sums
        .iter()
        .filter(|line| line.ends_with(r#" job="Fail" class="JobFailed""#))
        .map(|line| {
            line.split(" lines=").nth(1).unwrap().split(' ').next().unwrap().parse::<usize>().unwrap()
        })
        .sum();
    assert_eq!(lines.len() + told, JOBS, "{sums:?}");
    assert!(told > 0 && lines.len() >= LOG_SAMPLE_LINES as usize, "{} lines", lines.len());
    assert_eq!(worker.lines(r#"dead set job="Sleep" jid="s""#).len(), 1);
}

#[test]
fn what_a_job_logs_names_it_wherever_it_runs() {
    let redis = Redis::start();
    redis.push("sums", &[r#"{"name":"Fib","args":[5],"jid":"f"}"#]);
    let mut worker = Worker::start(&redis, &["-v", "-q", "other", "-q", "sums"]);
    wait_until("it has run", || redis.processed() == 1);
    worker.stop();
    let computed = worker.lines("computed");
    assert!(
        computed.len() == 1 && computed[0].ends_with(r#" job="Fib" jid="f" queue="sums""#),
        "{computed:?}"
    );
}

#[test]
fn a_panic_names_its_job_and_shows_where_it_came_from() {
    let redis = Redis::start();
    let job = |name: &str| format!(r#"{{"name":"{name}","args":[],"jid":"{name}"}}"#);
    let names = ["PanicAtOnce", "PanicAfterAwait", "PanicInDrop", "PanicAside"];
    redis.push("default", &names.map(job));
    let traced = [("RUST_BACKTRACE", "1")];
    let mut worker =
        Worker::launch_with(&example("misbehaving_jobs"), &redis.url(), &["--log-format", "json"], &traced);
    wait_until("all have panicked", || redis.failures() == names.len() as u64);
    worker.stop();
    for name in names {
        let lines = worker.lines("a job panicked");
        let told = lines.iter().map(json).find(|line| line["jid"] == name).unwrap();
        assert_eq!((&told["job"], &told["queue"]), (&name.into(), &"default".into()), "{told}");
        assert!(told["place"].as_str().unwrap().contains("misbehaving_jobs.rs"), "{told}");
        let trace = told["backtrace"].as_str().unwrap();
        assert!(trace.contains("misbehaving_jobs"), "{told}");
        // Where the panic was comes first, and what called the job's code is left out.
        let is_of_job = !trace.contains("rust_begin_unwind") && !trace.contains("glommio::");
        assert!(is_of_job && trace.contains("more frames; RUST_BACKTRACE=full"), "{trace}");
    }
    for (payload, _) in redis.set(DEAD) {
        let job = json(&payload);
        let (history, trace) = (&job["failure_history"], &job["failure_backtrace"]);
        if job["name"] != "PanicAside" {
            assert!(history.is_null() && trace.is_null(), "nobody asked for it: {payload}");
            continue;
        }
        let [kept] = &history.as_array().unwrap()[..] else { panic!("{payload}") };
        assert_eq!((&kept["attempt"], &kept["class"]), (&0.into(), &job["error_class"]), "{payload}");
        assert_eq!((&kept["message"], &kept["at"]), (&job["error_message"], &job["started_at"]), "{payload}");
        assert!(
            trace.as_array().unwrap().len() <= 60 && trace.to_string().contains("panic_aside"),
            "{trace}"
        );
    }
    let (said, _) = told(&redis, &["show", "PanicAside"]);
    assert!(said.contains(", attempt 0: JigglerUring::Panic: on a companion"), "{said}");
    assert!(said.contains("\nbacktrace     "), "{said}");
}

#[test]
fn error_reporters_hear_of_every_failure() {
    let redis = Redis::start();
    let call = |status: u16, retries: u32| {
        format!(r#"{{"name":"CallApi","args":[{status},60.0],"retries":{retries},"jid":"{status}"}}"#)
    };
    redis.push("default", &[call(200, 1), call(202, 1), call(410, 1), call(429, 1), call(403, 1)]);
    redis.push("default", &[r#"{"name":"Unknown","args":[],"jid":"u","retries":1}"#]);
    let mut worker = Worker::launch_program(&example("retry_policies"), &redis.url(), &["--unknown", "fail"]);
    wait_until("all have ended", || redis.processed() == 5 && redis.count(RETRIES) == 3);
    let mut heard = worker.lines("reported: ");
    heard.sort();
    assert_eq!(
        heard,
        [
            "reported: CallApi 403 attempt 0, retried: false, Forbidden: the key was revoked",
            "reported: CallApi 429 attempt 0, retried: true, TooManyRequests: slow down",
            "reported: Unknown u attempt 0, retried: true, JigglerUring::UnknownJob: no handler is registered for job \
             Unknown",
        ]
    );
    worker.stop();
}

#[test]
fn rust_log_decides_what_is_logged_unless_more_is_asked_for() {
    let redis = Redis::start();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_jiggler-uring"));
    let run = |args: &[&str], rust_log: &str| {
        let before = redis.failures();
        let mut worker = Worker::launch_with(program, &redis.url(), args, &[("RUST_LOG", rust_log)]);
        redis.push("default", &[fail("d", 0)]);
        wait_until("the job has died", || redis.failures() > before);
        worker.stop();
        let has = |text: &str| !worker.lines(text).is_empty();
        [has(" working "), has("goes to the dead set"), has("DEBUG "), has("RUST_LOG is not obeyed")]
    };
    assert_eq!(run(&[], "warn"), [false, true, false, false]);
    assert_eq!(run(&[], "jiggler_uring::failures=off"), [true, false, false, false]);
    assert_eq!(run(&[], "debug"), [true, true, true, false]);
    assert_eq!(run(&["-v"], "warn"), [true, true, true, false]);
    assert_eq!(run(&[], "jiggler_uring=loud"), [true, true, false, true]);
}

#[test]
fn a_killed_worker_is_dead_and_no_ruby_server() {
    let redis = Redis::start();
    let mut worker = Worker::start(&redis, &["-q", "mails"]);
    let uuid = uuid_of(&worker);
    redis.push("mails", &[r#"{"name":"Sleep","args":[60]}"#]);
    wait_until("the job runs", || redis.queue("mails").is_empty());
    worker.kill();
    // As if its lease had ended: 30 s later.
    let key = redis.keys("jiggler:svr:*").remove(0);
    let value = redis.text(&key).unwrap();
    let then = json(&value)["heartbeat"].as_f64().unwrap() - 30.0;
    redis.run(&["SET", &key, &format!(r#"{{"heartbeat":{then},"rss":1,"current_jobs":{{}}}}"#)]);

    let (said, _) = told(&redis, &["processes", "--json"]);
    let process = json(&said)["processes"][0].clone();
    assert_eq!((&process["engine"], &process["phase"]), (&"jiggler-uring".into(), &"dead".into()), "{said}");
    assert_eq!((&process["ok"], &process["busy"]), (&false.into(), &0.into()), "{said}");
    let (said, _) = told(&redis, &["processes"]);
    assert!(said.contains("dead: silent for 3") && !said.contains("ruby"), "{said}");
    let (said, _) = told(&redis, &["summary", "--json"]);
    assert_eq!(json(&said)["processes"][&key]["health"]["ok"], false, "{said}");
    // The kernel closes the sockets of a killed process when its ring is done, and until then its move takes the next job.
    wait_until("redis has noticed", || {
        String::from_utf8_lossy(redis.run(&["INFO", "clients"]).as_bulk().unwrap())
            .contains("blocked_clients:0")
    });
    redis.push("mails", &[r#"{"name":"Noop"}"#]);
    let (said, _) = told(&redis, &["queues", "--json"]);
    assert_eq!(json(&said)["queues"][0]["processes"], 0, "{said}");
    for args in [&["stop", &uuid][..], &["stop", "--all"], &["quiet", &uuid]] {
        let (said, code) = told(&redis, args);
        assert!(said.contains("is dead: silent for 3") && !said.contains("kill -"), "{said}");
        assert_eq!(code, Some(0), "{said}");
    }
}
