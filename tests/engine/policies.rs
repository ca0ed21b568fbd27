//! Retry policies, the verdicts of handlers and the death hook, with `examples/retry_policies.rs`: where a job ends
//! up, its bytes there, what is counted, and that nothing stays in flight.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiggler_uring::internal::time::{RubyFloat, unix_now};

use crate::harness::account::lists_in_flight;
use crate::harness::proxy::{Fate, Proxy};
use crate::harness::redis::{DEAD, RETRIES};
use crate::harness::wait::wait_until;
use crate::harness::{Redis, Worker, config_file, json};

/// Starts the example as a worker that logs every job that did not succeed.
#[track_caller]
fn start(redis: &Redis, args: &[&str]) -> Worker {
    start_at(&redis.url(), args)
}

#[track_caller]
fn start_at(url: &str, args: &[&str]) -> Worker {
    // The examples are next to the program; `cargo test` builds both.
    let example = Path::new(env!("CARGO_BIN_EXE_jiggler-uring")).with_file_name("examples/retry_policies");
    assert!(example.exists(), "{} is not built: cargo build --examples", example.display());
    let worker = Worker::launch_program(&example, url, &[&["-v"], args].concat());
    worker.wait_for_line(" working ");
    worker
}

/// The payload of a `CallApi` with a jid.
fn call(status: u16, pause_s: f64, retries: u32) -> String {
    format!(r#"{{"name":"CallApi","args":[{status},{pause_s:?}],"retries":{retries},"jid":"{status:016}"}}"#)
}

/// A payload with extra members at its end.
fn with(payload: &str, members: &str) -> String {
    format!("{},{members}}}", &payload[..payload.len() - 1])
}

/// Both counters.
fn counted(redis: &Redis) -> (u64, u64) {
    (redis.processed(), redis.failures())
}

#[track_caller]
fn number(payload: &str, field: &str) -> f64 {
    json(payload)[field].as_f64().unwrap()
}

/// What the death hook logged.
fn deaths(worker: &Worker) -> Vec<String> {
    worker.lines("died: ").iter().map(|line| line.trim_start_matches("died: ").to_owned()).collect()
}

/// Stops the worker and checks that nothing is left in flight or queued.
#[track_caller]
fn stop_clean(redis: &Redis, worker: &mut Worker) {
    wait_until("nothing is in flight", || lists_in_flight(redis).is_empty());
    worker.stop();
    assert_eq!(redis.job_keys(), [""; 0]);
}

#[test]
fn every_verdict_ends_where_it_says_in_both_modes() {
    for mode in ["at-least-once", "at-most-once"] {
        let table = [
            // status, retries; in the retry set, in the dead set; processed, failed; reported
            (200, 3, (0, 0), (1, 0), ""),
            (202, 3, (1, 0), (0, 0), ""),
            (202, 0, (1, 0), (0, 0), ""),
            (429, 3, (1, 0), (1, 1), ""),
            (429, 0, (0, 1), (1, 1), "TooManyRequests: slow down"),
            (410, 3, (0, 0), (1, 0), ""),
            (403, 3, (0, 1), (1, 1), "Forbidden: the key was revoked"),
            (500, 3, (1, 0), (1, 1), ""),
            (500, 0, (0, 1), (1, 1), "ApiError: status 500"),
        ];
        let redis = Redis::start();
        let mut worker = start(&redis, &["--mode", mode]);
        for (status, retries, sets, counters, told) in table {
            let what = format!("{status} with {retries} retries, {mode}");
            let before = (counted(&redis), deaths(&worker).len());
            redis.run(&["DEL", RETRIES, DEAD]);
            redis.push("default", &[call(status, 60.0, retries)]);
            wait_until(&format!("the sets after {what}"), || {
                (redis.count(RETRIES), redis.count(DEAD)) == sets
                    && redis.queue("default").is_empty()
                    && lists_in_flight(&redis).is_empty()
                    && counted(&redis) == (before.0.0 + counters.0, before.0.1 + counters.1)
            });
            if told.is_empty() {
                assert_eq!(deaths(&worker).len(), before.1, "{what}");
            } else {
                wait_until(&what, || deaths(&worker).len() > before.1);
                assert_eq!(deaths(&worker)[before.1], format!("CallApi {status:016} {told}"));
            }
        }
        assert_eq!(worker.lines("panic").len(), 0);
        stop_clean(&redis, &mut worker);
    }
}

#[test]
fn a_snoozed_job_keeps_its_bytes_and_equal_jobs_keep_their_number() {
    let redis = Redis::start();
    let fresh = r#"{"name":"CallApi", "args":[202,600.0],"x":[1.0e+21]}"#;
    redis.push("img", &[fresh; 50]);
    let mut worker = start(&redis, &["-q", "img"]);
    wait_until("all are snoozed", || redis.count(RETRIES) == 50);
    for (payload, score) in redis.set(RETRIES) {
        let at = RubyFloat(score);
        assert_eq!(payload, with(fresh, &format!(r#""retry_at":{at},"queue":"img""#)));
    }
    stop_clean(&redis, &mut worker);
    assert_eq!((counted(&redis), redis.count(RETRIES), redis.count(DEAD)), ((0, 0), 50, 0));
}

#[test]
fn a_snooze_between_two_failures_changes_only_when_and_where() {
    let redis = Redis::start();
    let failed = r#"{"name":"CallApi","args":[202,600.0],"retries":2,"jid":"j","started_at":5.5,"error_message":"m","error_class":"E","retry_at":21.5,"attempt":2,"queue":"elsewhere","retried_at":9.5}"#;
    redis.push("default", &[failed]);
    let mut worker = start(&redis, &[]);
    wait_until("it is snoozed", || redis.count(RETRIES) == 1);
    let (payload, score) = redis.set(RETRIES).remove(0);
    let expected = failed.replace("21.5", &RubyFloat(score).to_string()).replace("elsewhere", "default");
    assert_eq!(payload, expected);
    stop_clean(&redis, &mut worker);
}

#[test]
fn a_snoozed_job_runs_again_as_the_same_attempt_until_it_is_done() {
    let redis = Redis::start();
    redis.push("default", &[r#"{"name":"AwaitExport","args":["march",4],"jid":"e"}"#]);
    let config = config_file("poll_interval: 1\n");
    let mut worker = start(&redis, &["-C", &config.path()]);
    wait_until("it is done", || redis.processed() == 1);
    let snoozes = worker.lines("job snoozed");
    assert_eq!(snoozes.len(), 3, "{snoozes:?}");
    assert!(snoozes.iter().all(|line| line.contains("attempt=0")), "{snoozes:?}");
    stop_clean(&redis, &mut worker);
    assert_eq!((counted(&redis), redis.count(RETRIES), redis.count(DEAD)), ((1, 0), 0, 0));
}

#[test]
fn a_retry_that_a_handler_plans_is_the_gems_except_for_its_time() {
    let redis = Redis::start();
    let job = call(429, 600.0, 2);
    redis.push("default", &[&job]);
    let mut worker = start(&redis, &[]);
    wait_until("it waits", || redis.count(RETRIES) == 1);
    let (payload, score) = redis.set(RETRIES).remove(0);
    let (at, failed_at) = (RubyFloat(score), RubyFloat(number(&payload, "started_at")));
    let members = format!(
        r#""started_at":{failed_at},"error_message":"slow down","error_class":"TooManyRequests","retry_at":{at},"attempt":1,"queue":"default""#
    );
    assert_eq!(payload, with(&job, &members));
    assert!((score - failed_at.0 - 600.0).abs() < 1e-5, "due {} s later", score - failed_at.0);
    stop_clean(&redis, &mut worker);
}

#[test]
fn a_dead_verdict_buries_a_retryable_job_at_once_as_the_gem_writes_it_with_its_queue() {
    let redis = Redis::start();
    let job = call(403, 1.0, 9);
    redis.push("default", &[&job]);
    let mut worker = start(&redis, &[]);
    wait_until("it is dead", || redis.count(DEAD) == 1);
    let (payload, score) = redis.set(DEAD).remove(0);
    let members = format!(
        r#""started_at":{},"error_message":"the key was revoked","error_class":"Forbidden","queue":"default""#,
        RubyFloat(score)
    );
    assert_eq!(payload, with(&job, &members));
    stop_clean(&redis, &mut worker);
}

#[test]
fn a_job_goes_through_its_attempts_and_its_death_is_reported_once() {
    let redis = Redis::start();
    redis.push("default", &[call(429, 0.05, 2)]);
    let config = config_file("poll_interval: 1\n");
    let mut worker = start(&redis, &["-C", &config.path()]);
    wait_until("it is dead", || redis.count(DEAD) == 1);
    wait_until("its death is reported", || !deaths(&worker).is_empty());
    // The line of the log is written after the hook has run.
    wait_until("its death is logged", || !worker.lines("a job failed and goes to the dead set").is_empty());
    let runs = worker.lines("job failed");
    assert_eq!(runs.len(), 3, "{runs:?}");
    for (attempt, line) in runs.iter().enumerate() {
        assert!(line.contains(&format!("attempt={attempt}")), "{line}");
    }
    let payload = redis.set(DEAD).remove(0).0;
    assert_eq!((number(&payload, "attempt"), number(&payload, "retries")), (2.0, 2.0));
    assert!(number(&payload, "started_at") < number(&payload, "retried_at"), "{payload}");
    stop_clean(&redis, &mut worker);
    assert_eq!(deaths(&worker), ["CallApi 0000000000000429 TooManyRequests: slow down"]);
    assert_eq!((counted(&redis), redis.count(RETRIES)), ((3, 3), 0));
}

#[test]
fn policies_plan_the_pauses_and_queues_they_are_registered_with() {
    let table = [
        // job, attempt so far; pause at least, at most; queue
        (r#"{"name":"CallApi","args":[500],"retries":9"#, 0, 15.0, 18.75, "default"),
        (r#"{"name":"CallApi","args":[500],"retries":9"#, 2, 135.0, 168.75, "default"),
        (r#"{"name":"CallApi","args":[500],"retries":99"#, 50, 3_600.0, 4_500.0, "default"),
        // An error passed on with `?`.
        (r#"{"name":"CallApi","args":[200,-1.0],"retries":9"#, 0, 15.0, 18.75, "default"),
        (r#"{"name":"Charge","args":[7,"Busy"],"retries":9"#, 0, 10.0, 10.0, "charges-again"),
        (r#"{"name":"Charge","args":[7,"Busy"],"retries":9"#, 3, 40.0, 40.0, "charges-again"),
        // What the producer of this one job says comes first, if it is the name of a queue.
        (r#"{"name":"Charge","args":[7,"Busy"],"retries":9,"retry_queue":"own""#, 0, 10.0, 10.0, "own"),
        (
            r#"{"name":"Charge","args":[7,"Busy"],"retries":9,"retry_queue":"a:b""#,
            0,
            10.0,
            10.0,
            "charges-again",
        ),
        (r#"{"name":"Sync","args":[7],"retries":9"#, 5, 30.0, 30.0, "default"),
        // The payload names no retries, so the registration's apply.
        (r#"{"name":"Sync","args":[7]"#, 2, 30.0, 30.0, "default"),
        (r#"{"name":"Sync","args":[7],"retries":null"#, 0, 30.0, 30.0, "default"),
        // The gem's, because no other was named or the job is unknown.
        (r#"{"name":"AwaitExport","args":["x"],"retries":9"#, 0, 16.0, 17.6, "default"),
        (r#"{"name":"Unknown","args":[],"retries":9"#, 1, 31.0, 34.1, "default"),
    ];
    let redis = Redis::start();
    let mut worker = start(&redis, &["--unknown", "fail"]);
    for (job, attempt, least, most, queue) in table {
        redis.run(&["DEL", RETRIES]);
        redis.push("default", &[format!(r#"{job},"jid":"j","attempt":{attempt},"started_at":1.5}}"#)]);
        wait_until(&format!("{job} waits"), || redis.count(RETRIES) == 1);
        let (payload, score) = redis.set(RETRIES).remove(0);
        let payload = json(payload);
        // The first retry records only the time of the first failure, which is long past here.
        if let Some(failed_at) = payload["retried_at"].as_f64() {
            let pause = score - failed_at;
            assert!((least - 1e-5..=most + 1e-5).contains(&pause), "{job}: paused for {pause} s");
        } else {
            assert_eq!(attempt, 0, "{payload}");
            let left = score - unix_now();
            assert!((least - 5.0..=most).contains(&left), "{job}: {left} s are left");
        }
        assert_eq!((&payload["attempt"], &payload["queue"]), (&(attempt + 1).into(), &queue.into()));
        assert_eq!(payload["retry_at"].as_f64(), Some(score), "{payload}");
    }
    stop_clean(&redis, &mut worker);
    assert_eq!(redis.count(DEAD), 0);
}

#[test]
fn a_job_dies_when_its_policy_gives_up_or_no_retry_is_left() {
    let jobs = [
        r#"{"name":"Charge","args":[7,"CardDeclined"],"retries":9,"jid":"0"}"#,
        r#"{"name":"Sync","args":[7],"retries":0,"jid":"1"}"#,
        r#"{"name":"Sync","args":[7],"attempt":3,"jid":"2"}"#,
        r#"{"name":"Unknown","jid":"3"}"#,
        "this is not a job, and its death is not reported",
    ];
    let redis = Redis::start();
    redis.push("default", &jobs);
    let mut worker = start(&redis, &["--unknown", "fail"]);
    wait_until("all are dead", || redis.count(DEAD) == 5);
    wait_until("four deaths are reported", || deaths(&worker).len() == 4);
    stop_clean(&redis, &mut worker);
    let told = [
        "Charge 0 CardDeclined: order 7",
        "Sync 1 Offline: account 7",
        "Sync 2 Offline: account 7",
        "Unknown 3 JigglerUring::UnknownJob: no handler is registered for job Unknown",
    ];
    assert_eq!(deaths(&worker), told);
    assert_eq!((counted(&redis), redis.count(RETRIES)), ((4, 5), 0));
}

#[test]
fn a_death_is_not_reported_before_redis_has_it() {
    let mut redis = Redis::start_durable();
    redis.push("default", &[call(504, 3.0, 0)]);
    let mut worker = start(&redis, &["--cores", "1"]);
    wait_until("it is taken", || redis.queue("default").is_empty());
    // An empty queue says that Redis gave it away, not that it has arrived. What the shard runs next says so.
    redis.push("default", &[call(200, 0.0, 0)]);
    wait_until("it runs", || redis.processed() == 1);
    redis.kill();
    worker.wait_for_line("redis is gone");
    worker.wait_for_line("job failed");
    assert_eq!(deaths(&worker), [""; 0], "it is still in flight");
    redis.start_again();
    wait_until("its death is reported", || !deaths(&worker).is_empty());
    assert_eq!(redis.count(DEAD), 1);
    stop_clean(&redis, &mut worker);
    assert_eq!(deaths(&worker), ["CallApi 0000000000000504 GatewayTimeout: no answer"]);
    assert_eq!(counted(&redis), (2, 1));
}

#[test]
fn a_death_is_reported_once_though_its_turn_or_the_answer_is_lost() {
    for fault in [Fate::LoseRequest, Fate::LoseReply] {
        let redis = Redis::start();
        redis.push("default", &[call(403, 1.0, 0)]);
        let faults = Arc::new(AtomicU64::new(0));
        let proxy = Proxy::start(redis.socket(), {
            let faults = Arc::clone(&faults);
            move |bytes| {
                let brings_it = bytes.windows(7).any(|window| window == b"revoked");
                if brings_it && faults.fetch_add(1, Ordering::SeqCst) == 0 { fault } else { Fate::Arrive }
            }
        });
        let mut worker = start_at(&proxy.url(), &[]);
        wait_until("its death is reported", || !deaths(&worker).is_empty());
        assert_eq!(redis.count(DEAD), 1, "{fault:?}");
        stop_clean(&redis, &mut worker);
        let told = "CallApi 0000000000000403 Forbidden: the key was revoked";
        assert_eq!((deaths(&worker), counted(&redis)), (vec![told.to_owned()], (1, 1)), "{fault:?}");
        assert!(faults.load(Ordering::SeqCst) > 0, "nothing was lost, which proves nothing");
    }
}
