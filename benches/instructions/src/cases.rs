//! The hot paths: what is run, and what a count refers to.
//!
//! Each runs on one thread without executor, socket or wait, so that it does the same work however long it takes.

use std::hint::black_box;
use std::rc::Rc;

use bytes::Bytes;
use jiggler_uring::internal::Dispatch;
use jiggler_uring::internal::job::parse::Parser;
use jiggler_uring::internal::resp::{Pipeline, Reply, ReplyLimits, Requests};
use jiggler_uring::internal::store::scripts::{LOAD_REPLIES, Scripts};
use jiggler_uring::internal::store::turn::{QueueKeys, Settlement, Turn, TurnContext, TurnReply};
use jiggler_uring::internal::wire::keys::JIGGLER;
use jiggler_uring::{Ctx, JobError, Registry};

/// Jobs of a batch.
const JOBS: u64 = 100;

/// Jobs requested by a turn, in the cases of turns.
const WANTED: usize = 100;

/// Slots of the shard: as many as a process has by default.
const SLOTS: usize = 10;

/// Unix time of the turns.
const NOW: f64 = 1_795_299_919.812;

/// One hot path.
pub(crate) struct Case {
    /// What a count refers to.
    pub(crate) name: &'static str,
    /// How many of these a round does.
    pub(crate) units: u64,
    /// Sets up and does this many rounds.
    pub(crate) run: fn(u64),
}

/// All of them, in the order of a job's life.
pub(crate) const CASES: [Case; 9] = [
    Case { name: "decode a payload in a reply of 100", units: JOBS, run: decode_reply },
    Case { name: "parse a payload of two numbers", units: JOBS, run: parse },
    Case { name: "parse a payload and decode two numbers", units: JOBS, run: decode_arguments },
    Case { name: "parse, look up, decode and call", units: JOBS, run: call },
    Case { name: "dispatch a job that does nothing", units: JOBS, run: dispatch_noop },
    Case { name: "dispatch a job of two numbers and a context", units: JOBS, run: dispatch_context },
    Case { name: "settle a success in a batch of 100", units: JOBS, run: settle_successes },
    Case { name: "settle a failure in a batch of 100", units: JOBS, run: settle_failures },
    Case { name: "encode a turn that acks a batch", units: JOBS, run: encode_turn },
];

fn decode_reply(rounds: u64) {
    let answer = format!("*4\r\n:1\r\n:{JOBS}\r\n:0\r\n:9999999\r\n");
    let mut wire = format!("*{JOBS}\r\n");
    for number in 0..JOBS {
        let payload = payload("Resize", number);
        wire.push_str(&format!("${}\r\n{payload}\r\n", payload.len()));
    }
    let mut pipeline = Pipeline::new(ReplyLimits::default());
    let mut ask = Requests::new();
    ask.command(&[b"ASK"]);
    for _ in 0..rounds {
        let replies: Vec<Reply> = [&answer, &wire]
            .into_iter()
            .filter_map(|bytes| reply(&mut pipeline, &ask, black_box(bytes.as_bytes())))
            .collect();
        let jobs = TurnReply::read(&replies, &[0])
            .ok()
            .map_or(0, |read| read.fetched.iter().map(|from| from.payloads.len()).sum());
        assert_eq!(jobs, WANTED);
    }
}

fn reply(pipeline: &mut Pipeline, ask: &Requests, wire: &[u8]) -> Option<Reply> {
    pipeline.push(ask).ok()?;
    pipeline.wrote(ask.as_bytes().len());
    pipeline.feed(wire);
    pipeline.next_reply().ok()?
}

fn parse(rounds: u64) {
    let batch = payloads("Resize");
    let mut parser = Parser::default();
    for _ in 0..rounds {
        for payload in &batch {
            assert!(parser.parse(black_box(payload)).is_ok());
        }
    }
}

fn decode_arguments(rounds: u64) {
    let batch = payloads("Resize");
    let mut parser = Parser::default();
    for _ in 0..rounds {
        for payload in &batch {
            let numbers = parser.parse(black_box(payload)).map(|parsed| {
                let mut args = parsed.args;
                (args.take::<u64>(), args.take::<u32>())
            });
            assert!(matches!(black_box(numbers), Ok((Ok(_), Ok(_)))));
        }
    }
}

fn call(rounds: u64) {
    let (shard, batch) = (shard(), payloads("Resize"));
    for _ in 0..rounds {
        for payload in &batch {
            assert!(shard.call(black_box(payload)));
        }
    }
}

fn dispatch_noop(rounds: u64) {
    dispatch(rounds, "Noop");
}

fn dispatch_context(rounds: u64) {
    dispatch(rounds, "WithContext");
}

fn dispatch(rounds: u64, name: &str) {
    let (shard, batch) = (shard(), payloads(name));
    for _ in 0..rounds {
        assert_eq!(shard.run_through(batch.clone()), (JOBS, 0));
    }
}

fn settle_successes(rounds: u64) {
    let (shard, batch) = (shard(), payloads("Noop"));
    for _ in 0..rounds {
        let settled = shard.settle(shard.started(batch.clone()), || Ok(()));
        assert_eq!((settled.processed, settled.wholes.len()), (JOBS, 1));
    }
}

/// Including what it costs to tell Redis: each failed job is sent.
fn settle_failures(rounds: u64) {
    let (shard, batch) = (shard(), payloads("Noop"));
    let mut turns = Turns::new();
    for _ in 0..rounds {
        let failed = || Err(JobError::new("Broken", "on purpose"));
        let settled = shard.settle(shard.started(batch.clone()), failed);
        assert_eq!((settled.failed, settled.moves.len()), (JOBS, WANTED));
        turns.write(&settled);
    }
}

fn encode_turn(rounds: u64) {
    let settled = Settlement { processed: JOBS, wholes: vec![(0, 17)], ..Settlement::default() };
    let mut turns = Turns::new();
    for _ in 0..rounds * JOBS {
        turns.write(black_box(&settled));
    }
}

fn payload(name: &str, number: u64) -> String {
    let args = if name == "Noop" { "[]" } else { "[8467123,1280]" };
    format!(r#"{{"name":"{name}","args":{args},"retries":5,"jid":"0db89b3e2a1c{number:04x}"}}"#)
}

fn payloads(name: &str) -> Vec<Bytes> {
    (0..JOBS).map(|number| Bytes::from(payload(name, number))).collect()
}

async fn noop() {}

async fn resize(id: u64, width: u32) {
    black_box((id, width));
}

async fn with_context(ctx: Ctx<()>, id: u64, width: u32) {
    black_box((ctx.job().attempt, id, width));
}

#[expect(clippy::expect_used, reason = "its only error is a fault of the engine's own")]
fn shard() -> Dispatch {
    let registry = Registry::new(()).job("Noop", noop).job("Resize", resize).job("WithContext", with_context);
    Dispatch::new(registry, SLOTS).expect("a shard without a connection")
}

/// Writes turns.
struct Turns {
    scripts: Scripts,
    context: TurnContext,
    requests: Requests,
}

impl Turns {
    #[expect(clippy::expect_used, reason = "the replies are those that Redis gives")]
    fn new() -> Self {
        let mut pipeline = Pipeline::new(ReplyLimits::default());
        let mut ask = Requests::new();
        ask.command(&[b"ASK"]);
        let hash = format!("$40\r\n{}\r\n", "0123456789".repeat(4));
        let loaded: Vec<Reply> =
            (0..LOAD_REPLIES).filter_map(|_| reply(&mut pipeline, &ask, hash.as_bytes())).collect();
        let queues: Rc<[QueueKeys]> = Rc::new([QueueKeys::new(JIGGLER, "default", "0123456789ab", 0)]);
        Self {
            scripts: Scripts::read(JIGGLER.shared_realm(), &loaded).expect("hashes of 40 characters"),
            context: TurnContext {
                queues,
                keep_in_flight: true,
                dead_jobs_max: 10_000.into(),
                dead_timeout_s: 1e7.into(),
                looks_at_each: false.into(),
            },
            requests: Requests::new(),
        }
    }

    fn write(&mut self, settled: &Settlement) {
        self.requests.clear();
        let turn = Turn { number: 18, after: 0, wanted: WANTED, order: &[0], limits: &[], settled, now: NOW };
        self.context.write(&self.scripts, &turn, &mut self.requests);
        black_box(self.requests.as_bytes());
    }
}
