//! The engine's commands as the null client sends them: one place to compare with what the engine sends.

use jiggler_uring::resp::encode::Requests;
use serde::Serialize;

use crate::drive::Payloads;
use crate::keys;

/// One turn of a shard: acknowledge the finished batch, count its jobs, fetch the next batch.
///
/// KEYS: 1 queue, 2 index of the shard's batches (hash), 3 batch list to fill, 4 processed counter, 5 finished batch
/// list. ARGV: 1 jobs wanted (0: none), 2 jobs of the finished batch (0: there is none). Returns the jobs, oldest first.
pub(crate) const TURN: &str = "\
if ARGV[2] ~= '0' then
  redis.call('UNLINK', KEYS[5])
  redis.call('HDEL', KEYS[2], KEYS[5])
  redis.call('INCRBY', KEYS[4], ARGV[2])
end
if ARGV[1] == '0' then return {} end
local jobs = redis.call('RPOP', KEYS[1], ARGV[1])
if not jobs then return {} end
redis.call('RPUSH', KEYS[3], unpack(jobs))
redis.call('HSET', KEYS[2], KEYS[3], #jobs)
return jobs
";

/// What is sent again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Design {
    /// At least once: one [`TURN`] per batch.
    Turn,
    /// At most once: `RPOP q n`.
    Pop,
    /// Enqueue: `LPUSH q job …`.
    Push,
}

impl Design {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 3] = [Self::Turn, Self::Pop, Self::Push];

    /// The row's title.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Turn => "at least once: ack + fetch script",
            Self::Pop => "at most once: `RPOP q n`",
            Self::Push => "enqueue: `LPUSH q` of n jobs",
        }
    }

    /// Whether the queue has to be filled beforehand.
    pub(crate) fn takes_jobs(self) -> bool {
        !matches!(self, Self::Push)
    }
}

/// Writes the calls that move a given number of jobs.
#[derive(Debug)]
pub(crate) struct Commands {
    // Fixed at construction.
    design: Design,
    batch_jobs: u64,
    script_digest: String,
    // Moved on by each call.
    jobs_left: u64,
    batch_number: u64,
    unacknowledged_jobs: u64,
    payloads: Payloads,
}

impl Commands {
    /// Calls of `design` for `jobs` jobs, `batch_jobs` at a time; `script_digest` is what SCRIPT LOAD of [`TURN`]
    /// answered.
    pub(crate) fn new(design: Design, batch_jobs: u64, jobs: u64, script_digest: &str) -> Self {
        Self {
            design,
            batch_jobs,
            script_digest: script_digest.to_owned(),
            jobs_left: jobs,
            batch_number: 0,
            unacknowledged_jobs: 0,
            payloads: Payloads::new(),
        }
    }

    /// Appends one call; `false` when everything is moved and acknowledged and nothing was appended.
    pub(crate) fn append_call(&mut self, requests: &mut Requests) -> bool {
        let jobs = self.jobs_left.min(self.batch_jobs);
        if jobs == 0 && self.unacknowledged_jobs == 0 {
            return false;
        }
        self.jobs_left -= jobs;
        match self.design {
            Design::Turn => self.append_turn(requests, jobs),
            Design::Pop => drop(requests.begin(3).arg(b"RPOP").arg(keys::QUEUE.as_bytes()).arg_u64(jobs)),
            Design::Push => self.payloads.append_push(requests, jobs),
        }
        true
    }

    fn append_turn(&mut self, requests: &mut Requests, jobs: u64) {
        let finished = batch_key(self.batch_number);
        self.batch_number += 1;
        let next = batch_key(self.batch_number);
        let mut call = requests.begin(10);
        call.arg(b"EVALSHA").arg(self.script_digest.as_bytes()).arg(b"5");
        call.arg(keys::QUEUE.as_bytes()).arg(keys::NULL_IN_FLIGHT.as_bytes()).arg(next.as_bytes());
        call.arg(keys::PROCESSED.as_bytes()).arg(finished.as_bytes());
        call.arg_u64(jobs).arg_u64(self.unacknowledged_jobs);
        self.unacknowledged_jobs = jobs;
    }
}

fn batch_key(number: u64) -> String {
    format!("{}:{number}", keys::NULL_IN_FLIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(design: Design, batch_jobs: u64, jobs: u64) -> Vec<String> {
        let mut commands = Commands::new(design, batch_jobs, jobs, "digest");
        let mut all = Vec::new();
        let mut requests = Requests::new();
        while commands.append_call(&mut requests) {
            let text = String::from_utf8(requests.as_bytes().to_vec()).unwrap();
            all.push(text.lines().skip(2).step_by(2).collect::<Vec<_>>().join(" "));
            requests.clear();
        }
        all
    }

    #[test]
    fn each_turn_acknowledges_the_batch_before_and_the_last_one_fetches_nothing() {
        let flight = keys::NULL_IN_FLIGHT;
        let turn = |next: u64, wanted: u64, finished: u64| {
            format!(
                "EVALSHA digest 5 {} {flight} {flight}:{next} {} {flight}:{} {wanted} {finished}",
                keys::QUEUE,
                keys::PROCESSED,
                next - 1
            )
        };
        assert_eq!(
            calls(Design::Turn, 10, 25),
            [turn(1, 10, 0), turn(2, 10, 10), turn(3, 5, 10), turn(4, 0, 5)]
        );
    }

    #[test]
    fn pops_ask_for_exactly_the_jobs_there_are() {
        assert_eq!(
            calls(Design::Pop, 10, 12),
            ["RPOP jiggler:list:default 10", "RPOP jiggler:list:default 2"]
        );
    }

    #[test]
    fn pushes_carry_one_payload_per_job() {
        let pushes = calls(Design::Push, 2, 3);
        assert_eq!(pushes.iter().map(|push| push.matches("\"Noop\"").count()).collect::<Vec<_>>(), [2, 1]);
    }
}
