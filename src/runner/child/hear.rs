//! What a child says, and what follows from it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Child;
use crate::client::{InvalidJob, NewJob};
use crate::foreign::Foreign;
use crate::handler::Ctx;
use crate::limits::runner::{RUNNER_PUSHES_MAX, RUNNER_UNREAD_BYTES_MAX};
use crate::runner::frame::{self, Garbage, Hello, PROTOCOL, Pushed, Said};

impl Child {
    /// One message.
    pub(super) fn hear(&self, said: Said) -> Result<(), Garbage> {
        match said {
            Said::Hello(Hello { protocol, language }) => {
                if protocol != PROTOCOL {
                    return Err(Garbage::Version(protocol));
                }
                let language = &*language;
                tracing::debug!(pid = self.pid(), language = %Foreign::cell(language), "a child is ready");
                self.greeted_at.set(Some(Instant::now()));
                self.greeted.raise();
                return Ok(());
            }
            _ if self.greeted_at.get().is_none() => return Err(Garbage::NoHello),
            _ => {}
        }
        let Some(lane) = self.lane.upgrade() else { return Ok(()) };
        let this = lane.child(self);
        match said {
            Said::Hello(_) => {}
            Said::Ended(id, result) => {
                let job = self.jobs.borrow_mut().remove(&id).ok_or(Garbage::NoSuchJob(id))?;
                // Nobody may be waiting any longer, and that is fine.
                let _unseen = job.answer.send(result);
                self.ended_jobs.set(self.ended_jobs.get() + 1);
                if let Some(this) = this {
                    if lane.is_worn(self.ended_jobs.get(), self.age()) {
                        this.retire();
                    }
                    this.end_if_idle();
                }
                lane.has_free_thread();
            }
            Said::Progress { id, done, total, note } => self.ctx(id)?.progress(done, total, &note),
            Said::Log { id, level, text } => {
                let jid = id.map(|id| self.ctx(id)).transpose()?.map(|ctx| ctx.job().jid.clone());
                lane.log(self.pid(), jid.as_deref(), &level, &text);
            }
            Said::Enqueue { .. } if self.unread.get() > RUNNER_UNREAD_BYTES_MAX => {
                return Err(Garbage::ReadsNothing);
            }
            Said::Enqueue { id, reference, job } => {
                let ctx = self.ctx(id)?;
                if let Some(this) = this {
                    this.push(ctx, reference, job);
                }
            }
            Said::Memory(bytes) => {
                if let Some(this) = this.filter(|_| lane.is_too_large(bytes)) {
                    this.retire();
                }
            }
            Said::Bye => {
                if let Some(this) = this {
                    this.retire();
                }
            }
        }
        Ok(())
    }

    fn ctx(&self, id: u64) -> Result<Ctx<()>, Garbage> {
        self.jobs.borrow().get(&id).map(|job| job.ctx.clone()).ok_or(Garbage::NoSuchJob(id))
    }

    /// Pushes a job for it, and tells it what became of that.
    fn push(self: &Rc<Self>, ctx: Ctx<()>, reference: u64, job: Result<Pushed, String>) {
        let job = match job {
            Ok(job) => job,
            Err(why) => return self.tell_pushed(reference, &Err(why)),
        };
        if self.pushes.get() >= RUNNER_PUSHES_MAX {
            let why = format!("{RUNNER_PUSHES_MAX} pushes of this child are under way");
            return self.tell_pushed(reference, &Err(why));
        }
        self.pushes.set(self.pushes.get() + 1);
        let child = Rc::clone(self);
        glommio::spawn_local(async move {
            let outcome = push(&ctx, job).await;
            child.pushes.set(child.pushes.get() - 1);
            child.tell_pushed(reference, &outcome);
        })
        .detach();
    }

    fn tell_pushed(&self, reference: u64, outcome: &Result<String, String>) {
        let mut outbox = self.outbox.borrow_mut();
        let before = outbox.len();
        frame::pushed(&mut outbox, reference, outcome);
        self.unread.set(self.unread.get() + outbox.len() - before);
        drop(outbox);
        self.to_write.raise();
    }
}

async fn push(ctx: &Ctx<()>, pushed: Pushed) -> Result<String, String> {
    let Pushed { name, args, queue, retries, jid, delay, at } = pushed;
    let job = || {
        let mut job = NewJob::with_raw_args(&name, args.get())?;
        if let Some(queue) = &queue {
            job = job.queue_named(queue)?;
        }
        if let Some(retries) = retries {
            job = job.retries(retries)?;
        }
        if let Some(jid) = &jid {
            job = job.jid(jid)?;
        }
        Ok::<_, InvalidJob>(job)
    };
    let job = job().map_err(|error| error.to_string())?;
    let pushed = match (delay, at) {
        (Some(delay), _) => {
            let delay = Duration::try_from_secs_f64(delay).map_err(|error| error.to_string())?;
            ctx.enqueue_in(delay, &job).await
        }
        (None, Some(at)) => ctx.enqueue_at(at, &job).await,
        (None, None) => ctx.enqueue(&job).await,
    };
    pushed.map_err(|error| error.to_string())
}
