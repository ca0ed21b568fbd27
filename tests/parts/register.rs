//! The register of queues as a property: whatever programs do at the same time, a queue that has jobs, or that somebody
//! has named lately, stays named, and one that is gone does not stay for ever.
//!
//! Proptest draws what happens; a real Redis plays it with the library's own calls. The one who drops is asked what is stale
//! and drops it later, so that anything may happen in between. A mutant of the script proves that the property has teeth.

use std::collections::{BTreeMap, BTreeSet};

use jiggler_uring::internal::limits::REGISTER_KEPT;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests};
use jiggler_uring::internal::store::register::{self, Kind};
use jiggler_uring::internal::wire::keys::JIGGLER;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::own_redis::OwnRedis;

/// Cases in an ordinary run; `MODEL_CASES` sets another number.
const CASES: u32 = 300;

const NAMES: [&str; 4] = ["a", "b", "c,d", "e:f"];

/// What may happen.
#[derive(Debug, Clone)]
enum Step {
    /// A producer pushes a job and names its queue in the same pipeline.
    Push(usize),
    /// A worker names a queue that it serves.
    Name(usize),
    /// A worker takes all jobs of a queue.
    Drain(usize),
    /// Time passes, as a share of the time that names are kept for.
    Pass(f64),
    /// The one who drops asks what is stale.
    Ask,
    /// It drops what it was told.
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let queue = 0..NAMES.len();
    prop_oneof![
        2 => queue.clone().prop_map(Step::Push),
        2 => queue.clone().prop_map(Step::Name),
        2 => queue.prop_map(Step::Drain),
        2 => (0.1..1.5).prop_map(Step::Pass),
        2 => Just(Step::Ask),
        2 => Just(Step::Drop),
    ]
}

/// The world, and what must be true of it.
struct World<'c> {
    conn: &'c mut BlockingConnection,
    now: f64,
    /// Queues that have jobs.
    full: BTreeSet<usize>,
    /// When each was last named.
    named: BTreeMap<usize, f64>,
    stale: Vec<Vec<u8>>,
    /// What the script is replaced by.
    mutation: Option<(&'static str, &'static str)>,
}

impl World<'_> {
    fn call(&mut self, requests: &Requests) -> Result<Reply, String> {
        let replies = self.conn.call(requests).map_err(|error| error.to_string())?;
        let replies: Result<Vec<Reply>, _> = replies.into_iter().map(Reply::into_result).collect();
        replies.map_err(|error| error.to_string())?.pop().ok_or_else(|| "no reply".to_owned())
    }

    fn run(&mut self, command: &[&str]) -> Result<Reply, String> {
        let mut requests = Requests::new();
        requests.command(&command.iter().map(|word| word.as_bytes()).collect::<Vec<_>>());
        self.call(&requests)
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let register = JIGGLER.register().ok_or("no register")?;
        let mut requests = Requests::new();
        match step {
            Step::Push(queue) => {
                requests.command(&[b"LPUSH", JIGGLER.queue(NAMES[*queue]).as_bytes(), b"job"]);
                register::name(register, Kind::Queues, &[NAMES[*queue]], self.now, &mut requests);
                self.call(&requests)?;
                self.full.insert(*queue);
                self.named.insert(*queue, self.now);
            }
            Step::Name(queue) => {
                register::name(register, Kind::Queues, &[NAMES[*queue]], self.now, &mut requests);
                self.call(&requests)?;
                self.named.insert(*queue, self.now);
            }
            Step::Drain(queue) => {
                self.run(&["DEL", &JIGGLER.queue(NAMES[*queue])])?;
                self.full.remove(queue);
            }
            Step::Pass(share) => self.now += REGISTER_KEPT.mul_f64(*share).as_secs_f64(),
            Step::Ask => {
                register::ask_stale(register, Kind::Queues, self.now, &mut requests);
                let reply = self.call(&requests)?;
                self.stale = register::read_stale(&reply).map_err(|error| error.to_string())?;
            }
            Step::Drop => self.drop_stale()?,
        }
        self.check()
    }

    fn drop_stale(&mut self) -> Result<(), String> {
        let stale = std::mem::take(&mut self.stale);
        if stale.is_empty() {
            return Ok(());
        }
        let mut requests = Requests::new();
        match self.mutation {
            None => register::drop_stale(JIGGLER, Kind::Queues, &stale, self.now, &mut requests),
            Some((from, to)) => {
                let script = register::DROP.replace(from, to);
                assert_ne!(script, register::DROP, "the mutation changes nothing");
                let mut command = requests.begin(5 + 2 * stale.len());
                command.arg(b"EVAL").arg(script.as_bytes()).arg_u64(1 + stale.len() as u64);
                command.arg(JIGGLER.register().ok_or("no register")?.queues.as_bytes());
                for name in &stale {
                    command.arg(&Kind::Queues.key(JIGGLER, name));
                }
                command.arg_f64(self.now - REGISTER_KEPT.as_secs_f64());
                for name in &stale {
                    command.arg(name);
                }
            }
        }
        register::read_dropped(&self.call(&requests)?).map(drop).map_err(|error| error.to_string())
    }

    fn registered(&mut self) -> Result<BTreeSet<String>, String> {
        let register = JIGGLER.register().ok_or("no register")?;
        let reply = self.run(&["ZRANGE", register.queues, "0", "-1"])?;
        let names = reply.as_array().map_err(|error| error.to_string())?;
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        names.map(|name| name.as_bulk().map(text).map_err(|error| error.to_string())).collect()
    }

    fn check(&mut self) -> Result<(), String> {
        let registered = self.registered()?;
        for (queue, name) in NAMES.iter().enumerate() {
            let named_at = self.named.get(&queue);
            let is_kept = named_at.is_some_and(|at| self.now - at < REGISTER_KEPT.as_secs_f64());
            if (is_kept || self.full.contains(&queue)) && !registered.contains(*name) {
                return Err(format!("queue {name} is no longer named"));
            }
        }
        Ok(())
    }

    /// A whole lap when nothing else happens: what is gone goes.
    fn settle(&mut self) -> Result<(), String> {
        self.step(&Step::Pass(1.01))?;
        self.step(&Step::Ask)?;
        self.step(&Step::Drop)?;
        let full: BTreeSet<String> = self.full.iter().map(|queue| NAMES[*queue].to_owned()).collect();
        let registered = self.registered()?;
        if registered == full { Ok(()) } else { Err(format!("{registered:?} are named instead of {full:?}")) }
    }
}

fn check(
    runner: &mut TestRunner,
    mutation: Option<(&'static str, &'static str)>,
) -> Result<(), TestError<Vec<Step>>> {
    let redis = OwnRedis::start();
    let conn = std::cell::RefCell::new(redis.connect());
    runner.run(&proptest::collection::vec(step(), 1..40), |steps| {
        let conn = &mut *conn.borrow_mut();
        let mut world = World {
            conn,
            now: 1_800_000_000.0,
            full: BTreeSet::new(),
            named: BTreeMap::new(),
            stale: Vec::new(),
            mutation,
        };
        let played = world.run(&["FLUSHALL"]).and_then(|_| {
            steps.iter().try_for_each(|step| world.step(step))?;
            world.settle()
        });
        played.map_err(TestCaseError::fail)
    })
}

#[test]
fn what_is_there_or_was_named_lately_stays_named_and_what_is_gone_goes() {
    let cases = std::env::var("MODEL_CASES").map_or(CASES, |text| text.parse().unwrap());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = check(&mut TestRunner::new(config), None) {
        panic!("{error}");
    }
}

#[test]
fn a_script_that_does_not_look_again_is_caught() {
    let mutations =
        [("and tonumber(score) <= tonumber(ARGV[1]) ", ""), (" and redis.call('EXISTS', KEYS[at]) == 0", "")];
    for mutation in mutations {
        let config =
            Config { cases: CASES, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        match check(&mut TestRunner::new_with_rng(config, rng), Some(mutation)) {
            Err(TestError::Fail(found, _)) => assert!(found.message().contains("no longer named"), "{found}"),
            other => panic!("the property did not see {mutation:?}: {other:?}"),
        }
    }
}
