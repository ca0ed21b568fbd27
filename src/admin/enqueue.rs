//! `jiggler-uring enqueue NAME [ARGS_JSON] [--queue Q] [--count N] [--in SPAN|--at WHEN] [--retries N] [--jid JID]
//! [--member NAME=VALUE] [--ids]`.

use std::{fmt, io::Write, iter, time::Duration};

use serde_json::value::RawValue;

use super::{database::Database, error::Error, hint};
use crate::{
    client::{self, Client, InvalidJob, NewJob},
    limits::ENQUEUE_IDS_SHOWN_MAX,
    wire::QueueName,
};

/// What to push.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Name of the job, as its handler is registered (for Ruby: the class).
    pub name: String,
    /// Positional arguments: the text of a JSON array, as the user wrote it except for surrounding blanks.
    pub args: String,
    /// Queue to push into; for a delayed job, where it will go when it is due.
    pub queue: QueueName,
    /// How many copies, each with its own jid.
    pub count: u64,
    /// When they are due; `None` is now.
    pub due: Option<Due>,
    /// The time over which they are spread from then on.
    pub spread: Option<Duration>,
    /// Retries after the first failure; `None` leaves them to the worker.
    pub retries: Option<u32>,
    /// The jid of a single job; `None`: a new one.
    pub jid: Option<String>,
    /// Further members of the payload.
    pub members: Vec<Member>,
    /// Whether nothing but the jids is printed.
    pub ids: bool,
}

/// When jobs are due.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Due {
    /// So long from now, by the clock of Redis.
    In(Duration),
    /// At this Unix time in seconds.
    At(f64),
}

impl Due {
    pub(super) fn unix_time(self, client: &mut Client) -> Result<f64, client::Error> {
        match self {
            Self::In(delay) => client.due_in(delay),
            Self::At(at) => Ok(at),
        }
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(delay) => write!(f, "in {} s", delay.as_secs_f64()),
            Self::At(at) => write!(f, "at {at} (Unix seconds)"),
        }
    }
}

/// When jobs are due that are spread from then on, in words; `None`: now.
pub(super) fn told(due: Option<Due>, spread: Option<Duration>) -> Option<String> {
    let from = due.map_or_else(|| "now".to_owned(), |due| due.to_string());
    match spread {
        None => due.map(|due| due.to_string()),
        Some(over) => Some(format!("over {} s from {}", over.as_secs_f64(), from)),
    }
}

/// A member of the payload beyond the usual ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its value: JSON, as the user wrote it.
    pub json: String,
}

/// Pushes the jobs and reports in one line what, how many and where, with their jids if they are few; then, if no living
/// worker could run them, says so.
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
    let mut jids = Vec::new();
    let pushed = push(&mut client, options, &job, &mut jids);
    if let Err(client::Error::Bulk { leading, .. }) = &pushed {
        jids.truncate(usize::try_from(*leading).unwrap_or(usize::MAX));
    }
    if options.ids {
        jids.iter().try_for_each(|jid| writeln!(out, "{jid}"))?;
        return pushed.map(|_| ()).map_err(failed);
    }
    report(options, pushed.map_err(failed)?, &jids, out)?;
    if let Some(hint) = hint::of(db, &options.name, &options.queue) {
        writeln!(out, "note: {hint}")?;
    }
    Ok(())
}

/// Says what was pushed.
fn report(options: &Options, count: u64, jids: &[String], out: &mut dyn Write) -> Result<(), Error> {
    let Options { name, queue, .. } = options;
    let what = match jids {
        [jid] if count == 1 => format!("{name} with jid {jid}"),
        _ => format!("{count} {name} jobs"),
    };
    match told(options.due, options.spread) {
        None => writeln!(out, "enqueued {what} in queue {queue}")?,
        Some(due) => writeln!(out, "scheduled {what} for queue {queue} {due}")?,
    }
    if count > 1 {
        jids.iter().try_for_each(|jid| writeln!(out, "  {jid}"))?;
    }
    Ok(())
}

fn job(options: &Options) -> Result<NewJob, InvalidJob> {
    let mut job = NewJob::with_raw_args(&options.name, &options.args)?.in_queue(options.queue.clone());
    if let Some(retries) = options.retries {
        job = job.retries(retries)?;
    }
    for Member { name, json } in &options.members {
        job = job.member(name, serde_json::from_str::<&RawValue>(json)?)?;
    }
    match &options.jid {
        Some(jid) => job.jid(jid),
        None => Ok(job),
    }
}

/// Pushes them and returns how many; notes their jids if they are to be shown, in the order of the pushes.
fn push(
    client: &mut Client,
    options: &Options,
    job: &NewJob,
    jids: &mut Vec<String>,
) -> Result<u64, client::Error> {
    let due_at = options.due.map(|due| due.unix_time(client)).transpose()?;
    let when = client.when(due_at, options.spread)?;
    if options.count == 1 && options.spread.is_none() {
        let jid = match due_at {
            None => client.enqueue(job),
            Some(due_at) => client.enqueue_at(due_at, job),
        }?;
        jids.push(jid);
        return Ok(1);
    }
    if !options.ids && options.count > ENQUEUE_IDS_SHOWN_MAX {
        let copies = iter::repeat(job).zip(0..options.count).map(|(job, _)| job);
        return client.bulk(when, copies);
    }
    let schema = client.schema();
    let named = (0..options.count).map_while(|_| {
        let jid = schema.new_jid().to_string();
        // Our own jids are valid.
        let job = job.clone().jid(&jid).ok()?;
        jids.push(jid);
        Some(job)
    });
    client.bulk(when, named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::test_database::{database, nowhere};
    use crate::own_redis::OwnRedis;

    const NOBODY: &str = "note: no worker is running on this redis: jobs in queue img wait for one\n";

    fn options(count: u64) -> Options {
        Options {
            name: "Sleep".to_owned(),
            args: "[ 0.5 ]".to_owned(),
            queue: QueueName::new("img").unwrap(),
            count,
            due: None,
            spread: None,
            retries: Some(2),
            jid: None,
            members: Vec::new(),
            ids: false,
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
        let jid = line
            .strip_prefix("enqueued Sleep with jid ")
            .unwrap()
            .strip_suffix(&format!(" in queue img\n{NOBODY}"))
            .unwrap();
        assert_eq!(stored, [format!(r#"{{"name":"Sleep","args":[0.5],"retries":2,"jid":"{jid}"}}"#)]);
    }

    #[test]
    fn many_jobs_are_counted() {
        let redis = OwnRedis::start();
        assert_eq!(run(&redis, &options(5_000)), format!("enqueued 5000 Sleep jobs in queue img\n{NOBODY}"));
        assert_eq!(redis.run(&[b"LLEN", b"jiggler:list:img"]).as_integer().unwrap(), 5_000);
        assert_eq!(run(&redis, &options(0)), format!("enqueued 0 Sleep jobs in queue img\n{NOBODY}"));
    }

    #[test]
    fn ids_are_printed_and_are_those_of_the_jobs() {
        let redis = OwnRedis::start();
        let few = run(&redis, &options(3));
        let stored = |redis: &OwnRedis| redis.strings(&[b"LRANGE", b"jiggler:list:img", b"0", b"-1"]);
        let shown: Vec<&str> = few.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        assert_eq!(shown.len(), 3, "{few}");
        assert!(stored(&redis).iter().rev().zip(&shown).all(|(job, jid)| job.contains(*jid)), "{few}");
        redis.run(&[b"DEL", b"jiggler:list:img"]);
        let only = run(&redis, &Options { ids: true, ..options(2_500) });
        let jids: Vec<&str> = only.lines().collect();
        assert_eq!(jids.len(), 2_500);
        assert!(stored(&redis).iter().rev().zip(&jids).all(|(job, jid)| job.contains(*jid)));
        let one = Options { ids: true, jid: Some("mine".to_owned()), ..options(1) };
        assert_eq!(run(&redis, &one), "mine\n");
    }

    #[test]
    fn members_and_a_jid_of_ones_own_are_in_the_payload() {
        let redis = OwnRedis::start();
        let member = |name: &str, json: &str| Member { name: name.to_owned(), json: json.to_owned() };
        let members = vec![member("tenant", "\"acme\""), member("rate", "1.0e+21")];
        let line = run(&redis, &Options { jid: Some("mine".to_owned()), members, ..options(1) });
        assert!(line.starts_with("enqueued Sleep with jid mine in queue img\n"), "{line}");
        let stored = redis.strings(&[b"LRANGE", b"jiggler:list:img", b"0", b"-1"]);
        let expected =
            r#"{"name":"Sleep","args":[0.5],"retries":2,"jid":"mine","tenant":"acme","rate":1.0e+21}"#;
        assert_eq!(stored, [expected]);
        let taken = Options { members: vec![member("args", "1")], ..options(1) };
        let error = enqueue(&database(&redis), &taken, &mut Vec::new()).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("already has a meaning"), "{error}");
    }

    #[test]
    fn delayed_jobs_go_to_the_scheduled_set() {
        let redis = OwnRedis::start();
        let delayed = |count| Options { due: Some(Due::In(Duration::from_millis(60_500))), ..options(count) };
        let said = run(&redis, &delayed(3));
        assert!(said.starts_with("scheduled 3 Sleep jobs for queue img in 60.5 s\n"), "{said}");
        assert!(run(&redis, &delayed(1)).starts_with("scheduled Sleep with jid "));
        assert_eq!(redis.run(&[b"ZCARD", b"jiggler:set:scheduled"]).as_integer().unwrap(), 4);
        run(&redis, &Options { due: Some(Due::At(99.5)), jid: Some("mine".to_owned()), ..options(1) });
        let first = redis.strings(&[b"ZRANGE", b"jiggler:set:scheduled", b"0", b"0", b"WITHSCORES"]);
        assert!(first[0].contains("mine") && first[1] == "99.5", "{first:?}");
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
