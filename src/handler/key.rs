//! What a job is registered under: a name, or the type that it is. The one decides what the other may be: a handler of plain
//! arguments for a name, a handler of the struct for a type.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::call::Handler;
use super::job_options::JobOptions;
use super::typed::{JobHandler, Whole};
use crate::client::{Job, JobType};

/// What a job is registered under: its name, or the type that it is ([`Job::JOB`]). `Marker` tells handlers apart and is
/// always inferred.
#[diagnostic::on_unimplemented(
    message = "no job can be registered under `{Self}`",
    label = "neither a name nor the `JOB` of a type",
    note = "give a name, such as `\"SendMail\"`, or a struct that implements `Job`: `SendMail::JOB`"
)]
pub trait JobKey<S, H, Marker> {
    /// Tells the shapes of handlers apart.
    #[doc(hidden)]
    type Shape: 'static;
    /// The handler as one of arguments.
    #[doc(hidden)]
    type Handler: Handler<S, Self::Shape>;

    /// The name of the job.
    #[doc(hidden)]
    fn name(&self) -> &str;

    /// The handler as one of arguments, and the job's options.
    #[doc(hidden)]
    #[track_caller]
    fn bind(self, handler: H) -> (Self::Handler, JobOptions<S>);
}

impl<S, H, M> JobKey<S, H, M> for &str
where
    M: 'static,
    H: Handler<S, M>,
{
    type Shape = M;
    type Handler = H;

    fn name(&self) -> &str {
        self
    }

    fn bind(self, mut handler: H) -> (H, JobOptions<S>) {
        let options = handler.take_options();
        (handler, options)
    }
}

impl<S, H, M> JobKey<S, H, M> for &String
where
    M: 'static,
    H: Handler<S, M>,
{
    type Shape = M;
    type Handler = H;

    fn name(&self) -> &str {
        self
    }

    fn bind(self, handler: H) -> (H, JobOptions<S>) {
        self.as_str().bind(handler)
    }
}

impl<S, J, H, M> JobKey<S, H, M> for JobType<J>
where
    J: Job + DeserializeOwned + 'static,
    M: 'static,
    H: JobHandler<S, J, M>,
{
    type Shape = (J, M);
    type Handler = Whole<H, J>;

    fn name(&self) -> &str {
        J::NAME
    }

    #[track_caller]
    fn bind(self, mut handler: H) -> (Whole<H, J>, JobOptions<S>) {
        let options = handler.take_options().or(JobOptions::of_type::<J>());
        (Whole { handler, job: PhantomData }, options)
    }
}
