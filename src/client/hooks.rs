//! Code around enqueueing: it may change a job before it is pushed, or refuse it.

use std::borrow::Cow;
use std::sync::Arc;

use super::{InvalidJob, NewJob};

/// A hook of a [`Client`](super::Client), which may move between threads.
pub(super) type ClientHook = Box<dyn Fn(NewJob) -> Result<NewJob, InvalidJob> + Send>;

/// The hooks of a client that many threads share. Each handle has its own list, which its clones copy.
#[derive(Clone, Default)]
pub(super) struct SharedHooks(Vec<Arc<SharedHook>>);

type SharedHook = dyn Fn(NewJob) -> Result<NewJob, InvalidJob> + Send + Sync;

impl SharedHooks {
    pub(super) fn add(
        &mut self,
        hook: impl Fn(NewJob) -> Result<NewJob, InvalidJob> + Send + Sync + 'static,
    ) {
        self.0.push(Arc::new(hook));
    }

    /// The job as the hooks leave it.
    pub(super) fn apply<'j>(&self, job: Cow<'j, NewJob>) -> Result<Cow<'j, NewJob>, InvalidJob> {
        if self.0.is_empty() {
            return Ok(job);
        }
        self.0.iter().try_fold(job.into_owned(), |job, hook| hook(job)).map(Cow::Owned)
    }

    /// The same hooks for a single-threaded client.
    pub(super) fn boxed(&self) -> Vec<ClientHook> {
        let boxed = |hook: &Arc<SharedHook>| {
            let hook = Arc::clone(hook);
            Box::new(move |job| hook(job)) as ClientHook
        };
        self.0.iter().map(boxed).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// A hook of a [`LocalClient`](super::LocalClient).
pub(crate) type LocalHook = Box<dyn Fn(NewJob) -> Result<NewJob, InvalidJob>>;

#[cfg(test)]
mod tests {
    use crate::client::{Client, Error, InvalidJob, NewJob};
    use crate::own_redis::OwnRedis;

    #[test]
    fn hooks_change_and_refuse_what_is_pushed_in_their_order() {
        let redis = OwnRedis::start();
        let mut client = Client::connect(&redis.url_text())
            .unwrap()
            .on_enqueue(
                |job| if job.queue().as_str() == "default" { job.queue_named("calm") } else { Ok(job) },
            )
            .on_enqueue(|job| match job.name() {
                "Evil" => Err(InvalidJob::refused("nobody wants it")),
                _ => job.retries(7),
            });
        let job = |name| NewJob::new(name, &[1]).unwrap().jid("j").unwrap();
        client.enqueue(&job("Good")).unwrap();
        let error = client.enqueue(&job("Evil")).unwrap_err();
        assert_eq!(error.to_string(), "the job was refused: nobody wants it");
        let error = client.enqueue_bulk([job("Fine"), job("Evil"), job("Late")]).unwrap_err();
        assert!(matches!(error, Error::Bulk { enqueued: 1, .. }), "{error}");
        let stored = redis.strings(&[b"LRANGE", b"jiggler:list:calm", b"0", b"-1"]);
        let payload = |name| format!(r#"{{"name":"{name}","args":[1],"retries":7,"jid":"j"}}"#);
        assert_eq!(stored, [payload("Fine"), payload("Good")]);
    }
}
