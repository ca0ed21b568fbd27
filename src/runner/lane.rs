//! The children of one runner on one shard, and the jobs that wait for a free thread of them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;

use super::board::{Board, Seat};
use super::child::Child;
use super::keeper::Orders;
use super::programs::forks;
use super::spec::RunnerSpec;
use crate::event::Event;
use crate::foreign::Foreign;
use crate::handler::{Ctx, JobError, JobResult, Pattern, Remote, Unrun};
use crate::io::timer::timeout;
use crate::job::failure::CLASS_NO_CHILD;
use crate::limits::runner::{RUNNER_THREAD_WAIT, RUNNER_WAITING_MAX};

/// See the module.
pub(super) struct Lane {
    // Fixed at construction.
    spec: Arc<RunnerSpec>,
    orders: Orders,
    board: Rc<Board>,
    place: usize,
    // This shard only.
    children: RefCell<Vec<Rc<Child>>>,
    /// At most [`RUNNER_WAITING_MAX`].
    waiting: RefCell<VecDeque<oneshot::Sender<Place>>>,
    ends: Cell<bool>,
    /// Raised when a child leaves.
    left: Event,
    /// Why no child could be started, as it was last said.
    said: RefCell<Option<String>>,
}

/// A thread that is promised to one job.
pub(super) struct Place {
    child: Rc<Child>,
    lane: Rc<Lane>,
}

impl Lane {
    /// A lane with so many seats.
    pub(super) fn new(spec: Arc<RunnerSpec>, orders: Orders, board: &Rc<Board>, seats: usize) -> Rc<Self> {
        let place = board.add(spec.jobs.iter().any(Pattern::takes_all), seats);
        Rc::new(Self {
            spec,
            orders,
            board: Rc::clone(board),
            place,
            children: RefCell::default(),
            waiting: RefCell::default(),
            ends: Cell::new(false),
            left: Event::default(),
            said: RefCell::default(),
        })
    }

    pub(super) fn spec(&self) -> &RunnerSpec {
        &self.spec
    }

    pub(super) fn orders(&self) -> &Orders {
        &self.orders
    }

    pub(super) fn ends(&self) -> bool {
        self.ends.get()
    }

    /// A child can run jobs from now on.
    pub(super) fn join(self: &Rc<Self>, child: &Rc<Child>) {
        self.said.take();
        self.children.borrow_mut().push(Rc::clone(child));
        self.board.set(self.place, child.seat(), Seat::Taken);
        if self.ends.get() {
            // It was started too late to be told with the others.
            child.retire();
        }
        self.has_free_thread();
    }

    /// A child takes no more jobs: its seat is for a successor.
    pub(super) fn passes(&self, seat: usize) {
        let has = if forks(&self.spec) { Seat::Passing } else { Seat::Empty };
        self.board.set(self.place, seat, has);
    }

    /// Nobody is there for this seat, or soon will be.
    pub(super) fn empties(&self, seat: usize) {
        self.board.set(self.place, seat, Seat::Empty);
    }

    /// A child has ended.
    pub(super) fn leave(&self, child: &Rc<Child>) {
        self.children.borrow_mut().retain(|other| !Rc::ptr_eq(other, child));
        if !child.has_retired() {
            self.empties(child.seat());
        }
        self.left.raise();
    }

    /// The handle of a child that is here.
    pub(super) fn child(&self, child: &Child) -> Option<Rc<Child>> {
        self.children.borrow().iter().find(|other| std::ptr::eq(&***other, child)).cloned()
    }

    /// Every child gets no more jobs, and none is started.
    pub(super) fn end(&self) {
        self.ends.set(true);
        let children = self.children.borrow().clone();
        children.iter().for_each(Child::retire);
    }

    /// Ends what has not ended by itself.
    pub(super) fn kill(&self) {
        self.children.borrow().iter().for_each(|child| child.kill());
    }

    /// Waits until no child is left. One task may wait.
    pub(super) async fn empty(&self) {
        while !self.children.borrow().is_empty() {
            self.left.wait().await;
        }
    }

    /// Says once why no child can be started.
    pub(super) fn complain(&self, reason: &str) {
        let runner = &*self.spec.name;
        if self.said.borrow().as_deref() == Some(reason) {
            tracing::debug!(runner, reason, "a child cannot be started yet");
            return;
        }
        tracing::error!(
            runner,
            reason,
            "a child cannot be started; its jobs stay in their queues; trying again"
        );
        self.said.replace(Some(reason.to_owned()));
    }

    /// Whether a child with so many jobs behind it is to be replaced.
    pub(super) fn is_worn(&self, jobs: u64, age: Duration) -> bool {
        self.spec.max_jobs.is_some_and(|max| jobs >= max) || self.spec.max_age.is_some_and(|max| age >= max)
    }

    /// Whether a child that takes so much memory is to be replaced.
    pub(super) fn is_too_large(&self, bytes: u64) -> bool {
        self.spec.max_memory.is_some_and(|max| bytes > max)
    }

    /// A line that a child wants in the log.
    pub(super) fn log(&self, pid: i32, jid: Option<&str>, level: &str, text: &str) {
        let (runner, said) = (&*self.spec.name, Foreign::text(text));
        match level {
            "error" => tracing::error!(runner, pid, jid, %said, "a child says"),
            "warn" => tracing::warn!(runner, pid, jid, %said, "a child says"),
            "debug" => tracing::debug!(runner, pid, jid, %said, "a child says"),
            _ => tracing::info!(runner, pid, jid, %said, "a child says"),
        }
    }

    /// A thread may have come free: the job that waits longest gets it.
    pub(super) fn has_free_thread(self: &Rc<Self>) {
        loop {
            let Some(child) = self.freest() else { return };
            let Some(next) = self.waiting.borrow_mut().pop_front() else { return };
            if !next.is_canceled() {
                // It waits, so it takes the place, or gives it back when it is dropped.
                let _taken = next.send(Place::new(child, self));
            }
        }
    }

    /// The child with the most free threads.
    fn freest(&self) -> Option<Rc<Child>> {
        let children = self.children.borrow();
        let freest = children.iter().max_by_key(|child| child.free())?;
        (freest.free() > 0).then(|| Rc::clone(freest))
    }

    /// A thread of a child that takes jobs, within [`RUNNER_THREAD_WAIT`].
    async fn place(self: &Rc<Self>) -> Result<Place, JobError> {
        if let Some(place) = self.free_place() {
            return Ok(place);
        }
        let wait = async {
            loop {
                let place = self.next_place().await?;
                // Between the promise and now its child may have ended, or have said that it takes no more.
                if place.child.takes_jobs() {
                    return Ok(place);
                }
            }
        };
        timeout(RUNNER_THREAD_WAIT, wait).await.unwrap_or_else(|_| Err(self.nobody()))
    }

    /// A free thread for which nobody waits.
    fn free_place(self: &Rc<Self>) -> Option<Place> {
        let nobody_waits = self.waiting.borrow().is_empty();
        nobody_waits.then(|| self.freest()).flatten().map(|child| Place::new(child, self))
    }

    async fn next_place(self: &Rc<Self>) -> Result<Place, JobError> {
        if let Some(place) = self.free_place() {
            return Ok(place);
        }
        if self.waiting.borrow().len() >= RUNNER_WAITING_MAX {
            return Err(self.nobody());
        }
        let (sender, place) = oneshot::channel();
        self.waiting.borrow_mut().push_back(sender);
        place.await.map_err(|_| self.nobody())
    }

    fn nobody(&self) -> JobError {
        let message = format!("no thread of runner {} is free", self.spec.name);
        JobError::unrun(Unrun::Left, CLASS_NO_CHILD, message)
    }
}

impl Place {
    fn new(child: Rc<Child>, lane: &Rc<Lane>) -> Self {
        child.promise();
        Self { child, lane: Rc::clone(lane) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.child.unpromise();
        self.child.end_if_idle();
        self.lane.has_free_thread();
    }
}

/// A lane as what runs the jobs of its routes.
pub(super) struct Through(pub(super) Rc<Lane>);

impl Remote for Through {
    fn run(&self, ctx: Ctx<()>) -> Pin<Box<dyn Future<Output = JobResult>>> {
        let lane = Rc::clone(&self.0);
        Box::pin(async move {
            let place = lane.place().await?;
            let given = place.child.give(ctx);
            // The thread is taken: the promise of it is kept.
            drop(place);
            given.answer().await
        })
    }
}
