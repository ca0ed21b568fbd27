//! The engine's commands as the null client sends them: fetch and ack are built by the engine's own library.

use std::rc::Rc;

use jiggler_uring::internal::limits::{DEAD_JOBS_MAX, DEAD_TIMEOUT};
use jiggler_uring::internal::resp::encode::Requests;
use jiggler_uring::internal::store::scripts::Scripts;
use jiggler_uring::internal::store::turn::{QueueKeys, Settlement, Turn, TurnContext};
use jiggler_uring::internal::time::unix_now;
use jiggler_uring::internal::wire::keys::JIGGLER;
use serde::Serialize;

use crate::drive::{Payloads, Work};
use crate::keys;

/// Takes the place of a worker's process id; same length.
const UUID: &str = "0123456789ab";

/// The null client plays one shard.
const SHARD: usize = 0;

/// Position of the one queue in the shard's list.
const ONLY_QUEUE: usize = 0;

/// What is sent over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Design {
    /// The engine at least once: one turn per batch, which settles the previous batch.
    AtLeastOnce,
    /// The engine at most once: one turn per batch, with nothing kept in flight.
    AtMostOnce,
    /// `RPOP q n`: the least that can take jobs, for comparison.
    Pop,
    /// Enqueue: `LPUSH q job …`.
    Push,
}

impl Design {
    /// All of them, in table order.
    pub(crate) const ALL: [Self; 4] = [Self::AtLeastOnce, Self::AtMostOnce, Self::Pop, Self::Push];

    /// The row's title.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "engine, at least once: ack + fetch",
            Self::AtMostOnce => "engine, at most once: count + fetch",
            Self::Pop => "plain `RPOP q n`",
            Self::Push => "enqueue: `LPUSH q` of n jobs",
        }
    }
}

/// Writes the calls that move a given number of jobs.
#[derive(Debug)]
pub(crate) struct Commands {
    // Fixed at construction.
    design: Design,
    batch_jobs: u64,
    scripts: Scripts,
    shard: TurnContext,
    started_at: f64,
    // Advanced by each call.
    jobs_left: u64,
    turn_number: u64,
    unsettled_jobs: u64,
    payloads: Payloads,
}

impl Commands {
    /// The calls of `design` for `jobs` jobs, `batch_jobs` at a time, with the scripts as the server knows them.
    pub(crate) fn new(design: Design, batch_jobs: u64, jobs: u64, scripts: &Scripts) -> Self {
        let shard = TurnContext {
            queues: Rc::from([QueueKeys::new(JIGGLER, keys::QUEUE_NAME, UUID, SHARD)]),
            keep_in_flight: design == Design::AtLeastOnce,
            dead_jobs_max: DEAD_JOBS_MAX.into(),
            dead_timeout_s: DEAD_TIMEOUT.as_secs_f64().into(),
            looks_at_each: false.into(),
        };
        Self {
            design,
            batch_jobs,
            scripts: scripts.clone(),
            shard,
            started_at: unix_now(),
            jobs_left: jobs,
            turn_number: 0,
            unsettled_jobs: 0,
            payloads: Payloads::new(&Work::noop()),
        }
    }

    /// Appends one call; `false` if everything is moved and settled and nothing was appended.
    pub(crate) fn append_call(&mut self, requests: &mut Requests) -> bool {
        let jobs = self.jobs_left.min(self.batch_jobs);
        if jobs == 0 && self.unsettled_jobs == 0 {
            return false;
        }
        self.jobs_left -= jobs;
        match self.design {
            Design::AtLeastOnce | Design::AtMostOnce => self.append_turn(requests, jobs),
            Design::Pop => drop(requests.begin(3).arg(b"RPOP").arg(keys::QUEUE.as_bytes()).arg_u64(jobs)),
            Design::Push => self.payloads.append_push(requests, keys::QUEUE, jobs),
        }
        true
    }

    fn append_turn(&mut self, requests: &mut Requests, jobs: u64) {
        let mut settled = Settlement { processed: self.unsettled_jobs, ..Settlement::default() };
        if self.unsettled_jobs > 0 && self.shard.keep_in_flight {
            settled.wholes.push((ONLY_QUEUE, self.turn_number));
        }
        self.turn_number += 1;
        let turn = Turn {
            number: self.turn_number,
            after: 0,
            wanted: usize::try_from(jobs).unwrap_or(usize::MAX),
            order: &[ONLY_QUEUE],
            limits: &[],
            settled: &settled,
            now: self.started_at,
        };
        self.shard.write(&self.scripts, &turn, requests);
        self.unsettled_jobs = jobs;
    }
}

#[cfg(test)]
mod tests {
    use jiggler_uring::internal::resp::decode::{Decoder, ReplyLimits};
    use jiggler_uring::internal::store::scripts::LOAD_REPLIES;

    use super::*;

    fn scripts() -> Scripts {
        let mut decoder = Decoder::new(ReplyLimits::default());
        decoder.feed(&b"$6\r\ndigest\r\n".repeat(LOAD_REPLIES));
        let replies: Vec<_> = (0..LOAD_REPLIES).map(|_| decoder.next_reply().unwrap().unwrap()).collect();
        Scripts::read(JIGGLER.shared_realm(), &replies).unwrap()
    }

    fn calls(design: Design, batch_jobs: u64, jobs: u64) -> Vec<String> {
        let mut commands = Commands::new(design, batch_jobs, jobs, &scripts());
        let mut all = Vec::new();
        let mut requests = Requests::new();
        while commands.append_call(&mut requests) {
            let text = String::from_utf8(requests.as_bytes().to_vec()).unwrap();
            all.push(text.lines().filter(|line| !line.starts_with(['*', '$'])).collect::<Vec<_>>().join(" "));
            requests.clear();
        }
        all
    }

    /// Turn number and jobs wanted, jobs counted as processed, and the batches acknowledged.
    fn turns(design: Design, batch_jobs: u64, jobs: u64) -> Vec<(u64, u64, u64, Vec<u64>)> {
        let arguments = |call: &String| {
            // The script's own call, without the part that reads its lists.
            let call = call.strip_prefix("MULTI ").unwrap_or(call).split(" LRANGE ").next().unwrap();
            let all: Vec<&str> = call.split(' ').collect();
            assert_eq!(all[..3], ["EVALSHA", "digest", "7"], "{call}");
            let number = |at: usize| all[10 + at - 1].parse::<u64>().unwrap();
            let wholes = all[10 + 13..].chunks(2).map(|pair| pair[1].parse().unwrap()).collect();
            (number(1), number(2), number(5), wholes)
        };
        calls(design, batch_jobs, jobs).iter().map(arguments).collect()
    }

    #[test]
    fn each_turn_settles_the_batch_before_and_the_last_one_fetches_nothing() {
        let expected = [(1, 10, 0, vec![]), (2, 10, 10, vec![1]), (3, 5, 10, vec![2]), (4, 0, 5, vec![3])];
        assert_eq!(turns(Design::AtLeastOnce, 10, 25), expected);
    }

    #[test]
    fn at_most_once_there_is_nothing_to_acknowledge_but_jobs_are_counted() {
        assert_eq!(
            turns(Design::AtMostOnce, 10, 15),
            [(1, 10, 0, vec![]), (2, 5, 10, vec![]), (3, 0, 5, vec![])]
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
