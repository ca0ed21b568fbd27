//! Asking sentinels where the primary is.
//!
//! Sans-IO: [`Search`] says whom to ask next, hears what came of it, and knows when to give up. Whoever has a socket loops:
//! take the next sentinel, open a connection to it, send the question, hand the reply or the failure in; if that names a
//! server, open it, and if it cannot be had or calls itself a replica, go on with the next sentinel, which may know better.
//!
//! They are asked anew at each connect, and nobody listens for a fail-over: it ends every connection that it concerns (the
//! old primary dies, or cuts its clients off when it becomes a replica, or answers `READONLY`), and the next connect asks.
//!
//! Known weakness: a first sentinel whose host swallows packets costs a connect time-out at each connect. A primary that is
//! cut off from its sentinels, but not from us, is used until it hears that it is none any more: `min-replicas-to-write` in
//! Redis bounds what it takes meanwhile.

pub(crate) mod error;

pub use error::SentinelError;

use crate::resp::Requests;
use crate::resp::error::{Error, HandshakeError};
use crate::resp::reply::{Elements, Reply, Value};
use crate::resp::url::{Endpoint, RedisUrl, Sentinels};

/// One search for the primary of a url.
pub struct Search<'a> {
    // Fixed at construction.
    url: &'a RedisUrl,
    sentinels: &'a Sentinels,
    question: Requests,
    // Changed by what is heard.
    next: usize,
    /// Servers that were named and could not be had.
    missed: Vec<Endpoint>,
    reasons: Vec<String>,
    unknown: usize,
    heals: bool,
}

impl<'a> Search<'a> {
    /// A search among these sentinels of `url`, the first one first.
    #[must_use]
    pub fn new(url: &'a RedisUrl, sentinels: &'a Sentinels) -> Self {
        let mut question = Requests::new();
        question.command(&[b"SENTINEL", b"get-master-addr-by-name", sentinels.primary().as_bytes()]);
        let (missed, reasons) = (Vec::new(), Vec::new());
        Self { url, sentinels, question, next: 0, missed, reasons, unknown: 0, heals: false }
    }

    /// Whom to ask next, and the url to introduce ourselves by; `None` when all were asked.
    pub fn next_sentinel(&mut self) -> Option<(Endpoint, RedisUrl)> {
        let endpoint = self.sentinels.hosts().get(self.next)?;
        self.next += 1;
        Some((endpoint.clone(), self.url.sentinel_at(endpoint, self.sentinels.credentials())))
    }

    /// What to ask: one command.
    #[must_use]
    pub fn question(&self) -> &Requests {
        &self.question
    }

    /// Hears what the sentinel said, or why it said nothing, and gives the server it named with the url to use it by; `None`
    /// if the next sentinel is to be asked.
    pub fn heard(&mut self, answer: Result<Reply, Error>) -> Option<(Endpoint, RedisUrl)> {
        let endpoint = match answer.and_then(|reply| address(&reply)) {
            Ok(Some(endpoint)) => endpoint,
            Ok(None) => {
                self.unknown += 1;
                self.note("it knows no primary of this name");
                return None;
            }
            Err(error) => {
                self.heals |= error.may_heal();
                self.note(&reason(&error));
                return None;
            }
        };
        if self.missed.contains(&endpoint) {
            self.note(&format!("it names {endpoint} too"));
            return None;
        }
        self.missed.push(endpoint.clone());
        let primary = self.url.primary_at(endpoint.clone());
        Some((endpoint, primary))
    }

    /// The server that was named last cannot be used.
    pub fn missed(&mut self, error: &Error) {
        self.heals = true;
        let named = self.missed.last().map(ToString::to_string).unwrap_or_default();
        self.note(&format!("it names {named}, and there: {error}"));
    }

    /// All were asked, in vain.
    #[must_use]
    pub fn in_vain(self) -> Error {
        let primary = self.sentinels.primary().to_owned();
        Error::NoPrimary(if self.unknown == self.sentinels.hosts().len() {
            SentinelError::UnknownPrimary { primary, asked: self.sentinels.to_string() }
        } else {
            SentinelError::NoPrimary { primary, reasons: self.reasons.join("; "), heals: self.heals }
        })
    }

    fn note(&mut self, what: &str) {
        let asked = self.next.checked_sub(1).and_then(|index| self.sentinels.hosts().get(index));
        let asked = asked.map(ToString::to_string).unwrap_or_default();
        self.reasons.push(format!("sentinel {asked}: {what}"));
    }
}

/// The server's own errors speak of the url's password, which is not the one a sentinel wants.
fn reason(error: &Error) -> String {
    match error {
        Error::Handshake(HandshakeError::PasswordRequired) => {
            "it wants a password of its own; give --redis-sentinel-password-file".to_owned()
        }
        Error::Handshake(HandshakeError::WrongPassword { user }) => {
            format!("it does not accept the sentinel password of user {user:?}")
        }
        Error::Handshake(HandshakeError::UserAlone) => {
            "it does not accept the sentinel user, which has no password; give --redis-sentinel-password-file"
                .to_owned()
        }
        Error::Handshake(HandshakeError::PasswordNotSet) => {
            "a sentinel password is given, but it has none set".to_owned()
        }
        other => other.to_string(),
    }
}

/// A host and a port, or nil for a name it does not know.
fn address(reply: &Reply) -> Result<Option<Endpoint>, Error> {
    let mut parts = match reply.value() {
        Value::Nil => return Ok(None),
        other => other.as_array()?,
    };
    let mut text = || Some(std::str::from_utf8(parts.next()?.as_bulk().ok()?).ok()?.to_owned());
    match (text(), text().and_then(|port| port.parse().ok())) {
        (Some(host), Some(port)) if !host.is_empty() && port > 0 => Ok(Some(Endpoint::Tcp { host, port })),
        _ => Err(Error::Unexpected { expected: "a host and a port", got: format!("{reply:?}") }),
    }
}

/// The answer of ROLE: that it is a primary.
pub(super) fn check_role(mut parts: Elements<'_>) -> Result<(), HandshakeError> {
    match parts.next() {
        Some(Value::Bulk(b"master")) => Ok(()),
        Some(Value::Bulk(role)) => Err(HandshakeError::NotPrimary {
            role: String::from_utf8_lossy(role).replace("slave", "replica"),
        }),
        _ => Err(HandshakeError::NotPrimary { role: "server without a role".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::{Place, decode::Decoder};

    const URL: &str = "redis+sentinel://me:pw@a,b:7000,c/mymaster/2?sentinel_password=other";

    fn reply(text: &str) -> Reply {
        let mut decoder = Decoder::default();
        decoder.feed(text.as_bytes());
        decoder.next_reply().unwrap().unwrap()
    }

    fn refused() -> Error {
        Error::Io { what: "connect to x".to_owned(), cause: std::io::ErrorKind::ConnectionRefused.into() }
    }

    /// Plays a search: what each sentinel answers, and how the server it names fails.
    fn search(answers: Vec<Result<&str, Error>>) -> (Vec<String>, String, bool) {
        let url = RedisUrl::parse(URL).unwrap();
        let Place::Sentinels(sentinels) = url.place() else { panic!("{url}") };
        let mut search = Search::new(&url, sentinels);
        let mut named = Vec::new();
        for answer in answers {
            search.next_sentinel().unwrap();
            if let Some((_, primary)) = search.heard(answer.map(reply)) {
                named.push(primary.to_string());
                search.missed(&refused());
            }
        }
        assert!(search.next_sentinel().is_none());
        let error = search.in_vain();
        (named, error.to_string(), error.may_heal())
    }

    const AT_1: &str = "*2\r\n$8\r\n10.0.0.1\r\n$4\r\n6379\r\n";
    const AT_2: &str = "*2\r\n$8\r\n10.0.0.2\r\n$4\r\n6380\r\n";

    #[test]
    fn each_is_asked_by_its_own_password_and_the_primary_is_used_by_the_urls() {
        let url = RedisUrl::parse(URL).unwrap();
        let Place::Sentinels(sentinels) = url.place() else { panic!("{url}") };
        let mut search = Search::new(&url, sentinels);
        let (endpoint, sentinel) = search.next_sentinel().unwrap();
        assert_eq!(
            (endpoint.to_string().as_str(), sentinel.to_string().as_str()),
            ("a:26379", "redis://:***@a:26379/0")
        );
        assert_eq!(sentinel.credentials().unwrap().password, "other");
        assert!(search.question().as_bytes().ends_with(b"$8\r\nmymaster\r\n"));
        let (endpoint, primary) = search.heard(Ok(reply(AT_1))).unwrap();
        assert_eq!(endpoint.to_string(), "10.0.0.1:6379");
        assert_eq!(primary.to_string(), "redis://me:***@10.0.0.1:6379/2");
        assert!(primary.must_be_primary() && primary.credentials().unwrap().password == "pw");
    }

    #[test]
    fn a_sentinel_that_is_away_or_behind_the_times_does_not_end_the_search() {
        let (named, error, heals) = search(vec![Err(refused()), Ok(AT_1), Ok(AT_2)]);
        assert_eq!(named, ["redis://me:***@10.0.0.1:6379/2", "redis://me:***@10.0.0.2:6380/2"]);
        assert!(heals && error.contains("sentinel a:26379: connect to x"), "{error}");
        assert!(
            error.contains("sentinel b:7000: it names 10.0.0.1:6379, and there: connect to x"),
            "{error}"
        );
    }

    #[test]
    fn a_server_that_could_not_be_had_is_not_tried_twice_in_one_search() {
        let (named, error, _) = search(vec![Ok(AT_1), Ok(AT_1), Ok(AT_1)]);
        assert_eq!(named.len(), 1);
        assert!(error.contains("it names 10.0.0.1:6379 too"), "{error}");
    }

    #[test]
    fn a_name_that_nobody_knows_is_told_apart_and_does_not_heal() {
        let (_, error, heals) = search(vec![Ok("*-1\r\n"), Ok("*-1\r\n"), Ok("$-1\r\n")]);
        assert!(!heals && error.contains("none of the sentinels a:26379,b:7000,c:26379 knows"), "{error}");
        let (_, error, heals) = search(vec![Ok("*-1\r\n"), Err(refused()), Ok("*-1\r\n")]);
        assert!(heals && error.contains("b:7000: connect"), "{error}");
    }

    #[test]
    fn nonsense_is_no_address_and_a_password_that_is_missing_is_named() {
        let wants = || Err(Error::Handshake(HandshakeError::PasswordRequired));
        let (_, error, heals) = search(vec![wants(), wants(), Ok("*1\r\n$1\r\nx\r\n")]);
        assert!(
            !heals && error.contains("--redis-sentinel-password-file") && error.contains("a host and a port"),
            "{error}"
        );
    }

    #[test]
    fn only_a_primary_is_one() {
        let role = |text: &str| check_role(reply(text).as_array().unwrap());
        assert_eq!(role("*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"), Ok(()));
        assert_eq!(
            role("*1\r\n$5\r\nslave\r\n"),
            Err(HandshakeError::NotPrimary { role: "replica".to_owned() })
        );
        assert!(role("*0\r\n").is_err());
    }
}
