//! The account of a round: what every jid pushed must have come to, and what may excuse a second run.
//!
//! A run is a line in the log of the process that ran the job; an effect is an entry in the dead set, which is written
//! in the same step that ends the flight of the job.
//!
//! At least once: every job that was surely pushed has one effect, never two: a process whose jobs were given to others can
//! no longer change anything. A job runs again only if the process that ran it first was killed, was believed dead, or could
//! not tell Redis before its end; and none is believed dead that could reach Redis all the time. The counters count each
//! failure exactly, and each success, unless a run was repeated, or acked over a new connection by a process that ended
//! before its next turn, which would have counted it.
//!
//! A job that kills its process does so four times at most and is buried as poison, and nothing else is.
//!
//! At most once: no job runs twice, whatever happens. None is lost while processes and connections end in order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiggler_uring::internal::job::failure::CLASS_POISON;
use jiggler_uring::internal::limits::RECOVERIES_MAX;

use super::fleet::{Life, Run};
use super::plan::Plan;
use super::producer::{Jobs, Kind};
use super::round::Tally;
use super::site::Site;
use crate::harness::redis::{DEAD, RETRIES, Redis, SCHEDULED};

/// Silence from which on a process may be taken for dead: the lease, less what may pass before and after.
const SILENCE_MIN: Duration = Duration::from_secs(8);

/// Every list and set of jobs that should run, with its length, in one step: jobs move from any to any at all times.
const OPEN: &str = "local open = {}
for _, pattern in ipairs(ARGV) do
  for _, key in ipairs(redis.call('KEYS', pattern)) do
    local kind = redis.call('TYPE', key).ok
    local length = kind == 'list' and redis.call('LLEN', key) or kind == 'zset' and redis.call('ZCARD', key) or 0
    if length > 0 then open[#open + 1] = key .. ' ' .. length end
  end
end
return open";

/// Runs of a job that kills its process: the first, and one after each recovery.
const STARTS_MAX: usize = 1 + RECOVERIES_MAX as usize;

/// Jids that a complaint names.
const NAMED: usize = 10;

/// What lies in Redis.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Lists and sets that hold jobs that should run, with their lengths.
    pub(crate) open: BTreeMap<String, i64>,
    /// Entries in the dead set by jid. Those that hold no jid count under their text.
    pub(crate) dead: BTreeMap<String, usize>,
    /// Those that went there as poison.
    pub(crate) poison: BTreeSet<String>,
    pub(crate) processed: u64,
    pub(crate) failures: u64,
}

impl Census {
    pub(crate) fn of(site: &Site) -> Self {
        let mut census = Self::default();
        for node in site.nodes() {
            census.add_open(node);
        }
        if !census.open.is_empty() {
            return census;
        }
        for node in site.nodes() {
            if site.is_cluster() {
                // Each queue has sets and counters of its own.
                node.keys("{jiggler:list:*}:dead").iter().for_each(|set| census.add_dead(node, set));
                let sum = |what: &str| {
                    let keys = node.keys(&format!("{{jiggler:list:*}}:{what}"));
                    keys.iter().map(|key| node.text(key).map_or(0, |text| text.parse().unwrap())).sum::<u64>()
                };
                census.processed += sum("processed");
                census.failures += sum("failures");
            } else {
                census.add_dead(node, DEAD);
                census.processed += node.processed();
                census.failures += node.failures();
            }
        }
        census
    }

    fn add_open(&mut self, node: &Redis) {
        let of_queues = ["{jiggler:list:*}:retries", "{jiggler:list:*}:scheduled"];
        let patterns = ["jiggler:list:*", "{jiggler:list:*}:inflight:*", RETRIES, SCHEDULED];
        let ask = [&["EVAL", OPEN, "0"][..], &patterns, &of_queues].concat();
        // A node of a cluster refuses scripts while it has not heard of the others for a while.
        let Some(reply) = node.try_run(&ask).filter(|reply| reply.as_array().is_ok()) else {
            self.open.insert("not known: a node refuses to tell".to_owned(), 1);
            return;
        };
        self.open.extend(reply.as_array().unwrap().map(|line| {
            let line = String::from_utf8(line.as_bulk().unwrap().to_vec()).unwrap();
            let (key, length) = line.rsplit_once(' ').unwrap();
            (key.to_owned(), length.parse::<i64>().unwrap())
        }));
    }

    fn add_dead(&mut self, node: &Redis, set: &str) {
        for (payload, _) in node.set(set) {
            let job = serde_json::from_str::<serde_json::Value>(&payload).unwrap_or_default();
            let jid = job["jid"].as_str().map_or(payload, str::to_owned);
            if job["error_class"] == CLASS_POISON {
                self.poison.insert(jid.clone());
            }
            *self.dead.entry(jid).or_default() += 1;
        }
    }
}

/// Gives each life's reason, if there is one, why a job it ran may run again.
fn excuses(plan: &Plan, lives: &[Life]) -> Vec<Option<&'static str>> {
    let mut reaped: BTreeMap<String, String> = BTreeMap::new();
    for (uuid, at) in lives.iter().flat_map(Life::reaped) {
        let first = reaped.entry(uuid).or_insert_with(|| at.clone());
        *first = at.min(first.clone());
    }
    let was_reaped = |life: &Life| life.uuids().iter().any(|uuid| reaped.contains_key(uuid));
    // Its lease stayed when it ended, and so did what it could not report: a reaper came for both.
    let was_reaped_after_its_end = |life: &Life| {
        let times: Vec<&String> = life.uuids().iter().filter_map(|uuid| reaped.get(uuid)).collect();
        life.stopped_at().is_some_and(|end| times.iter().all(|at| **at > end))
    };
    let excuse = |life: &Life| {
        if life.killed {
            // First, because the line that says that it worked may be missing.
            Some("killed")
        } else if !life.has_worked() {
            None
        } else if life.exit == Some(0) && life.left_without_redis() {
            // It had nothing to report, so it did not wait for Redis; its lease stays until a reaper finds nothing.
            Some("left without Redis")
        } else if plan.withdraws_rights() && life.exit == Some(0) && !life.was_fenced() && was_reaped(life) {
            // It could hand back what it held, but not take its lease with it.
            Some("left without its rights")
        } else if !life.was_fenced() && was_reaped(life) && was_reaped_after_its_end(life) {
            Some("ended without Redis")
        } else if life.was_fenced() || was_reaped(life) {
            Some("taken for dead")
        } else {
            (life.exit != Some(0)).then_some("ended without Redis")
        }
    };
    lives.iter().map(excuse).collect()
}

pub(crate) fn judge(plan: &Plan, jobs: &Jobs, lives: &[Life], census: &Census) -> Result<Tally, String> {
    let excuses = excuses(plan, lives);
    for (life, excuse) in lives.iter().zip(&excuses) {
        if !life.oddities().is_empty() {
            return Err(format!("worker {} panicked: {:?}", life.place, life.oddities()));
        }
        // What could not tell Redis at its end need not have been taken for dead: a short outage, or a right that it had
        // not, is enough.
        let troubled = plan.silence[life.place] > Duration::ZERO;
        let explained = |excuse| match excuse {
            "killed" | "left without Redis" | "left without its rights" => true,
            "ended without Redis" => troubled,
            _ => false,
        };
        if excuse.is_some_and(|excuse| !explained(excuse)) && plan.silence[life.place] < SILENCE_MIN {
            return Err(format!("worker {} was {excuse:?} though it could reach Redis", life.place));
        }
    }
    let mut runs: BTreeMap<Run, Vec<usize>> = BTreeMap::new();
    for (number, life) in lives.iter().enumerate() {
        life.runs().into_iter().for_each(|run| runs.entry(run).or_default().push(number));
    }
    check_strangers(jobs, census, &runs)?;
    let repeated = check_repeated(plan, &excuses, &runs)?;
    // The log has a queue of its own, whose last lines end with a process that is killed.
    let has_all_lines = !lives.iter().any(|life| life.killed);
    let lost = check_lost(plan, jobs, census, has_all_lines.then_some(&runs))?;
    let poisoned = check_poison(jobs, lives, census)?;
    if plan.at_least_once {
        // One that ended well had a last turn.
        let ended_early = lives.iter().filter(|life| life.exit != Some(0));
        let uncounted = ended_early.map(Life::acked_apart).sum();
        check_counters(jobs, census, excuses.iter().all(Option::is_none), uncounted)?;
    }
    Ok(Tally {
        jobs: jobs.len(),
        runs: runs.values().map(Vec::len).sum(),
        repeated,
        lost,
        processes: lives.len(),
        recovered: lives
            .iter()
            .flat_map(Life::reaped)
            .map(|(uuid, _)| uuid)
            .collect::<BTreeSet<String>>()
            .len(),
        poisoned,
        rest: Duration::ZERO,
    })
}

/// Nothing ran or died that nobody pushed: a payload is never made up or mangled.
fn check_strangers(jobs: &Jobs, census: &Census, runs: &BTreeMap<Run, Vec<usize>>) -> Result<(), String> {
    let seen = census.dead.keys().chain(runs.keys().map(|run| &run.jid));
    complain("nobody has pushed these", seen.filter(|jid| !jobs.contains_key(*jid)))
}

/// How many runs were repeated for which reason.
fn check_repeated(
    plan: &Plan,
    excuses: &[Option<&'static str>],
    runs: &BTreeMap<Run, Vec<usize>>,
) -> Result<BTreeMap<&'static str, usize>, String> {
    let unexcused = |lives: &Vec<usize>| lives.iter().filter(|life| excuses[**life].is_none()).count();
    let allowed = |lives: &Vec<usize>| {
        if plan.at_least_once { unexcused(lives) <= 1 } else { lives.len() <= 1 }
    };
    let twice = runs.iter().filter(|(_, lives)| !allowed(lives));
    let names: Vec<String> = twice.map(|(run, lives)| format!("{run:?} in lives {lives:?}")).collect();
    complain("these ran more than once without a reason", names.iter())?;
    let mut repeated = BTreeMap::new();
    for lives in runs.values() {
        // One of them is the run that counts: the one without an excuse, if there is one.
        let reasons = lives.iter().filter_map(|life| excuses[*life]);
        reasons.take(lives.len() - 1).for_each(|reason| *repeated.entry(reason).or_default() += 1);
    }
    Ok(repeated)
}

/// How many were lost: none if the mode is at least once. `runs`: if the logs have all of them.
fn check_lost(
    plan: &Plan,
    jobs: &Jobs,
    census: &Census,
    runs: Option<&BTreeMap<Run, Vec<usize>>>,
) -> Result<usize, String> {
    complain("these died more than once", census.dead.iter().filter(|(_, n)| **n > 1).map(|(jid, _)| jid))?;
    let traced = jobs.iter().filter(|(_, job)| job.kind != Kind::Sleep);
    let lost: Vec<&String> =
        traced.filter(|(jid, job)| job.sure && !census.dead.contains_key(*jid)).map(|(jid, _)| jid).collect();
    if plan.at_least_once || !plan.may_lose_at_most_once() {
        complain("these are lost", lost.iter().copied())?;
    }
    if let Some(runs) = runs {
        let ran: BTreeSet<&String> = runs.keys().map(|run| &run.jid).collect();
        // A poison job ends its process before that could say anything.
        let unrun = census.dead.keys().filter(|jid| !ran.contains(jid) && !census.poison.contains(*jid));
        complain("these died and never ran", unrun)?;
    }
    Ok(lost.len())
}

/// A job that kills its process is buried as what it is, after four deaths at most, and nothing else is. How many processes
/// were killed so.
fn check_poison(jobs: &Jobs, lives: &[Life], census: &Census) -> Result<usize, String> {
    let is_poison = |jid: &String| jobs.get(jid).is_some_and(|job| job.kind == Kind::Poison);
    complain("these were buried as poison and are none", census.poison.iter().filter(|jid| !is_poison(jid)))?;
    let mistaken = census.dead.keys().filter(|jid| is_poison(jid) && !census.poison.contains(*jid));
    complain("these are poison and died of something else", mistaken)?;
    let poisoned = lives.iter().filter(|life| life.poisoned).count();
    let most = STARTS_MAX * jobs.values().filter(|job| job.kind == Kind::Poison).count();
    if poisoned > most {
        return Err(format!("poison jobs have killed {poisoned} processes, of at most {most}"));
    }
    Ok(poisoned)
}

/// `exact`: no run was repeated. `uncounted`: successes that may not have been counted.
fn check_counters(jobs: &Jobs, census: &Census, exact: bool, uncounted: u64) -> Result<(), String> {
    let dead = |kind: Kind| {
        let count =
            jobs.iter().filter(|(jid, job)| job.kind == kind && census.dead.contains_key(*jid)).count();
        count as u64
    };
    // Each failure is counted in the step that moves the job.
    let failed = dead(Kind::Fail) + dead(Kind::Neighbour) + 2 * dead(Kind::Retry);
    // Poison did not come to the end of a run.
    let failures = failed + dead(Kind::Poison);
    if census.failures != failures {
        return Err(format!("{} failures are counted, {failures} jobs were moved", census.failures));
    }
    let sleeps = jobs.values().filter(|job| job.kind == Kind::Sleep);
    let (sure, all) = sleeps.fold((0, 0), |(sure, all), job| (sure + u64::from(job.sure), all + 1));
    let fits = census.processed + uncounted >= failed + sure && (!exact || census.processed <= failed + all);
    if !fits {
        return Err(format!(
            "{} runs are counted, of which {failed} failed; {sure} to {all} jobs can have succeeded",
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
