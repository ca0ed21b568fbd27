//! The name of a list of waiting jobs that is found in Redis, whatever it is.
//!
//! Anyone can push to a list whose name no worker may be given ([`QueueName`]), and an operator must be able to look at it
//! and to delete it. So a name is any bytes here, and each has a text that can be given back as an argument: the name
//! itself, or where that would not do `escaped:` and its bytes, of which those that are no visible ASCII are written
//! `\xNN`, and a backslash `\\`.

use std::{
    borrow::Cow,
    fmt::{self, Write},
    str::FromStr,
};

use thiserror::Error;

use super::{in_progress, queue_name::QueueName};
use crate::foreign::is_visible;

/// Begins the text of a name that is written byte by byte. No worker may be given a queue of such a name.
const ESCAPED: &str = "escaped:";

/// Any name that `queues` may list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListName(Box<[u8]>);

/// Why a text is not the name of a list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ListNameError {
    /// An empty argument, as an unset variable of a shell is.
    #[error("a queue name may not be empty; if `queues` lists one without a name, it is `{ESCAPED}`")]
    Empty,
    /// A backslash that begins no escape.
    #[error(
        "after `{ESCAPED}` a backslash is followed by x and two hexadecimal digits, or by a backslash; not by {rest:?}"
    )]
    Escape {
        /// What follows it.
        rest: String,
    },
    /// A list of what a Ruby server runs: those jobs are not waiting.
    #[error("{name} is a list of the jobs that a Ruby server runs, not a queue")]
    Running {
        /// The name.
        name: String,
    },
}

impl ListName {
    /// Of a list that was found under this name.
    #[must_use]
    pub fn of_bytes(name: &[u8]) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The queue of this name, if a worker may be given it.
    #[must_use]
    pub fn servable(&self) -> Option<QueueName> {
        QueueName::new(std::str::from_utf8(&self.0).ok()?).ok()
    }

    /// The name itself where it is a text that can be given back, else as it is shown: for JSON, which escapes what is not
    /// visible by its own rules.
    #[must_use]
    pub fn exact(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.0) {
            Ok(name) if !name.is_empty() && !name.starts_with(ESCAPED) => name.into(),
            _ => self.to_string().into(),
        }
    }

    /// How the name of a queue is shown that is written as [`Self::exact`] writes it.
    #[must_use]
    pub fn shown(exact: &str) -> String {
        exact.parse::<Self>().map_or_else(|_| exact.to_owned(), |name| name.to_string())
    }
}

impl From<QueueName> for ListName {
    fn from(name: QueueName) -> Self {
        Self::of_bytes(name.as_str().as_bytes())
    }
}

impl FromStr for ListName {
    type Err = ListNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ListNameError::Empty);
        }
        let name = match text.strip_prefix(ESCAPED) {
            Some(escaped) => unescape(escaped)?,
            None => text.as_bytes().to_vec(),
        };
        if in_progress::marker(&String::from_utf8_lossy(&name)).is_some() {
            return Err(ListNameError::Running { name: Self(name.into()).to_string() });
        }
        Ok(Self(name.into()))
    }
}

fn unescape(escaped: &str) -> Result<Vec<u8>, ListNameError> {
    let mut name = Vec::with_capacity(escaped.len());
    let mut parts = escaped.split('\\');
    name.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
    while let Some(part) = parts.next() {
        if part.is_empty() {
            // Two backslashes, and what is behind them.
            let Some(rest) = parts.next() else { return Err(ListNameError::Escape { rest: String::new() }) };
            name.push(b'\\');
            name.extend_from_slice(rest.as_bytes());
            continue;
        }
        let digits = part.strip_prefix('x').and_then(|rest| rest.split_at_checked(2));
        let digits = digits.filter(|(digits, _)| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = digits.and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest)));
        let Some((byte, rest)) = byte else {
            return Err(ListNameError::Escape { rest: part.chars().take(3).collect() });
        };
        name.push(byte);
        name.extend_from_slice(rest.as_bytes());
    }
    Ok(name)
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(name) = std::str::from_utf8(&self.0)
            && !name.is_empty()
            && !name.starts_with(ESCAPED)
            && name.trim() == name
            && is_visible(name)
        {
            return f.write_str(name);
        }
        f.write_str(ESCAPED)?;
        for &byte in &*self.0 {
            match byte {
                b'\\' => f.write_str("\\\\")?,
                b'!'..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_shown_as_it_is_where_that_is_visible_and_else_byte_by_byte() {
        let table: [(&[u8], &str, bool); 14] = [
            (b"img", "img", true),
            ("über a".as_bytes(), "über a", true),
            (b"a:b", "a:b", false),
            (b"a,b", "a,b", false),
            (b"a\\x41", "a\\x41", true),
            (b"in_progress", "in_progress", false),
            (b" a", "escaped:\\x20a", false),
            (b"a b ", "escaped:a\\x20b\\x20", false),
            (b"a\n\\", "escaped:a\\x0a\\\\", false),
            (b"", "escaped:", false),
            (b"escaped:a", "escaped:escaped:a", false),
            (b"a\xff", "escaped:a\\xff", false),
            ("\u{202e}".as_bytes(), "escaped:\\xe2\\x80\\xae", true),
            (b"{a}", "{a}", false),
        ];
        for (bytes, shown, is_servable) in table {
            let name = ListName::of_bytes(bytes);
            assert_eq!((name.to_string(), name.servable().is_some()), (shown.to_owned(), is_servable));
            assert_eq!(shown.parse(), Ok(name));
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        let check = |text: &str, part: &str| {
            let error = text.parse::<ListName>().unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        };
        check("", "may not be empty");
        check("escaped:\\", "not by \"\"");
        check("escaped:a\\y", "not by \"y\"");
        check("escaped:\\x+1", "not by \"x+1\"");
        check("escaped:\\x4", "not by \"x4\"");
        check("escaped:\\xü", "not by \"xü\"");
        check("a:in_progress:33c754465483", "a Ruby server runs");
        check("escaped:\\xff:in_progress:33c754465483", "escaped:\\xff:in_progress:33c754465483 is");
    }

    proptest! {
        #[test]
        fn whatever_is_found_can_be_given_back_as_it_is_written(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let name = ListName::of_bytes(&bytes);
            prop_assert_eq!(name.exact().parse(), Ok(name.clone()));
            prop_assert_eq!(ListName::shown(&name.exact()), name.to_string());
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }
}
