//! Payloads as pages show them: exact to the digit, on one line or indented, with what is secret left out.
//!
//! Tokens are copied as they stand, so numbers of any size, the order of members and doubled members survive. The value of a
//! member whose name speaks of a secret ([`SECRET_WORDS`]) is replaced. What is not JSON cannot be searched for members, so
//! it is shown only if it has no such word at all.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::foreign::{escape_json, neutral};
use crate::job::RAW_BASE64;

/// A member whose name contains one of these, in whatever case, holds a secret.
pub(crate) const SECRET_WORDS: [&str; 6] =
    ["password", "passwd", "token", "secret", "authorization", "api_key"];

/// What stands in place of a secret.
const HIDDEN: &str = "\"[hidden]\"";

/// How JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As it came.
    Raw,
    /// A line for each member and element.
    #[cfg_attr(not(feature = "web"), expect(dead_code, reason = "only pages show it"))]
    Pretty,
}

/// JSON that is ready to be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) text: String,
    /// Values that were left out because of their names.
    pub(crate) hidden: usize,
    /// Bytes that were left out because there are too many.
    pub(crate) more: usize,
}

/// Writes JSON of which about `bytes_max` bytes are shown. It must be JSON.
pub(crate) fn json(json: &str, layout: Layout, bytes_max: usize) -> Shown {
    let mut writer = Writer { json, layout, at: 0, depth: 0, out: String::new(), hidden: 0 };
    writer.run(bytes_max);
    let Writer { at, out, hidden, .. } = writer;
    Shown { text: escape_json(&out).into_owned(), hidden, more: json.len() - at }
}

/// What is no JSON, as text; `None` if it may hold a secret.
#[cfg_attr(not(feature = "web"), expect(dead_code, reason = "only pages show it"))]
pub(crate) fn text(bytes: &[u8], chars_max: usize) -> Option<Shown> {
    let whole = String::from_utf8_lossy(bytes);
    if is_secret(&whole) {
        return None;
    }
    let (text, more) = lines(&whole, chars_max);
    Some(Shown { text, hidden: 0, more })
}

/// The text with line breaks kept and the rest of what is not visible as escapes, at most this many characters of it; and
/// how many bytes are missing.
pub(crate) fn lines(text: &str, chars_max: usize) -> (String, usize) {
    let end = text.char_indices().nth(chars_max).map_or(text.len(), |(end, _)| end);
    (neutral(&text[..end]).into_owned(), text.len() - end)
}

/// Whether a text speaks of a secret.
pub(crate) fn is_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}

struct Writer<'j> {
    json: &'j str,
    layout: Layout,
    at: usize,
    depth: usize,
    out: String,
    hidden: usize,
}

impl<'j> Writer<'j> {
    fn run(&mut self, bytes_max: usize) {
        // The string that was written last, if nothing but blanks came after it.
        let mut last: Option<&'j str> = None;
        while self.out.len() < bytes_max
            && let Some(byte) = self.peek()
        {
            match byte {
                b'"' => {
                    let token = self.string();
                    self.write_cut(token, bytes_max);
                    last = Some(token);
                    continue;
                }
                b':' => {
                    self.punctuation(byte);
                    if let Some(key) = last.take()
                        && hides(key)
                    {
                        self.hide(key);
                    }
                    continue;
                }
                b' ' | b'\t' | b'\n' | b'\r' => {
                    if self.layout == Layout::Raw {
                        self.out.push(char::from(byte));
                    }
                    self.at += 1;
                    continue;
                }
                b'{' | b'[' | b'}' | b']' | b',' => self.punctuation(byte),
                _ => {
                    let token = self.scalar();
                    self.write_cut(token, bytes_max);
                }
            }
            last = None;
        }
    }

    /// A text that is larger than what is shown ends there.
    fn write_cut(&mut self, token: &str, bytes_max: usize) {
        let left = bytes_max - self.out.len().min(bytes_max);
        let end = if token.len() <= left { token.len() } else { token.floor_char_boundary(left) };
        self.out.push_str(&token[..end]);
        // What is left of it counts as not shown.
        self.at -= token.len() - end;
        if end < token.len() {
            self.out.push('…');
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    /// Reads a string with its quotes.
    fn string(&mut self) -> &'j str {
        let bytes = self.json.as_bytes();
        let mut end = self.at + 1;
        while let Some(byte) = bytes.get(end) {
            match byte {
                b'"' => {
                    end += 1;
                    break;
                }
                b'\\' => end += 2,
                _ => end += 1,
            }
        }
        self.take(end)
    }

    /// Reads a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> &'j str {
        let rest = &self.json[self.at..];
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, ',' | ']' | '}' | ':' | '"' | '{' | '[');
        let length = rest.find(ends).unwrap_or(rest.len());
        self.take(self.at + length.max(1))
    }

    fn take(&mut self, end: usize) -> &'j str {
        // Only text that is no JSON could end within a character.
        let end = self.json.ceil_char_boundary(end.min(self.json.len()));
        let token = &self.json[self.at..end];
        self.at = end;
        token
    }

    fn punctuation(&mut self, byte: u8) {
        self.at += 1;
        let character = char::from(byte);
        if self.layout == Layout::Raw {
            return self.out.push(character);
        }
        match byte {
            b'{' | b'[' => {
                self.out.push(character);
                self.skip_blanks();
                if self.peek().is_some_and(|next| matches!(next, b'}' | b']')) {
                    // An empty one stays on its line; the closing one comes next and must not break it.
                    self.at += 1;
                    return self.out.push(if byte == b'{' { '}' } else { ']' });
                }
                self.depth += 1;
                self.break_line();
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.break_line();
                self.out.push(character);
            }
            b',' => {
                self.out.push(character);
                self.break_line();
            }
            _ => self.out.push_str(": "),
        }
    }

    fn break_line(&mut self) {
        // Deep nesting is not worth its blanks.
        const INDENTS_MAX: usize = 32;
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth.min(INDENTS_MAX)));
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Skips a value, if it is a secret, and writes something in its place.
    fn hide(&mut self, key: &str) {
        let from = self.at;
        self.skip_blanks();
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.string();
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                _ => {
                    self.scalar();
                }
            }
            if depth == 0 {
                break;
            }
        }
        let value = &self.json[start..self.at];
        if matches!(value, "null" | "true" | "false" | "") || is_harmless_burial(key, value) {
            self.at = from;
        } else {
            self.hidden += 1;
            self.out.push_str(HIDDEN);
        }
    }
}

/// Whether the value of a member with this name, a JSON string, may be a secret.
fn hides(key: &str) -> bool {
    match serde_json::from_str::<Cow<'_, str>>(key) {
        Ok(name) => is_secret(&name) || name == RAW_BASE64,
        // A name that is no text cannot be read, so it may say anything.
        Err(_) => true,
    }
}

/// Whether that is the base64 of buried bytes, and they speak of no secret.
fn is_harmless_burial(key: &str, value: &str) -> bool {
    let base64 = value.trim_matches('"');
    key.trim_matches('"') == RAW_BASE64
        && STANDARD.decode(base64).is_ok_and(|bytes| !is_secret(&String::from_utf8_lossy(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = 1_000_000;

    #[test]
    fn json_is_exact_in_both_layouts() {
        let payload =
            r#"{"n":9223372036854775808,"f":1.0e+21, "a":[],"o":{ },"a":[1,"x\"y",{"b":null}],"s":"\ud800"}"#;
        assert_eq!(json(payload, Layout::Raw, ALL), Shown { text: payload.to_owned(), hidden: 0, more: 0 });
        let pretty = "{\n  \"n\": 9223372036854775808,\n  \"f\": 1.0e+21,\n  \"a\": [],\n  \"o\": {},\n  \"a\": [\n    1,\n    \
                      \"x\\\"y\",\n    {\n      \"b\": null\n    }\n  ],\n  \"s\": \"\\ud800\"\n}";
        assert_eq!(json(payload, Layout::Pretty, ALL).text, pretty);
    }

    #[test]
    fn secrets_are_left_out_by_the_names_of_their_members() {
        let check = |payload: &str, expected: &str, hidden: usize| {
            let shown = json(payload, Layout::Raw, ALL);
            assert_eq!((&*shown.text, shown.hidden, shown.more), (expected, hidden, 0));
        };
        check(
            r#"[{"user":"a","password":"p\"]x","n":1}]"#,
            r#"[{"user":"a","password":"[hidden]","n":1}]"#,
            1,
        );
        check(r#"{"API_TOKEN" : {"a":[1,"}"],"b":2},"x":[7]}"#, r#"{"API_TOKEN" :"[hidden]","x":[7]}"#, 1);
        check(r#"{"pass\u0077ord":12.5}"#, r#"{"pass\u0077ord":"[hidden]"}"#, 1);
        check(r#"{"\ud800":[1]}"#, r#"{"\ud800":"[hidden]"}"#, 1);
        check(r#"["password","x"]"#, r#"["password","x"]"#, 0);
        check(r#"{"a":"password","b":1}"#, r#"{"a":"password","b":1}"#, 0);
        check(r#"{"token":null,"secret":true}"#, r#"{"token":null,"secret":true}"#, 0);
        let buried = |text: &str| format!(r#"{{"raw_base64":"{}","q":1}}"#, STANDARD.encode(text));
        check(&buried("no json"), &buried("no json"), 0);
        check(&buried("password=7"), r#"{"raw_base64":"[hidden]","q":1}"#, 1);
    }

    #[test]
    fn what_is_large_is_cut_and_what_is_no_json_never_hangs_or_panics() {
        let large = format!(r#"["{}",1]"#, "é".repeat(100_000));
        let shown = json(&large, Layout::Raw, 1_000);
        assert!(shown.text.len() < 1_010 && shown.text.ends_with('…'), "{}", shown.text.len());
        assert_eq!(shown.more, large.len() - 1_000);
        for broken in ["\"", "\"\\", "{\"password\":", "{\"token\":[[", "]]]", "é\"é\\é", "{:}", "\\", ""]
        {
            for layout in [Layout::Raw, Layout::Pretty] {
                assert!(json(broken, layout, ALL).text.len() < 200, "{broken}");
            }
        }
    }

    #[test]
    fn what_is_not_seen_is_escaped_and_text_with_secrets_is_not_shown() {
        let shown = json("[\"\u{202e}</script>\u{7f}\"]", Layout::Raw, ALL);
        assert_eq!(shown.text, "[\"\\u202e</script>\\u007f\"]");
        assert_eq!(text(b"\xff\x1b[2J", 100).unwrap().text, "\u{fffd}\\u{1b}[2J");
        assert_eq!(text(b"{broken \"Password\": 7", 100), None);
    }
}
