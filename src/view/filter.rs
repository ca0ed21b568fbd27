//! Which jobs are meant: those with a name, an error or an age, or the one with a jid.

use serde_json::value::RawValue;

use super::entry;
use super::redacted::{self, Layout};
use crate::{
    job::{MemberNames, Parser, Schema, member_of_head},
    store::entries::Entry,
};

/// A job name, or what names begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// This name.
    Exact(String),
    /// Names that begin with this: `Report::*`.
    Prefix(String),
}

impl NamePattern {
    /// A text that ends with an asterisk is a prefix.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    /// Whether a name is meant.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}

/// What a job must match to be meant. Empty: any job, and also anything that is not a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Its name.
    pub name: Option<NamePattern>,
    /// Its jid.
    pub jid: Option<String>,
    /// Class of its last error.
    pub class: Option<NamePattern>,
    /// What the message of its last error contains.
    pub error: Option<String>,
    /// What its arguments contain, as they are shown: without what is secret.
    pub args: Option<String>,
    /// The queue it is for.
    pub queue: Option<String>,
    /// When it failed at the latest.
    pub before: Option<Before>,
}

/// The latest moment at which a job may have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Unix time in milliseconds.
    pub unix_ms: i64,
    /// Which moment of the job counts.
    pub moment: Moment,
}

/// A moment in the life of a failed job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// When it went to the dead set: its score there.
    Died,
    /// When it first failed, as its payload says.
    FirstFailed,
}

impl Filter {
    /// The one job with a jid.
    pub(crate) fn jid(jid: &str) -> Self {
        Self { jid: Some(jid.to_owned()), ..Self::default() }
    }

    /// Whether it lets everything pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an entry is meant. If it is not a job, or was not read as a whole, as much as can be read is compared.
    pub(crate) fn matches(&self, parser: &mut Parser, entry: &Entry) -> bool {
        if self.is_empty() {
            return true;
        }
        let schema = parser.schema();
        // The score and a payload's few members at its end cost less than parsing it.
        if !self.is_old_enough(entry, schema.names()) || !self.failed_so(entry, schema.names()) {
            return false;
        }
        if !self.is_for_queue(entry, schema) || !self.has_args(entry, schema.names()) {
            return false;
        }
        if entry.is_whole()
            && let Ok(job) = parser.parse(&entry.bytes)
        {
            return self.fits(entry, schema, Some(job.name), job.jid);
        }
        let text = |name| member_of_head::<String>(&entry.bytes, name);
        let names = schema.names();
        self.fits(entry, schema, text(names.name).as_deref(), text(names.jid).as_deref())
    }

    fn is_old_enough(&self, entry: &Entry, names: &MemberNames) -> bool {
        let Some(Before { unix_ms, moment }) = self.before else { return true };
        let at = match moment {
            Moment::Died => entry.score,
            Moment::FirstFailed => member_of_head(&entry.bytes, names.first_failed_at),
        };
        // What does not say when it failed is not known to be old.
        at.is_some_and(|at: f64| at * 1e3 <= unix_ms as f64)
    }

    fn is_for_queue(&self, entry: &Entry, schema: Schema) -> bool {
        self.queue.as_ref().is_none_or(|wanted| *wanted == entry::queue_of(&entry.bytes, schema))
    }

    /// What is hidden from readers is not found either: they could guess it letter by letter.
    fn has_args(&self, entry: &Entry, names: &MemberNames) -> bool {
        let Some(part) = &self.args else { return true };
        let args: Option<Box<RawValue>> = member_of_head(&entry.bytes, names.args);
        args.is_some_and(|args| {
            redacted::json(args.get(), Layout::Raw, usize::MAX).text.contains(part.as_str())
        })
    }

    fn failed_so(&self, entry: &Entry, names: &MemberNames) -> bool {
        let text = |name| entry::text_of(&entry.bytes, name).unwrap_or_default();
        let class_fits = self.class.as_ref().is_none_or(|wanted| wanted.matches(&text(names.error_class)));
        class_fits && self.error.as_ref().is_none_or(|part| text(names.error_message).contains(part.as_str()))
    }

    fn fits(&self, entry: &Entry, schema: Schema, name: Option<&str>, jid: Option<&str>) -> bool {
        let name_fits = self.name.as_ref().is_none_or(|wanted| name.is_some_and(|name| wanted.matches(name)));
        let jid_fits = |wanted: &str| {
            entry::is_handle_of(wanted, entry)
                || jid.map_or_else(
                    || entry::jid_of(&entry.bytes, schema).as_deref() == Some(wanted),
                    |jid| jid == wanted,
                )
        };
        name_fits && self.jid.as_deref().is_none_or(jid_fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(filter: &Filter, payload: &str, expected: bool) {
        let size = payload.len() as u64;
        let entry = Entry { newer: 0, size, score: None, bytes: payload.as_bytes().to_vec().into() };
        assert_eq!(filter.matches(&mut Parser::default(), &entry), expected, "{filter:?} {payload}");
    }

    #[test]
    fn names_and_jids_are_compared_as_what_they_read_as() {
        let named = |text: &str| Filter { name: Some(NamePattern::parse(text)), ..Filter::default() };
        let job = r#"{"name":"Report::D\u0061ily","args":["x"],"jid":"0d\u0036"}"#;
        check(&named("Report::Daily"), job, true);
        check(&named("Report::*"), job, true);
        check(&named("*"), job, true);
        check(&named("Report"), job, false);
        check(&named("x"), job, false);
        check(&Filter::jid("0d6"), job, true);
        check(&Filter::jid("x"), job, false);
        check(&Filter { name: Some(NamePattern::parse("Other")), ..Filter::jid("0d6") }, job, false);
        check(&Filter::default(), "no job", true);
        check(&named("*"), "no job", false);
        check(&Filter::jid("j"), r#"{"jid":"j","name":7}"#, true);
    }

    #[test]
    fn errors_are_compared_by_class_and_by_a_part_of_the_message() {
        let class = |text: &str| Filter { class: Some(NamePattern::parse(text)), ..Filter::default() };
        let error = |text: &str| Filter { error: Some(text.to_owned()), ..Filter::default() };
        let job = r#"{"name":"N","args":["boom"],"error_class":"Net::ReadTimeout","error_message":"host \u0061: timed out"}"#;
        check(&class("Net::ReadTimeout"), job, true);
        check(&class("Net::*"), job, true);
        check(&class("Net"), job, false);
        check(&error("a: timed"), job, true);
        check(&error("boom"), job, false);
        check(&Filter { error: Some("x".to_owned()), ..class("Net::*") }, job, false);
        check(&class("*"), r#"{"name":"N"}"#, true);
        check(&error("x"), r#"{"name":"N"}"#, false);
    }

    #[test]
    fn jobs_are_found_by_their_queue_and_by_arguments_that_are_not_secret() {
        let queue = |name: &str| Filter { queue: Some(name.to_owned()), ..Filter::default() };
        let args = |part: &str| Filter { args: Some(part.to_owned()), ..Filter::default() };
        let job = r#"{"name":"N","args":["ann@example.org",{"password":"hunter2"}],"queue":"mail"}"#;
        check(&queue("mail"), job, true);
        check(&queue("default"), job, false);
        check(&queue("default"), r#"{"name":"N"}"#, true);
        check(&args("ann@"), job, true);
        check(&args("hunter"), job, false);
        check(&args("mail\""), job, false);
        check(&args("x"), r#"{"name":"N"}"#, false);
    }

    #[test]
    fn a_job_is_old_if_it_says_so() {
        let before =
            |moment| Filter { before: Some(Before { unix_ms: 100_500, moment }), ..Filter::default() };
        for (at, expected) in [("100.5", true), ("100.6", false)] {
            check(&before(Moment::FirstFailed), &format!(r#"{{"name":"N","started_at":{at}}}"#), expected);
        }
        check(&before(Moment::FirstFailed), r#"{"name":"N"}"#, false);
        let entry = |score| Entry { newer: 0, size: 2, score: Some(score), bytes: b"{}".to_vec().into() };
        assert!(before(Moment::Died).matches(&mut Parser::new(Schema::Jiggler), &entry(100.5)));
        assert!(!before(Moment::Died).matches(&mut Parser::new(Schema::Jiggler), &entry(100.501)));
    }

    #[test]
    fn an_entry_with_a_number_for_a_jid_or_none_can_be_named() {
        let job = r#"{"name":"N","jid":12345678901234567890123}"#;
        check(&Filter::jid("12345678901234567890123"), job, true);
        check(&Filter::jid("1"), job, false);
        check(&Filter::jid("-7"), r#"{"name":7,"jid":-7}"#, true);
        for payload in
            [r#"{"name":"N"}"#, r#"{"name":"N","jid":null}"#, "no job", r#"{"name":"N","jid":"j\n"}"#]
        {
            let size = payload.len() as u64;
            let entry = Entry { newer: 0, size, score: None, bytes: payload.as_bytes().to_vec().into() };
            check(&Filter::jid(&entry::id(&entry, Schema::Jiggler)), payload, true);
            check(&Filter::jid("entry:00000000-1"), payload, false);
        }
    }
}
