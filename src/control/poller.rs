//! The poller: moves due jobs from the retry set and the scheduled set to their queues.
//!
//! One script looks at both sets by Redis's clock, moves what is due and says when the next job is; the poller sleeps
//! until then, `poll_interval` at most, because others add jobs meanwhile. Many processes do not stampede: a full interval
//! is cut short by a random part, and whoever comes second finds nothing and is told when to come again.
//!
//! It works while the process fetches; quiet and stopping processes leave due jobs to others.

use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::Control;
use super::link::ControlLink;
use crate::limits::{DUE_JOBS_MAX, DUE_PAUSE_MIN, POLL_JITTER};
use crate::resp::{Backoff, Error};
use crate::store::recovery::{self, Due};

/// Polls until it is dropped.
pub(super) async fn run(control: Rc<Control>, poll_interval: Duration) {
    let mut link = None;
    let mut losses = control.losses.get();
    let mut backoff = Backoff::new(u64::from(std::process::id()));
    let mut random = fastrand::Rng::new();
    let mut outage: Option<Instant> = None;
    loop {
        if losses != control.losses.get() {
            losses = control.losses.get();
            link = None;
        }
        let pause = if !control.phase.get().fetches() {
            poll_interval
        } else {
            match look(&control, &mut link).await {
                Ok(due) => {
                    backoff.reset();
                    if let Some(since) = outage.take() {
                        tracing::info!(seconds = since.elapsed().as_secs_f64(), "due jobs are moved again");
                    }
                    if due.held > 0 {
                        let (jobs, queue) = (due.held, &*due.broken);
                        tracing::error!(
                            jobs,
                            queue,
                            "due jobs are put off: the key of their queue is no list"
                        );
                    }
                    pause_after(&due, poll_interval.mul_f64(1.0 - POLL_JITTER * random.f64()))
                }
                Err(error) => {
                    link = None;
                    if outage.is_none() {
                        outage = Some(Instant::now());
                        tracing::error!(%error, "due jobs cannot be moved; trying again");
                    }
                    backoff.pause()
                }
            }
        };
        if !pause.is_zero() {
            Timer::new(pause).await;
        }
    }
}

async fn look(control: &Control, link: &mut Option<ControlLink>) -> Result<Due, Error> {
    let link = match link {
        Some(link) => link,
        None => link.insert(ControlLink::open(control, "poller").await?),
    };
    let replies = link.call(|scripts, requests| recovery::move_due(scripts, DUE_JOBS_MAX, requests)).await?;
    let reply = replies.first().ok_or(Error::Closed)?;
    recovery::read_due(reply)
}

/// How long to sleep after a look.
fn pause_after(due: &Due, interval: Duration) -> Duration {
    match *due {
        Due { more: true, .. } => Duration::ZERO,
        Due { next_ms: Some(ms), .. } => Duration::from_millis(ms).max(DUE_PAUSE_MIN).min(interval),
        Due { next_ms: None, .. } => interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sleeps_until_the_next_job_is_due_and_never_longer_than_the_interval() {
        let interval = Duration::from_secs(5);
        let pause = |more, next_ms| {
            let due = Due { moved: 1, more, next_ms, held: 0, broken: String::new() };
            pause_after(&due, interval)
        };
        assert_eq!(pause(true, Some(3)), Duration::ZERO);
        assert_eq!(pause(false, Some(120)), Duration::from_millis(120));
        assert_eq!(pause(false, Some(0)), DUE_PAUSE_MIN);
        assert_eq!(pause(false, Some(60_000)), interval);
        assert_eq!(pause(false, None), interval);
    }
}
