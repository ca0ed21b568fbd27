//! One line of a bulk: an object with `name`, `args`, and optionally `queue`, `retries`, `jid`; or an array of arguments.
//!
//! A line is checked and its parts are borrowed from it: no tree of values is built, and nothing is copied except into the
//! payload. [`super::scan`] takes the usual kind apart, serde_json any other.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::scan::{self, Parts};
use crate::{
    client::{InvalidJob, JobText},
    wire::QueueName,
};

/// What a line may leave out.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) name: Option<String>,
    pub(super) queue: QueueName,
    pub(super) retries: Option<u32>,
}

/// Any other member is rejected: otherwise its request would be silently ignored.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with the members of a job")]
struct Line<'l> {
    #[serde(borrow, default)]
    name: Option<Text<'l>>,
    #[serde(borrow, default)]
    args: Option<&'l RawValue>,
    #[serde(borrow, default)]
    queue: Option<Text<'l>>,
    #[serde(default)]
    retries: Option<u32>,
    #[serde(borrow, default)]
    jid: Option<Text<'l>>,
}

/// A separate text type, so that text without escapes is borrowed; inside an option, serde would copy it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'l>(#[serde(borrow)] Cow<'l, str>);

/// Parses the lines of one file.
pub(super) struct LineParser {
    defaults: Defaults,
    /// The queue of the last line that named one: most lines of a file name the same few.
    last_queue: QueueName,
}

impl LineParser {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { last_queue: defaults.queue.clone(), defaults }
    }

    /// Passes the job in a line, and its queue, to `take`; or returns why it is not a job.
    pub(super) fn parse(
        &mut self,
        line: &[u8],
        take: impl FnOnce(&QueueName, &JobText<'_>) -> Result<(), InvalidJob>,
    ) -> Result<(), String> {
        let text = std::str::from_utf8(line)
            .map_err(|error| format!("it is not valid UTF-8 from byte {} on", error.valid_up_to()))?;
        if text.trim_ascii_start().starts_with('[') {
            return self.arguments_alone(text, take);
        }
        if let Some(parts) = scan::object(text) {
            return self.take(parts, take);
        }
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| {
            format!(
                "{}; write it like {{\"name\":\"Resize\",\"args\":[1],\"queue\":\"img\",\"retries\":3}}",
                without_place(&error)
            )
        })?;
        let parts = Parts {
            name: line.name.as_ref().map(|name| &*name.0),
            args: line.args.map(RawValue::get),
            queue: line.queue.as_ref().map(|queue| &*queue.0),
            retries: line.retries,
            jid: line.jid.as_ref().map(|jid| &*jid.0),
            are_compact: false,
        };
        self.take(parts, take)
    }

    fn take(
        &mut self,
        parts: Parts<'_>,
        take: impl FnOnce(&QueueName, &JobText<'_>) -> Result<(), InvalidJob>,
    ) -> Result<(), String> {
        if let Some(queue) = parts.queue {
            self.keep_queue(queue)?;
        }
        let job = JobText {
            name: parts.name.or(self.defaults.name.as_deref()).ok_or("a job needs a \"name\"")?,
            args: parts.args.unwrap_or("[]"),
            retries: parts.retries.or(self.defaults.retries),
            jid: parts.jid,
            is_compact: parts.are_compact,
        };
        let queue = if parts.queue.is_some() { &self.last_queue } else { &self.defaults.queue };
        take(queue, &job).map_err(|error| error.to_string())
    }

    fn arguments_alone(
        &mut self,
        text: &str,
        take: impl FnOnce(&QueueName, &JobText<'_>) -> Result<(), InvalidJob>,
    ) -> Result<(), String> {
        if self.defaults.name.is_none() {
            return Err("an array of arguments needs the NAME of the job on the command line".to_owned());
        }
        if let Some(parts) = scan::arguments(text) {
            return self.take(parts, take);
        }
        let args: &RawValue =
            serde_json::from_str(text).map_err(|error| InvalidJob::from(error).to_string())?;
        self.take(Parts { args: Some(args.get()), ..Parts::default() }, take)
    }

    fn keep_queue(&mut self, name: &str) -> Result<(), String> {
        if self.last_queue.as_str() != name {
            self.last_queue = QueueName::new(name).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// serde_json's message, with the column only: it takes each line for the first.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) if error.column() > 0 => format!("{reason} at column {}", error.column()),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Waiting;
    use crate::job::Schema;

    fn defaults(name: Option<&str>) -> Defaults {
        Defaults { name: name.map(str::to_owned), queue: QueueName::new("img").unwrap(), retries: Some(3) }
    }

    /// Queue, name, arguments, retries and jid of the job in a line.
    fn parsed(parser: &mut LineParser, line: &[u8]) -> Result<String, String> {
        let mut taken = String::new();
        parser.parse(line, |queue, job| {
            let JobText { name, args, retries, jid, .. } = job;
            let retries = retries.map_or_else(|| "-".to_owned(), |retries| retries.to_string());
            taken = format!("{queue} {name} {args} {retries} {}", jid.unwrap_or("-"));
            Waiting::default().add_text(Schema::Jiggler, queue, job, false)
        })?;
        Ok(taken)
    }

    fn check(line: &str, name: Option<&str>, expected: Result<&str, &str>) {
        match (parsed(&mut LineParser::new(defaults(name)), line.as_bytes()), expected) {
            (Ok(job), Ok(expected)) => assert_eq!(job, expected, "{line}"),
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{line}: {reason}"),
            (other, _) => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_line_sets_what_it_wants_and_the_command_line_sets_the_rest() {
        check(r#"{"name":"A::B"}"#, None, Ok("img A::B [] 3 -"));
        check(r#" {"args":[1, 1.0e+21] ,"name":"N"} "#, Some("Other"), Ok("img N [1, 1.0e+21] 3 -"));
        check("{}", Some("N"), Ok("img N [] 3 -"));
        check(" [ 1 ] ", Some("N"), Ok("img N [ 1 ] 3 -"));
        check(r#"{"name":"\u00e9","queue":"b","retries":0,"jid":"j"}"#, None, Ok("b é [] 0 j"));
        check(r#"{"name":"N","queue":null,"retries":null,"jid":null}"#, None, Ok("img N [] 3 -"));
    }

    #[test]
    fn queues_may_change_from_line_to_line() {
        let mut parser = LineParser::new(defaults(Some("N")));
        let mut queue = |line: &str| {
            parsed(&mut parser, line.as_bytes()).map(|job| job.split(' ').next().unwrap().to_owned())
        };
        for name in ["a", "a", "img", "b"] {
            assert_eq!(queue(&format!(r#"{{"queue":"{name}"}}"#)).unwrap(), name);
        }
        assert!(queue(r#"{"queue":"a:b"}"#).is_err());
        assert_eq!(queue("{}").unwrap(), "img");
        assert_eq!(queue("[]").unwrap(), "img");
    }

    #[test]
    fn what_is_not_a_job_is_told_what_is_allowed() {
        check("hello", None, Err("expected value at column"));
        check("hello", None, Err("write it like {\"name\""));
        check("{", None, Err("EOF"));
        check("17", None, Err("invalid type: integer `17`, expected an object"));
        check("[1]", None, Err("NAME of the job"));
        check("[1", Some("N"), Err("not valid JSON"));
        check("{}", None, Err("a job needs a \"name\""));
        check(r#"{"name":""}"#, None, Err("a job needs a name"));
        check(r#"{"name":"N","args":{}}"#, None, Err("the arguments are an object"));
        check(r#"{"name":"N","retries":-1}"#, None, Err("u32"));
        check(r#"{"name":"N","retries":1001}"#, None, Err("more than the 1000 allowed"));
        check(r#"{"name":"N","queue":"a:b"}"#, None, Err("':'"));
        check(r#"{"name":"N","jid":""}"#, None, Err("1 to 256 bytes"));
        check(r#"{"name":"N","at":12}"#, None, Err("unknown field `at`, expected one of `name`, `args`"));
        let reason = parsed(&mut LineParser::new(defaults(None)), b"{\"name\":\"\xff\"}").unwrap_err();
        assert_eq!(reason, "it is not valid UTF-8 from byte 9 on");
    }
}
