//! Periodic jobs over two years in virtual time: fifty processes that are killed, stopped and continued at any moment, with
//! offers that arrive late, twice or never, clocks that step by an hour, deployments, and each change of the clock of two
//! zones.
//!
//! What a process computes is the real thing ([`cron::plan`] and what it stands on); the script is modelled in a few lines
//! ([`Table::offer`]), which `store::cron`'s tests hold to the script on a real Redis. Time jumps from tick to tick, so two
//! years are some seconds.
//!
//! - Each tick is pushed once, in order, if no outage is longer than what is caught up with.
//! - No tick is pushed before its time by the clock of Redis.
//! - What is pushed is what the entry said at that moment, not what it said before a deployment.
//!
//! Each mutant leaves one rule of the script out; the same histories must break one of these properties.

use jiggler_uring::NewJob;
use jiggler_uring::cron::{CatchUp, CronEntry, first_tick, plan, pushed_at};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;
const PROCESSES: u64 = 50;

/// A rule that the script does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mutant {
    /// Whatever tick is stored.
    AnyTick,
    /// Whatever entry is stored.
    AnyEntry,
    /// Before it is due.
    Early,
    /// The jobs are pushed by one call, and the tick is moved on by another, which may not come.
    TwoSteps,
}

/// A push, as the table's history has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Push {
    tick: i64,
    /// By the clock of Redis.
    at: i64,
    /// Which deployment's job it is, and which was stored.
    version: u64,
    stored: u64,
}

/// What a process read of the table.
#[derive(Debug, Clone, Copy)]
struct View {
    version: u64,
    at: i64,
    tick: i64,
}

/// What a process sends.
#[derive(Debug, Clone)]
struct Offer {
    of: View,
    ticks: Vec<i64>,
    due: i64,
    next: Option<i64>,
}

struct Table {
    entry: CronEntry,
    version: u64,
    /// When it is pushed, and the tick that is.
    at: Option<i64>,
    tick: i64,
    /// How far the clock of Redis is from true time.
    skew: i64,
    pushed: Vec<Push>,
    mutant: Option<Mutant>,
}

impl Table {
    fn new(entry: CronEntry, mutant: Option<Mutant>) -> Self {
        let tick = first_tick(&entry, START).unwrap();
        let at = Some(pushed_at(&entry, tick));
        Self { entry, version: 0, at, tick, skew: 0, pushed: Vec::new(), mutant }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn view(&self) -> Option<View> {
        Some(View { version: self.version, at: self.at?, tick: self.tick })
    }

    /// `cron.lua`, for one change. `true_now`: no clock shows it.
    fn offer(&mut self, offer: &Offer, true_now: i64, random: &mut fastrand::Rng) {
        let now = true_now + self.skew;
        let same_tick = self.at == Some(offer.of.at) || self.is(Mutant::AnyTick);
        let same_entry = self.version == offer.of.version || self.is(Mutant::AnyEntry);
        let is_due = offer.due <= now || self.is(Mutant::Early);
        if !same_tick || !same_entry || !is_due {
            return;
        }
        let version = offer.of.version;
        self.pushed.extend(offer.ticks.iter().map(|tick| Push {
            tick: *tick,
            at: now,
            version,
            stored: self.version,
        }));
        if !self.is(Mutant::TwoSteps) || random.u8(..) > 8 {
            self.at = offer.next.map(|next| pushed_at(&self.entry, next));
            self.tick = offer.next.unwrap_or(self.tick);
        }
    }
}

/// What a process offers that has read this, at this time of Redis as it believes it to be.
fn offer(entry: &CronEntry, of: View, believed_now: i64) -> Offer {
    let plan = plan(entry, of.tick, believed_now.max(of.at));
    Offer { of, ticks: plan.ticks, due: plan.latest.max(of.at), next: plan.next }
}

/// Two years of one entry.
fn history(entry: CronEntry, seed: u64, mutant: Option<Mutant>) -> Table {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut table = Table::new(entry, mutant);
    // Offers of processes that were stopped after they had made them: they arrive when these go on.
    let mut stopped: Vec<(i64, Offer)> = Vec::new();
    // What each process last read.
    let mut views: Vec<Option<View>> = vec![None; PROCESSES as usize];
    let mut now = START;
    while now < START + 2 * 365 * DAY {
        let Some(view) = table.view() else { break };
        // The leader's timer, or it is late already.
        now = now.max(view.at - table.skew) + random.i64(0..20);
        match random.u32(0..1000) {
            // The clock of Redis is set, by an hour at most, and some time later back.
            0..4 => table.skew = random.i64(-HOUR..=HOUR),
            4..20 => table.skew = 0,
            // All workers are stopped, or Redis is away.
            20..40 => now += random.i64(0..20 * HOUR),
            40..45 => table.version += 1,
            _ => {}
        }
        // Who finds it due: a leader, one that takes itself for one, followers at their looks.
        for _ in 0..random.usize(1..4) {
            let process = random.usize(0..views.len());
            // Some still believe what they read an hour or a month ago.
            if random.u8(..) < 230 {
                views[process] = table.view();
            }
            let Some(of) = views[process] else { continue };
            // What it believes the time to be is from before the clock was last set.
            let skew = if random.u8(..) < 8 { random.i64(-HOUR..=HOUR) } else { table.skew };
            let made = offer(&table.entry, of, now + skew);
            now += random.i64(0..30);
            match random.u32(0..100) {
                // Killed before it was sent.
                0..5 => {}
                5..10 => stopped.push((now + random.i64(0..60 * DAY), made)),
                // Killed or cut off after it was sent: nobody learns of the answer, and it may come twice.
                10..20 => {
                    table.offer(&made, now, &mut random);
                    table.offer(&made, now + 1, &mut random);
                }
                _ => {
                    table.offer(&made, now, &mut random);
                    views[process] = table.view();
                }
            }
        }
        stopped.retain(|(at, late)| {
            let goes_on = *at <= now;
            if goes_on {
                table.offer(late, now, &mut random);
            }
            !goes_on
        });
    }
    table
}

fn wrong(table: &Table) -> Option<String> {
    let mut expected = first_tick(&table.entry, START).unwrap();
    for push in &table.pushed {
        if push.tick != expected {
            return Some(format!("{push:?} instead of the tick {expected}"));
        }
        if push.at < push.tick {
            return Some(format!("{push:?} is early"));
        }
        if push.version != push.stored {
            return Some(format!("{push:?} is of another deployment"));
        }
        expected = first_tick(&table.entry, push.tick).unwrap();
    }
    None
}

fn entry(schedule: &str, zone: &str) -> CronEntry {
    let job = NewJob::new("J", &()).unwrap();
    CronEntry::new("e", schedule, zone, job).unwrap().catch_up(CatchUp::All(100)).unwrap()
}

/// None has a hundred ticks in an outage of twenty hours and a clock that is an hour off.
const ENTRIES: [(&str, &str); 7] = [
    ("30 * * * *", "Europe/Berlin"),
    ("30 2 * * *", "Europe/Berlin"),
    ("*/20 1-3 * * *", "Europe/Berlin"),
    ("15 2 * * *", "Australia/Lord_Howe"),
    ("45 1,2 * * *", "Australia/Lord_Howe"),
    ("*/30 * * * *", "America/St_Johns"),
    ("0 0 L * 1#1", "Pacific/Auckland"),
];

#[test]
fn no_tick_is_missed_doubled_or_early_in_two_years() {
    for (at, (schedule, zone)) in (1_u64..).zip(ENTRIES) {
        let plain = entry(schedule, zone);
        let jittery = plain.clone().jitter(std::time::Duration::from_secs(120)).unwrap();
        for (kind, entry) in [("plain", plain), ("with jitter", jittery)] {
            let table = history(entry, at, None);
            assert_eq!(wrong(&table), None, "{schedule} {zone} {kind}");
            let reached = table.pushed.last().map_or(START, |push| push.tick);
            assert!(
                reached > START + 2 * 365 * DAY - 62 * DAY,
                "{schedule} {zone}: it stands still at {reached}"
            );
        }
    }
}

#[test]
fn after_an_outage_only_the_last_tick_runs_late_and_still_none_twice() {
    for (catch_up, zone) in [(CatchUp::Last, "Europe/Berlin"), (CatchUp::None, "Australia/Lord_Howe")] {
        let entry = entry("*/30 * * * *", zone).catch_up(catch_up).unwrap();
        let table = history(entry, 7, None);
        let in_order = table.pushed.windows(2).all(|pair| pair[0].tick < pair[1].tick);
        assert!(in_order, "a tick was pushed twice, or after a later one");
        // Two years have 35,040 of them, and one in fifty passes is an outage of ten hours.
        assert!(table.pushed.len() > 15_000 && table.pushed.len() < 35_000, "{}", table.pushed.len());
        let late = table.pushed.iter().filter(|push| push.at - push.tick > 61 * SECOND).count();
        // A process whose idea of the time is an hour old may take a late tick for one in time.
        let rarely = late * 50 < table.pushed.len();
        assert!(if catch_up == CatchUp::None { rarely } else { late > 100 }, "{late} were late");
    }
}

#[test]
fn a_script_that_leaves_a_rule_out_is_seen() {
    for mutant in [Mutant::AnyTick, Mutant::AnyEntry, Mutant::Early, Mutant::TwoSteps] {
        let broken = (1..20).find_map(|seed| wrong(&history(entry("30 * * * *", "UTC"), seed, Some(mutant))));
        assert!(broken.is_some(), "{mutant:?} was not seen");
        eprintln!("{mutant:?}: {}", broken.unwrap_or_default());
    }
}
