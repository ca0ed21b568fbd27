//! What the address of a page asks for, every parameter bounded; and addresses that ask for something.
//!
//! All pages lie side by side, and their addresses are relative, so they work under any prefix that a proxy puts before
//! them.

use form_urlencoded::Serializer;
use thiserror::Error;

use crate::foreign::is_visible;
use crate::limits::{
    PAGE_ARGS_BYTES_MAX, PAGE_PARAMETER_BYTES_MAX, PAGE_PARAMETERS_MAX, PAGE_QUERY_BYTES_MAX,
};

/// The parameters of an address.
#[derive(Debug, Default)]
pub(crate) struct Ask {
    pairs: Vec<(String, String)>,
}

/// Why an address is not answered. For the user to change.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum AskError {
    /// It is longer than any that a page links to.
    #[error("the query of this address has {bytes} bytes, at most {PAGE_QUERY_BYTES_MAX} are read")]
    Long {
        /// How long it is.
        bytes: usize,
    },
    /// It has more parameters than any page knows.
    #[error("this address has more than {PAGE_PARAMETERS_MAX} parameters")]
    Many,
    /// One is longer than what it could be compared with.
    #[error("parameter {name:.40} has {bytes} bytes, at most {PAGE_PARAMETER_BYTES_MAX} are read")]
    LongParameter {
        /// Which.
        name: String,
        /// How long it is.
        bytes: usize,
    },
    /// One is not known here, and would do nothing.
    #[error("parameter {name:.40} is not one of {known}")]
    Unknown {
        /// Which.
        name: String,
        /// Those that are.
        known: String,
    },
    /// One has another value than those allowed.
    #[error("parameter {name}: give {allowed}")]
    Value {
        /// Which.
        name: &'static str,
        /// What it may be.
        allowed: String,
    },
}

impl Ask {
    /// Reads the query of an address.
    ///
    /// # Errors
    /// [`AskError`], but for values.
    pub(crate) fn read(query: &str) -> Result<Self, AskError> {
        if query.len() > PAGE_QUERY_BYTES_MAX {
            return Err(AskError::Long { bytes: query.len() });
        }
        Self::pairs(query, None)
    }

    /// Reads a form, in which the arguments of a job may be large.
    ///
    /// # Errors
    /// [`AskError`], but for values.
    pub(crate) fn read_form(form: &str) -> Result<Self, AskError> {
        Self::pairs(form, Some("args"))
    }

    fn pairs(query: &str, large: Option<&str>) -> Result<Self, AskError> {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if pairs.len() == PAGE_PARAMETERS_MAX {
                return Err(AskError::Many);
            }
            let bytes = value.len().max(name.len());
            let is_large = large.is_some_and(|large| name == large);
            if bytes > if is_large { PAGE_ARGS_BYTES_MAX } else { PAGE_PARAMETER_BYTES_MAX } {
                return Err(AskError::LongParameter { name: name.into_owned(), bytes });
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs })
    }

    /// Checks that it has only these parameters.
    ///
    /// # Errors
    /// [`AskError::Unknown`].
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), AskError> {
        let unknown = self.pairs.iter().find(|(name, _)| !known.contains(&name.as_str()));
        let error = |name: &String| {
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            AskError::Unknown { name: name.clone(), known }
        };
        unknown.map_or(Ok(()), |(name, _)| Err(error(name)))
    }

    /// The text of a parameter; `None` if it is empty, as a field of a form that was left alone.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The same for what is shown again, in a field of a form; empty if it is not given.
    ///
    /// # Errors
    /// [`AskError::Value`]: a text with characters that are not seen cannot be shown as it is.
    pub(crate) fn visible(&self, name: &'static str) -> Result<&str, AskError> {
        let text = self.text(name).unwrap_or_default();
        let wrong = || AskError::Value { name, allowed: "characters that are all visible".to_owned() };
        if is_visible(text) { Ok(text) } else { Err(wrong()) }
    }

    /// A whole number up to `max`.
    ///
    /// # Errors
    /// [`AskError::Value`].
    pub(crate) fn number(&self, name: &'static str, max: u64) -> Result<Option<u64>, AskError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number <= max);
        let wrong = || AskError::Value { name, allowed: format!("a whole number from 0 to {max}") };
        number.map(Some).ok_or_else(wrong)
    }

    /// One of these words; `None` if it is not given.
    ///
    /// # Errors
    /// [`AskError::Value`].
    pub(crate) fn choice<T: Copy>(
        &self,
        name: &'static str,
        words: &[(&'static str, T)],
    ) -> Result<Option<T>, AskError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        let allowed = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        found.map(Some).ok_or_else(|| AskError::Value { name, allowed: allowed() })
    }
}

/// The address of a page with parameters, without those that are empty; empty if one is so long that it would not be read.
pub(super) fn address(page: &str, parameters: &[(&str, &str)]) -> String {
    if parameters.iter().any(|(_, value)| value.len() > PAGE_PARAMETER_BYTES_MAX) {
        return String::new();
    }
    let mut query = Serializer::new(String::new());
    let mut given = parameters.iter().filter(|(_, value)| !value.is_empty()).peekable();
    if given.peek().is_none() {
        return page.to_owned();
    }
    query.extend_pairs(given);
    format!("{page}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back() {
        let hostile = "a&b=c #<\"é\u{202e}%00+";
        let shown = address("dead", &[("name", hostile), ("skip", "50"), ("error", "")]);
        let (page, query) = shown.split_once('?').unwrap();
        assert!(query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'<' && byte != b'"'), "{query}");
        let ask = Ask::read(query).unwrap();
        assert_eq!((page, ask.text("name"), ask.text("error")), ("dead", Some(hostile), None));
        assert_eq!(ask.number("skip", 50), Ok(Some(50)));
        assert_eq!(ask.number("error", 50), Ok(None));
        assert_eq!(ask.visible("error"), Ok(""));
        let hidden = ask.visible("name").unwrap_err().to_string();
        assert_eq!(hidden, "parameter name: give characters that are all visible");
        assert_eq!(address("dead", &[("error", "")]), "dead");
        assert_eq!(address("job", &[("id", &"x".repeat(PAGE_PARAMETER_BYTES_MAX + 1))]), "");
    }

    #[test]
    fn every_parameter_is_bounded() {
        let long = "a".repeat(PAGE_PARAMETER_BYTES_MAX);
        assert!(Ask::read(&format!("name={long}")).is_ok());
        let error = Ask::read(&format!("name={long}a")).unwrap_err();
        assert_eq!(error.to_string(), "parameter name has 513 bytes, at most 512 are read");
        let many = "a=b&".repeat(PAGE_PARAMETERS_MAX);
        assert!(Ask::read(&many).is_ok());
        assert_eq!(Ask::read(&format!("{many}a=b")).unwrap_err(), AskError::Many);
        let bytes = PAGE_QUERY_BYTES_MAX + 1;
        assert_eq!(Ask::read(&"&".repeat(bytes)).unwrap_err(), AskError::Long { bytes });
        let ask = Ask::read("skip=-1&order=up&older=51").unwrap();
        for (error, said) in [
            (ask.number("skip", 9).unwrap_err(), "parameter skip: give a whole number from 0 to 9"),
            (ask.number("older", 50).unwrap_err(), "parameter older: give a whole number from 0 to 50"),
            (
                ask.choice("order", &[("newest", 1), ("oldest", 2)]).unwrap_err(),
                "parameter order: give newest, oldest",
            ),
        ] {
            assert_eq!(error.to_string(), said);
        }
    }
}
