//! The account of a round: what every jid pushed must have come to, and what may excuse a second run.
//!
//! A run is a line in the log of the process that ran the job; an effect is an entry in the dead set, which is written
//! in the same step that ends the flight of the job.
//!
//! At least once: every job that was surely pushed has one effect, never two: a process whose jobs were given to others can
//! change nothing any more. A job runs again only if the process that ran it first was killed, was believed dead, or could
//! not tell Redis before its end; and none is believed dead that could reach Redis all the time. The counters count each
//! failure exactly, and each success, unless a run was repeated.
//!
//! At most once: no job runs twice, whatever happens. None is lost while processes and connections end in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fleet::{Life, Run};
use super::plan::Plan;
use super::producer::{Jobs, Kind};
use super::round::Tally;
use crate::harness::redis::{DEAD, RETRIES, Redis, SCHEDULED};

/// Silence from which on a process may be taken for dead: the lease, less what may pass before and after.
const SILENCE_MIN: Duration = Duration::from_secs(8);

/// The length of a list, in one step: an index may become a fence at any time.
const LENGTH_OF_LIST: &str =
    "return redis.call('TYPE', KEYS[1]).ok == 'list' and redis.call('LLEN', KEYS[1]) or 0";

/// Jids that a complaint names.
const NAMED: usize = 10;

/// What lies in Redis.
#[derive(Debug)]
pub(crate) struct Census {
    /// Lists and sets that hold jobs that should run, with their lengths.
    pub(crate) open: BTreeMap<String, i64>,
    /// Entries in the dead set by jid. Those that hold no jid count under their text.
    pub(crate) dead: BTreeMap<String, usize>,
    pub(crate) processed: u64,
    pub(crate) failures: u64,
}

impl Census {
    pub(crate) fn of(redis: &Redis) -> Self {
        let mut open = BTreeMap::new();
        let mut note = |key: String, length: i64| {
            if length > 0 {
                open.insert(key, length);
            }
        };
        for pattern in ["jiggler:list:*", "{jiggler:list:*}:inflight:*"] {
            for key in redis.keys(pattern) {
                note(key.clone(), redis.integer(&["EVAL", LENGTH_OF_LIST, "1", &key]));
            }
        }
        for set in [RETRIES, SCHEDULED] {
            note(set.to_owned(), redis.count(set));
        }
        if !open.is_empty() {
            return Self { open, dead: BTreeMap::new(), processed: 0, failures: 0 };
        }
        let mut dead = BTreeMap::new();
        for (payload, _) in redis.set(DEAD) {
            let jid = serde_json::from_str::<serde_json::Value>(&payload)
                .ok()
                .and_then(|job| job["jid"].as_str().map(str::to_owned));
            *dead.entry(jid.unwrap_or(payload)).or_default() += 1;
        }
        Self { open, dead, processed: redis.processed(), failures: redis.failures() }
    }
}

/// Gives each life's reason, if there is one, why a job it ran may run again.
fn excuses(lives: &[Life]) -> Vec<Option<&'static str>> {
    let reaped: BTreeSet<String> = lives.iter().flat_map(Life::reaped).collect();
    let excuse = |life: &Life| {
        if !life.has_worked() {
            None
        } else if life.killed {
            Some("killed")
        } else if life.was_fenced() || life.uuids().iter().any(|uuid| reaped.contains(uuid)) {
            Some("taken for dead")
        } else {
            (life.exit != Some(0)).then_some("ended without Redis")
        }
    };
    lives.iter().map(excuse).collect()
}

pub(crate) fn judge(plan: &Plan, jobs: &Jobs, lives: &[Life], census: &Census) -> Result<Tally, String> {
    let excuses = excuses(lives);
    for (life, excuse) in lives.iter().zip(&excuses) {
        if !life.oddities().is_empty() {
            return Err(format!("worker {} panicked: {:?}", life.place, life.oddities()));
        }
        if excuse.is_some_and(|excuse| excuse != "killed") && plan.silence[life.place] < SILENCE_MIN {
            return Err(format!("worker {} was {excuse:?} though it could reach Redis", life.place));
        }
    }
    let mut runs: BTreeMap<Run, Vec<usize>> = BTreeMap::new();
    for (number, life) in lives.iter().enumerate() {
        life.runs().into_iter().for_each(|run| runs.entry(run).or_default().push(number));
    }
    check_strangers(jobs, census, &runs)?;
    let repeated = check_repeated(plan, &excuses, &runs)?;
    let lost = check_lost(plan, jobs, census, &runs)?;
    if plan.at_least_once {
        check_counters(jobs, census, excuses.iter().all(Option::is_none))?;
    }
    Ok(Tally {
        jobs: jobs.len(),
        runs: runs.values().map(Vec::len).sum(),
        repeated,
        lost,
        lives: lives.len(),
        fenced: excuses.iter().filter(|excuse| **excuse == Some("taken for dead")).count(),
        rest: Duration::ZERO,
    })
}

/// Nothing ran or died that nobody pushed: a payload is never made up or mangled.
fn check_strangers(jobs: &Jobs, census: &Census, runs: &BTreeMap<Run, Vec<usize>>) -> Result<(), String> {
    let seen = census.dead.keys().chain(runs.keys().map(|run| &run.jid));
    complain("nobody has pushed these", seen.filter(|jid| !jobs.contains_key(*jid)))
}

/// How many runs were repeated, all with a reason.
fn check_repeated(
    plan: &Plan,
    excuses: &[Option<&'static str>],
    runs: &BTreeMap<Run, Vec<usize>>,
) -> Result<usize, String> {
    let unexcused = |lives: &Vec<usize>| lives.iter().filter(|life| excuses[**life].is_none()).count();
    let allowed = |lives: &Vec<usize>| {
        if plan.at_least_once { unexcused(lives) <= 1 } else { lives.len() <= 1 }
    };
    let twice = runs.iter().filter(|(_, lives)| !allowed(lives));
    let names: Vec<String> = twice.map(|(run, lives)| format!("{run:?} in lives {lives:?}")).collect();
    complain("these ran more than once without a reason", names.iter())?;
    Ok(runs.values().map(|lives| lives.len() - 1).sum())
}

/// How many were lost, which is none at least once.
fn check_lost(
    plan: &Plan,
    jobs: &Jobs,
    census: &Census,
    runs: &BTreeMap<Run, Vec<usize>>,
) -> Result<usize, String> {
    complain("these died more than once", census.dead.iter().filter(|(_, n)| **n > 1).map(|(jid, _)| jid))?;
    let traced = jobs.iter().filter(|(_, job)| job.kind != Kind::Sleep);
    let lost: Vec<&String> =
        traced.filter(|(jid, job)| job.sure && !census.dead.contains_key(*jid)).map(|(jid, _)| jid).collect();
    if plan.at_least_once || !plan.may_lose_at_most_once() {
        complain("these are lost", lost.iter().copied())?;
    }
    let ran: BTreeSet<&String> = runs.keys().map(|run| &run.jid).collect();
    complain("these died and never ran", census.dead.keys().filter(|jid| !ran.contains(jid)))?;
    Ok(lost.len())
}

fn check_counters(jobs: &Jobs, census: &Census, exact: bool) -> Result<(), String> {
    let dead = |kind: Kind| {
        let count =
            jobs.iter().filter(|(jid, job)| job.kind == kind && census.dead.contains_key(*jid)).count();
        count as u64
    };
    // Each failure is counted in the step that moves the job.
    let failures = dead(Kind::Fail) + 2 * dead(Kind::Retry);
    if census.failures != failures {
        return Err(format!("{} failures are counted, {failures} jobs were moved", census.failures));
    }
    let sleeps = jobs.values().filter(|job| job.kind == Kind::Sleep);
    let (sure, all) = sleeps.fold((0, 0), |(sure, all), job| (sure + u64::from(job.sure), all + 1));
    let fits = census.processed >= failures + sure && (!exact || census.processed <= failures + all);
    if !fits {
        return Err(format!(
            "{} runs are counted, of which {failures} failed; {sure} to {all} jobs can have succeeded",
            census.processed
        ));
    }
    Ok(())
}

fn complain<'a>(what: &str, jids: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let jids: Vec<&String> = jids.collect();
    if jids.is_empty() {
        return Ok(());
    }
    Err(format!("{what}, {} of them: {:?}", jids.len(), &jids[..jids.len().min(NAMED)]))
}
