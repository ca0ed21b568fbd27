//! The long chaos run: rounds with fresh seeds, for minutes or hours. `make chaos` starts it; `cargo test` does not.
//!
//! ```sh
//! make chaos                                  # for 300 seconds
//! CHAOS_SECONDS=3600 CHAOS_OUT=run.txt make chaos
//! CHAOS_ROUNDS=100 make chaos
//! CHAOS_SEED=123456 make chaos                # replays one round
//! CHAOS_DIALECT=sidekiq make chaos            # beside sidekiq's programs, where it is one Redis
//! ```
//! Output: lines beginning with `#` say what runs and where, then one line a round with its seed, what it was, and its
//! tally, then a summary. A round that fails ends the run: its plan, the logs and what is in Redis go to standard
//! error.
//!
//! Exit codes: 0 all rounds went well, 1 one did not, 2 a setting is wrong or the report cannot be written.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails ends the round it stands in, with all that is known of it"
)]

#[path = "../support/fault_proxy.rs"]
mod fault_proxy;
#[path = "../engine/chaos/faults.rs"]
mod faults;
#[path = "../engine/chaos/fleet.rs"]
mod fleet;
#[expect(dead_code, unused_imports, reason = "shared with the tests of the engine, which use all of it")]
#[path = "../engine/harness/mod.rs"]
mod harness;
#[path = "../engine/chaos/oracle.rs"]
mod oracle;
#[path = "../engine/chaos/plan.rs"]
mod plan;
#[path = "../engine/chaos/producer.rs"]
mod producer;
#[path = "../engine/chaos/report.rs"]
mod report;
#[path = "../engine/chaos/round.rs"]
mod round;
#[path = "../engine/chaos/site.rs"]
mod site;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use plan::Plan;
use report::Report;
use round::Tally;

/// How long it runs unless told otherwise.
const SECONDS_DEFAULT: u64 = 300;

/// Seeds are below this: short enough to be typed.
const SEEDS: u64 = 1_000_000_000;

/// What is asked for.
enum Extent {
    Replay { seed: u64 },
    Rounds(u64),
    Time(Duration),
}

/// Sums over the rounds.
#[derive(Default)]
struct Sums {
    rounds: u64,
    jobs: usize,
    runs: usize,
    repeated: BTreeMap<&'static str, usize>,
    lost: usize,
    recovered: usize,
    poisoned: usize,
}

fn main() -> ExitCode {
    let settings = extent().and_then(|extent| {
        let out = std::env::var("CHAOS_OUT").ok();
        let report = Report::to(out.as_deref()).map_err(|error| format!("CHAOS_OUT={out:?}: {error}"))?;
        Ok((extent, report))
    });
    let result = match settings {
        Ok((extent, mut report)) => run(&extent, &mut report).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn extent() -> Result<Extent, String> {
    let number = |variable: &str| {
        let text = std::env::var(variable).ok();
        let parse = |text: String| {
            text.parse::<u64>().map_err(|_| format!("{variable} must be a whole number, not {text:?}"))
        };
        text.map(parse).transpose()
    };
    if let Some(seed) = number("CHAOS_SEED")? {
        return Ok(Extent::Replay { seed });
    }
    match number("CHAOS_ROUNDS")? {
        Some(0) => Err("CHAOS_ROUNDS must be at least 1".to_owned()),
        Some(rounds) => Ok(Extent::Rounds(rounds)),
        None => Ok(Extent::Time(Duration::from_secs(number("CHAOS_SECONDS")?.unwrap_or(SECONDS_DEFAULT)))),
    }
}

fn run(extent: &Extent, report: &mut Report) -> std::io::Result<ExitCode> {
    report.header()?;
    let begun = Instant::now();
    let mut sums = Sums::default();
    loop {
        let plan = match extent {
            Extent::Replay { seed } => Plan::new(*seed),
            Extent::Rounds(_) | Extent::Time(_) => Plan::new(fastrand::u64(..SEEDS)),
        };
        if matches!(extent, Extent::Replay { .. }) {
            report.line(&plan.to_string().replace("\n", "\n# ").replacen("", "# ", 1))?;
        }
        let round_begun = Instant::now();
        // What it panics with has been said on standard error. The complaint is its last line but one.
        let outcome = catch_unwind(AssertUnwindSafe(|| round::run(&plan)));
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        let (nth, wall_s) = (sums.rounds + 1, round_begun.elapsed().as_secs_f64());
        let head = format!("round={nth} {verdict} {} wall_s={wall_s:.1}", plan.summary());
        let tally = match outcome {
            Ok(tally) => tally,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map_or("", String::as_str);
                let complaint = text.lines().rev().nth(1).unwrap_or(text);
                report.line(&format!("{head} complaint={complaint:?}"))?;
                report.line(&format!("# replay: CHAOS_SEED={} make chaos", plan.seed))?;
                return Ok(ExitCode::from(1));
            }
        };
        report.line(&format!("{head} {tally}"))?;
        sums.add(tally);
        let over = match extent {
            Extent::Replay { .. } => true,
            Extent::Rounds(rounds) => sums.rounds >= *rounds,
            Extent::Time(time) => begun.elapsed() >= *time,
        };
        if over {
            report.line(&sums.summary(begun.elapsed()))?;
            return Ok(ExitCode::SUCCESS);
        }
    }
}

impl Sums {
    fn add(&mut self, tally: Tally) {
        self.rounds += 1;
        self.jobs += tally.jobs;
        self.runs += tally.runs;
        tally
            .repeated
            .into_iter()
            .for_each(|(reason, count)| *self.repeated.entry(reason).or_default() += count);
        self.lost += tally.lost;
        self.recovered += tally.recovered;
        self.poisoned += tally.poisoned;
    }

    fn summary(&self, time: Duration) -> String {
        let Self { rounds, jobs, runs, repeated, lost, recovered, poisoned } = self;
        format!(
            "# {rounds} rounds in {:.0} s, all well: {jobs} jobs, {runs} traced runs, repeated for a reason {repeated:?}, \
             {lost} lost (at most once only), {recovered} processes recovered, {poisoned} killed by poison",
            time.as_secs_f64()
        )
    }
}
