//! P1 as a property: whatever is lost on the way, no job is lost, acked before it ran, or in two places.
//!
//! Proptest draws fleets and what happens to them (`ops.rs`), the world plays them against a real Redis with the
//! library's own calls (`world.rs`), and after every step the oracle reads every key (`oracle.rs`). A failure prints
//! the smallest case it was reduced to. `MODEL_CASES=20000 cargo test --test parts model` searches longer.
//!
//! Mutants prove that the oracle has teeth: a script with one change must make the property fail.

mod late;
mod ops;
mod oracle;
mod overlap;
mod shard;
mod state;
mod world;

use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::store::scripts::Script;
use jiggler_uring::internal::wire::Keyspace;
use jiggler_uring::internal::wire::keys::{JIGGLER, SIDEKIQ};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::own_redis::OwnRedis;
use ops::Case;
use world::{Mutation, Verdict, World};

/// Cases in an ordinary run; `MODEL_CASES` sets another number.
const CASES: u32 = 800;

/// Cases within which a mutant must be caught.
const MUTANT_CASES: u32 = 400;

fn play(keys: Keyspace, conn: &mut BlockingConnection, case: &Case, mutation: Option<Mutation>) -> Verdict {
    let mut world = World::new(keys, conn, case, mutation);
    for (number, step) in case.steps.iter().enumerate() {
        world.step(step).map_err(|error| format!("after step {number}, {step:?}: {error}"))?;
    }
    world.drain().map_err(|error| format!("while draining: {error}"))
}

fn check(keys: Keyspace, runner: &mut TestRunner, mutation: Option<Mutation>) -> Result<(), TestError<Case>> {
    let redis = OwnRedis::start();
    let conn = std::cell::RefCell::new(redis.connect());
    runner.run(&ops::case(), |case| {
        play(keys, &mut conn.borrow_mut(), &case, mutation).map_err(TestCaseError::fail)
    })
}

#[test]
fn no_job_is_lost_acked_unrun_or_duplicated_whatever_gets_lost() {
    let cases = std::env::var("MODEL_CASES").map_or(CASES, |text| text.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = check(JIGGLER, &mut TestRunner::new(config), None) {
        panic!("{error}");
    }
}

/// The same beside Sidekiq's programs, where queues are registered too.
#[test]
fn no_job_is_lost_acked_unrun_or_duplicated_beside_sidekiq_either() {
    let cases = std::env::var("MODEL_CASES").map_or(CASES / 2, |text| text.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = check(SIDEKIQ, &mut TestRunner::new(config), None) {
        panic!("{error}");
    }
}

/// The property must fail with this change to a script, and for this reason.
fn caught(mutation: Mutation, reason: &str) {
    let config =
        Config { cases: MUTANT_CASES, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    match check(JIGGLER, &mut TestRunner::new_with_rng(config, rng), Some(mutation)) {
        Err(TestError::Fail(found, _)) => {
            assert!(found.message().contains(reason), "caught, but not for {reason:?}: {found}");
        }
        other => panic!("the oracle did not see {mutation:?}: {other:?}"),
    }
}

#[test]
fn a_turn_that_keeps_nothing_in_flight_is_caught() {
    let text = "redis.call('LTRIM', queue, 0, -(count + 1))";
    caught(
        (Script::Turn, text, "redis.call('LTRIM', queue, 0, -(count + 1)) redis.call('UNLINK', batch)"),
        "remaining jobs are there",
    );
}

#[test]
fn a_turn_that_looks_at_each_job_and_keeps_none_is_caught() {
    caught((Script::Turn, "push('RPUSH', batch, kept)", ""), "remaining jobs are there");
}

#[test]
fn a_turn_that_takes_one_more_from_the_queue_than_it_keeps_is_caught() {
    caught((Script::Turn, "-(count + 1)", "-(count + 2)"), "remaining jobs are there");
}

#[test]
fn a_turn_that_leaves_in_the_queue_what_it_takes_is_caught() {
    caught((Script::Turn, "redis.call('LTRIM', queue, 0, -(count + 1))", ""), "remaining jobs are there");
}

#[test]
fn a_turn_that_does_not_note_its_batch_is_caught() {
    caught((Script::Turn, "redis.call('HSET', index, ARGV[1], count - oversize)", ""), "not in the index");
}

#[test]
fn a_turn_that_acks_equal_payloads_together_is_caught() {
    caught(
        (Script::Turn, "':' .. batch, 1, job) == 1", "':' .. batch, 0, job) > 0"),
        "remaining jobs are there",
    );
}

#[test]
fn a_turn_that_comes_late_and_is_not_refused_is_caught() {
    let text = "if last >= tonumber(ARGV[1]) then";
    caught((Script::Turn, text, "if false then"), "instead of STALE");
}

#[test]
fn a_turn_that_takes_more_from_a_queue_than_it_may_is_caught() {
    let text = "room = math.min(wanted, limits and limits[number] or wanted)";
    caught((Script::Turn, text, "room = wanted"), "from a queue of at most");
    caught((Script::Turn, "limits and #limits or", "false or"), "instead of the list of a batch");
}

#[test]
fn a_turn_that_ignores_the_fence_is_caught() {
    caught(
        (Script::Turn, "if marks.err then", "if marks.err then marks = {} elseif false then"),
        "instead of FENCED",
    );
}

#[test]
fn a_turn_that_moves_without_counting_is_caught() {
    caught((Script::Turn, "count(KEYS[2], ARGV[6])", "nil"), "failures_counter is");
}

#[test]
fn a_reconcile_that_drops_instead_of_handing_back_is_caught() {
    caught((Script::Reconcile, "back[#back + 1] = job", ""), "should be handed back");
}

#[test]
fn a_reconcile_that_hands_back_in_reverse_is_caught() {
    let text = "push('RPUSH', KEYS[1], jobs)";
    caught((Script::Reconcile, text, "push('RPUSH', KEYS[1], newest_first(jobs))"), "another order");
}

#[test]
fn a_resume_that_lets_the_lost_turn_run_later_is_caught() {
    caught((Script::Resume, "redis.call('HSET', KEYS[1], 'b', ARGV[1])", "return 0"), "instead of STALE");
}

#[test]
fn a_resume_that_lets_other_calls_run_later_is_caught() {
    let text = "if last >= tonumber(ARGV[2]) then";
    caught((Script::Reconcile, text, "if false then"), "instead of STALE");
}

#[test]
fn a_shard_that_leaves_late_and_is_not_refused_is_caught() {
    let text = "if last >= tonumber(ARGV[1]) then";
    caught((Script::Leave, text, "if false then"), "instead of STALE");
}

#[test]
fn a_shard_that_leaves_no_fence_is_caught() {
    caught((Script::Leave, "fence(first, 'left', ARGV[2])", ""), "instead of LEFT");
}

#[test]
fn a_resume_that_answers_differently_when_asked_again_is_caught() {
    let bar = "redis.call('HSET', KEYS[1], 'b', ARGV[1])";
    caught(
        (Script::Resume, bar, "redis.call('HSET', KEYS[1], 't', ARGV[1])"),
        "but of the lost turn: Some(false)",
    );
}
