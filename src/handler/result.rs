//! What handlers, middleware and tear-downs may return, as the result of a job.

use std::error::Error as StdError;

use super::error::{JobError, JobResult};

/// What a handler may return: `()`, or a `Result` whose error can become a [`JobError`], or is a box that may cross threads.
/// `Kind` tells the two apart and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a job",
    label = "neither done nor failed",
    note = "return `()`, or a `Result<(), E>` where `E` is an error or `JobError`; results go nowhere, so store them"
)]
pub trait IntoJobResult<Kind = Converted> {
    /// The job's result.
    #[doc(hidden)]
    fn into_job_result(self) -> JobResult;
}

/// Marks a result whose error converts.
#[doc(hidden)]
pub enum Converted {}

/// Marks a result whose error is a box that may cross threads. No conversion from it can stand beside those that
/// [`JobError`] has: the standard library may add one to `Box<dyn Error>` some day, and then there would be two.
#[doc(hidden)]
pub enum Boxed {}

impl IntoJobResult for () {
    fn into_job_result(self) -> JobResult {
        Ok(())
    }
}

impl<E: Into<JobError>> IntoJobResult for Result<(), E> {
    fn into_job_result(self) -> JobResult {
        self.map_err(Into::into)
    }
}

impl IntoJobResult<Boxed> for Result<(), Box<dyn StdError + Send + Sync>> {
    fn into_job_result(self) -> JobResult {
        self.map_err(JobError::from_boxed)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::handler::{Next, Registry, options};
    use crate::testing::{TestWorker, block_on};

    type BoxedError = Box<dyn StdError + Send + Sync>;

    fn fails() -> Result<(), BoxedError> {
        Err(io::Error::from(io::ErrorKind::NotFound))?
    }

    #[test]
    fn a_box_that_may_cross_threads_is_an_error_like_any_other_in_handlers_and_middleware() {
        async fn boxed() -> Result<(), BoxedError> {
            fails()
        }
        async fn local() -> Result<(), Box<dyn StdError>> {
            Err("text")?
        }
        let around = async |_, next: Next| -> Result<(), BoxedError> {
            next.await.map_err(|error| error.to_string())?;
            fails()
        };
        let registry = Registry::new(())
            .job("Boxed", boxed)
            .job("Local", local)
            .job("Closure", async || -> Result<(), BoxedError> { Err("text")? })
            .job("Around", options(async || {}).middleware(around))
            .blocking("Blocking", fails);
        let expected = [
            ("Boxed", "io::Error"),
            ("Local", "RuntimeError"),
            ("Closure", "RuntimeError"),
            ("Around", "io::Error"),
            ("Blocking", "io::Error"),
        ];
        block_on(async {
            let worker = TestWorker::new(registry);
            for (name, class) in expected {
                let run = worker.run_named(name, &()).await;
                assert_eq!(run.outcome.error().map(JobError::class), Some(class), "{name}");
            }
        });
    }
}
