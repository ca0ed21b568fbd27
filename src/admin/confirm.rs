//! Asks before doing something that cannot be undone.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use super::error::Error;

/// Whether the user has already agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmation {
    /// `--yes` was given.
    Given,
    /// A person at the terminal must be asked.
    Ask,
}

/// What a person types to agree.
const AGREED: &str = "yes";

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64;

impl Confirmation {
    /// Refuses, before anything is tried, if someone must be asked and nobody is there.
    ///
    /// # Errors
    /// [`Error::NobodyToAsk`].
    pub fn check(self, what: &str) -> Result<(), Error> {
        let somebody = io::stdin().is_terminal() && io::stderr().is_terminal();
        if self == Self::Given || somebody {
            Ok(())
        } else {
            Err(Error::NobodyToAsk { what: what.to_owned() })
        }
    }

    /// Asks, unless the user has already agreed.
    ///
    /// # Errors
    /// [`Error::NotConfirmed`] for any answer but `yes`.
    pub(super) fn obtain(self, question: &str) -> Result<(), Error> {
        if self == Self::Given || ask(question, &mut io::stdin().lock(), &mut io::stderr().lock())? {
            return Ok(());
        }
        Err(Error::NotConfirmed)
    }
}

fn ask(question: &str, input: &mut dyn BufRead, output: &mut dyn Write) -> io::Result<bool> {
    write!(output, "{question}\ntype {AGREED} to continue: ")?;
    output.flush()?;
    let mut answer = String::new();
    input.take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
    Ok(answer.trim() == AGREED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_word_is_consent() {
        for (answer, agreed) in [
            ("yes\n", true),
            ("  yes \n", true),
            ("y\n", false),
            ("YES\n", false),
            ("\n", false),
            ("", false),
            ("yes, please\n", false),
        ] {
            let mut shown = Vec::new();
            let input = &mut answer.as_bytes();
            assert_eq!(ask("delete 3 jobs?", input, &mut shown).unwrap(), agreed, "{answer:?}");
            assert_eq!(String::from_utf8(shown).unwrap(), "delete 3 jobs?\ntype yes to continue: ");
        }
        assert!(Confirmation::Given.check("delete").is_ok() && Confirmation::Given.obtain("?").is_ok());
    }
}
