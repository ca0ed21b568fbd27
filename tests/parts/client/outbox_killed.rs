//! A producer with an outbox (`examples/outbox.rs`) that is killed at random moments while Redis comes and goes: no
//! job reported to it as accepted is lost, and none is there twice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use fastrand::Rng;

use super::numbers;
use super::redis::Redis;

/// Jobs in one run, more than it manages to push before it is killed.
const JOBS: u64 = 100_000;

/// How often it is killed.
const ROUNDS: u64 = 12;

/// The most jobs it may push before it is killed.
const LINES_MAX: usize = 400;

struct Producer(Child);

impl Producer {
    fn start(journal: &Path, redis: &Redis, count: u64, first: u64) -> Self {
        let example = Path::new(env!("CARGO_BIN_EXE_jiggler-uring")).with_file_name("examples/outbox");
        assert!(example.exists(), "{} is not built: cargo build --examples", example.display());
        let mut command = Command::new(example);
        command.arg(journal).arg(redis.url()).arg(count.to_string()).arg(first.to_string());
        Self(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// The numbers it reports as accepted, up to `lines`; then it is killed, and whatever it reported until then
    /// counts too.
    fn kill_after(mut self, lines: usize) -> Vec<u64> {
        let mut output = BufReader::new(self.0.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut said: Vec<String> = output.by_ref().take(lines).collect();
        self.0.kill().unwrap();
        said.extend(output);
        self.0.wait().unwrap();
        // A last line may be torn; then what it says does not count.
        said.iter()
            .filter_map(|line| line.strip_suffix(" Redis").or(line.strip_suffix(" Journal"))?.parse().ok())
            .collect()
    }
}

#[test]
fn a_producer_that_is_killed_at_any_moment_loses_nothing_and_pushes_nothing_twice() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("outbox");
    let mut redis = Redis::start_durable();
    let mut accepted = Vec::new();
    for round in 0..ROUNDS {
        let producer = Producer::start(&journal, &redis, JOBS, round * JOBS);
        let lines = random.usize(1..LINES_MAX);
        // Redis comes and goes at moments unrelated to the producer's.
        let pushing = thread::spawn(move || producer.kill_after(lines));
        if random.bool() {
            redis.kill();
            if random.bool() {
                accepted.extend(pushing.join().unwrap());
                redis.start_again();
            } else {
                redis.start_again();
                accepted.extend(pushing.join().unwrap());
            }
        } else {
            accepted.extend(pushing.join().unwrap());
        }
    }
    // The last one pushes no jobs itself.
    let mut last = Producer::start(&journal, &redis, 0, 0);
    assert!(last.0.wait().unwrap().success());

    let mut stored = BTreeMap::new();
    for number in numbers(&redis) {
        *stored.entry(number).or_insert(0) += 1;
    }
    let twice: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "pushed twice: {twice:?}");
    let lost: Vec<_> = accepted.iter().filter(|number| !stored.contains_key(number)).collect();
    assert!(lost.is_empty(), "accepted and not there: {lost:?}");
    // What was under way when it was killed may be there without having been acknowledged: one job per round.
    assert!(stored.len() as u64 <= accepted.len() as u64 + ROUNDS, "{} of {}", stored.len(), accepted.len());
}
