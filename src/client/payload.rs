//! The bytes of a payload, written from borrowed parts: in order, without spaces, the way the gem writes them.
//!
//! Also responsible for what a name, a jid and arguments may be: everything that writes a payload checks here. The
//! parts that only some jobs have are in [`super::job`].

use std::ops::ControlFlow;

use super::error::InvalidJob;
use crate::job::Schema;
use crate::limits::{JID_BYTES_MAX, JOB_NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, PAYLOAD_DEPTH_MAX, RETRIES_MAX};
use crate::time::unix_now;
use crate::wire::{DEFAULT_QUEUE, QueueName};

/// A job as it appears in a text: many of them are checked and written without copying any of them first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobText<'t> {
    /// Its name.
    pub(crate) name: &'t str,
    /// Its arguments: valid JSON.
    pub(crate) args: &'t str,
    /// Retries after the first failure; `None` leaves the number to the worker.
    pub(crate) retries: Option<u32>,
    /// Its jid; `None` for a new one.
    pub(crate) jid: Option<&'t str>,
    /// The arguments are known to be an array without white space, no deeper than a payload allows.
    pub(crate) is_compact: bool,
}

/// Where a payload goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Aim<'q> {
    /// Its queue.
    pub(super) queue: &'q QueueName,
    /// To the scheduled set first.
    pub(super) is_later: bool,
}

impl JobText<'_> {
    /// Appends the payload.
    pub(super) fn write(
        &self,
        schema: Schema,
        aim: Aim<'_>,
        payload: &mut Vec<u8>,
    ) -> Result<(), InvalidJob> {
        check_name(self.name)?;
        self.retries.map_or(Ok(()), check_retries)?;
        match self.jid {
            Some(jid) => {
                check_jid(jid)?;
                self.write_checked(schema, jid, aim, payload, |_| Ok(()))
            }
            None => self.write_checked(schema, schema.new_jid().as_str(), aim, payload, |_| Ok(())),
        }
    }

    /// The same under this jid, for a job whose parts have already been checked. `more` appends the members that only
    /// some jobs have, each preceded by a comma.
    pub(super) fn write_checked(
        &self,
        schema: Schema,
        jid: &str,
        aim: Aim<'_>,
        payload: &mut Vec<u8>,
        more: impl FnOnce(&mut Vec<u8>) -> Result<(), InvalidJob>,
    ) -> Result<(), InvalidJob> {
        let (start, written) = (payload.len(), schema.written());
        payload.extend_from_slice(written.name.as_bytes());
        write_text(self.name, payload);
        payload.extend_from_slice(written.args.as_bytes());
        if self.is_compact {
            payload.extend_from_slice(self.args.as_bytes());
        } else {
            write_args(self.args, payload)?;
        }
        if let Some(retries) = self.retries {
            payload.extend_from_slice(written.retries.as_bytes());
            // A number is always valid JSON, and a vector accepts it.
            let _written = serde_json::to_writer(&mut *payload, &retries);
        } else if let Some(open) = schema.open_retries() {
            payload.extend_from_slice(open.as_bytes());
        }
        payload.extend_from_slice(written.jid.as_bytes());
        write_text(jid, payload);
        let queue = aim.queue.as_str();
        if schema.writes_queue(aim.is_later, queue == DEFAULT_QUEUE) {
            payload.extend_from_slice(written.queue.as_bytes());
            write_text(queue, payload);
        }
        schema.write_push_times(aim.is_later, unix_now, payload);
        more(payload)?;
        payload.push(b'}');
        check_size(payload.len() - start)
    }
}

pub(super) fn check_name(name: &str) -> Result<(), InvalidJob> {
    if name.is_empty() {
        return Err(InvalidJob::NoName);
    }
    if name.len() > JOB_NAME_BYTES_MAX {
        return Err(InvalidJob::NameTooLong { bytes: name.len() });
    }
    if has_control(name) {
        return Err(InvalidJob::BadName { name: name.to_owned() });
    }
    Ok(())
}

pub(super) fn check_retries(retries: u32) -> Result<(), InvalidJob> {
    if retries > RETRIES_MAX {
        return Err(InvalidJob::TooManyRetries { retries });
    }
    Ok(())
}

pub(super) fn check_jid(jid: &str) -> Result<(), InvalidJob> {
    if jid.is_empty() || jid.len() > JID_BYTES_MAX || has_control(jid) {
        return Err(InvalidJob::BadJid { jid: jid.chars().take(JID_BYTES_MAX).collect() });
    }
    Ok(())
}

fn check_size(bytes: usize) -> Result<(), InvalidJob> {
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(InvalidJob::PayloadTooLarge { bytes });
    }
    Ok(())
}

/// Whether arguments, in valid JSON without leading white space, are an array of bounded depth.
pub(super) fn check_args(args: &str) -> Result<(), InvalidJob> {
    if !args.starts_with('[') {
        return Err(InvalidJob::ArgsNotArray { got: kind(args) });
    }
    // The payload object is the first level.
    if 1 + depth(args) > PAYLOAD_DEPTH_MAX {
        return Err(InvalidJob::TooDeep);
    }
    Ok(())
}

/// Appends a JSON string. Hardly any name or jid needs an escape.
pub(super) fn write_text(text: &str, payload: &mut Vec<u8>) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        payload.push(b'"');
        payload.extend_from_slice(text.as_bytes());
        payload.push(b'"');
    } else {
        payload.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
    }
}

/// Appends arguments without their white space, if they are an array of bounded depth.
fn write_args(args: &str, payload: &mut Vec<u8>) -> Result<(), InvalidJob> {
    let args = args.trim_ascii_start();
    if !args.starts_with('[') {
        return Err(InvalidJob::ArgsNotArray { got: kind(args) });
    }
    // The payload object is the first level.
    let mut depth = 1_usize;
    let mut kept_to = 0;
    let walked = outside_strings(args, |at, byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b' ' | b'\t' | b'\n' | b'\r' => {
                payload.extend_from_slice(&args.as_bytes()[kept_to..at]);
                kept_to = at + 1;
            }
            _ => {}
        }
        if depth > PAYLOAD_DEPTH_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if walked.is_break() {
        return Err(InvalidJob::TooDeep);
    }
    payload.extend_from_slice(&args.as_bytes()[kept_to..]);
    Ok(())
}

fn has_control(text: &str) -> bool {
    // For ASCII, as nearly all names are, one byte is enough to tell.
    if text.is_ascii() {
        return text.bytes().any(|byte| byte.is_ascii_control());
    }
    text.chars().any(char::is_control)
}

/// What a JSON value other than an array is, judging by its first byte.
fn kind(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'"') => "a string",
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    }
}

/// Walks valid JSON, passing each byte that is not inside a string to `visit`, until it returns break.
fn outside_strings(json: &str, mut visit: impl FnMut(usize, u8) -> ControlFlow<()>) -> ControlFlow<()> {
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        in_string = byte == b'"';
        visit(at, byte)?;
    }
    ControlFlow::Continue(())
}

pub(super) fn without_white_space(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut kept_to = 0;
    let _whole = outside_strings(json, |at, byte| {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            compact.push_str(&json[kept_to..at]);
            kept_to = at + 1;
        }
        ControlFlow::Continue(())
    });
    compact.push_str(&json[kept_to..]);
    compact
}

/// The maximum nesting of arrays and objects in valid JSON.
pub(super) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let _whole = outside_strings(json, |_, byte| {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        ControlFlow::Continue(())
    });
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::NewJob;

    fn written(job: &JobText<'_>, queue: Option<&str>) -> Result<String, String> {
        let mut payload = Vec::new();
        let (queue, is_later) = (QueueName::new(queue.unwrap_or("img")).unwrap(), queue.is_some());
        let aim = Aim { queue: &queue, is_later };
        job.write(Schema::Jiggler, aim, &mut payload).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(payload).unwrap())
    }

    #[test]
    fn a_job_in_a_text_is_written_as_the_same_new_job_is() {
        for (name, args) in [
            ("A::B", "[]"),
            ("é \"quoted\" \\", " [ 1 , \"two \\\" [ \" ,\t{\"k\": [1.0e+21, null]} ]"),
            ("N", "[12345678901234567890]"),
        ] {
            let job =
                NewJob::with_raw_args(name, args).unwrap().retries(3).unwrap().jid("j\u{e9}\"").unwrap();
            let text = JobText { name, args, retries: Some(3), jid: Some("j\u{e9}\""), is_compact: false };
            let (mut now, mut later) = (Vec::new(), Vec::new());
            job.write(Schema::Jiggler, "j\u{e9}\"", &mut now).unwrap();
            job.queue_named("img")
                .unwrap()
                .write_scheduled(Schema::Jiggler, "j\u{e9}\"", &mut later)
                .unwrap();
            assert_eq!(written(&text, None).unwrap().as_bytes(), now, "{name}");
            assert_eq!(written(&text, Some("img")).unwrap().as_bytes(), later, "{name}");
            assert_eq!(written(&text, Some("default")).unwrap().as_bytes(), now, "{name}");
        }
        let drawn =
            written(&JobText { name: "N", args: "[]", retries: Some(0), jid: None, is_compact: false }, None)
                .unwrap();
        assert_eq!(
            drawn.len(),
            r#"{"name":"N","args":[],"retries":0,"jid":"0d655a187e214821"}"#.len(),
            "{drawn}"
        );
    }

    #[test]
    fn what_no_worker_could_run_is_refused_as_of_a_new_job() {
        let job = JobText { name: "N", args: "[]", retries: Some(0), jid: None, is_compact: false };
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let levels_max = PAYLOAD_DEPTH_MAX - 1;
        for levels in [levels_max - 1, levels_max] {
            assert!(written(&JobText { args: &nested(levels), ..job }, None).is_ok());
        }
        let too_deep = nested(levels_max + 1);
        for (job, reason) in [
            (JobText { name: "", ..job }, "a job needs a name"),
            (JobText { name: "a\u{85}b", ..job }, "control character"),
            (JobText { name: "a\nb", ..job }, "control character"),
            (JobText { args: " {}", ..job }, "the arguments are an object"),
            (JobText { args: &too_deep, ..job }, "deeper"),
            (JobText { retries: Some(RETRIES_MAX + 1), ..job }, "more than the 1000"),
            (JobText { jid: Some(""), ..job }, "1 to 256 bytes"),
        ] {
            assert!(written(&job, None).unwrap_err().contains(reason), "{job:?}");
        }
    }

    #[test]
    fn white_space_goes_only_between_tokens() {
        let compact = without_white_space("[ 1 ,\t\"a b\\\" c\" ,\r\n{ \"k \\\\\" : [ ] } ]");
        assert_eq!(compact, "[1,\"a b\\\" c\",{\"k \\\\\":[]}]");
    }
}
