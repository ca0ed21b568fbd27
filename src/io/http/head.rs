//! The bytes of a request: its line, its headers, and how long its body is.
//!
//! Their parts have types of the crate `http`, which hold no byte that could end a line.

use ::http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::target::What;

/// Bytes taken by the request line and the usual headers, apart from the path and what the user adds.
const USUAL_BYTES: usize = 128;

/// Bodies up to this size are sent with the head, in one write.
const SMALL_BODY_BYTES: usize = 4 * 1024;

/// What is sent.
pub(super) struct Message {
    /// The head, and the body if it is small.
    pub(super) head: Vec<u8>,
    /// Whether the body is included in those bytes.
    pub(super) is_whole: bool,
}

/// Writes a request. Headers set by the user override the client's own, except for the length of the body.
pub(super) fn write(what: &What, headers: &HeaderMap, agent: &HeaderValue, body: &[u8]) -> Message {
    let What { method, target } = what;
    let is_whole = body.len() <= SMALL_BODY_BYTES;
    let carried = if is_whole { body } else { &[] };
    let mut head = Vec::with_capacity(USUAL_BYTES + target.path.as_str().len() + carried.len());
    head.extend_from_slice(method.as_str().as_bytes());
    head.push(b' ');
    head.extend_from_slice(target.path.as_str().as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    let own = [(&HOST, target.authority.as_str().as_bytes()), (&USER_AGENT, agent.as_bytes())];
    for (name, value) in own {
        line(&mut head, name, headers.get(name).map_or(value, HeaderValue::as_bytes));
    }
    for (name, value) in headers {
        if ![HOST, USER_AGENT, CONTENT_LENGTH].contains(name) {
            line(&mut head, name, value.as_bytes());
        }
    }
    if !body.is_empty() || has_body_by_nature(method) {
        line(&mut head, &CONTENT_LENGTH, HeaderValue::from(body.len()).as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(carried);
    Message { head, is_whole }
}

fn line(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    head.extend_from_slice(name.as_str().as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Whether an empty body has to be declared: RFC 9110, section 8.6.
fn has_body_by_nature(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::http::target::Target;

    fn written(method: Method, headers: &[(&'static str, &'static str)], body: &[u8]) -> (String, bool) {
        let target = Target::parse("http://a.example:81/x?y=1").unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let agent = HeaderValue::from_static("us");
        let Message { head, is_whole } = write(&What { method, target }, &headers, &agent, body);
        (String::from_utf8(head).unwrap(), is_whole)
    }

    #[test]
    fn heads_say_what_they_must_and_no_more() {
        let get = "GET /x?y=1 HTTP/1.1\r\nhost: a.example:81\r\nuser-agent: us\r\n\r\n";
        assert_eq!(written(Method::GET, &[], b""), (get.to_owned(), true));
        let (post, _) = written(Method::POST, &[], b"");
        assert!(post.ends_with("\r\ncontent-length: 0\r\n\r\n"), "{post}");
        let (delete, _) = written(Method::DELETE, &[], b"ab");
        assert!(delete.ends_with("\r\ncontent-length: 2\r\n\r\nab"), "{delete}");
    }

    #[test]
    fn headers_of_the_user_replace_the_clients_but_for_the_length() {
        let own = [("host", "b"), ("user-agent", "me"), ("content-length", "7"), ("x-key", "k")];
        let (put, _) = written(Method::PUT, &own, b"abc");
        let expected =
            "PUT /x?y=1 HTTP/1.1\r\nhost: b\r\nuser-agent: me\r\nx-key: k\r\ncontent-length: 3\r\n\r\nabc";
        assert_eq!(put, expected);
    }

    #[test]
    fn a_large_body_is_sent_by_itself() {
        for (bytes, is_whole) in [(SMALL_BODY_BYTES, true), (SMALL_BODY_BYTES + 1, false)] {
            let (head, whole) = written(Method::POST, &[], &vec![b'a'; bytes]);
            assert_eq!((whole, head.ends_with("\r\n\r\n")), (is_whole, !is_whole));
        }
    }
}
