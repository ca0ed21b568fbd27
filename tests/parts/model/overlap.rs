//! Periodic jobs whose runs must not overlap: whatever the shards do with a run and whatever gets lost, at most one run of
//! an entry lives, a tick is claimed once, and none is left out while no run lives.
//!
//! The fleet of the model runs, retries, hands back and loses jobs; in between leaders claim ticks by the real script, each
//! claim twice, as if its reply were lost. Mutants of the script forget one of the places in which a run may live.

use bytes::Bytes;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::Requests;
use jiggler_uring::internal::store::cron::{self, Change, Changed, LastJob, Next, Stored};
use jiggler_uring::internal::store::turn::Destination;
use jiggler_uring::internal::wire::Keyspace;
use jiggler_uring::internal::wire::keys::{JIGGLER, SIDEKIQ};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::ops::{self, Step};
use super::oracle;
use super::state::{Database, one};
use super::world::{Verdict, World, ensure};
use crate::own_redis::OwnRedis;

/// Cases in an ordinary run, and within which a mutant must be caught.
const CASES: u32 = 400;

/// Changes to the text of the script: what, by what.
type Mutations = &'static [(&'static str, &'static str)];

#[derive(Debug, Clone)]
enum Move {
    /// The fleet does something.
    Step(Step),
    /// The next tick of an entry is claimed.
    Tick { entry: usize },
    /// A run that waits for its retry or for its time is pushed again; or waits for its time instead of its retry.
    Due { snoozes: bool },
    /// A reaper begins with a shard that crashed: its indexes become a text that names the batches.
    Reap,
}

/// An entry, which pushes into the queue of the same number.
struct Entry {
    tick: i64,
    /// The jids of all of its runs, and the last as it was pushed.
    runs: Vec<String>,
    last: Bytes,
}

struct Fleet<'a> {
    world: World<'a>,
    entries: Vec<Entry>,
    /// The runs that wait for their time.
    scheduled: Vec<Vec<u8>>,
    /// The indexes of shards that crashed.
    crashed: Vec<Vec<u8>>,
    mutations: Mutations,
}

impl<'a> Fleet<'a> {
    fn new(keys: Keyspace, conn: &'a mut BlockingConnection, case: &ops::Case, mutations: Mutations) -> Self {
        let world = World::new(keys, conn, case, None);
        let entry = |_| Entry { tick: 1, runs: Vec::new(), last: Bytes::new() };
        let entries: Vec<Entry> = (0..case.queues).map(entry).collect();
        let mut fleet = Self { world, entries, scheduled: Vec::new(), crashed: Vec::new(), mutations };
        (0..case.shards).for_each(|number| fleet.lease(number));
        for queue in 0..case.queues {
            let (name, realm) = (name(queue), keys.shared_realm());
            one(fleet.world.conn, &[b"HSET", realm.cron.entries.as_bytes(), name.as_bytes(), b"{}"]);
            one(fleet.world.conn, &[b"ZADD", realm.cron.ticks.as_bytes(), b"1", name.as_bytes()]);
        }
        fleet
    }

    /// The process of a shard has a lease; of one that crashed it stays, as it does until all its jobs are taken away.
    fn lease(&mut self, number: usize) {
        let member = format!("{number:012x}:2:{}", self.world.queues.join(","));
        let leases = self.world.keys.shared_realm().leases;
        one(self.world.conn, &[b"ZADD", leases.as_bytes(), b"9e15", member.as_bytes()]);
    }

    fn play(&mut self, moved: &Move) -> Verdict {
        match moved {
            // Equal payloads would be runs of one jid, and a fence of the model names no batches.
            Move::Step(Step::Push { queue, copies, .. }) => {
                self.world.step(&Step::Push { queue: *queue, copies: *copies, like: None, bytes: 0 })?;
            }
            Move::Step(Step::Fence { shard } | Step::Crash { shard }) => {
                let shard = shard % self.world.shards.len();
                let indexes = self.world.shards[shard].context.queues.iter().map(|keys| keys.index.to_vec());
                self.crashed.extend(indexes);
                self.world.step(&Step::Crash { shard })?;
                self.lease(self.world.shards_made - 1);
            }
            Move::Step(step) => self.world.step(step)?,
            Move::Tick { entry } => self.tick(entry % self.entries.len())?,
            Move::Due { snoozes } => self.due(*snoozes),
            Move::Reap => self.reap(),
        }
        self.check()
    }

    fn tick(&mut self, at: usize) -> Verdict {
        let queue = self.world.queues[at].clone();
        let entry = &self.entries[at];
        let jid = format!("{at:08x}{:08x}", entry.runs.len() + 0x1000_0000);
        let raw = Bytes::from(format!(r#"{{"name":"N","args":[],"jid":"{jid}"}}"#));
        let name = name(at);
        let before = entry.runs.last().map(|last| LastJob {
            jid: last.clone(),
            payload: entry.last.to_vec(),
            run_if_lives: b"left out".to_vec(),
        });
        let claim = Change {
            entry_is: Stored::This(b"{}"),
            tick_is: Stored::This(entry.tick),
            due: Some(entry.tick),
            tick: Next::This(entry.tick + 1),
            run: Next::This(b"ran".to_vec()),
            unless_lives: before,
            payloads: vec![raw.to_vec()],
            ..Change::of(name.as_bytes(), &queue)
        };
        let lives = entry.runs.iter().any(|jid| self.lives(jid));
        let mut requests = Requests::new();
        cron::change(&self.world.keys.shared_realm(), &[claim], &mut requests);
        let requests = mutated(&requests, self.mutations);
        let entry = &mut self.entries[at];
        entry.tick += 1;
        match answer(self.world.conn, &requests)? {
            Changed::Done => {
                entry.runs.push(jid);
                entry.last = raw.clone();
                self.world.accept(raw, 1);
            }
            Changed::Skipped => ensure(lives, || format!("{name} left a tick out, and no run lives"))?,
            other => return Err(format!("a claim of {name} was answered {other:?}")),
        }
        let after = Database::read(self.world.conn);
        let again = answer(self.world.conn, &requests)?;
        ensure(again == Changed::Not && Database::read(self.world.conn) == after, || {
            format!("a claim of {name}, repeated, was answered {again:?} instead of Not\n{after:?}")
        })
    }

    /// Whether a run is in a queue, in flight, or in one of the sets.
    fn lives(&self, jid: &str) -> bool {
        let is = |payload: &[u8]| String::from_utf8_lossy(payload).contains(&format!(r#""jid":"{jid}""#));
        let World { payloads, moved, .. } = &self.world;
        payloads.iter().any(|payload| payload.accepted > payload.ended && is(&payload.raw))
            || moved.iter().any(|(to, payload)| *to == Destination::Retries && is(payload))
            || self.scheduled.iter().any(|payload| is(payload))
    }

    /// The entry whose run a payload is.
    fn entry_of(&self, payload: &[u8]) -> Option<usize> {
        let text = String::from_utf8_lossy(payload);
        self.entries.iter().position(|entry| entry.runs.iter().any(|jid| text.contains(jid.as_str())))
    }

    fn due(&mut self, snoozes: bool) {
        let realm = self.world.keys.shared_realm();
        let is_run = |(to, payload): &(Destination, Vec<u8>)| {
            *to == Destination::Retries && self.entry_of(payload).is_some()
        };
        let retry = self.world.moved.iter().position(is_run);
        let (set, payload) = match retry {
            Some(at) => (&realm.retries, self.world.moved.remove(at).1),
            None if !self.scheduled.is_empty() => (&realm.scheduled, self.scheduled.remove(0)),
            None => return,
        };
        one(self.world.conn, &[b"ZREM", set.as_bytes(), &payload]);
        if snoozes {
            one(self.world.conn, &[b"ZADD", realm.scheduled.as_bytes(), b"9e9", &payload]);
            self.scheduled.push(payload);
        } else if let Some(queue) = self.entry_of(&payload) {
            let key = self.world.keys.queue(&self.world.queues[queue]);
            one(self.world.conn, &[b"LPUSH", key.as_bytes(), &payload]);
            self.world.accept(payload.into(), 1);
        }
    }

    fn reap(&mut self) {
        for index in self.crashed.drain(..) {
            let batches = one(self.world.conn, &[b"HKEYS", &index]);
            let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
            let names: Vec<String> =
                batches.as_array().unwrap().map(|name| text(name.as_bulk().unwrap())).collect();
            one(self.world.conn, &[b"SET", &index, format!("fenced {}", names.join(" ")).as_bytes()]);
        }
    }

    fn check(&mut self) -> Verdict {
        oracle::check(&mut self.world)?;
        for (at, entry) in self.entries.iter().enumerate() {
            let living = entry.runs.iter().filter(|jid| self.lives(jid)).count();
            ensure(living <= 1, || format!("{living} runs of {} live at once", name(at)))?;
        }
        Ok(())
    }
}

fn name(at: usize) -> String {
    format!("entry {at}")
}

fn answer(conn: &mut BlockingConnection, requests: &Requests) -> Result<Changed, String> {
    let reply = conn.call_one(requests).map_err(|error| error.to_string())?;
    let table = cron::read(&reply).map_err(|error| error.to_string())?;
    table.changed.first().copied().ok_or_else(|| "a claim has no answer".to_owned())
}

/// The call with these changes to its script.
fn mutated(requests: &Requests, mutations: Mutations) -> Requests {
    let mut rest = requests.as_bytes();
    let mut number = |mark: u8| {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap();
        assert_eq!(rest[0], mark);
        let number: usize = std::str::from_utf8(&rest[1..end - 1]).unwrap().parse().unwrap();
        rest = &rest[end + 1..];
        if mark == b'*' {
            return (number, b"".as_slice());
        }
        let value = &rest[..number];
        rest = &rest[number + 2..];
        (number, value)
    };
    let (count, _) = number(b'*');
    let args: Vec<&[u8]> = (0..count).map(|_| number(b'$').1).collect();
    let mut source = String::from_utf8(args[1].to_vec()).unwrap();
    for (text, by) in mutations {
        assert!(source.contains(text), "the script no longer contains {text}");
        source = source.replace(text, by);
    }
    let mut changed = Requests::new();
    changed.command(&[&args[..1], &[source.as_bytes()], &args[2..]].concat());
    changed
}

fn case() -> impl Strategy<Value = (ops::Case, Vec<Move>)> {
    let moves = prop_oneof![
        4 => ops::step().prop_map(Move::Step),
        4 => (0..3_usize).prop_map(|entry| Move::Tick { entry }),
        1 => prop::bool::weighted(0.4).prop_map(|snoozes| Move::Due { snoozes }),
        1 => Just(Move::Reap),
    ];
    (1..4_usize, 1..3_usize, prop::collection::vec(moves, 1..40))
        .prop_map(|(queues, shards, moves)| (ops::Case { queues, shards, steps: Vec::new() }, moves))
}

fn check(
    keys: Keyspace,
    runner: &mut TestRunner,
    mutations: Mutations,
) -> Result<(), TestError<(ops::Case, Vec<Move>)>> {
    let redis = OwnRedis::start();
    let conn = std::cell::RefCell::new(redis.connect());
    runner.run(&case(), |(case, moves)| {
        let mut conn = conn.borrow_mut();
        let mut fleet = Fleet::new(keys, &mut conn, &case, mutations);
        let mut play = || {
            for (number, moved) in moves.iter().enumerate() {
                fleet.play(moved).map_err(|error| format!("after move {number}, {moved:?}: {error}"))?;
            }
            fleet.world.drain()?;
            // What has ended holds nothing back.
            (0..fleet.entries.len()).try_for_each(|at| fleet.tick(at))?;
            fleet.check()
        };
        play().map_err(TestCaseError::fail)
    })
}

#[test]
fn no_two_runs_of_an_entry_live_at_once_and_no_tick_is_left_out_for_nothing() {
    let cases = std::env::var("MODEL_CASES").map_or(CASES, |text| text.parse().unwrap());
    for keys in [JIGGLER, SIDEKIQ] {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        if let Err(error) = check(keys, &mut TestRunner::new(config), &[]) {
            panic!("{error}");
        }
    }
}

/// The property must fail with these changes to the script, and for this reason.
fn caught(mutations: Mutations, reason: &str) {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    match check(JIGGLER, &mut TestRunner::new_with_rng(config, rng), mutations) {
        Err(TestError::Fail(found, _)) => {
            assert!(found.message().contains(reason), "caught, but not for {reason:?}: {found}");
        }
        other => panic!("the oracle did not see {mutations:?}: {other:?}"),
    }
}

const TWO_LIVE: &str = "live at once";

#[test]
fn a_claim_that_forgets_the_queue_is_caught() {
    const BY_BYTES: &str =
        "if has(queue, job, 1, deep) or size > deep and has(queue, job, -1, deep) then return 'queue' end";
    caught(
        &[("partly[queue] = not read_ends('LRANGE', queue)", "partly[queue] = true"), (BY_BYTES, "")],
        TWO_LIVE,
    );
    // Then only a run whose bytes are other than those that were pushed is missed: one that was retried.
    caught(&[("partly[queue] = not read_ends('LRANGE', queue)", "partly[queue] = true")], TWO_LIVE);
}

#[test]
fn a_claim_that_forgets_what_is_in_flight_is_caught() {
    caught(&[("lists[#lists + 1] = index .. ':' .. field", "")], TWO_LIVE);
    caught(&[("lists[#lists + 1] = index .. WAIT_LIST", "")], TWO_LIVE);
    // A reaper has begun with the shard.
    caught(&[("names, '%d+') do fields", "names, 'x') do fields")], TWO_LIVE);
}

#[test]
fn a_claim_that_forgets_a_set_is_caught() {
    caught(&[("{KEYS[6], 'retry'}, ", "")], TWO_LIVE);
    caught(&[(", {KEYS[7], 'scheduled'}", "")], TWO_LIVE);
}

#[test]
fn a_claim_that_looks_and_pushes_all_the_same_is_caught() {
    caught(&[("if found then\n      set_field(runs", "if false then\n      set_field(runs")], TWO_LIVE);
}

#[test]
fn a_claim_that_leaves_a_tick_out_for_nothing_is_caught() {
    caught(
        &[("if sought[jid] or job == '' then return sought[jid] end", "do return 'queue' end")],
        "and no run lives",
    );
}

#[test]
fn a_claim_that_can_be_made_twice_is_caught() {
    const MOVES_ON: &str = "if ARGV[at + 6] ~= '' then set_tick(name, ARGV[at + 6]) end\n      return 3";
    caught(&[(MOVES_ON, "return 3")], "instead of Not");
    const IS_STORED: &str =
        "if score ~= '*' and (before and whole_score(before) or '') ~= score then return 0 end";
    caught(&[(IS_STORED, "")], "instead of Not");
}
