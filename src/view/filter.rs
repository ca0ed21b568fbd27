//! Which jobs are meant: those with a name, or the one with a jid.

use super::entry;
use crate::{
    job::{Parser, Schema, member_of_head},
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

    fn matches(&self, name: &str) -> bool {
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
}

impl Filter {
    /// The one job with a jid.
    pub(crate) fn jid(jid: &str) -> Self {
        Self { name: None, jid: Some(jid.to_owned()) }
    }

    /// Whether it lets everything pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_none() && self.jid.is_none()
    }

    /// Whether an entry is meant. If it is not a job, or was not read as a whole, as much as can be read is compared.
    pub(crate) fn matches(&self, parser: &mut Parser, entry: &Entry) -> bool {
        if self.is_empty() {
            return true;
        }
        let schema = parser.schema();
        if entry.is_whole()
            && let Ok(job) = parser.parse(&entry.bytes)
        {
            return self.fits(entry, schema, Some(job.name), job.jid);
        }
        let text = |name| member_of_head::<String>(&entry.bytes, name);
        let names = schema.names();
        self.fits(entry, schema, text(names.name).as_deref(), text(names.jid).as_deref())
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
        let named = |text: &str| Filter { name: Some(NamePattern::parse(text)), jid: None };
        let job = r#"{"name":"Report::D\u0061ily","args":["x"],"jid":"0d\u0036"}"#;
        check(&named("Report::Daily"), job, true);
        check(&named("Report::*"), job, true);
        check(&named("*"), job, true);
        check(&named("Report"), job, false);
        check(&named("x"), job, false);
        check(&Filter::jid("0d6"), job, true);
        check(&Filter::jid("x"), job, false);
        check(&Filter { name: Some(NamePattern::parse("Other")), jid: Some("0d6".to_owned()) }, job, false);
        check(&Filter::default(), "no job", true);
        check(&named("*"), "no job", false);
        check(&Filter::jid("j"), r#"{"jid":"j","name":7}"#, true);
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
