//! Finds the spans of members and elements in JSON text, without decoding or copying anything.
//!
//! Responsible for where things are. Not for whether the text is valid: on valid JSON the spans are exact, on anything else
//! the scan ends with an error or with spans that hold nonsense, but it never panics, recurses or reads past the end.
//! Callers that need validity ask a parser first.

use std::ops::Range;

/// The byte at which a scan could not continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unexpected end or character at byte {offset}")]
pub(crate) struct Unexpected {
    /// Offset from the start of the scanned bytes.
    pub(crate) offset: usize,
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The key with its quotes.
    pub(crate) key: Range<usize>,
    /// The value, without the white space around it.
    pub(crate) value: Range<usize>,
}

/// The members of the object `json`, in order, duplicates included.
pub(crate) fn members(json: &[u8]) -> Result<Vec<Member>, Unexpected> {
    let mut found = Vec::new();
    collect_members(json, &mut found)?;
    Ok(found)
}

/// The same for bytes that may be cut off: the members that end before the place where the scan cannot continue.
pub(crate) fn members_of_head(json: &[u8]) -> Vec<Member> {
    let mut found = Vec::new();
    // What comes after that place is not asked for.
    let _end = collect_members(json, &mut found);
    found
}

fn collect_members(json: &[u8], found: &mut Vec<Member>) -> Result<(), Unexpected> {
    items(json, b'{', b'}', |at| {
        let key_end = string_end(json, at)?;
        let colon = expect(json, space_end(json, key_end), b':')?;
        let start = space_end(json, colon);
        let end = value_end(json, start)?;
        found.push(Member { key: at..key_end, value: start..end });
        Ok(end)
    })
}

/// The elements of the array `json`, in order.
pub(crate) fn elements(json: &[u8]) -> Result<Vec<Range<usize>>, Unexpected> {
    let mut found = Vec::new();
    items(json, b'[', b']', |at| {
        let end = value_end(json, at)?;
        found.push(at..end);
        Ok(end)
    })?;
    Ok(found)
}

/// The greatest nesting of arrays and objects: 0 for a number, 1 for `[]`.
pub(crate) fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0_usize, 0, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => match string_end(json, at) {
                Ok(end) => {
                    at = end;
                    continue;
                }
                Err(_) => break,
            },
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    deepest
}

/// The first byte that is not white space: enough to tell what kind of value valid JSON is.
pub(crate) fn first_byte(json: &[u8]) -> Option<u8> {
    json.get(space_end(json, 0)).copied()
}

/// Whether a key, given with its quotes and possibly with escapes, reads as `name`.
pub(crate) fn key_is(key: &[u8], name: &str) -> bool {
    match key {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => inner == name.as_bytes(),
        // A key with escapes is rare, and one that no text can hold (a lone surrogate) equals none of our names.
        _ => serde_json::from_slice::<String>(key).is_ok_and(|decoded| decoded == name),
    }
}

/// Walks over what is between `open` and `close`, calling `item` where an item starts; it returns the item's end.
fn items(
    json: &[u8],
    open: u8,
    close: u8,
    mut item: impl FnMut(usize) -> Result<usize, Unexpected>,
) -> Result<(), Unexpected> {
    let mut at = space_end(json, expect(json, space_end(json, 0), open)?);
    if json.get(at) == Some(&close) {
        return end_of_text(json, at + 1);
    }
    loop {
        at = space_end(json, item(at)?);
        match json.get(at) {
            Some(b',') => at = space_end(json, at + 1),
            Some(byte) if *byte == close => return end_of_text(json, at + 1),
            _ => return Err(Unexpected { offset: at }),
        }
    }
}

fn end_of_text(json: &[u8], at: usize) -> Result<(), Unexpected> {
    let end = space_end(json, at);
    if end == json.len() { Ok(()) } else { Err(Unexpected { offset: end }) }
}

fn expect(json: &[u8], at: usize, byte: u8) -> Result<usize, Unexpected> {
    if json.get(at) == Some(&byte) { Ok(at + 1) } else { Err(Unexpected { offset: at }) }
}

fn space_end(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the string that starts at `at`, after its closing quote.
fn string_end(json: &[u8], at: usize) -> Result<usize, Unexpected> {
    let mut at = expect(json, at, b'"')?;
    loop {
        match json.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return Err(Unexpected { offset: json.len() }),
        }
    }
}

/// The end of the value that starts at `at`. Brackets are counted, not matched by kind: validity does not matter here.
fn value_end(json: &[u8], start: usize) -> Result<usize, Unexpected> {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match json.get(at) {
            Some(b'"') => at = string_end(json, at)?,
            Some(b'[' | b'{') => {
                depth += 1;
                at += 1;
                continue;
            }
            Some(b']' | b'}') if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            Some(b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') if depth > 0 => {
                at += 1;
                continue;
            }
            Some(byte) if !is_delimiter(*byte) => {
                while json.get(at).is_some_and(|byte| !is_delimiter(*byte) && *byte != b'"') {
                    at += 1;
                }
            }
            _ => return Err(Unexpected { offset: at }),
        }
        if depth == 0 {
            return Ok(at);
        }
    }
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b'[' | b']' | b'{' | b'}' | b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(json: &str) -> Vec<(&str, &str)> {
        let members = members(json.as_bytes()).unwrap();
        members.into_iter().map(|member| (&json[member.key], &json[member.value])).collect()
    }

    fn texts(json: &str) -> Vec<&str> {
        elements(json.as_bytes()).unwrap().into_iter().map(|span| &json[span]).collect()
    }

    #[test]
    fn members_are_found_with_their_exact_bytes() {
        assert_eq!(spans("{}"), []);
        assert_eq!(spans(" { } "), []);
        assert_eq!(
            spans(r#" {"a" : 1 ,"b":[ 1, {"c":"}]"} ],"\u0061":"x\"y\\","d":-1.0e+21 } "#),
            [
                ("\"a\"", "1"),
                ("\"b\"", r#"[ 1, {"c":"}]"} ]"#),
                (r#""\u0061""#, r#""x\"y\\""#),
                ("\"d\"", "-1.0e+21")
            ]
        );
    }

    #[test]
    fn elements_are_found_with_their_exact_bytes() {
        assert_eq!(texts("[]"), Vec::<&str>::new());
        assert_eq!(
            texts(r#"[1, "a,b" ,[],[[2],3],{"k":[4]},null ]"#),
            ["1", "\"a,b\"", "[]", "[[2],3]", "{\"k\":[4]}", "null"]
        );
    }

    #[test]
    fn broken_text_ends_with_an_error() {
        for json in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "[",
            "[1",
            "{a:1}",
            "{\"a\\",
            "{\"a\":}",
        ] {
            assert!(members(json.as_bytes()).is_err(), "{json}");
        }
        for json in ["", "[", "[1", "[1,", "[1,]", "[1]]", "[,]", "[\"", "{}"] {
            assert!(elements(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn depth_counts_containers_outside_strings() {
        assert_eq!(depth(b"1"), 0);
        assert_eq!(depth(b"[]"), 1);
        assert_eq!(depth(br#"{"a":["[[[["],"b":{"c":[]}}"#), 3);
        assert_eq!(depth(&[b'['; 1_000_000]), 1_000_000);
    }

    #[test]
    fn keys_are_compared_by_what_they_read_as() {
        assert!(key_is(br#""name""#, "name"));
        assert!(key_is(br#""n\u0061me""#, "name"));
        assert!(!key_is(br#""names""#, "name"));
        assert!(!key_is(br#""\ud800""#, "name"));
    }
}
