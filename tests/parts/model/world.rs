//! Redis, the shards, and the truth about every job, step by step.
//!
//! A step is played against Redis with the library's own calls. The world sees every reply, the shards only those
//! that are not lost; what the world believes must be what is in Redis ([`super::oracle`]).

use std::collections::HashMap;

use bytes::Bytes;
use jiggler_uring::internal::net::blocking::BlockingConnection;
use jiggler_uring::internal::resp::{Reply, Requests};
use jiggler_uring::internal::store::flight::{self, Known};
use jiggler_uring::internal::store::scripts::{Script, Scripts};
use jiggler_uring::internal::store::turn::{BatchName, Destination, Turn, TurnReply};
use jiggler_uring::internal::wire::Keyspace;

use super::ops::{Case, Fate, Step};
use super::oracle;
use super::shard::{End, Knowledge, Report, Shard, State, Stay, loaded};
use super::state::{Database, one};

/// A change to a script's text: which script, what, by what.
pub(crate) type Mutation = (Script, &'static str, &'static str);

/// Why a case fails.
pub(crate) type Verdict = Result<(), String>;

pub(crate) struct World<'a> {
    pub(crate) keys: Keyspace,
    pub(crate) conn: &'a mut BlockingConnection,
    pub(super) scripts: Scripts,
    mutation: Option<Mutation>,
    pub(crate) queues: Vec<String>,
    pub(crate) shards: Vec<Shard>,
    pub(super) shards_made: usize,
    // The truth.
    pub(crate) payloads: Vec<Payload>,
    by_bytes: HashMap<Bytes, usize>,
    pub(crate) stays: Vec<Stay>,
    pub(crate) moved: Vec<(Destination, Vec<u8>)>,
    pub(crate) processed: u64,
    pub(crate) failed: u64,
}

/// One payload, which may have been pushed more than once.
pub(crate) struct Payload {
    pub(crate) raw: Bytes,
    pub(crate) accepted: u64,
    /// Ended: acked after it ran, or moved to a set after it failed.
    pub(crate) ended: u64,
}

/// A turn on its way.
struct Sent {
    number: u64,
    wanted: usize,
    order: Vec<usize>,
    limits: Vec<usize>,
    report: Report,
    requests: Requests,
}

pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl<'a> World<'a> {
    pub(crate) fn new(
        keys: Keyspace,
        conn: &'a mut BlockingConnection,
        case: &Case,
        mutation: Option<Mutation>,
    ) -> Self {
        one(conn, &[b"FLUSHDB"]);
        let scripts = loaded(keys, conn, mutation);
        let queues: Vec<String> = (0..case.queues).map(|at| format!("q{at}")).collect();
        let shards = (0..case.shards).map(|number| Shard::new(keys, number, &queues)).collect();
        Self {
            keys,
            conn,
            scripts,
            mutation,
            queues,
            shards,
            shards_made: case.shards,
            payloads: Vec::new(),
            by_bytes: HashMap::new(),
            stays: Vec::new(),
            moved: Vec::new(),
            processed: 0,
            failed: 0,
        }
    }

    /// Plays one step and checks everything.
    pub(crate) fn step(&mut self, step: &Step) -> Verdict {
        let shards = self.shards.len();
        match step {
            Step::Push { queue, copies, like, bytes } => self.push(*queue, *copies, *like, *bytes),
            Step::Turn { shard, wanted, first, limits, outcomes, stragglers, fate } => {
                let shard = shard % shards;
                self.shards[shard].run(outcomes);
                self.shards[shard].close(*stragglers);
                self.turn(shard, (*wanted, limits), *first, *fate)?;
            }
            Step::Wait { shard, queue, seen } => {
                self.wait(shard % shards, queue % self.queues.len(), *seen)?;
            }
            Step::HandBack { shard } => {
                self.shards[shard % shards].give_up();
                self.sync(shard % shards, true)?;
            }
            Step::Reconnect { shard } => self.reconnect(shard % shards)?,
            Step::Crash { shard } => self.replace(shard % shards),
            Step::Fence { shard } => self.fence(shard % shards)?,
        }
        oracle::check(self)
    }

    fn push(&mut self, queue: usize, copies: usize, like: Option<usize>, bytes: usize) {
        let at = match like {
            Some(like) if !self.payloads.is_empty() => like % self.payloads.len(),
            _ => {
                let jid = self.payloads.len();
                let raw = format!(r#"{{"name":"N","args":["{}"],"jid":"{jid:016x}"}}"#, "x".repeat(bytes));
                self.accept(Bytes::from(raw), 0)
            }
        };
        let key = self.keys.queue(&self.queues[queue % self.queues.len()]);
        for _ in 0..copies {
            one(self.conn, &[b"LPUSH", key.as_bytes(), &self.payloads[at].raw]);
            self.payloads[at].accepted += 1;
        }
    }

    /// Learns of a new payload, which has been pushed so often.
    pub(super) fn accept(&mut self, raw: Bytes, accepted: u64) -> usize {
        self.by_bytes.insert(raw.clone(), self.payloads.len());
        self.payloads.push(Payload { raw, accepted, ended: 0 });
        self.payloads.len() - 1
    }

    /// `wanted`: in all, and at most from each of the first queues.
    pub(crate) fn turn(
        &mut self,
        at: usize,
        (wanted, limits): (usize, &[usize]),
        first: usize,
        fate: Fate,
    ) -> Verdict {
        let count = self.queues.len();
        let limits = limits[..limits.len().min(count)].to_vec();
        let order: Vec<usize> = (0..count).map(|place| (first + place) % count).collect();
        let shard = &mut self.shards[at];
        let (number, report) = (shard.fresh_number(), std::mem::take(&mut shard.report));
        let mut requests = Requests::new();
        let settled = &report.settlement;
        let turn = Turn { number, after: 0, wanted, order: &order, limits: &limits, settled, now: 2e9 };
        shard.context.write(&self.scripts, &turn, &mut requests);
        let mut sent = Sent { number, wanted, order, limits, report, requests };
        match fate {
            Fate::Seen => self.executed(at, &mut sent, true),
            Fate::Noscript => {
                one(self.conn, &[b"SCRIPT", b"FLUSH"]);
                self.refused(&sent.requests, "NOSCRIPT")?;
                self.scripts = loaded(self.keys, self.conn, self.mutation);
                self.executed(at, &mut sent, true)
            }
            Fate::ReplyLost => {
                self.executed(at, &mut sent, false)?;
                self.resume(at, Some((number, true, sent.report)))
            }
            Fate::NeverSent => self.resume(at, Some((number, false, sent.report))),
            Fate::Late => {
                let requests = sent.requests.clone();
                self.resume(at, Some((number, false, sent.report)))?;
                self.refused(&requests, "STALE")
            }
        }
    }

    /// Redis runs the turn; its shard sees the reply or not.
    fn executed(&mut self, at: usize, sent: &mut Sent, seen: bool) -> Verdict {
        let before = Database::read(self.conn);
        let replies = self.conn.call(&sent.requests).map_err(|error| format!("a turn failed: {error}"))?;
        let turn = TurnReply::read(&replies, &sent.order).map_err(|error| error.to_string())?;
        self.note_report(&sent.report);
        let (mut count, mut bytes) = (0, 0);
        for fetched in turn.fetched {
            ensure(fetched.error.is_none() && fetched.oversize == 0, || format!("{:?}", fetched.error))?;
            let name = BatchName::Turn(sent.number);
            let key = self.shards[at].key(fetched.queue, name);
            let waiting = before.list(&self.keys.queue(&self.queues[fetched.queue]));
            let oldest: Vec<&[u8]> =
                waiting.iter().rev().take(fetched.payloads.len()).map(Vec::as_slice).collect();
            ensure(oldest == fetched.payloads, || "a turn did not take the oldest jobs in order".to_owned())?;
            let place = sent.order.iter().position(|queue| *queue == fetched.queue).unwrap_or(0);
            let most = if sent.limits.is_empty() {
                sent.wanted
            } else {
                sent.limits.get(place).copied().unwrap_or(0)
            };
            ensure(fetched.payloads.len() <= most, || {
                format!("{} jobs came from a queue of at most {most}", fetched.payloads.len())
            })?;
            count += fetched.payloads.len();
            bytes += fetched.payloads.iter().map(Bytes::len).sum::<usize>();
            let jobs = fetched.payloads.into_iter().map(|raw| (self.begin_stay(&key, &raw), raw)).collect();
            if seen {
                self.shards[at].take_in(fetched.queue, name, jobs);
            }
        }
        ensure(count <= sent.wanted, || format!("{count} jobs came, {} were wanted", sent.wanted))?;
        let budget = jiggler_uring::internal::limits::BATCH_BYTES_MAX;
        ensure(count <= 1 || bytes <= budget, || format!("a batch of {count} jobs has {bytes} bytes"))
    }

    /// A new connection after a loss: as in `shard::sync::resume`, but each call twice, as if its reply were lost.
    pub(super) fn resume(&mut self, at: usize, lost: Option<(u64, bool, Report)>) -> Verdict {
        // Twice: its own reply may be lost too, which must not change the answer.
        for _ in 0..2 {
            let mut requests = Requests::new();
            let shard = &self.shards[at];
            flight::resume(&self.scripts, shard.home(), shard.last_number(), &mut requests);
            let answer = self.conn.call_one(&requests).and_then(|reply| Ok(reply.as_integer()?));
            let right = |last: i64| match &lost {
                Some((number, has_run, _)) => (last >= number.cast_signed()) == *has_run,
                None => true,
            };
            ensure(answer.as_ref().is_ok_and(|last| right(*last)), || {
                format!(
                    "resume answered {answer:?}, but of the lost turn: {:?}",
                    lost.as_ref().map(|lost| lost.1)
                )
            })?;
        }
        if let Some((_, false, report)) = lost {
            self.shards[at].report.again(report);
        }
        for queue in 0..self.queues.len() {
            let mut requests = Requests::new();
            flight::list_batches(self.shards[at].queue(queue), &mut requests);
            let reply: Reply = self.conn.call_one(&requests).map_err(|error| error.to_string())?;
            let numbers = flight::read_batches(&reply).map_err(|error| error.to_string())?;
            for number in numbers {
                if self.shards[at].knows(queue, number) {
                    continue;
                }
                let nothing = Knowledge { known: Known::default(), keep: Vec::new(), settled: Vec::new() };
                self.reconcile(at, queue, BatchName::Turn(number), &nothing)?;
            }
        }
        self.sync(at, false)
    }

    /// Makes Redis agree with what the shard knows of its batches, with `with_wait` those of the wait lists too.
    fn sync(&mut self, at: usize, with_wait: bool) -> Verdict {
        for (queue, name) in self.shards[at].batches() {
            if with_wait || name != BatchName::Wait {
                self.reconcile_known(at, queue, name)?;
            }
        }
        self.shards[at].close(false);
        Ok(())
    }

    fn reconcile_known(&mut self, at: usize, queue: usize, name: BatchName) -> Verdict {
        let knowledge = self.shards[at].knowledge(queue, name, &self.stays);
        self.reconcile(at, queue, name, &knowledge)?;
        self.shards[at].dropped(&knowledge.settled);
        Ok(())
    }

    fn reconcile(&mut self, at: usize, queue: usize, name: BatchName, knowledge: &Knowledge) -> Verdict {
        let shard = &mut self.shards[at];
        let (list, batch) = (self.keys.queue(&self.queues[queue]), shard.key(queue, name));
        let before = Database::read(self.conn);
        let mut requests = Requests::new();
        let (mut handed_back, mut more) = (0, true);
        // What has many bytes goes back part by part.
        while more {
            let number = shard.fresh_number();
            requests.clear();
            let keys = (shard.home(), shard.queue(queue));
            flight::reconcile(&self.scripts, number, keys.0, keys.1, name, &knowledge.known, &mut requests);
            let reply =
                self.conn.call_one(&requests).map_err(|error| format!("reconcile failed: {error}"))?;
            let part = flight::read_handed_back(&reply).map_err(|error| error.to_string())?;
            (handed_back, more) = (handed_back + part.jobs, part.more);
        }
        let after = Database::read(self.conn);

        let mut back = 0;
        for (tenure, stay) in
            self.stays.iter_mut().enumerate().filter(|(_, stay)| stay.key == batch && !stay.ended)
        {
            if knowledge.keep.contains(&tenure) {
                continue;
            }
            stay.ended = true;
            if knowledge.settled.contains(&tenure) {
                self.payloads[stay.payload].ended += 1;
            } else {
                back += 1;
            }
        }
        ensure(handed_back == back, || {
            format!("reconcile of {batch} handed {handed_back} jobs back, {back} should be handed back")
        })?;
        oracle::handed_back_in_order(before.list(&list), before.list(&batch), after.list(&list))?;
        if back > 0 {
            oracle::registered(self, &after, &list)?;
        }
        let again = self.conn.call_one(&requests).and_then(|reply| Ok(reply.as_integer()?));
        let third = Database::read(self.conn);
        ensure(again.is_ok_and(|count| count == 0) && third == after, || {
            format!("reconcile of {batch}, repeated, changed\n{after:?}to\n{third:?}")
        })
    }

    fn wait(&mut self, at: usize, queue: usize, seen: bool) -> Verdict {
        let key = self.keys.queue(&self.queues[queue]);
        let length = one(self.conn, &[b"LLEN", key.as_bytes()]).as_integer();
        if !length.is_ok_and(|length| length > 0) {
            return Ok(());
        }
        let mut requests = Requests::new();
        flight::wait_for_one(self.shards[at].queue(queue), 1, &mut requests);
        let reply = self.conn.call_one(&requests).map_err(|error| error.to_string())?;
        let raw = Bytes::copy_from_slice(reply.as_bulk().map_err(|error| error.to_string())?);
        let wait_list = self.shards[at].key(queue, BatchName::Wait);
        let tenure = self.begin_stay(&wait_list, &raw);
        if seen {
            self.shards[at].take_in(queue, BatchName::Wait, vec![(tenure, raw)]);
            return Ok(());
        }
        oracle::check(self)?;
        self.reconcile_known(at, queue, BatchName::Wait)
    }

    pub(super) fn replace(&mut self, at: usize) {
        self.shards[at] = Shard::new(self.keys, self.shards_made, &self.queues);
        self.shards_made += 1;
    }

    fn begin_stay(&mut self, key: &str, raw: &Bytes) -> usize {
        let payload = self.by_bytes[raw];
        self.stays.push(Stay { key: key.to_owned(), payload, raw: raw.clone(), ended: false });
        self.stays.len() - 1
    }

    fn note_report(&mut self, report: &Report) {
        self.processed += report.settlement.processed;
        self.failed += report.settlement.failed;
        for end in &report.ends {
            let stay = &mut self.stays[end.tenure()];
            stay.ended = true;
            self.payloads[stay.payload].ended += 1;
            if let End::Moved(_, to, payload) = end {
                self.moved.push((*to, payload.clone()));
            }
        }
    }

    /// Runs everything the living shards can reach, to the end, and stops them.
    pub(crate) fn drain(&mut self) -> Verdict {
        let waiting = |world: &mut Self| {
            let db = Database::read(world.conn);
            world.queues.iter().any(|name| !db.list(&world.keys.queue(name)).is_empty())
        };
        while waiting(self) || self.shards.iter().any(|shard| !shard.live.is_empty()) {
            for at in 0..self.shards.len() {
                let open = self.shards[at].live.iter().flat_map(|batch| &batch.jobs);
                let open = open.filter(|job| job.state == State::Open).count();
                self.shards[at].run(&vec![super::ops::Outcome::Succeeds; open]);
                self.shards[at].close(false);
                self.turn(at, (50, &[]), 0, Fate::Seen)?;
            }
            oracle::check(self)?;
        }
        for at in 0..self.shards.len() {
            self.turn(at, (0, &[]), 0, Fate::Seen)?;
            let mut requests = Requests::new();
            let number = self.shards[at].fresh_number();
            flight::leave(&self.scripts, number, &self.shards[at].context.queues, true, &mut requests);
            let back = self.conn.call_one(&requests).and_then(|reply| Ok(reply.as_integer()?));
            ensure(back.as_ref().is_ok_and(|count| *count == 0), || format!("leave answered {back:?}"))?;
            self.refused(&requests, "LEFT")?;
        }
        oracle::check(self)?;
        oracle::nothing_left(self)
    }
}
