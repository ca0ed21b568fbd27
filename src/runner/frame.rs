//! The protocol between a shard and a child, sans-IO: lines in, values out. The table is in [`super`].

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::handler::{JobError, JobInfo, JobResult};
use crate::limits::runner::{
    RUNNER_BACKTRACE_LINES_MAX, RUNNER_LINE_BYTES_MAX, RUNNER_REFUSAL_BYTES_MAX, RUNNER_UNREAD_BYTES_MAX,
};
use crate::wire::QueueName;

/// The version that both sides must speak.
pub(super) const PROTOCOL: u64 = 1;

/// The class of a job that asked to run again at no time.
const CLASS_BAD_SNOOZE: &str = "JigglerUring::BadSnooze";

/// Bytes that are shown of what cannot be understood.
const SHOWN_BYTES: usize = 100;

/// What a child said.
#[derive(Debug)]
pub(super) enum Said {
    /// It can run jobs.
    Hello(Hello),
    /// A job has ended.
    Ended(u64, JobResult),
    /// A job has got so far.
    Progress { id: u64, done: u64, total: u64, note: String },
    /// A line for the log.
    Log { id: Option<u64>, level: String, text: String },
    /// A job is to be pushed, or is none, for this reason; the answer goes back with this reference.
    Enqueue { id: u64, reference: u64, job: Result<Pushed, String> },
    /// How many bytes of memory it takes.
    Memory(u64),
    /// It takes no more jobs.
    Bye,
}

/// The first word of a child.
#[derive(Debug, Deserialize)]
pub(super) struct Hello {
    pub(super) protocol: u64,
    #[serde(default)]
    pub(super) language: String,
}

/// A job that a child pushes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pushed {
    pub(super) name: String,
    pub(super) args: Box<RawValue>,
    pub(super) queue: Option<String>,
    pub(super) retries: Option<u32>,
    pub(super) jid: Option<String>,
    /// Seconds from now.
    #[serde(rename = "in")]
    pub(super) delay: Option<f64>,
    /// Unix seconds.
    pub(super) at: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    class: Option<String>,
    message: Option<String>,
    #[serde(default)]
    backtrace: Vec<String>,
    #[serde(default = "yes")]
    retry: bool,
    retry_in: Option<Value>,
    retry_queue: Option<String>,
}

fn yes() -> bool {
    true
}

/// Why a child cannot be understood: it is ended.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Garbage {
    /// Not JSON, or not of the shape that belongs to its first word.
    #[error("it sent a line that is not a message of the protocol: {line} ({reason})")]
    NoMessage { line: String, reason: String },
    /// More than a line may have.
    #[error("it sent a line of more than {RUNNER_LINE_BYTES_MAX} bytes")]
    TooLong,
    /// An answer for a job that it does not have: never had, or has answered already.
    #[error("it answered for job {0}, which it does not have")]
    NoSuchJob(u64),
    /// Nothing before this.
    #[error("its first word is not hello")]
    NoHello,
    /// It pushes, and does not read what became of that.
    #[error(
        "it reads nothing: more than {RUNNER_UNREAD_BYTES_MAX} bytes of answers to its pushes wait for it"
    )]
    ReadsNothing,
    /// Another version.
    #[error("it speaks version {0} of the protocol, this engine speaks {PROTOCOL}")]
    Version(u64),
}

/// Reads one line, without its end.
///
/// # Errors
/// [`Garbage::NoMessage`], with the start of the line.
pub(super) fn read(line: &[u8]) -> Result<Said, Garbage> {
    if let Some(id) = done(line) {
        return Ok(Said::Ended(id, Ok(())));
    }
    parse(line).map_err(|reason| {
        let start = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]);
        Garbage::NoMessage { line: start.escape_debug().to_string(), reason }
    })
}

/// Most lines say this, so it is read without a parser.
fn done(line: &[u8]) -> Option<u64> {
    let number = line.strip_prefix(b"[\"done\",")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.trim_start().parse().ok()
}

fn parse(line: &[u8]) -> Result<Said, String> {
    let parts: Vec<&RawValue> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let word: String = part(&parts, 0)?;
    let job = || part::<u64>(&parts, 1);
    Ok(match &*word {
        "hello" => Said::Hello(part(&parts, 1)?),
        "done" => Said::Ended(job()?, Ok(())),
        "failed" => Said::Ended(job()?, Err(failed(part(&parts, 2)?))),
        "snooze" => Said::Ended(job()?, Err(snoozed(parts.get(2).map_or("null", |part| part.get())))),
        "discard" => Said::Ended(job()?, Err(JobError::discard(failed(part(&parts, 2)?)))),
        "dead" => Said::Ended(job()?, Err(JobError::dead(failed(part(&parts, 2)?)))),
        "progress" => Said::Progress {
            id: job()?,
            done: part(&parts, 2)?,
            total: part(&parts, 3)?,
            note: part::<Option<String>>(&parts, 4)?.unwrap_or_default(),
        },
        "log" => Said::Log { id: part(&parts, 1)?, level: part(&parts, 2)?, text: part(&parts, 3)? },
        "enqueue" => Said::Enqueue { id: job()?, reference: part(&parts, 2)?, job: part(&parts, 3) },
        "memory" => Said::Memory(part(&parts, 1)?),
        "bye" => Said::Bye,
        _ => return Err("there is no such message".to_owned()),
    })
}

/// One element of a message.
pub(super) fn part<T: DeserializeOwned>(parts: &[&RawValue], at: usize) -> Result<T, String> {
    let text = parts.get(at).map_or("null", |part| part.get());
    serde_json::from_str(text).map_err(|error| format!("element {at}: {error}"))
}

fn seconds(number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number).map_err(|error| format!("{number} seconds: {error}"))
}

/// The pause comes from the job: one that is no time fails it, and is no fault of its child.
fn snoozed(pause: &str) -> JobError {
    match serde_json::from_str(pause).map_err(|error| error.to_string()).and_then(seconds) {
        Ok(pause) => JobError::snooze(pause),
        Err(reason) => {
            let shown = &pause[..pause.floor_char_boundary(SHOWN_BYTES)];
            JobError::new(CLASS_BAD_SNOOZE, format!("it cannot run again in {shown} seconds: {reason}"))
        }
    }
}

/// The error of a job as its child tells it. A pause that is no time is left to the policy.
fn failed(failure: Failure) -> JobError {
    let Failure { class, message, mut backtrace, retry, retry_in, retry_queue } = failure;
    let mut error = JobError::new(class.unwrap_or_else(|| "Error".to_owned()), message.unwrap_or_default());
    if !backtrace.is_empty() {
        backtrace.truncate(RUNNER_BACKTRACE_LINES_MAX);
        error = error.with_backtrace(backtrace.join("\n"));
    }
    if let Some(queue) = retry_queue.filter(|queue| QueueName::new(queue).is_ok()) {
        error = error.in_retry_queue(queue.into());
    }
    match retry_in.and_then(|pause| pause.as_f64()).map(seconds) {
        _ if !retry => JobError::dead(error),
        Some(Ok(pause)) => JobError::retry_in(pause, error),
        _ => error,
    }
}

/// What a child is told about a job besides its payload.
#[derive(Serialize)]
struct About<'j> {
    name: &'j str,
    jid: &'j str,
    queue: &'j str,
    attempt: u32,
    retries: u32,
}

/// Appends a job.
pub(super) fn job(out: &mut Vec<u8>, id: u64, info: &JobInfo, payload: &[u8]) {
    let JobInfo { name, jid, queue, attempt, retries } = info;
    let about = About { name, jid, queue, attempt: *attempt, retries: *retries };
    // Texts and numbers always are JSON.
    let about = serde_json::to_string(&about).unwrap_or_default();
    out.extend_from_slice(format!("[\"job\",{id},{about},").as_bytes());
    // Between the members of a payload there may be ends of lines; inside of its texts JSON allows none.
    out.extend(payload.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    out.extend_from_slice(b"]\n");
}

/// Appends that nobody waits for a job any longer.
pub(super) fn cancel(out: &mut Vec<u8>, id: u64) {
    out.extend_from_slice(format!("[\"cancel\",{id}]\n").as_bytes());
}

/// Appends what became of a push.
pub(super) fn pushed(out: &mut Vec<u8>, reference: u64, outcome: &Result<String, String>) {
    let (word, text) = match outcome {
        Ok(jid) => ("enqueued", jid),
        Err(why) => ("refused", why),
    };
    let text = &text[..text.floor_char_boundary(RUNNER_REFUSAL_BYTES_MAX)];
    out.extend_from_slice(format!("{}\n", serde_json::json!([word, reference, text])).as_bytes());
}

/// Appends the end.
pub(super) fn bye(out: &mut Vec<u8>) {
    out.extend_from_slice(b"[\"bye\"]\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Verdict;

    #[track_caller]
    fn ended(line: &str) -> (u64, JobResult) {
        match read(line.as_bytes()) {
            Ok(Said::Ended(id, result)) => (id, result),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_way_in_which_a_job_ends_is_understood() {
        for line in [r#"["done",7]"#, r#"["done", 7]"#, r#" [ "done" , 7 ] "#] {
            assert!(matches!(ended(line), (7, Ok(()))), "{line}");
        }
        let failure = r#"{"class":"KeyError","message":"no 'é'","backtrace":["a.rb:1","b.rb:2"]}"#;
        for (line, verdict) in [
            (format!(r#"["failed",7,{failure}]"#), Verdict::ByPolicy),
            (format!(r#"["dead",7,{failure}]"#), Verdict::Dead),
            (format!(r#"["discard",7,{failure}]"#), Verdict::Discard),
            (format!(r#"["failed",7,{}]"#, failure.replace('{', r#"{"retry":false,"#)), Verdict::Dead),
            (
                format!(r#"["failed",7,{}]"#, failure.replace('{', r#"{"retry_in":1.5,"#)),
                Verdict::RetryIn(Duration::from_millis(1_500)),
            ),
            (format!(r#"["failed",7,{}]"#, failure.replace('{', r#"{"retry_in":-1,"#)), Verdict::ByPolicy),
        ] {
            let (id, result) = ended(&line);
            let error = result.unwrap_err();
            assert_eq!((id, error.class(), error.message()), (7, "KeyError", "no 'é'"), "{line}");
            assert_eq!((error.verdict(), error.backtrace()), (verdict, Some("a.rb:1\nb.rb:2")), "{line}");
        }
        let (_, result) = ended(r#"["failed",1,{"retry_queue":"slow"}]"#);
        assert_eq!(result.unwrap_err().outside().unwrap().retry_queue.as_deref(), Some("slow"));
        let (_, result) = ended(r#"["snooze",1,60]"#);
        assert_eq!(result.unwrap_err().verdict(), Verdict::Snooze(Duration::from_secs(60)));
    }

    #[test]
    fn what_a_job_gets_wrong_is_no_fault_of_its_child() {
        for pause in ["-1", "1e300", "null", r#""soon""#, "[]", "true"] {
            let (_, result) = ended(&format!(r#"["snooze",1,{pause}]"#));
            let error = result.unwrap_err();
            assert_eq!((error.class(), error.verdict()), (CLASS_BAD_SNOOZE, Verdict::ByPolicy), "{pause}");
            assert!(error.message().contains(&format!("in {pause} seconds")), "{}", error.message());
            let (_, result) = ended(&format!(r#"["failed",1,{{"retry_in":{pause}}}]"#));
            assert_eq!(result.unwrap_err().verdict(), Verdict::ByPolicy, "{pause}");
        }
        for (job, reason) in [
            (r#"{"name":"N"}"#, "missing field `args`"),
            (r#"{"name":"N","args":[],"retries":-1}"#, "invalid value"),
            (r#"{"name":"N","args":[],"when":1}"#, "unknown field `when`"),
        ] {
            match read(format!(r#"["enqueue",1,2,{job}]"#).as_bytes()) {
                Ok(Said::Enqueue { id: 1, reference: 2, job: Err(why) }) => {
                    assert!(why.contains(reason), "{why}");
                }
                other => panic!("{job}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_message_is_shown_with_its_reason() {
        for (line, reason) in [
            ("hello world", "expected value"),
            (r#"["done"]"#, "element 1"),
            (r#"["done","x"]"#, "element 1"),
            (r#"["failed",7]"#, "element 2"),
            (r#"["sing",7]"#, "no such message"),
            (r#"["enqueue",1,"x",{"name":"N","args":[]}]"#, "element 2"),
            ("", "EOF"),
        ] {
            let error = read(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(line.replace('"', "\\\"").as_str()), "{error}");
        }
        let long = vec![b'x'; 1_000];
        assert!(read(&long).unwrap_err().to_string().len() < 300);
        assert!(read(b"[\"done\",\xff]").is_err());
    }

    #[test]
    fn a_job_is_one_line_and_its_payload_is_unchanged_but_for_ends_of_lines_between_members() {
        let info = JobInfo { queue: "img".to_owned(), attempt: 2, ..JobInfo::named("A\"b") };
        let mut out = Vec::new();
        job(&mut out, 3, &info, b"{\"name\":\"A\",\r\n \"args\":[1.0e+21]}");
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.ends_with("{\"name\":\"A\",   \"args\":[1.0e+21]}]\n"), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read[1], &read[2]["name"], &read[2]["attempt"]), (&3.into(), &"A\"b".into(), &2.into()));
    }
}
