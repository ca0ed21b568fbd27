//! What a handler may ask of its job and of its core's state.

use std::rc::Rc;

/// What is known of the job that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobInfo {
    /// The job's name, for example `SendMail`.
    pub name: String,
    /// The job's id; empty if the payload carries none.
    pub jid: String,
    /// The queue it was taken from.
    pub queue: String,
    /// 0 on the first run, 1 on the first retry, and so on.
    pub attempt: u32,
}

/// The optional first parameter of a handler: the state of its core and the job it runs.
///
/// It is cheap to clone and stays on its core (it is not `Send`).
pub struct Ctx<S> {
    state: Rc<S>,
    job: Rc<JobInfo>,
}

impl<S> Ctx<S> {
    /// A context of your own making, for calling a handler in a test.
    pub fn new(state: Rc<S>, job: JobInfo) -> Self {
        Self { state, job: Rc::new(job) }
    }

    /// The state that the factory built for this core.
    pub fn state(&self) -> &Rc<S> {
        &self.state
    }

    /// The job that runs.
    pub fn job(&self) -> &JobInfo {
        &self.job
    }
}

impl<S> Clone for Ctx<S> {
    fn clone(&self) -> Self {
        Self { state: Rc::clone(&self.state), job: Rc::clone(&self.job) }
    }
}
