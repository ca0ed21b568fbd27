//! Builds the payload of a new job, member for member as the gem's client writes it.
//!
//! Responsible for its form. Not for where it is pushed (`client`). Numbers in arguments are written by serde_json,
//! whose floats can differ from Ruby's in form (`1e21` for `1.0e+21`), never in value.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::ids::{self, Jid};
use crate::job::amend::{FieldValue, write_text, write_value};
use crate::job::{args, fields, scan};

/// Why arguments cannot be enqueued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewJobError {
    /// They cannot be written as JSON, for example a map whose keys are no text.
    #[error("arguments cannot be written as JSON: {source}")]
    Unwritable {
        /// What serde_json says.
        #[from]
        source: serde_json::Error,
    },
    /// They are JSON, but no array: handlers take them by position.
    #[error("arguments must be a JSON array such as [1,\"two\"], got {got}")]
    NotAnArray {
        /// What they are.
        got: String,
    },
}

/// A job id: drawn by us, or chosen by the caller, as the gem's `with_options(jid:)` allows.
#[derive(Clone, Debug)]
enum Id {
    New(Jid),
    Chosen(String),
}

/// A job to be enqueued. Members are written as the gem's client does: `name`, `args`, `retries`, `jid`, and `queue`
/// only when asked for.
#[derive(Clone, Debug)]
pub struct NewJob<'n> {
    name: &'n str,
    /// Invariant: a JSON array.
    args: Box<RawValue>,
    retries: u32,
    jid: Id,
    queue: Option<&'n str>,
}

impl<'n> NewJob<'n> {
    /// A job of class `name` with arguments: a tuple, an array or a slice of values, or a [`RawValue`].
    ///
    /// # Errors
    ///
    /// [`NewJobError`] when they are no JSON array.
    pub fn new(name: &'n str, args: &impl Serialize) -> Result<Self, NewJobError> {
        Self::with_raw_args(name, serde_json::value::to_raw_value(args)?)
    }

    /// A job of class `name` whose arguments are JSON text already: kept as it is, digit for digit.
    ///
    /// # Errors
    ///
    /// [`NewJobError::NotAnArray`] when it is no array.
    pub fn with_raw_args(name: &'n str, raw: Box<RawValue>) -> Result<Self, NewJobError> {
        let text = raw.get().as_bytes();
        if scan::first_byte(text) != Some(b'[') {
            return Err(NewJobError::NotAnArray { got: args::got(text).into_owned() });
        }
        Ok(Self { name, args: raw, retries: 0, jid: Id::New(ids::jid()), queue: None })
    }

    /// Sets how many retries follow the first failure. The gem's default, and ours, is none.
    #[must_use]
    pub fn retries(self, retries: u32) -> Self {
        Self { retries, ..self }
    }

    /// Chooses the job id instead of drawing one.
    #[must_use]
    pub fn jid(self, jid: impl Into<String>) -> Self {
        Self { jid: Id::Chosen(jid.into()), ..self }
    }

    /// Writes the queue into the payload. Only a scheduled job needs it: without, the poller, the gem's or ours,
    /// moves it to `default`.
    #[must_use]
    pub fn scheduled_for(self, queue: &'n str) -> Self {
        Self { queue: Some(queue), ..self }
    }

    /// The job id.
    #[must_use]
    pub fn id(&self) -> &str {
        match &self.jid {
            Id::New(jid) => jid.as_str(),
            Id::Chosen(jid) => jid,
        }
    }

    /// The payload.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        let args = self.args.get();
        let mut payload = Vec::with_capacity(args.len() + self.name.len() + 80);
        payload.extend_from_slice(b"{\"name\":");
        write_text(&mut payload, self.name);
        payload.extend_from_slice(b",\"args\":");
        payload.extend_from_slice(args.as_bytes());
        let members = [
            (fields::RETRIES, Some(FieldValue::Count(self.retries.into()))),
            (fields::JID, Some(FieldValue::Text(self.id()))),
            (fields::QUEUE, self.queue.map(FieldValue::Text)),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                payload.push(b',');
                write_text(&mut payload, name);
                payload.push(b':');
                write_value(&mut payload, value);
            }
        }
        payload.push(b'}');
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::parse::Parser;

    #[test]
    fn payloads_are_those_of_the_gem() {
        let job = NewJob::new("OptionsJob", &(1, 2)).unwrap().retries(10).jid("0db89b3e2a1cde66");
        let gem = br#"{"name":"OptionsJob","args":[1,2],"retries":10,"jid":"0db89b3e2a1cde66"}"#;
        assert_eq!(job.to_payload(), gem);
        let none: [(); 0] = [];
        let job = NewJob::new("PlainJob", &none).unwrap().jid("bd4a944b89329155").scheduled_for("low");
        let scheduled =
            br#"{"name":"PlainJob","args":[],"retries":0,"jid":"bd4a944b89329155","queue":"low"}"#;
        assert_eq!(job.to_payload(), scheduled);
    }

    #[test]
    fn raw_arguments_stay_digit_for_digit() {
        let raw = RawValue::from_string("[1180591620717411303424, 1.0e+21]".into()).unwrap();
        let job = NewJob::with_raw_args("N", raw).unwrap();
        let payload = String::from_utf8(job.to_payload()).unwrap();
        assert!(payload.contains(r#""args":[1180591620717411303424, 1.0e+21],"#), "{payload}");
    }

    #[test]
    fn each_job_gets_an_id_of_its_own() {
        let (first, second) = (NewJob::new("N", &(1,)).unwrap(), NewJob::new("N", &(1,)).unwrap());
        assert_ne!(first.id(), second.id());
        let mut parser = Parser::new();
        let payload = first.to_payload();
        assert_eq!(parser.parse(&payload).unwrap().jid, Some(first.id()));
    }

    #[test]
    fn arguments_that_are_no_array_are_refused() {
        let error = NewJob::new("N", &7).unwrap_err();
        assert_eq!(error.to_string(), "arguments must be a JSON array such as [1,\"two\"], got 7");
        assert!(matches!(NewJob::new("N", &"text"), Err(NewJobError::NotAnArray { .. })));
        let keyed_by_pairs = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert!(matches!(NewJob::new("N", &(keyed_by_pairs,)), Err(NewJobError::Unwritable { .. })));
    }
}
