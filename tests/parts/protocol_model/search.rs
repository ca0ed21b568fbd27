//! The search: every history of a scenario, breadth first, so that what is found is as short as possible.
//!
//! Visited worlds are identified by a 64-bit hash: with the millions searched here the chance that two share one is
//! below one in a million. From each world the calm schedule ([`World::calm`]) must bring every job to its end.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use foldhash::fast::FixedState;

use super::actions::Action;
use super::scenario::Scenario;
use super::world::{Broken, World};

/// Steps within which a calm world must come to rest: about thirty for each job, and as many for each process that
/// dies.
const CALM_STEPS_MAX: usize = 400;

/// What a search found.
#[derive(Debug)]
pub(crate) struct Searched {
    pub(crate) worlds: usize,
    /// The number of steps of the longest shortest history.
    pub(crate) depth: usize,
    pub(crate) found: Option<Found>,
}

/// A history that breaks a property.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) broken: Broken,
    pub(crate) history: Vec<Action>,
    /// What happened in calm weather after it.
    pub(crate) calm: Vec<Action>,
}

/// A hash is as good a key as its own hash.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Seen = HashSet<u64, BuildHasherDefault<Same>>;

/// How each world was reached: from which, by the action at which position.
type Steps = Vec<(u32, u16)>;

fn fingerprint(world: &World) -> u64 {
    FixedState::with_seed(7).hash_one(world)
}

/// Searches until a property is broken, or everything was visited. More than `worlds_max` worlds are a mistake in the
/// bounds.
pub(crate) fn search(scenario: &Scenario, worlds_max: usize) -> Searched {
    let start = World::new(scenario);
    let mut seen = Seen::default();
    let mut calmed = Seen::default();
    let mut steps: Steps = vec![(0, 0)];
    seen.insert(fingerprint(&start));
    let mut level = vec![(0_u32, start)];
    let mut actions = Vec::new();
    let mut depth = 0;
    while !level.is_empty() {
        let mut next = Vec::new();
        for (number, world) in level {
            let verdict = world.broken(scenario).map(|broken| (broken, Vec::new()));
            let verdict = verdict.or_else(|| calm_down(scenario, &world, &mut calmed));
            if let Some((broken, calm)) = verdict {
                let history = history(scenario, &steps, number);
                return Searched { worlds: seen.len(), depth, found: Some(Found { broken, history, calm }) };
            }
            actions.clear();
            world.actions(scenario, &mut actions);
            for (at, action) in actions.iter().enumerate() {
                let after = world.apply(scenario, *action);
                if seen.insert(fingerprint(&after)) {
                    let reached = u32::try_from(steps.len()).unwrap();
                    steps.push((number, u16::try_from(at).unwrap()));
                    next.push((reached, after));
                }
            }
        }
        assert!(
            seen.len() <= worlds_max,
            "more than {worlds_max} worlds at depth {depth}: set tighter bounds"
        );
        depth += usize::from(!next.is_empty());
        level = next;
    }
    Searched { worlds: seen.len(), depth, found: None }
}

/// Follows the calm schedule until a world that is known to end well. Returns what goes wrong instead.
fn calm_down(scenario: &Scenario, world: &World, calmed: &mut Seen) -> Option<(Broken, Vec<Action>)> {
    let mut passed = vec![fingerprint(world)];
    let mut taken = Vec::new();
    let mut now = None;
    while !calmed.contains(&passed[passed.len() - 1]) {
        let world = now.as_ref().unwrap_or(world);
        if let Some(broken) = world.broken(scenario) {
            return Some((broken, taken));
        }
        let Some(action) = world.calm(scenario) else {
            if world.is_done(scenario) {
                break;
            }
            return Some((Broken::Stuck, taken));
        };
        if taken.len() >= CALM_STEPS_MAX {
            return Some((Broken::Stuck, taken));
        }
        taken.push(action);
        let after = world.apply(scenario, action);
        passed.push(fingerprint(&after));
        now = Some(after);
    }
    calmed.extend(passed);
    None
}

/// The steps that led to a world.
fn history(scenario: &Scenario, steps: &Steps, mut number: u32) -> Vec<Action> {
    let mut positions = Vec::new();
    while number != 0 {
        let (before, at) = steps[usize::try_from(number).unwrap()];
        positions.push(usize::from(at));
        number = before;
    }
    let mut world = World::new(scenario);
    let mut history = Vec::new();
    for at in positions.into_iter().rev() {
        let mut actions = Vec::new();
        world.actions(scenario, &mut actions);
        history.push(actions[at]);
        world = world.apply(scenario, actions[at]);
    }
    history
}

impl Found {
    /// The history, step by step, and the world at its end.
    pub(crate) fn describe(&self, scenario: &Scenario) -> String {
        let mut text = format!("{:?} in {scenario:?}\n", self.broken);
        let mut world = World::new(scenario);
        for (weather, actions) in [("", &self.history), ("(calm) ", &self.calm)] {
            for action in actions {
                world = world.apply(scenario, *action);
                writeln!(text, "  {weather}{action:?}").unwrap();
            }
        }
        writeln!(text, "{world:#?}").unwrap();
        text
    }
}
