//! Chaos: real workers behind faulty lines, a Redis that is killed and paused, and an account of every job at the end.
//!
//! Each round follows from its seed. Here are a short one and single faults; the long run is `alone/chaos_long.rs`
//! (`make chaos`). What each round proves stands in `oracle.rs`.

mod faults;
mod fleet;
mod oracle;
mod plan;
mod producer;
mod round;
mod site;

use crate::fault_proxy::{FaultProxy, Then, Way};
use crate::harness::wait::wait_until;
use crate::harness::{Account, Redis, Worker};
use plan::{Plan, Severity};

/// Seed of the rounds in `cargo test`.
const SEED: u64 = 1;

#[test]
fn no_job_is_lost_or_run_twice_in_a_short_round() {
    let plan = Plan::with(SEED, Severity::Short, true, false);
    eprintln!("{} {}", plan.summary(), round::run(&plan));
}

#[test]
fn garbage_in_a_reply_ends_the_connection_and_acks_nothing_wrongly() {
    const JOBS: usize = 3_000;
    let redis = Redis::start();
    let proxy = FaultProxy::start(&redis.socket(), false, SEED);
    let worker = Worker::launch(proxy.url(), &["-v"]);
    for part in 0..10 {
        // Then all of its connections are there.
        wait_until("the worker waits for jobs", || redis.waiting() == 1);
        let jobs: Vec<String> = (part * JOBS / 10..(part + 1) * JOBS / 10).map(Account::traced).collect();
        proxy.after(Way::Replies, part * 7, Then::Garble);
        redis.push("default", &jobs);
        wait_until("a connection with garbage is dropped", || proxy.dropped_by_client() > part);
    }
    wait_until("all jobs have run", || redis.processed() >= JOBS as u64);
    let account = Account::of(&redis);
    account.assert_each_ran_once(JOBS);
    Account::assert_none_ran_twice(&worker);
}

#[test]
fn a_job_whose_delivery_was_lost_does_not_wait_for_the_backlog_to_end() {
    let redis = Redis::start();
    let proxy = FaultProxy::start(&redis.socket(), false, SEED);
    let _worker = Worker::launch(proxy.url(), &["-c", "2"]);
    wait_until("the worker waits for jobs", || redis.waiting() == 1);
    proxy.after(Way::Replies, 10, Then::Cut);
    redis.push("default", &[Account::traced(0)]);
    // Two minutes of work.
    let backlog: Vec<String> =
        (0..2_400).map(|n| format!(r#"{{"name":"Sleep","args":[0.1],"jid":"s{n}"}}"#)).collect();
    redis.push("default", &backlog);
    wait_until("the job has run", || redis.count(crate::harness::redis::DEAD) == 1);
}

#[test]
fn a_stop_over_a_dead_connection_tries_another_before_it_leaves_jobs_behind() {
    let redis = Redis::start();
    let proxy = FaultProxy::start(&redis.socket(), false, SEED);
    let mut worker = Worker::launch(proxy.url(), &["-c", "1"]);
    let job = r#"{"name":"Sleep","args":[600],"jid":"0"}"#;
    redis.push("default", &[job]);
    wait_until("the job runs", || redis.queue("default").is_empty());
    proxy.forget();
    worker.stop();
    assert_eq!(redis.queue("default"), [job]);
}

#[test]
fn a_plan_follows_from_its_seed_and_every_kind_of_round_comes_up() {
    let plans: Vec<Plan> = (0..200).map(Plan::new).collect();
    for plan in &plans {
        assert_eq!(plan.to_string(), Plan::new(plan.seed).to_string());
        assert!(plan.at_least_once || !plan.has_poison(), "poison is for at least once: {plan}");
    }
    for severity in [Severity::Gentle, Severity::Rough, Severity::Long] {
        for at_least_once in [true, false] {
            let is_so = |plan: &&Plan| plan.severity == severity && plan.at_least_once == at_least_once;
            assert!(plans.iter().any(|plan| is_so(&plan)), "{severity:?} {at_least_once}");
        }
    }
    assert!(plans.iter().any(Plan::has_poison));
}
