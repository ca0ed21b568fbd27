//! Jobs as structs: the fields in order are the positional arguments, the trait gives name, queue and retries.
//!
//! One struct serves both ends: a client pushes it, a handler registered for it with
//! [`Registry::job`](crate::Registry::job) receives it. On the wire it is the same as `SendMail.enqueue(to, subject)`
//! in a Ruby program, so either end may be Ruby. Not here: how fields become an array ([`super::fields`]).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

use super::{InvalidJob, NewJob};
use crate::handler::RetryPolicy;
use crate::wire::DEFAULT_QUEUE;

/// A struct that is a job: its fields, in declaration order, are the arguments.
///
/// ```
/// use jiggler_uring::{Ctx, Job, JobResult, NewJob, Registry};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(queue = "mails", retries = 5, timeout = 30)]
/// struct SendMail {
///     to: String,
///     subject: String,
///     cc: Option<String>, // may be missing in what others push
/// }
///
/// // The worker:
/// async fn send_mail(_ctx: Ctx<()>, mail: SendMail) -> JobResult {
///     println!("{} to {}", mail.subject, mail.to);
///     Ok(())
/// }
/// let registry = Registry::new(()).job(SendMail::JOB, send_mail);
///
/// // The producer; `client.enqueue(&mail)` does the same and pushes it.
/// let mail = SendMail { to: "ada@example.org".into(), subject: "hello".into(), cc: None };
/// let job = NewJob::of(&mail)?;
/// assert_eq!((job.name(), job.args()), ("SendMail", r#"["ada@example.org","hello",null]"#));
/// # drop(registry);
/// # Ok::<_, jiggler_uring::client::InvalidJob>(())
/// ```
///
/// All attributes of `#[job(…)]`, each of which may be left out:
///
/// | attribute | is | by default |
/// |---|---|---|
/// | `name = "Billing::Charge"` | [`NAME`](Self::NAME) | the name of the type |
/// | `queue = "mails"` | [`QUEUE`](Self::QUEUE) | `default` |
/// | `retries = 5` | [`RETRIES`](Self::RETRIES) | the worker's: `--default-retries`, or 0 |
/// | `timeout = 30`, `timeout = 0.5`, `timeout = A_DURATION` | [`TIMEOUT`](Self::TIMEOUT), in seconds | none |
/// | `retry_queue = "later"` | [`RETRY_QUEUE`](Self::RETRY_QUEUE) | the queue it came from |
/// | `retry_policy = RetryPolicy::fixed(PAUSE)` | [`retry_policy`](Self::retry_policy) | [`RetryPolicy::gem`] |
///
/// Without the macro, `impl Job for SendMail { const NAME: &'static str = "SendMail"; }` does the same.
///
/// Fields may be added at the end, as an `Option` or with `#[serde(default)]`: jobs pushed earlier still decode.
/// Renaming a field changes nothing, reordering fields changes everything. A field skipped by
/// `#[serde(skip_serializing_if)]` is `null` if others follow. A unit struct has no arguments. Anything that is not a
/// struct (an enum, a map, a struct with `#[serde(flatten)]`) cannot be pushed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "does not implement `Job`",
    note = "derive it: `#[derive(serde::Serialize, serde::Deserialize, jiggler_uring::Job)]`"
)]
pub trait Job {
    /// The name under which workers know it: in Ruby, the class name.
    const NAME: &'static str;
    /// The queue it is pushed into.
    const QUEUE: &'static str = DEFAULT_QUEUE;
    /// How often it is retried after its first failure; `None` leaves that to the worker (`--default-retries`).
    const RETRIES: Option<u32> = None;
    /// The queue its retries go to; if `None`, the one it was taken from.
    const RETRY_QUEUE: Option<&'static str> = None;
    /// How long a run may take; see [`WithOptions::timeout`](crate::WithOptions::timeout).
    const TIMEOUT: Option<Duration> = None;
    /// The type as a value, to register a handler for it: [`Registry::job`](crate::Registry::job).
    const JOB: JobType<Self> = JobType(PhantomData);

    /// When its retries run.
    #[must_use]
    fn retry_policy() -> RetryPolicy {
        RetryPolicy::gem()
    }
}

/// The type of a job, as a value: [`Job::JOB`].
pub struct JobType<J: ?Sized>(PhantomData<fn(&J)>);

impl<J: Job + ?Sized> fmt::Debug for JobType<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobType({})", J::NAME)
    }
}

/// What a client can push: a [`NewJob`], or any struct that is a [`Job`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be pushed",
    label = "neither a `NewJob` nor a struct that implements `Job` and `serde::Serialize`"
)]
pub trait Push {
    /// The job to push.
    ///
    /// # Errors
    /// [`InvalidJob`], if no worker could run it.
    fn to_push(&self) -> Result<Cow<'_, NewJob>, InvalidJob>;
}

impl Push for NewJob {
    fn to_push(&self) -> Result<Cow<'_, NewJob>, InvalidJob> {
        Ok(Cow::Borrowed(self))
    }
}

impl<J: Job + Serialize> Push for J {
    fn to_push(&self) -> Result<Cow<'_, NewJob>, InvalidJob> {
        NewJob::of(self).map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Job;
    use crate::handler::Registry;
    use crate::job::{Parser, Schema};

    #[derive(Debug, PartialEq, Serialize, Deserialize, Job)]
    #[job(queue = "mails", retries = 4)]
    struct Mail {
        to: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        cc: Option<String>,
        weight: f64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Note>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        text: String,
        lines: Vec<u32>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, Job)]
    struct Purge;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sum(Vec<u8>);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair(u8, Option<bool>);

    #[derive(Serialize)]
    enum Choice {
        One,
    }

    #[derive(Serialize)]
    struct Flat {
        #[serde(flatten)]
        pair: Note,
    }

    macro_rules! plain_jobs {
        ($($name:ident)*) => { $(impl Job for $name { const NAME: &'static str = stringify!($name); })* };
    }
    plain_jobs!(Sum Pair Choice Flat);

    /// Writes the arguments, and reads the struct back from the payload.
    #[track_caller]
    fn check<J>(job: &J, args: &str)
    where
        J: Job + Serialize + for<'de> Deserialize<'de> + fmt::Debug + PartialEq,
    {
        let pushed = job.to_push().unwrap();
        assert_eq!((pushed.name(), pushed.args()), (J::NAME, args));
        let mut payload = Vec::new();
        pushed.write(Schema::Jiggler, "j", &mut payload).unwrap();
        let mut parser = Parser::default();
        let read: J = parser.parse(&payload).unwrap().args.deserialize().unwrap();
        assert_eq!(read, *job);
    }

    #[test]
    fn the_fields_in_order_are_the_arguments_and_come_back() {
        let plain = |cc: Option<&str>| Mail {
            to: "a".to_owned(),
            cc: cc.map(str::to_owned),
            weight: 1e21,
            note: None,
        };
        check(&plain(Some("b")), r#"["a","b",1.0e+21]"#);
        check(&plain(None), r#"["a",null,1.0e+21]"#);
        let note = Some(Note { text: "t".to_owned(), lines: vec![1] });
        check(&Mail { note, ..plain(None) }, r#"["a",null,1.0e+21,{"text":"t","lines":[1]}]"#);
        check(&Purge, "[]");
        check(&Sum(vec![1, 2]), "[[1,2]]");
        check(&Sum(vec![]), "[[]]");
        check(&Pair(1, None), "[1,null]");
    }

    #[test]
    fn the_trait_names_queue_and_retries() {
        let mail = Mail { to: String::new(), cc: None, weight: 0.5, note: None };
        let job = NewJob::of(&mail).unwrap();
        assert_eq!(job.queue().as_str(), "mails");
        let mut payload = Vec::new();
        job.write(Schema::Jiggler, "j", &mut payload).unwrap();
        assert_eq!(payload, br#"{"name":"Mail","args":["",null,0.5],"retries":4,"jid":"j"}"#);
        let purge = NewJob::of(&Purge).unwrap();
        assert_eq!(purge.queue().as_str(), "default");
        payload.clear();
        purge.write(Schema::Jiggler, "j", &mut payload).unwrap();
        assert_eq!(payload, br#"{"name":"Purge","args":[],"jid":"j"}"#, "it names no number of retries");
    }

    #[derive(Serialize, Deserialize, Job)]
    #[job(name = "Billing::Charge", retries = 3, retry_queue = "later", timeout = 0.25)]
    #[job(retry_policy = RetryPolicy::fixed(PAUSE))]
    struct Charge<T>(T);

    const PAUSE: Duration = Duration::from_secs(9);

    #[test]
    fn the_derived_options_are_those_of_the_handler() {
        assert_eq!((Charge::<u8>::NAME, Charge::<u8>::QUEUE), ("Billing::Charge", DEFAULT_QUEUE));
        let registry = Registry::new(())
            .job(Charge::<u64>::JOB, async |_: Charge<u64>| {})
            .job(Purge::JOB, async |_: Purge| {});
        let handlers = registry.into_handlers();
        let charge = handlers.find("Billing::Charge").unwrap();
        assert_eq!((handlers.retries(Some(charge)), charge.timeout), (3, Some(Duration::from_millis(250))));
        assert_eq!(charge.retry_queue.as_deref(), Some("later"));
        assert_eq!(format!("{:?}", charge.policy), format!("{:?}", RetryPolicy::fixed(PAUSE)));
        let purge = handlers.find("Purge").unwrap();
        assert_eq!((handlers.retries(Some(purge)), purge.timeout), (0, None));
    }

    #[test]
    fn what_has_no_fields_in_order_is_refused() {
        let flat = Flat { pair: Note { text: String::new(), lines: vec![] } };
        for error in [NewJob::of(&Choice::One).unwrap_err(), NewJob::of(&flat).unwrap_err()] {
            assert!(error.to_string().contains("must be a struct"), "{error}");
        }
    }
}
