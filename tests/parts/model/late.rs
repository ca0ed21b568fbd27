//! Calls that arrive when nobody waits for them any longer: delayed in an abandoned connection, or from a shard that
//! was presumed dead. Each must be refused and change nothing.

use jiggler_uring::internal::resp::{Requests, Value};
use jiggler_uring::internal::store::flight::{self, Known};
use jiggler_uring::internal::store::turn::{BatchName, Turn};

use super::state::{Database, one};
use super::world::{Verdict, World, ensure};

impl World<'_> {
    /// The call is answered with that error and changes nothing.
    pub(super) fn refused(&mut self, requests: &Requests, code: &str) -> Verdict {
        let before = Database::read(self.conn);
        let reply = self.conn.call(requests).map_err(|error| error.to_string())?;
        for reply in &reply {
            let refused = match reply.value() {
                Value::Error(error) => error.to_owned().code() == code,
                // The list that a refused turn would have read.
                Value::Array(jobs) => jobs.len() == 0,
                _ => false,
            };
            ensure(refused, || format!("answered {reply:?} instead of {code}"))?;
        }
        let after = Database::read(self.conn);
        ensure(before == after, || format!("refused with {code}, it changed\n{before:?}to\n{after:?}"))
    }

    /// A connection is lost with calls in it, which reach Redis when the shard has resumed over another.
    pub(super) fn reconnect(&mut self, at: usize) -> Verdict {
        let shard = &mut self.shards[at];
        let number = shard.fresh_number();
        let mut late = Requests::new();
        let nothing = Known::default();
        for queue in 0..self.queues.len() {
            let keys = (shard.home(), shard.queue(queue));
            flight::reconcile(&self.scripts, number, keys.0, keys.1, BatchName::Wait, &nothing, &mut late);
        }
        flight::leave(&self.scripts, number, &shard.context.queues, true, &mut late);
        self.resume(at, None)?;
        self.refused(&late, "STALE")
    }

    /// A reaper takes the home index away and leaves a mark: from then on nothing the shard sends changes anything.
    pub(super) fn fence(&mut self, at: usize) -> Verdict {
        let home = self.shards[at].home().index.clone();
        one(self.conn, &[b"DEL", &home]);
        one(self.conn, &[b"SET", &home, b"taken over"]);
        let shard = &mut self.shards[at];
        let (number, report) = (shard.fresh_number(), std::mem::take(&mut shard.report));
        let order: Vec<usize> = (0..self.queues.len()).collect();
        let mut requests = Requests::new();
        let turn = Turn {
            number,
            after: 0,
            wanted: 5,
            order: &order,
            limits: &[],
            settled: &report.settlement,
            now: 2e9,
        };
        shard.context.write(&self.scripts, &turn, &mut requests);
        for asked in [0, 1, number, u64::from(u32::MAX)] {
            flight::resume(&self.scripts, shard.home(), asked, &mut requests);
        }
        let nothing = Known::default();
        for queue in order {
            let keys = shard.queue(queue);
            let wait = BatchName::Wait;
            flight::reconcile(&self.scripts, number, shard.home(), keys, wait, &nothing, &mut requests);
        }
        for (queue, name) in shard.batches() {
            let keys = shard.queue(queue);
            flight::reconcile(&self.scripts, number, shard.home(), keys, name, &nothing, &mut requests);
        }
        flight::leave(&self.scripts, number, &shard.context.queues, true, &mut requests);
        self.refused(&requests, "FENCED")?;
        self.replace(at);
        Ok(())
    }
}
