//! Text of outside origin, made fit to be shown: bounded, and with nothing in it that steers a terminal or deceives a
//! reader.
//!
//! Anyone who can push a job chooses names, arguments and error messages; anyone who runs a server or a proxy chooses the
//! words of its errors. Every table cell, error text and log value of such an origin goes through here. What is not
//! visible is written as an escape (`\u{202e}`): control characters, marks that change the direction of writing,
//! characters without width, tags, private ones. What is too long is cut, and its length given.
//!
//! JSON stays exact: there the same characters are written as JSON's own escapes ([`escape_json`]).

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write};

use crate::limits::{FOREIGN_CELL_CHARS_MAX, FOREIGN_TEXT_CHARS_MAX};

/// A text in its displayed form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign<'t> {
    text: &'t str,
    chars_max: usize,
}

impl<'t> Foreign<'t> {
    /// In a cell of a table.
    pub(crate) fn cell(text: &'t str) -> Self {
        Self { text, chars_max: FOREIGN_CELL_CHARS_MAX }
    }

    /// In an error or in the log.
    pub(crate) fn text(text: &'t str) -> Self {
        Self { text, chars_max: FOREIGN_TEXT_CHARS_MAX }
    }
}

impl Display for Foreign<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut left = self.chars_max;
        let mut escape = String::new();
        for (at, character) in self.text.char_indices() {
            if is_neutral(character) {
                escape.clear();
                escape.push(character);
            } else {
                write_escape(&mut escape, character);
            }
            let chars = escape.chars().count();
            if chars > left {
                let rest = self.text.len() - at;
                return write!(f, "… ({rest} more bytes)");
            }
            left -= chars;
            f.write_str(&escape)?;
        }
        Ok(())
    }
}

/// The text with what is not visible escaped, however long, and its line breaks kept: for texts that include our own.
pub(crate) fn neutral(text: &str) -> Cow<'_, str> {
    if text.chars().all(|character| character == '\n' || is_neutral(character)) {
        return Cow::Borrowed(text);
    }
    let mut neutral = String::with_capacity(text.len() + 16);
    let mut escape = String::new();
    for character in text.chars() {
        if character == '\n' || is_neutral(character) {
            neutral.push(character);
        } else {
            write_escape(&mut escape, character);
            neutral.push_str(&escape);
        }
    }
    Cow::Owned(neutral)
}

/// JSON with the same characters in its strings as escapes, so that it says the same and is safe for a terminal. Below
/// U+007F nothing needs escaping here: JSON does not allow control characters raw in its strings.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    let is_plain = |character: char| character < '\u{7f}' || is_neutral(character);
    if json.chars().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_plain(character) {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

/// Whether a text consists only of characters that are seen as what they are.
pub(crate) fn is_visible(text: &str) -> bool {
    text.chars().all(is_neutral)
}

/// Whether a character is seen as what it is, and is not mistaken for anything else.
fn is_neutral(character: char) -> bool {
    if character.is_ascii() {
        return !character.is_ascii_control();
    }
    !is_blank(character) && is_printable(character)
}

/// Letters and marks that show nothing although they count as printable; variation selectors of emoji are left as they
/// are.
fn is_blank(character: char) -> bool {
    matches!(
        character,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0d}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Whether the standard library prints it unescaped in a string's `Debug` when it follows another character: this
/// includes combining marks, which many scripts need.
fn is_printable(character: char) -> bool {
    let mut bytes = [b'x'; 5];
    let end = 1 + character.encode_utf8(&mut bytes[1..]).len();
    // The bytes are those of an `x` and a character.
    let pair = std::str::from_utf8(&bytes[..end]).unwrap_or_default();
    pair.escape_debug().nth(1) == Some(character)
}

fn write_escape(escape: &mut String, character: char) {
    escape.clear();
    escape.extend(character.escape_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_visible_is_escaped() {
        for (text, shown) in [
            ("plain, \"quoted\" and 'so' \\ on", "plain, \"quoted\" and 'so' \\ on"),
            ("über 日本 é e\u{301} हिन्दी ❤\u{fe0f}", "über 日本 é e\u{301} हिन्दी ❤\u{fe0f}"),
            ("a\u{1b}[2Jb\n\t\r\0\u{7f}", "a\\u{1b}[2Jb\\n\\t\\r\\u{0}\\u{7f}"),
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("gpj\u{202e}exe\u{2066}x\u{2069}\u{200e}", "gpj\\u{202e}exe\\u{2066}x\\u{2069}\\u{200e}"),
            (
                "a\u{200b}b\u{200d}\u{feff}\u{2060}\u{ad}\u{61c}",
                "a\\u{200b}b\\u{200d}\\u{feff}\\u{2060}\\u{ad}\\u{61c}",
            ),
            ("\u{e0041}\u{e0100}\u{3164}\u{115f}\u{2800}", "\\u{e0041}\\u{e0100}\\u{3164}\\u{115f}\\u{2800}"),
            ("\u{2028}\u{2029}\u{a0}\u{e000}", "\\u{2028}\\u{2029}\\u{a0}\\u{e000}"),
        ] {
            assert_eq!(Foreign::text(text).to_string(), shown);
            assert_eq!(neutral(text), shown.replace("\\n", "\n"));
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_its_length_is_given() {
        let fits = "x".repeat(FOREIGN_CELL_CHARS_MAX);
        assert_eq!(Foreign::cell(&fits).to_string(), fits);
        let long = "x".repeat(70_000);
        let rest = 70_000 - FOREIGN_CELL_CHARS_MAX;
        assert_eq!(Foreign::cell(&long).to_string(), format!("{fits}… ({rest} more bytes)"));
        // Escapes count as they are shown.
        let long = "\u{202e}".repeat(70_000);
        let shown = Foreign::cell(&long).to_string();
        assert!(shown.chars().count() < FOREIGN_CELL_CHARS_MAX + 30, "{shown}");
    }

    #[test]
    fn json_says_the_same_with_escapes() {
        let value = serde_json::json!({"a\u{202e}": ["\u{e0041}\u{7f}\u{9b}", "é", "\n\u{1b}"]});
        let json = value.to_string();
        let escaped = escape_json(&json);
        assert_eq!(escaped, r#"{"a\u202e":["\udb40\udc41\u007f\u009b","é","\n\u001b"]}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        assert!(matches!(escape_json("[\n  1\n]"), Cow::Borrowed(_)));
    }
}
