//! A job to be pushed, and its payload as written by the gem 0.1.0.
//!
//! `{"name":…,"args":[…],"retries":n,"jid":"16 hex digits"}`: in this order, no spaces, no queue (the list it is in
//! is its queue). Without a number of its own a job has no `retries`, though the gem's client always writes one: a
//! worker of ours then applies its default, a Ruby server reads 0. A scheduled job is no longer in its list, so
//! `"queue"` follows `jid` unless it is `default`: the gem's poller honours it, though the gem's client never writes it.

use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::{
    Serializer,
    ser::{CompactFormatter, Formatter},
    value::RawValue,
};

use super::{
    When,
    error::InvalidJob,
    fields::FieldsInOrder,
    payload::{
        Aim, JobText, check_args, check_jid, check_name, check_retries, depth, without_white_space,
        write_text,
    },
    typed::Job,
};
use crate::{
    job::{Schema, TraceContext, is_reserved},
    limits::PAYLOAD_DEPTH_MAX,
    time::RubyFloat,
    wire::QueueName,
};

/// What to run, with which arguments, from which queue. Valid by construction; each push of it creates a separate
/// job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Invariant: not empty, at most [`JOB_NAME_BYTES_MAX`](crate::limits::JOB_NAME_BYTES_MAX) bytes, no control character.
    name: String,
    /// Invariant: a JSON array without white space, at most [`PAYLOAD_DEPTH_MAX`] levels deep, including the payload.
    args: String,
    queue: QueueName,
    /// Invariant: at most [`RETRIES_MAX`](crate::limits::RETRIES_MAX).
    retries: Option<u32>,
    jid: Option<String>,
    retry_queue: Option<QueueName>,
    trace: Option<TraceContext>,
    /// Members beyond the usual ones: names, each without a predefined meaning and unique, and JSON.
    members: Vec<(String, String)>,
}

/// ```
/// use jiggler_uring::NewJob;
///
/// // A job of which only a Ruby program knows what it is: its class, and the arguments as the JSON text they are.
/// let job = NewJob::with_raw_args("Billing::Invoice", r#"[12345678901234567890, {"tax": 1.0e+21}]"#)?
///     .queue_named("billing")?
///     .retries(5)?
///     .retry_queue("billing_slow")?
///     .member("tenant", "acme")?;
/// assert_eq!(job.args(), r#"[12345678901234567890,{"tax":1.0e+21}]"#);
/// # Ok::<_, jiggler_uring::client::InvalidJob>(())
/// ```
impl NewJob {
    /// A job in the queue `default` that leaves its retries to the worker. `args` are the positional arguments: a
    /// tuple, an array, a slice, or `&()` for none. Floats are written the way Ruby writes them.
    ///
    /// # Errors
    /// [`InvalidJob`], if the name is invalid or `args` do not serialise to an array.
    pub fn new<A: Serialize + ?Sized>(name: &str, args: &A) -> Result<Self, InvalidJob> {
        let mut json = Vec::new();
        args.serialize(&mut Serializer::with_formatter(&mut json, RubyFormatter))?;
        // The empty tuple, which JSON has no array for. An `Option` is no list of arguments, and has a size.
        if size_of_val(args) == 0 && json == b"null" {
            json = b"[]".to_vec();
        }
        Self::serialized(name, json)
    }

    /// The job described by a struct, with the queue of its type and the retries that it names, if any.
    ///
    /// # Errors
    /// [`InvalidJob`], if the struct's fields have no order, or the trait's values are invalid.
    pub fn of<J: Job + Serialize + ?Sized>(job: &J) -> Result<Self, InvalidJob> {
        let mut json = Vec::new();
        job.serialize(FieldsInOrder(&mut Serializer::with_formatter(&mut json, RubyFormatter)))?;
        let job = Self::serialized(J::NAME, json)?.queue_named(J::QUEUE)?;
        match J::RETRIES {
            Some(retries) => job.retries(retries),
            None => Ok(job),
        }
    }

    fn serialized(name: &str, json: Vec<u8>) -> Result<Self, InvalidJob> {
        // Serialised text is UTF-8 by construction; the check is cheap and lets no bug pass.
        let json = String::from_utf8(json).map_err(serde::ser::Error::custom).map_err(InvalidJob::BadArgs)?;
        Self::checked(name, json)
    }

    /// A job whose arguments are JSON text: the raw form, for jobs whose arguments only a Ruby program knows. Numbers
    /// stay as written, however large; white space is removed.
    ///
    /// # Errors
    /// [`InvalidJob`], if the name is invalid or the text is not a JSON array.
    pub fn with_raw_args(name: &str, args: &str) -> Result<Self, InvalidJob> {
        serde_json::from_str::<&RawValue>(args)?;
        Self::checked(name, without_white_space(args))
    }

    fn checked(name: &str, args: String) -> Result<Self, InvalidJob> {
        check_name(name)?;
        check_args(&args)?;
        Ok(Self {
            name: name.to_owned(),
            args,
            queue: QueueName::default(),
            retries: None,
            jid: None,
            retry_queue: None,
            trace: None,
            members: Vec::new(),
        })
    }

    /// The same job for another queue.
    #[must_use]
    pub fn in_queue(mut self, queue: QueueName) -> Self {
        self.queue = queue;
        self
    }

    /// The same job for the queue with this name.
    ///
    /// # Errors
    /// [`InvalidJob::Queue`], if it is not a valid queue name.
    pub fn queue_named(self, name: &str) -> Result<Self, InvalidJob> {
        Ok(self.in_queue(QueueName::new(name)?))
    }

    /// The same job with this many retries after its first failure, which takes precedence over whatever a worker is
    /// told. A job without a number gets that of its handler ([`WithOptions::retries`](crate::WithOptions::retries)), or
    /// else the worker's default (`--default-retries`), which is 0 unless set.
    ///
    /// # Errors
    /// [`InvalidJob::TooManyRetries`], beyond [`RETRIES_MAX`](crate::limits::RETRIES_MAX).
    pub fn retries(mut self, retries: u32) -> Result<Self, InvalidJob> {
        check_retries(retries)?;
        self.retries = Some(retries);
        Ok(self)
    }

    /// The same job with a jid of your own. Without it, each push draws a new one. Jobs whose bytes are all
    /// identical, including the jid, cannot be told apart.
    ///
    /// # Errors
    /// [`InvalidJob::BadJid`], if it is empty, longer than [`JID_BYTES_MAX`](crate::limits::JID_BYTES_MAX) or
    /// contains a control character.
    pub fn jid(mut self, jid: &str) -> Result<Self, InvalidJob> {
        check_jid(jid)?;
        self.jid = Some(jid.to_owned());
        Ok(self)
    }

    /// The same job, with its retries going to the queue with this name, for this one job, instead of that of its
    /// class or handler.
    ///
    /// The gem has no such option for a single job. It is a member `retry_queue` of the payload, which workers of
    /// this crate follow; a Ruby server uses the `retry_queue` of the class and passes the member on unchanged.
    ///
    /// # Errors
    /// [`InvalidJob::Queue`], if it is not a valid queue name.
    pub fn retry_queue(mut self, name: &str) -> Result<Self, InvalidJob> {
        self.retry_queue = Some(QueueName::new(name)?);
        Ok(self)
    }

    /// The same job with an additional member in its payload, next to its arguments: a tenant, a locale. A handler
    /// reads it with [`Ctx::member`](crate::Ctx::member); a Ruby server passes it on unchanged.
    ///
    /// # Errors
    /// [`InvalidJob::BadMember`], if the name is empty, already has a meaning or was already given;
    /// [`InvalidJob::BadArgs`], if the value cannot be written as JSON.
    pub fn member<V: Serialize + ?Sized>(mut self, name: &str, value: &V) -> Result<Self, InvalidJob> {
        let refused = |reason| InvalidJob::BadMember { name: name.to_owned(), reason };
        if name.is_empty() {
            return Err(refused("it is empty"));
        }
        if is_reserved(name) {
            return Err(refused("it already has a meaning"));
        }
        if self.members.iter().any(|(other, _)| other == name) {
            return Err(refused("it was already given"));
        }
        let mut json = Vec::new();
        value.serialize(&mut Serializer::with_formatter(&mut json, RubyFormatter))?;
        let json = String::from_utf8(json).map_err(serde::ser::Error::custom).map_err(InvalidJob::BadArgs)?;
        // The payload object is the first level.
        if 1 + depth(&json) > PAYLOAD_DEPTH_MAX {
            return Err(InvalidJob::TooDeep);
        }
        self.members.push((name.to_owned(), json));
        Ok(self)
    }

    /// The same job as part of a trace: its payload carries a `traceparent`, which a Ruby server passes on unchanged.
    #[must_use]
    pub fn in_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The trace it is part of.
    #[must_use]
    pub const fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its arguments: the text of a JSON array.
    #[must_use]
    pub fn args(&self) -> &str {
        &self.args
    }

    /// The queue it will be pushed into.
    #[must_use]
    pub const fn queue(&self) -> &QueueName {
        &self.queue
    }

    /// Its own number of retries, if it has one.
    pub(crate) const fn own_retries(&self) -> Option<u32> {
        self.retries
    }

    /// Whether it is all said with its name, arguments, queue and retries.
    pub(crate) const fn is_plain(&self) -> bool {
        self.jid.is_none() && self.retry_queue.is_none() && self.trace.is_none() && self.members.is_empty()
    }

    /// The payload of one push for now, and its jid.
    pub(crate) fn payload(&self, schema: Schema) -> Result<(String, Vec<u8>), InvalidJob> {
        let mut payload = Vec::new();
        let jid = self.write_for(schema, When::Now, &mut payload)?;
        Ok((jid, payload))
    }

    /// Appends the payload of one push, with the given jid or a new one, and returns that jid.
    pub(super) fn write_for(
        &self,
        schema: Schema,
        when: When,
        payload: &mut Vec<u8>,
    ) -> Result<String, InvalidJob> {
        let jid = self.jid.clone().unwrap_or_else(|| schema.new_jid().to_string());
        self.write_as(schema, &jid, when, payload)?;
        Ok(jid)
    }

    /// The same, for a caller that does not need the jid.
    pub(super) fn write_one(
        &self,
        schema: Schema,
        when: When,
        payload: &mut Vec<u8>,
    ) -> Result<(), InvalidJob> {
        match &self.jid {
            Some(jid) => self.write_as(schema, jid, when, payload),
            None => self.write_as(schema, schema.new_jid().as_str(), when, payload),
        }
    }

    fn write_as(
        &self,
        schema: Schema,
        jid: &str,
        when: When,
        payload: &mut Vec<u8>,
    ) -> Result<(), InvalidJob> {
        match when {
            When::Now => self.write(schema, jid, payload),
            When::At(_) | When::Over { .. } => self.write_scheduled(schema, jid, payload),
        }
    }

    /// Appends the payload for a queue.
    pub(super) fn write(&self, schema: Schema, jid: &str, payload: &mut Vec<u8>) -> Result<(), InvalidJob> {
        self.write_with(schema, jid, false, payload)
    }

    /// Appends the payload for the scheduled set.
    pub(super) fn write_scheduled(
        &self,
        schema: Schema,
        jid: &str,
        payload: &mut Vec<u8>,
    ) -> Result<(), InvalidJob> {
        self.write_with(schema, jid, true, payload)
    }

    fn write_with(
        &self,
        schema: Schema,
        jid: &str,
        is_later: bool,
        payload: &mut Vec<u8>,
    ) -> Result<(), InvalidJob> {
        let aim = Aim { queue: &self.queue, is_later };
        let text = JobText {
            name: &self.name,
            args: &self.args,
            retries: self.retries,
            jid: Some(jid),
            is_compact: true,
        };
        text.write_checked(schema, jid, aim, payload, |payload| self.write_members(schema, payload))
    }

    /// The members that only some jobs have.
    fn write_members(&self, schema: Schema, payload: &mut Vec<u8>) -> Result<(), InvalidJob> {
        let written = schema.written();
        if let Some(trace) = self.trace {
            write!(payload, "{}\"{trace}\"", written.traceparent).map_err(serde_json::Error::io)?;
        }
        if let Some(queue) = &self.retry_queue {
            payload.extend_from_slice(written.retry_queue.as_bytes());
            write_text(queue.as_str(), payload);
        }
        for (name, json) in &self.members {
            payload.push(b',');
            write_text(name, payload);
            payload.push(b':');
            payload.extend_from_slice(json.as_bytes());
        }
        Ok(())
    }
}

/// Compact JSON with floats as Ruby prints them: `1.0e+21`, not `1e21`.
struct RubyFormatter;

impl Formatter for RubyFormatter {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{}", RubyFloat(value))
    }

    fn write_f32<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        // 0.1_f32 means 0.1, not the 0.10000000149011612 that its bits are as a double.
        match value.to_string().parse() {
            Ok(value) => self.write_f64(writer, value),
            Err(_) => CompactFormatter.write_f32(writer, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::limits::{JID_BYTES_MAX, JOB_NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, RETRIES_MAX};

    fn payload(job: &NewJob) -> String {
        let mut payload = Vec::new();
        job.write(Schema::Jiggler, "0d655a187e214821", &mut payload).unwrap();
        String::from_utf8(payload).unwrap()
    }

    fn error(result: Result<NewJob, InvalidJob>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn payloads_are_what_the_gem_writes() {
        // The member of jiggler:list:default in the captured enqueue-0.1.0.json.
        let fixture: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/jiggler/enqueue-0.1.0.json")).unwrap();
        let lists = fixture["keys"].as_array().unwrap();
        let stored = lists.iter().flat_map(|key| key["value"].as_array().unwrap());
        let stored =
            stored.map(|payload| payload.as_str().unwrap()).find(|text| text.contains("1.0e+21")).unwrap();

        let args =
            r#" [ 1, -2, "two", 3.5, 1.0e+21, 12345678901234567890, null, true, false, [1, [2]], {"k": "v"},
            "é ✓ 😀", "line\nbreak \"q\" \\ / <b>&", "#
                .to_owned()
                + "\"\u{2028}\\u0001\"\t]";
        assert_eq!(payload(&NewJob::with_raw_args("PlainJob", &args).unwrap().retries(0).unwrap()), stored);

        let map = BTreeMap::from([("k", "v")]);
        let typed = (
            (1, -2, "two", 3.5, 1e21, 12_345_678_901_234_567_890_u64, None::<u8>),
            (true, false, (1, [2]), map, "é ✓ 😀", "line\nbreak \"q\" \\ / <b>&", "\u{2028}\u{1}"),
        );
        let text = payload(&NewJob::new("PlainJob", &typed).unwrap().retries(0).unwrap());
        // Two tuples, because serde stops at sixteen; apart from the seam they are the same text.
        assert_eq!(
            text.replacen("[[", "[", 1).replacen("],[true", ",true", 1).replacen("]],\"re", "],\"re", 1),
            stored
        );
    }

    #[test]
    fn options_change_what_they_say() {
        let job =
            NewJob::new("OptionsJob", &[1, 2]).unwrap().retries(10).unwrap().queue_named("custom").unwrap();
        let expected = r#"{"name":"OptionsJob","args":[1,2],"retries":10,"jid":"0d655a187e214821"}"#;
        assert_eq!(payload(&job), expected);
        assert_eq!(job.queue().as_str(), "custom");
        assert_eq!(job.jid("my-own-jid").unwrap().jid.as_deref(), Some("my-own-jid"));
    }

    #[test]
    fn a_scheduled_job_carries_its_queue_unless_it_is_the_default() {
        let job = NewJob::new("A::B", &()).unwrap();
        let scheduled = |job: &NewJob| {
            let mut payload = Vec::new();
            job.write_scheduled(Schema::Jiggler, "x", &mut payload).unwrap();
            String::from_utf8(payload).unwrap()
        };
        assert_eq!(scheduled(&job), r#"{"name":"A::B","args":[],"jid":"x"}"#);
        let job = job.queue_named("img").unwrap();
        assert_eq!(scheduled(&job), r#"{"name":"A::B","args":[],"jid":"x","queue":"img"}"#);
    }

    #[test]
    fn members_beyond_the_gems_come_after_them() {
        let job = NewJob::new("A", &[1]).unwrap().member("tenant", "acme").unwrap();
        let job = job.retry_queue("slow").unwrap().member("rate", &1e21).unwrap();
        let expected = r#"{"name":"A","args":[1],"jid":"0d655a187e214821","retry_queue":"slow","tenant":"acme","rate":1.0e+21}"#;
        assert_eq!(payload(&job), expected);
        for (name, reason) in
            [("", "empty"), ("args", "meaning"), ("queue", "meaning"), ("tenant", "already given")]
        {
            assert!(error(job.clone().member(name, &1)).contains(reason), "{name}");
        }
        assert!(error(job.retry_queue("a:b")).contains("':'"));
    }

    #[test]
    fn floats_are_written_in_rubys_shortest_form() {
        let text = payload(&NewJob::new("J", &(0.1_f32, 0.1_f64, 1e16, 100.0, f64::NAN)).unwrap());
        assert!(text.contains("[0.1,0.1,1.0e+16,100.0,null]"), "{text}");
    }

    #[test]
    fn no_arguments_are_the_empty_tuple_or_an_empty_array() {
        for job in [NewJob::new("J", &()), NewJob::new("J", &[0_u8; 0]), NewJob::new("J", &Vec::<u8>::new())]
        {
            assert_eq!(job.unwrap().args(), "[]");
        }
    }

    #[test]
    fn what_no_worker_could_run_is_refused() {
        assert_eq!(error(NewJob::new("", &[1])), "a job needs a name");
        assert!(error(NewJob::new("a\nb", &[1])).contains("control character"));
        assert!(error(NewJob::new("J", "text")).contains("the arguments are a string"));
        assert!(error(NewJob::new("J", &None::<u8>)).contains("the arguments are null"));
        assert!(error(NewJob::with_raw_args("J", "{\"a\": [1]}")).contains("the arguments are an object"));
        assert!(error(NewJob::with_raw_args("J", " 17")).contains("the arguments are a number"));
        assert!(error(NewJob::with_raw_args("J", "[1,")).contains("not valid JSON"));
        assert!(error(NewJob::with_raw_args("J", "[1] 2")).contains("not valid JSON"));
        let job = NewJob::new("J", &[1]).unwrap();
        assert!(error(job.clone().queue_named("a:b")).contains("':'"));
        assert!(error(job.clone().jid("")).contains("1 to 256 bytes"));
        assert!(error(job.jid("a\0")).contains("control character"));
    }

    #[test]
    fn bounds_are_held_at_their_edge() {
        let name = |bytes| NewJob::new(&"n".repeat(bytes), &[1]).is_ok();
        assert_eq!(
            [JOB_NAME_BYTES_MAX - 1, JOB_NAME_BYTES_MAX, JOB_NAME_BYTES_MAX + 1].map(name),
            [true, true, false]
        );

        let job = NewJob::new("J", &[1]).unwrap();
        let retries = |retries| job.clone().retries(retries).is_ok();
        assert_eq!([RETRIES_MAX - 1, RETRIES_MAX, RETRIES_MAX + 1].map(retries), [true, true, false]);
        let jid = |bytes| job.clone().jid(&"j".repeat(bytes)).is_ok();
        assert_eq!([JID_BYTES_MAX - 1, JID_BYTES_MAX, JID_BYTES_MAX + 1].map(jid), [true, true, false]);

        let nested = |levels: usize| {
            let args = format!("{}\"[[\\\"[\"{}", "[".repeat(levels), "]".repeat(levels));
            NewJob::with_raw_args("J", &args).is_ok()
        };
        let levels_max = PAYLOAD_DEPTH_MAX - 1;
        assert_eq!([levels_max - 1, levels_max, levels_max + 1].map(nested), [true, true, false]);

        let frame = payload(&NewJob::new("J", &[""]).unwrap()).len();
        let size = |bytes: usize| {
            let job = NewJob::new("J", &["x".repeat(bytes - frame)]).unwrap();
            job.write(Schema::Jiggler, "0d655a187e214821", &mut Vec::new()).is_ok()
        };
        assert_eq!(
            [PAYLOAD_BYTES_MAX - 1, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX + 1].map(size),
            [true, true, false]
        );
    }
}
