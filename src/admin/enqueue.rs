//! `jiggler-uring enqueue NAME [ARGS_JSON] [--queue Q] [--count N] [--in S] [--retries N]`.

use std::{io::Write, iter, time::Duration};

use super::{Database, Error};
use crate::{
    client::{self, Client, InvalidJob, NewJob},
    wire::QueueName,
};

/// What to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Name of the job, as its handler is registered (for Ruby: the class).
    pub name: String,
    /// Positional arguments: the text of a JSON array, as the user wrote it except for surrounding blanks.
    pub args: String,
    /// Queue to push into; for a delayed job, where it will go when it is due.
    pub queue: QueueName,
    /// How many copies, each with its own jid.
    pub count: u64,
    /// Delay until they are due; `None` is now.
    pub delay: Option<Duration>,
    /// Retries after the first failure; `None` leaves them to the worker.
    pub retries: Option<u32>,
}

/// Pushes the jobs and reports in one line what, how many and where; also the jid if there is one job.
///
/// A single job takes one round trip; more are a bulk, see [`Client::enqueue_bulk`]. The connection is opened only for a
/// valid job.
///
/// # Errors
/// [`Error::Enqueue`], which says how many of a bulk were pushed; [`Error::Connect`]; [`Error::Output`].
pub(crate) fn enqueue(db: &Database, options: &Options, out: &mut dyn Write) -> Result<(), Error> {
    let failed = |cause| Error::Enqueue { name: options.name.clone(), cause };
    let job = job(options).map_err(|error| failed(error.into()))?;
    let mut client = match db.client() {
        Err(client::Error::Connect(error)) => return Err(Error::Connect(error)),
        other => other.map_err(failed)?,
    };
    let pushed = push(&mut client, options, &job).map_err(failed)?;
    let Options { name, queue, .. } = options;
    let what = match pushed {
        Pushed::One { jid } => format!("{name} with jid {jid}"),
        Pushed::Many { count } => format!("{count} {name} jobs"),
    };
    match options.delay {
        None => writeln!(out, "enqueued {what} in queue {queue}")?,
        Some(delay) => writeln!(out, "scheduled {what} for queue {queue} in {} s", delay.as_secs_f64())?,
    }
    Ok(())
}

enum Pushed {
    One { jid: String },
    Many { count: u64 },
}

fn job(options: &Options) -> Result<NewJob, InvalidJob> {
    let job = NewJob::with_raw_args(&options.name, &options.args)?.in_queue(options.queue.clone());
    match options.retries {
        Some(retries) => job.retries(retries),
        None => Ok(job),
    }
}

fn push(client: &mut Client, options: &Options, job: &NewJob) -> Result<Pushed, client::Error> {
    let due_at = options.delay.map(|delay| client.due_in(delay)).transpose()?;
    if options.count == 1 {
        let jid = match due_at {
            None => client.enqueue(job),
            Some(due_at) => client.enqueue_at(due_at, job),
        }?;
        return Ok(Pushed::One { jid });
    }
    let copies = iter::repeat(job).zip(0..options.count).map(|(job, _)| job);
    let count = match due_at {
        None => client.enqueue_bulk(copies),
        Some(due_at) => client.enqueue_bulk_at(due_at, copies),
    }?;
    Ok(Pushed::Many { count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::{database, nowhere};
    use crate::own_redis::OwnRedis;

    fn options(count: u64) -> Options {
        Options {
            name: "Sleep".to_owned(),
            args: "[ 0.5 ]".to_owned(),
            queue: QueueName::new("img").unwrap(),
            count,
            delay: None,
            retries: Some(2),
        }
    }

    fn run(redis: &OwnRedis, options: &Options) -> String {
        let mut out = Vec::new();
        enqueue(&database(redis), options, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_job_is_named_with_its_jid() {
        let redis = OwnRedis::start();
        let line = run(&redis, &options(1));
        let stored = redis.strings(&[b"LRANGE", b"jiggler:list:img", b"0", b"-1"]);
        let jid =
            line.strip_prefix("enqueued Sleep with jid ").unwrap().strip_suffix(" in queue img\n").unwrap();
        assert_eq!(stored, [format!(r#"{{"name":"Sleep","args":[0.5],"retries":2,"jid":"{jid}"}}"#)]);
    }

    #[test]
    fn many_jobs_are_counted() {
        let redis = OwnRedis::start();
        assert_eq!(run(&redis, &options(5_000)), "enqueued 5000 Sleep jobs in queue img\n");
        assert_eq!(redis.run(&[b"LLEN", b"jiggler:list:img"]).as_integer().unwrap(), 5_000);
        assert_eq!(run(&redis, &options(0)), "enqueued 0 Sleep jobs in queue img\n");
    }

    #[test]
    fn delayed_jobs_go_to_the_scheduled_set() {
        let redis = OwnRedis::start();
        let delayed = |count| Options { delay: Some(Duration::from_millis(60_500)), ..options(count) };
        assert_eq!(run(&redis, &delayed(3)), "scheduled 3 Sleep jobs for queue img in 60.5 s\n");
        assert!(run(&redis, &delayed(1)).starts_with("scheduled Sleep with jid "));
        assert_eq!(redis.run(&[b"ZCARD", b"jiggler:set:scheduled"]).as_integer().unwrap(), 4);
    }

    #[test]
    fn what_makes_no_sense_is_refused_before_a_connection_is_opened() {
        let nowhere = nowhere();
        let bad = Options { args: "{}".to_owned(), ..options(1) };
        let error = enqueue(&nowhere, &bad, &mut Vec::new()).unwrap_err();
        assert!(error.is_usage(), "{error}");
        assert!(error.to_string().starts_with("enqueue Sleep: the arguments are an object"), "{error}");
        let error = enqueue(&nowhere, &options(1), &mut Vec::new()).unwrap_err();
        assert!(!error.is_usage() && matches!(error, Error::Connect(_)), "{error}");
    }
}
