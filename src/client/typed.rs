//! Jobs as structs: the fields in order are the positional arguments, the trait gives name, queue and retries.
//!
//! One struct serves both ends: a client pushes it, a handler registered with
//! [`Registry::handle`](crate::Registry::handle) receives it. On the wire it is the same as `SendMail.enqueue(to, subject)`
//! in a Ruby program, so either end may be Ruby. Not here: how fields become an array ([`super::fields`]).

use std::borrow::Cow;

use serde::Serialize;

use super::{InvalidJob, NewJob};
use crate::wire::DEFAULT_QUEUE;

/// A struct that is a job: its fields, in declaration order, are the arguments.
///
/// ```
/// use jiggler_uring::{Ctx, Job, JobResult, NewJob, Registry};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct SendMail {
///     to: String,
///     subject: String,
///     cc: Option<String>, // may be missing in what others push
/// }
///
/// impl Job for SendMail {
///     const NAME: &'static str = "SendMail";
///     const QUEUE: &'static str = "mails";
///     const RETRIES: u32 = 5;
/// }
///
/// // The worker:
/// async fn send_mail(_ctx: Ctx<()>, mail: SendMail) -> JobResult {
///     println!("{} to {}", mail.subject, mail.to);
///     Ok(())
/// }
/// let registry = Registry::new(()).handle(send_mail);
///
/// // The producer; `client.enqueue(&mail)` does the same and pushes it.
/// let mail = SendMail { to: "ada@example.org".into(), subject: "hello".into(), cc: None };
/// let job = NewJob::of(&mail)?;
/// assert_eq!((job.name(), job.args()), ("SendMail", r#"["ada@example.org","hello",null]"#));
/// # drop(registry);
/// # Ok::<_, jiggler_uring::client::InvalidJob>(())
/// ```
///
/// Fields may be added at the end, as an `Option` or with `#[serde(default)]`: jobs pushed earlier still decode.
/// Renaming a field changes nothing, reordering fields changes everything. A field skipped by
/// `#[serde(skip_serializing_if)]` is `null` if others follow. A unit struct has no arguments. Anything that is not a
/// struct (an enum, a map, a struct with `#[serde(flatten)]`) cannot be pushed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "does not implement `Job`",
    note = "give it a name: `impl Job for {Self} {{ const NAME: &'static str = \"…\"; }}`"
)]
pub trait Job {
    /// The name under which workers know it: in Ruby, the class name.
    const NAME: &'static str;
    /// The queue it is pushed into.
    const QUEUE: &'static str = DEFAULT_QUEUE;
    /// How often it is retried after its first failure.
    const RETRIES: u32 = 0;
    /// The queue its retries go to; if `None`, the one it was taken from.
    const RETRY_QUEUE: Option<&'static str> = None;
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
    use crate::job::{Parser, Schema};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
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

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
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

    impl Job for Mail {
        const NAME: &'static str = "Mail";
        const QUEUE: &'static str = "mails";
        const RETRIES: u32 = 4;
    }

    macro_rules! plain_jobs {
        ($($name:ident)*) => { $(impl Job for $name { const NAME: &'static str = stringify!($name); })* };
    }
    plain_jobs!(Purge Sum Pair Choice Flat);

    /// Writes the arguments, and reads the struct back from the payload.
    #[track_caller]
    fn check<J>(job: &J, args: &str)
    where
        J: Job + Serialize + for<'de> Deserialize<'de> + std::fmt::Debug + PartialEq,
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
        assert_eq!(NewJob::of(&Purge).unwrap().queue().as_str(), "default");
    }

    #[test]
    fn what_has_no_fields_in_order_is_refused() {
        let flat = Flat { pair: Note { text: String::new(), lines: vec![] } };
        for error in [NewJob::of(&Choice::One).unwrap_err(), NewJob::of(&flat).unwrap_err()] {
            assert!(error.to_string().contains("must be a struct"), "{error}");
        }
    }
}
