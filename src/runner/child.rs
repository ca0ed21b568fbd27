//! One child as its shard sees it: its socket, the jobs it has, and the descriptor of its process.

mod hear;
mod talk;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use futures_channel::oneshot;
use futures_lite::future::or;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};

use self::talk::Inbox;
use super::ending;
use super::frame::{self, Garbage};
use super::lane::Lane;
use super::output::Output;
use crate::event::Event;
use crate::handler::{Ctx, JobError, JobResult, Unrun};
use crate::io::readiness::{Fresh, Watched};
use crate::job::failure::CLASS_CHILD_DIED;
use crate::limits::runner::RUNNER_LIVED_WELL;

/// See the module.
pub(super) struct Child {
    // Fixed when it was started.
    pid: Pid,
    process: Watched<OwnedFd>,
    output: Rc<Output>,
    socket: Watched<UnixStream>,
    threads: usize,
    born: Instant,
    seat: usize,
    lane: Weak<Lane>,
    // Its shard only.
    inbox: RefCell<Inbox>,
    outbox: RefCell<Vec<u8>>,
    /// Bytes of answers to pushes that are not written yet. Its jobs, the rest of what is to be written, have bounds of
    /// their own.
    unread: Cell<usize>,
    to_write: Event,
    greeted: Event,
    greeted_at: Cell<Option<Instant>>,
    /// Invariant: with the threads that are promised, at most as many as it has threads.
    jobs: RefCell<HashMap<u64, InHand>>,
    promised: Cell<usize>,
    last_id: Cell<u64>,
    ended_jobs: Cell<u64>,
    pushes: Cell<usize>,
    retires: Cell<bool>,
    /// Nothing reads or writes its socket any longer.
    gone: Cell<bool>,
    over: Cell<bool>,
    /// Raised when it retires, and when it is over; its seat waits.
    news: Event,
    told_bye: Cell<bool>,
    /// The job for whose sake it is killed.
    blamed: Cell<Option<u64>>,
}

/// A job that it has.
struct InHand {
    ctx: Ctx<()>,
    answer: oneshot::Sender<JobResult>,
}

/// How the conversation with a child ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// It closed its socket.
    #[error("it closed its socket")]
    Closed,
    /// Its process has ended.
    #[error("its process ended")]
    Died,
    /// It does not keep to the protocol.
    #[error(transparent)]
    Garbage(#[from] Garbage),
    /// The socket failed.
    #[error("its socket failed: {0}")]
    Socket(#[from] io::Error),
}

impl Child {
    /// A child that was just started.
    ///
    /// # Errors
    /// It is gone already, or the kernel has no memory for another watched descriptor.
    pub(super) fn new(
        pid: Pid,
        socket: UnixStream,
        output: Rc<Output>,
        lane: &Rc<Lane>,
        seat: usize,
    ) -> io::Result<Rc<Self>> {
        socket.set_nonblocking(true)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Rc::new(Self {
            pid,
            process: Watched::new(process, Fresh::Connecting)?,
            socket: Watched::new(socket, Fresh::Connected)?,
            threads: lane.spec().threads(),
            output,
            born: Instant::now(),
            seat,
            lane: Rc::downgrade(lane),
            inbox: RefCell::default(),
            outbox: RefCell::default(),
            unread: Cell::new(0),
            to_write: Event::default(),
            greeted: Event::default(),
            greeted_at: Cell::new(None),
            jobs: RefCell::default(),
            promised: Cell::new(0),
            last_id: Cell::new(0),
            ended_jobs: Cell::new(0),
            pushes: Cell::new(0),
            retires: Cell::new(false),
            gone: Cell::new(false),
            over: Cell::new(false),
            news: Event::default(),
            told_bye: Cell::new(false),
            blamed: Cell::new(None),
        }))
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    pub(super) fn seat(&self) -> usize {
        self.seat
    }

    pub(super) fn age(&self) -> Duration {
        self.born.elapsed()
    }

    /// Threads that wait for a job.
    pub(super) fn free(&self) -> usize {
        if !self.takes_jobs() {
            return 0;
        }
        self.threads.saturating_sub(self.jobs.borrow().len() + self.promised.get())
    }

    /// Whether a thread that was promised is still to be had.
    pub(super) fn takes_jobs(&self) -> bool {
        !self.retires.get() && !self.gone.get()
    }

    /// Jobs that it has.
    pub(super) fn running(&self) -> usize {
        self.jobs.borrow().len()
    }

    pub(super) fn has(&self, id: u64) -> bool {
        self.jobs.borrow().contains_key(&id)
    }

    /// The jid of its job, if it has just one.
    pub(super) fn only_jid(&self) -> Option<String> {
        let jobs = self.jobs.borrow();
        let mut jids = jobs.values().map(|job| &job.ctx.job().jid);
        jids.next().filter(|_| jobs.len() == 1).cloned()
    }

    /// Waits for its first word.
    pub(super) async fn greet(&self) -> Result<(), End> {
        let greeted = async {
            self.greeted.wait().await;
            Ok(())
        };
        or(greeted, async { Err(self.read_until_end().await) }).await
    }

    /// Talks with it until that ends. What it said before its end counts.
    pub(super) async fn serve(&self) -> End {
        let end = or(self.read_until_end(), self.write()).await;
        // What it said last may free a thread, and nobody may get that one.
        self.gone.set(true);
        match end {
            End::Garbage(_) => end,
            _ => match self.take_rest().await {
                Err(End::Garbage(garbage)) => garbage.into(),
                _ => end,
            },
        }
    }

    /// Gives it a job that was promised a thread. It [takes](Self::takes_jobs) jobs: to one that is gone nobody writes.
    pub(super) fn give(self: &Rc<Self>, ctx: Ctx<()>) -> Given {
        debug_assert!(self.takes_jobs());
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let (answer, result) = oneshot::channel();
        frame::job(&mut self.outbox.borrow_mut(), id, ctx.job(), ctx.payload());
        self.jobs.borrow_mut().insert(id, InHand { ctx, answer });
        self.to_write.raise();
        Given { child: Rc::clone(self), id, result }
    }

    /// What a job hears whose child is gone.
    fn lost(&self, id: u64) -> JobError {
        let pid = self.pid();
        match self.blamed.get() {
            Some(blamed) if blamed != id => {
                let message = format!("its child (pid {pid}) was killed because of another job");
                JobError::unrun(Unrun::Interrupted, CLASS_CHILD_DIED, message)
            }
            _ => JobError::unrun(Unrun::Lost, CLASS_CHILD_DIED, format!("its child (pid {pid}) died")),
        }
    }

    /// A thread is promised to a job that is about to be given.
    pub(super) fn promise(&self) {
        self.promised.set(self.promised.get() + 1);
    }

    /// The promise is kept, or not needed.
    pub(super) fn unpromise(&self) {
        self.promised.set(self.promised.get().saturating_sub(1));
    }

    /// It gets no more jobs; without any it is told to end.
    pub(super) fn retire(self: &Rc<Self>) {
        self.take_no_more();
        self.end_if_idle();
    }

    fn take_no_more(&self) {
        if !self.retires.replace(true) {
            if let Some(lane) = self.lane.upgrade() {
                lane.passes(self.seat);
            }
            self.news.raise();
        }
    }

    /// Tells it to end once it is to, and has no job and no thread promised.
    pub(super) fn end_if_idle(self: &Rc<Self>) {
        let is_idle = self.jobs.borrow().is_empty() && self.promised.get() == 0;
        if self.retires.get() && is_idle && !self.told_bye.replace(true) {
            frame::bye(&mut self.outbox.borrow_mut());
            self.to_write.raise();
            ending::see_off(self);
        }
    }

    /// Whether its successor may start at once: it worked for a while after its first word, or ended because it was to,
    /// with jobs behind it.
    pub(super) fn lived_well(&self) -> bool {
        let worked = self.greeted_at.get().is_some_and(|at| at.elapsed() >= RUNNER_LIVED_WELL);
        worked || self.retires.get() && self.ended_jobs.get() > 0
    }

    /// Whether it gets no more jobs.
    pub(super) fn has_retired(&self) -> bool {
        self.retires.get()
    }

    /// Nobody waits for this job any longer.
    fn abandon(self: &Rc<Self>, id: u64) {
        let is_handed_back = match self.jobs.borrow().get(&id) {
            Some(job) => job.ctx.is_handed_back(),
            None => return,
        };
        if is_handed_back {
            // It may not go on here. While a stop still waits for the jobs, one that is late ends as it always does.
            self.take_no_more();
            self.blamed.set(Some(id));
            self.kill();
            return;
        }
        frame::cancel(&mut self.outbox.borrow_mut(), id);
        self.to_write.raise();
        ending::insist(self, id);
    }

    /// It is to be killed for the sake of this job.
    pub(super) fn blame(&self, id: u64) {
        self.blamed.set(Some(id));
    }

    /// Asks it to end, and what it has started.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends it, and what it has started.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // The descriptor names exactly this process, even if its number was given to another one meanwhile; only while it
        // is there its group is, too. It may have ended, or have made no group.
        if pidfd_send_signal(self.process.socket(), signal).is_ok() {
            let _no_group = kill_process_group(self.pid, signal);
        }
    }

    /// Nothing of it is left.
    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Its seat may have a successor from now on.
    pub(super) fn end(&self) {
        self.over.set(true);
        self.news.raise();
    }

    /// Waits until it takes no more jobs. One task may wait, for this or for its end.
    pub(super) async fn until_retired_or_over(&self) {
        while !self.has_retired() && !self.is_over() {
            self.news.wait().await;
        }
    }

    /// Waits until nothing of it is left.
    pub(super) async fn until_over(&self) {
        while !self.is_over() {
            self.news.wait().await;
        }
    }

    /// Its end: the jobs that it has hear of it.
    pub(super) fn bury(&self) {
        self.gone.set(true);
        self.kill();
        self.jobs.borrow_mut().clear();
    }
}

/// A job that was given; dropped before its answer, it is abandoned.
pub(super) struct Given {
    child: Rc<Child>,
    id: u64,
    result: oneshot::Receiver<JobResult>,
}

impl Given {
    /// Waits for the answer.
    pub(super) async fn answer(mut self) -> JobResult {
        let result = (&mut self.result).await;
        result.unwrap_or_else(|_| Err(self.child.lost(self.id)))
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.child.abandon(self.id);
    }
}
