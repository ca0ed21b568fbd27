//! P1, P3, P4 and P6 searched: every interleaving of a small world in which processes fetch, run, ack, lose connections,
//! die and reap each other.
//!
//! The scripts are modelled as atomic steps (`redis.rs`, `reaper.rs`), the shard as what it knows and does (`batch.rs`,
//! `shard.rs`, `link.rs`), and everything that can happen next is tried (`actions.rs`, `apply.rs`, `processes.rs`). A
//! connection carries out commands in order, or dies: then replies are lost, and what had not arrived arrives late or
//! never. `tests/parts/model` is the complement: long random histories of one process with the real scripts on a real
//! Redis.
//!
//! In every world (`world.rs`):
//! - a job is in exactly one place, or in none after it succeeded: nothing is lost, duplicated, or acked before it
//!   ran;
//! - a job starts once each time it is put into the queue for a reason: when it was pushed or is due, when its running was
//!   broken off at the end of a stop, when it is reaped after its process died or was silent for a lease. What a silent
//!   process still runs after that does not count. So without a crash, a silence or such a stop, no job starts twice;
//! - a shard of which a job was taken over changes nothing;
//! - a living connection never answers STALE, a living process that can reach Redis is never refused its lease;
//! - a poison job starts at most four times;
//! - a job whose name a process does not know is left to the others: it dies only after it has been left for long enough,
//!   and while no fault strikes, it is overtaken by no job that came later;
//! - no job of a paused queue starts in a shard that has heeded the pause;
//! - if no more faults strike and the queue is resumed, every job comes to its end: success, or the dead set if it failed
//!   for good or is poison, and no other.
//!
//! Bounds: two or three jobs, one queue, two processes at work and those that replace them, one or two shards, one or
//! two turns in flight; faults as in `scenarios.rs`. Left out: oversize payloads, trimming, counters, several queues,
//! equal payloads (`tests/parts/model` has these); that fences and recovery counts expire; at most once. Taken for
//! granted: a stray blocking move does not come after the time its shard waits for it, and the pauses between suspects
//! are long enough for each. Steps that concern only one shard are not interleaved with those of others (`actions.rs`
//! says why that loses nothing).
//!
//! Each mutant leaves one rule out; the search must find a history that breaks a property, and break the expected
//! one.
//!
//! Some of these rules exist because the search found a history without them: that a turn does not run if the one
//! sent before it has not, that a turn which would fail halfway makes no move at all, that the fence of a shard which
//! left neither keeps its process from renewing its lease nor looks like a reaper's.
//!
//! Our own search, not a crate: stateright (0.31, July 2025, nothing since) keeps the whole path with every waiting
//! world, and cannot express "from every world the calm schedule ends well": its `eventually` gives wrong answers
//! where histories meet. `cargo test --test parts protocol_model -- --nocapture` prints how many worlds each search
//! saw.

mod scenario;
mod scenarios;
// The world.
mod batch;
mod link;
mod pauses;
mod reaper;
mod redis;
mod shard;
mod wire;
mod world;
// What happens in it.
mod actions;
mod apply;
mod calm;
mod processes;
mod search;

use std::time::Instant;

use scenario::{Mutant, Scenario};
use scenarios::{
    CRASH, FAILING, FORGOTTEN, FULL, HELD, HELD_CRASH, HELD_TRICKLE, LAPSE, LAST_WORDS, LATE_STOP, LINES,
    NAMES, NAMES_CRASH, NEIGHBOURS, NOBODY, PARTS, PARTS_LAPSE, PAUSE, POISON, REFUSED, SHARDS, SHARDS_STOP,
    STOP, TRICKLE, UNNAMED,
};
use world::Broken;

/// More worlds than any search here sees: each takes half a kilobyte while it waits.
const WORLDS_MAX: usize = 1_500_000;

fn holds(what: &str, scenario: &Scenario) {
    let begun = Instant::now();
    let searched = search::search(scenario, WORLDS_MAX);
    eprintln!("{what}: {} worlds, depth {}, {:?}", searched.worlds, searched.depth, begun.elapsed());
    if let Some(found) = searched.found {
        panic!("{}", found.describe(scenario));
    }
}

/// The search must find that the protocol without this rule breaks one of these properties.
fn caught(mutant: Mutant, scenario: &Scenario, reasons: &[Broken]) {
    let scenario = Scenario { mutant: Some(mutant), ..*scenario };
    let searched = search::search(&scenario, WORLDS_MAX);
    let Some(found) = searched.found else { panic!("{mutant:?} was not seen in {} worlds", searched.worlds) };
    eprintln!("{mutant:?}: {:?} after {} steps", found.broken, found.history.len() + found.calm.len());
    assert!(reasons.contains(&found.broken), "not one of {reasons:?}: {}", found.describe(&scenario));
}

#[test]
fn lost_connections_lose_and_duplicate_nothing() {
    holds("lost connections", &LINES);
}

#[test]
fn turns_that_are_refused_or_fail_lose_and_duplicate_nothing() {
    holds("a refused turn", &REFUSED);
    holds("forgotten scripts", &FORGOTTEN);
    holds("a failing move", &FAILING);
}

#[test]
fn a_stop_leaves_nothing_behind() {
    holds("a stop", &STOP);
    holds("a stop between jobs that come one by one", &TRICKLE);
    holds("a stop while the lease ends", &LATE_STOP);
    holds("a stop while the lease ends and the reaper dies", &LAST_WORDS);
    holds("a stop of two shards", &SHARDS_STOP);
}

#[test]
fn unstarted_jobs_go_back_once() {
    holds("jobs handed back", &FULL);
}

#[test]
fn the_jobs_of_a_killed_process_run_again() {
    holds("a crash", &CRASH);
    holds("a crash of two shards", &SHARDS);
}

#[test]
fn jobs_that_are_taken_away_part_by_part_run_again_and_their_owner_touches_nothing_from_the_first_on() {
    holds("jobs taken away one by one", &PARTS);
    holds("the same after a silence", &PARTS_LAPSE);
    caught(Mutant::FencedLast, &PARTS_LAPSE, &[Broken::FencedChanges]);
}

#[test]
fn the_jobs_of_a_process_whose_lease_is_forgotten_run_again() {
    holds("a forgotten lease", &UNNAMED);
    caught(Mutant::NeverAdopted, &UNNAMED, &[Broken::Stuck]);
}

#[test]
fn a_process_that_was_presumed_dead_touches_nothing() {
    holds("a pause", &PAUSE);
    holds("a silence", &LAPSE);
}

#[test]
fn a_poison_job_starts_four_times_and_takes_no_other_job_with_it() {
    holds("poison", &POISON);
    holds("poison and a neighbour", &NEIGHBOURS);
}

#[test]
fn a_job_of_an_unknown_name_waits_for_those_who_know_it_and_is_not_overtaken() {
    holds("an unknown name", &NAMES);
    holds("an unknown name and a crash", &NAMES_CRASH);
    holds("a name that nobody knows", &NOBODY);
    caught(Mutant::UnknownFails, &NAMES, &[Broken::InnocentDead]);
    caught(Mutant::LeftForever, &NOBODY, &[Broken::Stuck]);
    caught(Mutant::LeftGoesBehind, &NOBODY, &[Broken::Overtaken]);
}

#[test]
fn a_paused_queue_starts_no_job_once_a_shard_has_heeded_it_and_a_resumed_one_runs() {
    holds("a pause of the queue", &HELD);
    holds("a pause between jobs that come one by one", &HELD_TRICKLE);
    holds("a pause and a crash", &HELD_CRASH);
    caught(Mutant::PausedStaysArmed, &HELD_TRICKLE, &[Broken::StartsPaused, Broken::RunAgain, Broken::Stuck]);
    caught(Mutant::PausedIsFetched, &HELD, &[Broken::StartsPaused]);
    caught(Mutant::ListensWithoutReading, &HELD, &[Broken::Stuck]);
    caught(Mutant::NotReadAtStart, &HELD_CRASH, &[Broken::StartsPaused]);
}

#[test]
fn an_ack_before_the_run_is_caught() {
    caught(Mutant::AckBeforeRun, &CRASH, &[Broken::Lost]);
}

#[test]
fn a_batch_that_the_index_does_not_name_is_caught() {
    caught(Mutant::BatchNotNoted, &LINES, &[Broken::Stuck]);
}

#[test]
fn late_turns_that_run_are_caught() {
    // The batch that a late turn fetches belongs to no one.
    caught(Mutant::TurnNotStale, &LINES, &[Broken::Stuck]);
    caught(Mutant::ResumeBarsNothing, &LINES, &[Broken::Stuck]);
    caught(Mutant::BarRemovedFirst, &FAILING, &[Broken::TwoPlaces, Broken::Stuck]);
}

#[test]
fn a_turn_that_runs_although_the_one_before_was_refused_is_caught() {
    // Its ack of a whole batch takes with it the job that the refused turn was to move.
    caught(Mutant::TurnsNotChained, &REFUSED, &[Broken::Lost]);
    caught(Mutant::TurnsNotChained, &FORGOTTEN, &[Broken::RunAgain, Broken::Lost]);
}

#[test]
fn a_turn_that_fails_halfway_is_caught() {
    caught(Mutant::MovesNotCheckedFirst, &FAILING, &[Broken::TwoPlaces]);
}

#[test]
fn what_a_lost_turn_reported_is_neither_forgotten_nor_reported_twice() {
    caught(Mutant::AlwaysReportedAgain, &LINES, &[Broken::TwoPlaces]);
    caught(Mutant::NeverReportedAgain, &LINES, &[Broken::RunAgain]);
}

#[test]
fn batches_of_lost_replies_that_stay_are_caught() {
    caught(Mutant::UnknownLeft, &LINES, &[Broken::Stuck]);
}

#[test]
fn a_late_reconcile_is_caught() {
    caught(Mutant::ReconcileNotNumbered, &LINES, &[Broken::RunAgain]);
}

#[test]
fn unchecked_wait_lists_are_caught() {
    caught(Mutant::NotSwept, &LINES, &[Broken::Stuck]);
    caught(Mutant::SweptOnce, &LINES, &[Broken::Stuck]);
    caught(Mutant::WaitListNotReaped, &CRASH, &[Broken::Lost]);
}

#[test]
fn handing_back_under_a_blocking_move_is_caught() {
    // What is on its way to the shard goes back, and is then started.
    caught(Mutant::HandsBackWhileWaiting, &TRICKLE, &[Broken::RunAgain, Broken::Stuck]);
}

#[test]
fn unfenced_or_indistinguishable_ends_are_caught() {
    caught(Mutant::LeavesNoFence, &STOP, &[Broken::Stuck]);
    caught(Mutant::FencesLookAlike, &LAST_WORDS, &[Broken::Stuck]);
    caught(Mutant::LeftIsNotRenewed, &SHARDS_STOP, &[Broken::LeaseRefused]);
}

#[test]
fn reaping_the_living_is_caught() {
    caught(Mutant::ReapsTheLiving, &LAPSE, &[Broken::RunAgain]);
}

#[test]
fn a_late_owner_without_a_fence_is_caught() {
    caught(Mutant::NoFence, &LAPSE, &[Broken::FencedChanges]);
}

#[test]
fn leases_removed_too_early_are_caught() {
    caught(Mutant::ReleasedFirst, &CRASH, &[Broken::Stuck]);
    caught(Mutant::ReleasedEarly, &SHARDS, &[Broken::Stuck]);
    caught(Mutant::ReleasedBeforeBurial, &POISON, &[Broken::Stuck]);
}

#[test]
fn recoveries_that_are_not_counted_in_the_same_step_are_caught() {
    caught(Mutant::NotCounted, &POISON, &[Broken::PoisonStarts]);
    caught(Mutant::CountedLater, &POISON, &[Broken::PoisonStarts]);
}

#[test]
fn poison_that_only_the_reaper_knows_about_is_caught() {
    caught(Mutant::PoisonNotKept, &POISON, &[Broken::Lost]);
}

#[test]
fn suspects_that_run_side_by_side_are_caught() {
    caught(Mutant::SuspectsTogether, &NEIGHBOURS, &[Broken::InnocentDead]);
}
