//! Jobs behind HTTP: each is posted to a server that is there already, and its answer says what became of it.
//!
//! # The request
//!
//! A POST with a JSON object: `name`, `args`, `jid`, `queue`, `attempt` (0 at the first run), and `enqueued_at` in Unix
//! seconds where the payload says it. `idempotency-key` is the jid: a job can run twice (its worker died after the server's
//! work and before the ack), so what must not happen twice is to be remembered by it. `traceparent` is there if the payload
//! has one.
//!
//! With a key the request is signed as <https://www.standardwebhooks.com> says, for which most languages have a library:
//! `webhook-id` (the jid), `webhook-timestamp` (Unix seconds) and `webhook-signature`, which is `v1,` and the base64 of
//! HMAC-SHA256 over `id.timestamp.body`. A server refuses what is older or newer than five minutes, so that nobody who has
//! read a request can send it again later.
//!
//! # The answer
//!
//! | status | the job |
//! |---|---|
//! | 2xx | has run |
//! | 429, 503 with `retry-after` | runs again after that, no attempt used; until then the server gets no other job either |
//! | 410 | is pointless: it goes |
//! | 409 | goes to the dead set |
//! | any other | has failed: `http::Status500`, with the start of the body |
//!
//! The header `job-verdict` (`done`, `failed`, `snooze`, `discard`, `dead`) says it instead, whatever the status is; a
//! `snooze` reads `retry-after`, too. A body of type JSON may name the error:
//! `{"class": …, "message": …, "backtrace": […]}`.
//!
//! # How it works
//!
//! On the ring, over kept-alive connections of the core; a job is a request, its request's head and body one write. The url
//! is that of the configuration, never anything of a job, and redirects are not followed. A job that is late or cancelled
//! closes its connection; what the server does then is its own. So does one that a stop hands back (P6): the server may
//! still work on it when another worker posts it again.
//!
//! While the server is busy and its runner takes every name, nothing is fetched ([`Gate`](crate::handler::Gate)); other
//! runners go on, and what comes for this one is put off.

mod answer;
mod ask;
mod signature;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::answer::{Judgement, Said};
pub(super) use self::signature::Key;
use super::board::{Board, Seat};
use super::spec::{HttpTarget, RunnerSpec};
use crate::foreign::Foreign;
use crate::handler::{Ctx, JobError, JobResult, Pattern, Remote, Unrun};
use crate::io::http::{Client, ClientOptions, Response};
use crate::io::permits::Permits;
use crate::io::timer::{sleep, timeout};
use crate::job::failure::CLASS_NO_CHILD;
use crate::limits::runner::{
    RUNNER_ANSWER_BYTES_MAX, RUNNER_HOLD_JITTER, RUNNER_HTTP_TIME, RUNNER_IDLE_CONNECTIONS,
    RUNNER_THREAD_WAIT, RUNNER_WAITING_MAX,
};
use crate::time::unix_now;

/// The part of one core.
pub(super) struct Service {
    // Fixed at construction.
    name: String,
    target: HttpTarget,
    key: Option<Arc<Key>>,
    client: Client,
    permits: Permits,
    board: Rc<Board>,
    place: usize,
    // This shard only.
    held_until: Cell<Option<Instant>>,
}

/// A service as what runs the jobs of its routes.
pub(super) struct Posted(Rc<Service>);

impl Posted {
    /// What runs the jobs of this runner on one of so many cores.
    pub(super) fn new(
        spec: &RunnerSpec,
        target: &HttpTarget,
        key: Option<Arc<Key>>,
        board: &Rc<Board>,
        cores: usize,
    ) -> Self {
        let jobs = spec.jobs_per_shard(cores);
        let options = ClientOptions {
            connections_max: jobs,
            idle_per_origin_max: jobs.min(RUNNER_IDLE_CONNECTIONS),
            idle_max: jobs.min(RUNNER_IDLE_CONNECTIONS),
            ..ClientOptions::default()
        };
        let place = board.add(spec.jobs.iter().any(Pattern::takes_all), 1);
        board.set(place, 0, Seat::Taken);
        Self(Rc::new(Service {
            name: spec.name.clone(),
            target: target.clone(),
            key,
            client: Client::with_options(options),
            permits: Permits::new(jobs, RUNNER_WAITING_MAX),
            board: Rc::clone(board),
            place,
            held_until: Cell::new(None),
        }))
    }
}

impl Remote for Posted {
    fn run(&self, ctx: Ctx<()>) -> Pin<Box<dyn Future<Output = JobResult>>> {
        let service = Rc::clone(&self.0);
        Box::pin(async move { service.post(ctx).await })
    }
}

impl Service {
    async fn post(self: &Rc<Self>, ctx: Ctx<()>) -> JobResult {
        if let Some(left) = self.held_for() {
            return Err(JobError::snooze(spread(left)));
        }
        let permit = match self.permits.try_take() {
            Some(permit) => permit,
            None => match timeout(RUNNER_THREAD_WAIT, self.permits.take()).await {
                Ok(Ok(permit)) => permit,
                Ok(Err(_)) | Err(_) => return Err(self.nobody()),
            },
        };
        let request = ask::request(&self.client, &self.target, self.key.as_deref(), &ctx);
        // A little more than the job has, whose own timeout is to end it.
        let time = ctx.time_left().unwrap_or(RUNNER_HTTP_TIME) + Duration::from_secs(1);
        let answer = request.timeout(time).send().await?;
        let said = read(answer).await?;
        drop(permit);
        let Judgement { result, hold } = answer::judge(&said, unix_now());
        if let Some(hold) = hold {
            self.hold(hold);
        }
        result
    }

    /// How much longer the server is left alone.
    fn held_for(&self) -> Option<Duration> {
        let until = self.held_until.get()?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Leaves the server alone for this long.
    fn hold(self: &Rc<Self>, hold: Duration) {
        let until = Instant::now() + hold;
        let was = self.held_until.replace(Some(until));
        if was.is_some_and(|was| was > until) {
            self.held_until.set(was);
            return;
        }
        let is_news = was.is_none_or(|was| was <= Instant::now());
        if !is_news {
            return;
        }
        let (runner, seconds) = (&*self.name, hold.as_secs_f64());
        tracing::warn!(
            runner,
            url = %Foreign::text(self.target.shown()),
            seconds,
            "a server is busy and gets no jobs for as long as it asked"
        );
        self.board.set(self.place, 0, Seat::Empty);
        let service = Rc::clone(self);
        glommio::spawn_local(async move {
            // It may be prolonged meanwhile.
            while let Some(left) = service.held_for() {
                sleep(left).await;
            }
            service.board.set(service.place, 0, Seat::Taken);
        })
        .detach();
    }

    fn nobody(&self) -> JobError {
        let message = format!("no request of runner {} is free", self.name);
        JobError::unrun(Unrun::Left, CLASS_NO_CHILD, message)
    }
}

/// What is needed of an answer. A body that is too long is not read to its end.
async fn read(mut answer: Response) -> Result<Said, JobError> {
    let text = |name| answer.header(name).map(str::to_owned);
    let (verdict, retry_after) = (text("job-verdict"), text("retry-after"));
    let is_json = answer.header("content-type").is_some_and(|kind| kind.contains("json"));
    let status = answer.status();
    let mut body = Vec::new();
    while body.len() < RUNNER_ANSWER_BYTES_MAX {
        let Some(bytes) = answer.chunk().await? else { break };
        let room = RUNNER_ANSWER_BYTES_MAX - body.len();
        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
    Ok(Said { status, verdict, retry_after, is_json, body })
}

/// A little more than this, by chance.
fn spread(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + RUNNER_HOLD_JITTER * fastrand::f64())
}
