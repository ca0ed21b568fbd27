//! Urls in foreign text: a wrong command line, an invalid file.

use std::borrow::Cow;

/// The text with the user part and query of each url in it replaced by `***`.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    const MARK: &str = "://";
    if !text.contains(MARK) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let (before, url) = rest.split_at(at + MARK.len());
        masked.push_str(before);
        // A blank or a quotation mark ends the url. If such a character is part of a password, it is not
        // percent-encoded, and the last @ of the line, or before the next url, may still be the one after the
        // password.
        let line = url.split('\n').next().unwrap_or_default();
        let end = url.find(|c: char| c.is_whitespace() || "'\"`<>".contains(c)).unwrap_or(url.len());
        let before_next = line.split(MARK).next().unwrap_or_default();
        let secret = url[..end].rfind('@').max(before_next.rfind('@'));
        let shown = secret.map_or(0, |at| at + 1);
        if secret.is_some() {
            masked.push_str("***@");
        }
        let tail = &url[shown..end.max(shown)];
        let (plain, query) = tail.split_once('?').map_or((tail, None), |(plain, query)| (plain, Some(query)));
        masked.push_str(plain);
        if query.is_some() {
            masked.push_str("?***");
        }
        rest = &url[end.max(shown)..];
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_url_but_where_it_leads_is_left() {
        for (text, left) in [
            ("no url, a@b", "no url, a@b"),
            ("'redis://h:1/2' found", "'redis://h:1/2' found"),
            ("'redis://s3cret@h:1/2' found", "'redis://***@h:1/2' found"),
            (
                "`redis://me:s3cret@h` and rediss://:s3cret@b?password=s3cret.",
                "`redis://***@h` and rediss://***@b?***",
            ),
            ("'redis://:s3cret s3cret'x@h'\nmail a@b", "'redis://***@h'\nmail a@b"),
            ("redis://:s3://cret@h and redis://:s3 c@ret@h", "redis://***@h and redis://***@h"),
            ("unix:///s?user=me&password=s3cret", "unix:///s?***"),
        ] {
            assert_eq!(masked(text), left);
        }
    }
}
