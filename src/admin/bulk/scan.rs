//! The usual kind of bulk line, taken apart in one pass over its bytes.
//!
//! It does not know all of JSON: no escapes, no `null`, no deep nesting. It leaves anything it is not sure of to the
//! parser, which also reports what is wrong with a line. What it does accept, the parser reads the same way; a test checks
//! that.

/// How deep arguments may nest here: deeper nesting is rare, and left to the parser.
const DEPTH_MAX: usize = 16;

/// Digits of `retries` that are read here: more than are allowed.
const DIGITS_MAX: usize = 6;

/// The contents of a line, borrowed from it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts<'l> {
    pub(super) name: Option<&'l str>,
    /// Valid JSON.
    pub(super) args: Option<&'l str>,
    pub(super) queue: Option<&'l str>,
    pub(super) retries: Option<u32>,
    pub(super) jid: Option<&'l str>,
    /// Whether the arguments are known to be an array without white space, no deeper than any payload may be.
    pub(super) are_compact: bool,
}

/// The parts of an object, or `None` if only the parser can tell.
pub(super) fn object(line: &str) -> Option<Parts<'_>> {
    let mut scan = Scan { text: line, at: 0, spaces: 0 };
    let mut parts = Parts::default();
    scan.white_space();
    scan.expect(b'{')?;
    loop {
        scan.white_space();
        let key = scan.string()?;
        scan.white_space();
        scan.expect(b':')?;
        scan.white_space();
        // A repeated member is an error, which the parser reports.
        match key {
            "name" => once(&mut parts.name, scan.string()?)?,
            "queue" => once(&mut parts.queue, scan.string()?)?,
            "jid" => once(&mut parts.jid, scan.string()?)?,
            "retries" => once(&mut parts.retries, scan.number_of_retries()?)?,
            "args" => {
                let (args, are_compact) = scan.array()?;
                once(&mut parts.args, args)?;
                parts.are_compact = are_compact;
            }
            _ => return None,
        }
        scan.white_space();
        match scan.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    scan.white_space();
    scan.is_at_end().then_some(parts)
}

/// The parts of an array of arguments, or `None` if only the parser can tell.
pub(super) fn arguments(line: &str) -> Option<Parts<'_>> {
    let mut scan = Scan { text: line, at: 0, spaces: 0 };
    scan.white_space();
    let (args, are_compact) = scan.array()?;
    scan.white_space();
    scan.is_at_end().then_some(Parts { args: Some(args), are_compact, ..Parts::default() })
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    match place.replace(value) {
        None => Some(()),
        Some(_) => None,
    }
}

struct Scan<'l> {
    text: &'l str,
    at: usize,
    /// White space that was skipped.
    spaces: usize,
}

impl<'l> Scan<'l> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
            self.spaces += 1;
        }
    }

    /// The inside of a string without escapes.
    fn string(&mut self) -> Option<&'l str> {
        self.expect(b'"')?;
        let rest = &self.text.as_bytes()[self.at..];
        let length = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
        let inside = self.text.get(self.at..self.at + length)?;
        self.at += length;
        self.expect(b'"')?;
        Some(inside)
    }

    fn number_of_retries(&mut self) -> Option<u32> {
        let start = self.at;
        self.digits()?;
        let digits = &self.text[start..self.at];
        let plain = digits.len() <= DIGITS_MAX && (digits.len() == 1 || !digits.starts_with('0'));
        if plain { digits.parse().ok() } else { None }
    }

    /// An array, and whether it contains no white space.
    fn array(&mut self) -> Option<(&'l str, bool)> {
        let (start, spaces) = (self.at, self.spaces);
        if self.peek()? != b'[' {
            return None;
        }
        self.value(DEPTH_MAX)?;
        Some((&self.text[start..self.at], self.spaces == spaces))
    }

    fn value(&mut self, depth_left: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'[' => self.members(depth_left.checked_sub(1)?, b']', |_| Some(())),
            b'{' => self.members(depth_left.checked_sub(1)?, b'}', |scan| {
                scan.string()?;
                scan.white_space();
                scan.expect(b':')?;
                scan.white_space();
                Some(())
            }),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    /// From an opening bracket to the closing one; `key` consumes what precedes each value.
    fn members(&mut self, depth_left: usize, close: u8, key: impl Fn(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.white_space();
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            key(self)?;
            self.value(depth_left)?;
            self.white_space();
            match self.next()? {
                b',' => self.white_space(),
                byte => return (byte == close).then_some(()),
            }
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.as_bytes()[self.at..].starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one.
    fn digits(&mut self) -> Option<()> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_usual_line_is_taken_apart() {
        let line = r#" {"name":"A::Bé","args":[1,-2.5e+3,"x",[true,false,null],{"k":{}},[]],"queue":"img","retries":3,"jid":"j"} "#;
        let expected = Parts {
            name: Some("A::Bé"),
            args: Some(r#"[1,-2.5e+3,"x",[true,false,null],{"k":{}},[]]"#),
            queue: Some("img"),
            retries: Some(3),
            jid: Some("j"),
            are_compact: true,
        };
        assert_eq!(object(line), Some(expected));
        let spaced = object(r#"{ "args" : [ 1 ] }"#).unwrap();
        assert_eq!((spaced.args, spaced.are_compact), (Some("[ 1 ]"), false));
        assert_eq!(arguments(" [1, 2]").unwrap().args, Some("[1, 2]"));
    }

    #[test]
    fn what_it_is_not_sure_of_is_left_to_the_parser() {
        for line in [
            "{}",
            "",
            "{",
            r#"{"name":"a\n"}"#,
            r#"{"name":null}"#,
            r#"{"name":"a","name":"b"}"#,
            r#"{"name":"a","at":1}"#,
            r#"{"retries":01}"#,
            r#"{"retries":1.5}"#,
            r#"{"retries":-1}"#,
            r#"{"retries":1234567}"#,
            r#"{"args":{}}"#,
            r#"{"args":[01]}"#,
            r#"{"args":[1,]}"#,
            r#"{"args":[1]} x"#,
            r#"{"args":[+1]}"#,
            r#"{"args":[.5]}"#,
            r#"{"args":[1.]}"#,
            r#"{"args":[nul]}"#,
            "{\"args\":[\"\t\"]}",
        ] {
            assert_eq!(object(line), None, "{line}");
        }
        let deep = format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
        assert!(arguments(&deep).is_none() && arguments(&deep[1..deep.len() - 1]).is_some());
    }

    /// Text that is almost JSON: pieces of it in any order.
    fn nearly_json() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "\t",
            "\"",
            "\"name\"",
            "\"args\"",
            "\"k\"",
            "\"\\u00e9\"",
            "é",
            "0",
            "1",
            "23",
            "-",
            ".",
            "e",
            "E+",
            "true",
            "null",
            "fals",
            "\\",
            "\u{1}",
            "\"retries\"",
            "[1,2]",
            "{}",
        ]);
        prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_it_takes_for_arguments_is_json(text in nearly_json()) {
            let text = format!("[{text}]");
            if let Some(parts) = arguments(&text) {
                let parsed: &RawValue = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(parts.args, Some(parsed.get()));
                // A number beyond every float, such as 1e2323, is JSON all the same.
                if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
                    let compact = value.to_string();
                    prop_assert!(!parts.are_compact || !text.contains(' ') || compact.contains(' '));
                }
            }
        }

        #[test]
        fn what_it_takes_for_an_object_is_one(text in nearly_json()) {
            let text = format!("{{\"jid\":\"j\",{text}}}");
            if let Some(parts) = object(&text) {
                let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(parts.name, parsed.get("name").map(|name| name.as_str().unwrap()));
                prop_assert_eq!(parts.retries.map(u64::from), parsed.get("retries").map(|n| n.as_u64().unwrap()));
                prop_assert_eq!(parts.args.is_some(), parsed.get("args").is_some());
            }
        }
    }
}
