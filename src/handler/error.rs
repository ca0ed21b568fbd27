//! What a handler answers when a job failed.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What a handler returns: nothing, or why the job failed.
pub type JobResult = Result<(), JobError>;

/// Why a job failed, as it is stored with the job: `error_class` and `error_message` of the gem's wire format.
///
/// Any [`std::error::Error`] becomes one by `?`: its class is the name of its type (`std::io::Error` is stored as
/// `std::io::error::Error`), its message the error's text followed by those of its sources. The type itself is
/// deliberately no `std::error::Error`, which is what makes that conversion possible.
pub struct JobError {
    class: Cow<'static, str>,
    message: String,
}

impl JobError {
    /// An error of a class of your own, for example `JobError::new("BadAddress", "no @ in it")`.
    pub fn new(class: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { class: class.into(), message: message.into() }
    }

    /// The class, stored as `error_class`.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The message, stored as `error_message` (cut to 10,000 characters there).
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl<E: StdError + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // Many errors print their source themselves; it is not said twice.
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self { class: Cow::Borrowed(std::any::type_name::<E>()), message }
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_becomes_a_job_error_with_its_type_as_class() {
        fn fails() -> JobResult {
            std::fs::metadata("/does/not/exist")?;
            Ok(())
        }
        let error = fails().unwrap_err();
        assert_eq!(error.class(), "std::io::error::Error");
        assert!(error.message().contains("No such file"), "{error}");
    }

    #[test]
    fn sources_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the ledger")]
        struct Outer(#[source] std::fmt::Error);
        let error = JobError::from(Outer(std::fmt::Error));
        assert_eq!(error.message(), format!("cannot open the ledger: {}", std::fmt::Error));
    }
}
