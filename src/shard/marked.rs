//! What surrounds each poll of a job: its span, and the mark by which control names a job that does not return.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tracing::Span;

use super::state::Shard;
use crate::handler::{JobFuture, JobRef, JobResult};
use crate::stats::JobMark;
use crate::stats::here::JOB_SPAN;

/// The span that contains everything the handler logs in this run, for logs other than ours. It is at level debug, because
/// it costs as much as a short job; if nobody listens at that level it is one comparison.
pub(super) fn open_span(job: JobRef<'_>, shard: usize) -> Span {
    let JobRef { name, jid, queue, attempt } = job;
    tracing::debug_span!(target: JOB_SPAN, "job", name, jid, queue, attempt, shard)
}

/// A job that waits, polled under its mark and in its span.
pub(super) struct Marked {
    future: JobFuture,
    mark: JobMark,
    span: Span,
    shard: Rc<Shard>,
}

impl Marked {
    pub(super) fn new(future: JobFuture, mark: JobMark, span: Span, shard: &Rc<Shard>) -> Self {
        Self { future, mark, span, shard: Rc::clone(shard) }
    }

    /// Which job it is.
    pub(super) fn mark(&self) -> JobMark {
        self.mark
    }
}

impl Future for Marked {
    type Output = JobResult;

    fn poll(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<JobResult> {
        let Self { future, mark, span, shard } = &mut *self;
        let current = &shard.options().stats.current;
        current.begin(mark, Instant::now());
        let polled = span.in_scope(|| future.as_mut().poll(ctx));
        current.end();
        polled
    }
}
