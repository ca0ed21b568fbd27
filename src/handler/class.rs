//! What an error is called: the class that is stored with a job, found from the error's type.
//!
//! A class is short, because people read it in a column beside the message and programs match on it: the last name of the
//! type's path, without its modules and parameters. Not here: classes that a handler chooses
//! ([`JobError::new`](super::JobError::new), [`JobError::with_class`](super::JobError::with_class)).

use std::any::type_name;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Write};
use std::io;

use crate::limits::ERROR_CLASS_BYTES_MAX;

/// The class of a failure that is only text: what `raise "text"` has in Ruby.
pub(super) const CLASS_TEXT: &str = "RuntimeError";

/// The name that says nothing by itself.
const ERROR: &str = "Error";

/// The class of an error that was an `E`.
pub(super) fn of<E>(error: &(dyn StdError + 'static)) -> Cow<'static, str> {
    if let Some(class) = known(error) {
        return class;
    }
    if is_itself::<E>(error) { short(type_name::<E>()) } else { of_unknown(error) }
}

/// The class of an error whose type is no longer known, such as that in an `anyhow::Error`: of the first in its chain that
/// has one.
pub(super) fn of_unknown(error: &(dyn StdError + 'static)) -> Cow<'static, str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(class) = known(error).or_else(|| name_in_debug(error)) {
            return class;
        }
        next = error.source();
    }
    Cow::Borrowed(CLASS_TEXT)
}

/// Errors that have classes of their own.
fn known(error: &(dyn StdError + 'static)) -> Option<Cow<'static, str>> {
    #[cfg(feature = "http")]
    if let Some(error) = error.downcast_ref::<crate::io::http::Error>() {
        return Some(error.class());
    }
    error.is::<io::Error>().then_some(Cow::Borrowed("io::Error"))
}

/// Whether the error is an `E`, and not what an `E` was turned into: text, or the content of a box.
///
/// An error is boxed as it is. Anything else that can become one is wrapped in another type, of another size; except text,
/// whose wrapper has the size of the text itself.
fn is_itself<E>(error: &dyn StdError) -> bool {
    let name = type_name::<E>();
    let is_text_or_box = name == type_name::<String>()
        || name.starts_with("alloc::borrow::Cow<")
        || name.starts_with("alloc::boxed::Box<dyn ");
    !is_text_or_box && size_of_val(error) == size_of::<E>()
}

/// `std::io::error::Error` as `io::Error`, `app::billing::Declined<u8>` as `Declined`.
fn short(path: &'static str) -> Cow<'static, str> {
    let path = path.strip_prefix("alloc::boxed::Box<").unwrap_or(path);
    let path = path.split(['<', '>']).next().unwrap_or(path);
    let mut names = path.rsplit("::");
    let last = names.next().unwrap_or(path);
    if last != ERROR {
        return Cow::Borrowed(last);
    }
    match names.find(|module| !module.starts_with("err")) {
        Some(module) => Cow::Owned(format!("{module}::{last}")),
        None => Cow::Borrowed(last),
    }
}

/// The name with which the error's `Debug` text begins: a derived one begins with that of the type, or of the variant. The
/// long form, because boxes such as `anyhow::Error` show their content in it.
fn name_in_debug(error: &dyn StdError) -> Option<Cow<'static, str>> {
    let mut start = Start(String::new());
    // Ends as soon as the name does, which is no error.
    let _ended = write!(start, "{error:#?}");
    let Start(name) = start;
    match name.as_str() {
        // What an `io::Error` is in there.
        "Os" | "Custom" | "Kind" => Some(Cow::Borrowed("io::Error")),
        ERROR => None,
        _ => name
            .starts_with(|first: char| first.is_uppercase() || name.contains("::"))
            .then_some(Cow::Owned(name)),
    }
}

/// Takes the characters of a name, up to the first that does not belong to it.
struct Start(String);

impl Write for Start {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            let belongs = letter.is_alphanumeric() || matches!(letter, '_' | ':');
            if !belongs || self.0.len() >= ERROR_CLASS_BYTES_MAX {
                return Err(fmt::Error);
            }
            self.0.push(letter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::JobError;

    #[derive(Debug, thiserror::Error)]
    #[error("card declined")]
    struct Declined<T: fmt::Debug>(T);

    #[derive(Debug, thiserror::Error)]
    enum Ledger {
        #[error("no account {0}")]
        Missing(u64),
    }

    mod billing {
        #[derive(Debug, thiserror::Error)]
        #[error("late")]
        pub(super) struct Error;
    }

    #[track_caller]
    fn check(error: impl Into<JobError>, class: &str, message: &str) {
        let error = error.into();
        assert_eq!((error.class(), error.message()), (class, message));
    }

    #[test]
    fn the_class_is_the_last_name_of_the_type() {
        check(Declined(vec![1]), "Declined", "card declined");
        check(Ledger::Missing(7), "Ledger", "no account 7");
        check(billing::Error, "billing::Error", "late");
        check(fmt::Error, "fmt::Error", &fmt::Error.to_string());
        check(Box::new(Ledger::Missing(7)), "Ledger", "no account 7");
        check("x".parse::<u8>().unwrap_err(), "ParseIntError", "invalid digit found in string");
        let serde = serde_json::from_str::<u8>("x").unwrap_err();
        check(serde, "serde_json::Error", "expected value at line 1 column 1");
    }

    #[test]
    fn text_is_a_runtime_error_as_in_ruby() {
        check("no such user", CLASS_TEXT, "no such user");
        check(String::from("no such user"), CLASS_TEXT, "no such user");
        check(Cow::Borrowed("no such user"), CLASS_TEXT, "no such user");
    }

    #[test]
    fn what_is_in_a_box_keeps_its_name_where_debug_shows_it() {
        let boxed = |error: Ledger| -> Box<dyn StdError> { Box::new(error) };
        check(boxed(Ledger::Missing(7)), "Missing", "no account 7");
        check(Box::<dyn StdError>::from("text"), CLASS_TEXT, "text");
        check(
            Box::<dyn StdError>::from(io::Error::from(io::ErrorKind::NotFound)),
            "io::Error",
            "entity not found",
        );
        let send: Box<dyn StdError + Send + Sync> = Box::new(Declined(1));
        check(JobError::from_boxed(send), "Declined", "card declined");
    }

    #[test]
    fn anyhow_and_eyre_keep_the_name_and_the_whole_chain() {
        check(anyhow::anyhow!("text {}", 1), CLASS_TEXT, "text 1");
        check(anyhow::Error::from(Declined(1)), "Declined", "card declined");
        check(anyhow::Error::from(io::Error::from(io::ErrorKind::NotFound)), "io::Error", "entity not found");
        let deep = anyhow::Error::from(Declined(1)).context("cannot charge").context("order 7");
        check(deep, "Declined", "order 7: cannot charge: card declined");
        check(eyre::eyre!("text"), CLASS_TEXT, "text");
        check(eyre::Report::from(Declined(1)), "Declined", "card declined");
        let deep = eyre::Report::from(Declined(1)).wrap_err("cannot charge");
        check(deep, "Declined", "cannot charge: card declined");
    }

    #[test]
    fn a_name_is_bounded_and_a_debug_text_without_one_has_none() {
        #[derive(thiserror::Error)]
        #[error("odd")]
        struct Odd(String);
        impl fmt::Debug for Odd {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        let name = |text: &str| name_in_debug(&Odd(text.to_owned())).map(Cow::into_owned);
        assert_eq!(name("Gone { at: 1 }").as_deref(), Some("Gone"));
        assert_eq!(name("lower case"), None);
        assert_eq!(name(""), None);
        assert_eq!(name(&"N".repeat(1_000)).map(|name| name.len()), Some(ERROR_CLASS_BYTES_MAX));
    }
}
