//! Periodic jobs of every second over three processes that are killed, stopped and continued at random, for minutes: each
//! tick of each entry is pushed once, in order, and none is missing. `make cron` starts it; `cargo test` does not.
//!
//! ```sh
//! make cron                          # for 180 seconds
//! CRON_SECONDS=600 CRON_SEED=7 make cron
//! ```
//! The queue of the ticks is served by nobody, so it shows what was pushed. The entries catch up with all ticks, so a time
//! in which no process lives makes ticks late and loses none. Output: what was done, then by entry how many ticks were
//! pushed, missed and doubled, and how late: between the tick and the moment at which a waiting reader has its job; apart
//! for ticks beside which nothing was killed or stopped.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails, fails the run; it reports to a person"
)]

#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[expect(dead_code, unused_imports, reason = "shared with the tests of the engine, which use all of it")]
#[path = "../engine/harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use harness::{Redis, Worker, json, output_of};

/// How long it runs unless told otherwise.
const SECONDS_DEFAULT: u64 = 180;

/// Processes at a time.
const PROCESSES: usize = 3;

/// The longest time for which a process is stopped.
const STOP_S: f64 = 60.0;

/// Within so long after a fault a living process leads, and has caught up; three times that ends the patience at the end.
const FAULT_S: f64 = 10.0;

/// The entries: name and schedule.
const ENTRIES: [(&str, &str, i64); 3] = [
    ("every-second", "* * * * * *", 1),
    ("every-other", "*/2 * * * * *", 2),
    ("by-fives", "*/5 * * * * *", 5),
];

struct Tick {
    at: i64,
    late_s: f64,
}

fn main() {
    let seconds = number("CRON_SECONDS", SECONDS_DEFAULT);
    let seed = number("CRON_SEED", u64::from(std::process::id()));
    let mut random = fastrand::Rng::with_seed(seed);
    println!("# {PROCESSES} processes, {seconds} s, CRON_SEED={seed}");
    let redis = Redis::start();
    for (name, schedule, _) in ENTRIES {
        let queue = format!("ticks-{name}");
        let added = output_of(&[
            "cron",
            "add",
            name,
            schedule,
            "Noop",
            "--queue",
            &queue,
            "--catch-up",
            "all:100",
            "--redis-url",
            &redis.url(),
        ]);
        assert!(added.status.success(), "{added:?}");
    }
    let start = || Worker::start(&redis, &["-q", "elsewhere", "--cores", "1"]);
    let mut workers: Vec<Worker> = (0..PROCESSES).map(|_| start()).collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut kills, mut stops) = (0, 0);
    let mut faults = Vec::new();
    let mut pushed: BTreeMap<&str, Vec<Tick>> = BTreeMap::new();
    let mut stopped: Option<(usize, Instant)> = None;
    let mut next_fault = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        collect(&redis, &mut pushed);
        if let Some((at, until)) = stopped
            && Instant::now() >= until
        {
            workers[at].signal("CONT");
            stopped = None;
        }
        if Instant::now() >= next_fault {
            next_fault = Instant::now() + Duration::from_secs_f64(random.f64() * 30.0 + 1.0);
            let at = random.usize(..PROCESSES);
            faults.push(unix_now());
            if random.bool() && stopped.is_none() {
                let long = Duration::from_secs_f64(random.f64() * STOP_S);
                workers[at].signal("STOP");
                stopped = Some((at, Instant::now() + long));
                stops += 1;
            } else if stopped.is_none_or(|(stopped, _)| stopped != at) {
                workers[at].kill();
                workers[at] = start();
                kills += 1;
            }
        }
    }
    if let Some((at, _)) = stopped {
        workers[at].signal("CONT");
    }
    // What is late comes once a living process leads.
    let last = unix_now() as i64;
    let patience = Instant::now() + Duration::from_secs_f64(3.0 * FAULT_S);
    while pushed["every-second"].last().is_none_or(|tick| tick.at < last) {
        assert!(Instant::now() < patience, "no tick since {last} within {:?}", patience.elapsed());
        collect(&redis, &mut pushed);
    }
    for worker in &mut workers {
        worker.stop();
    }
    println!("# {kills} kills, {stops} stops");
    let wrong: Vec<bool> =
        ENTRIES.iter().map(|(name, _, step)| report(name, *step, &pushed[name], &faults)).collect();
    assert!(!wrong.contains(&true), "a tick is missing, doubled or out of order: CRON_SEED={seed}");
}

/// Waits up to a tenth of a second for one more tick and reads all that were pushed.
fn collect(redis: &Redis, pushed: &mut BTreeMap<&str, Vec<Tick>>) {
    let lists = ENTRIES.map(|(name, ..)| (name, format!("jiggler:list:ticks-{name}")));
    let names: Vec<&str> = lists.iter().map(|(_, list)| list.as_str()).collect();
    let mut command = vec!["BLMPOP", "0.1", "3"];
    command.extend(names);
    command.extend(["RIGHT", "COUNT", "100"]);
    let reply = redis.run(&command);
    let Ok(mut reply) = reply.as_array() else { return };
    let now = unix_now();
    let list = String::from_utf8(reply.next().unwrap().as_bulk().unwrap().to_vec()).unwrap();
    let (name, _) = lists.iter().find(|(_, name)| *name == list).unwrap();
    for job in reply.next().unwrap().as_array().unwrap() {
        let tick: jiff::Timestamp =
            json(job.as_bulk().unwrap())["cron"]["tick"].as_str().unwrap().parse().unwrap();
        let at = tick.as_second();
        pushed.entry(name).or_default().push(Tick { at, late_s: now - at as f64 });
    }
}

/// Prints a line about an entry; whether a tick of it is missing, doubled or out of order.
fn report(name: &str, step: i64, ticks: &[Tick], faults: &[f64]) -> bool {
    let steps: Vec<i64> = ticks.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let missed: i64 = steps.iter().map(|found| (found / step - 1).max(0)).sum();
    let doubled = steps.iter().filter(|found| **found <= 0).count();
    let is_quiet = |tick: &&Tick| {
        let at = tick.at as f64;
        faults.iter().all(|fault| at < *fault || at > fault + FAULT_S)
    };
    let late = |ticks: Vec<f64>| {
        let mut ticks = ticks;
        ticks.sort_by(f64::total_cmp);
        let of = |share: f64| {
            ticks
                .get((ticks.len().saturating_sub(1) as f64 * share) as usize)
                .map_or(0.0, |late| late * 1_000.0)
        };
        format!("p50 {:.1} ms p99 {:.1} ms most {:.1} ms of {}", of(0.5), of(0.99), of(1.0), ticks.len())
    };
    println!(
        "{name} pushed {} missed {missed} doubled {doubled}; late: {}; beside no fault: {}",
        ticks.len(),
        late(ticks.iter().map(|tick| tick.late_s).collect()),
        late(ticks.iter().filter(is_quiet).map(|tick| tick.late_s).collect()),
    );
    ticks.is_empty() || missed > 0 || steps.iter().any(|found| *found != step)
}

fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}
