//! What a Redis server says about itself and why it refuses, turned into errors that say what to do.
//!
//! Explaining is pure; only [`check`] connects. No password gets into an error: `address` is the URL as its own Display
//! shows it, and of the server's replies only the words are kept.

use std::io;

use super::{Error, Version};
use crate::limits::REDIS_MIN;
use crate::net::blocking::BlockingConnection;
use crate::net::{self, error::HandshakeError};
use crate::resp::error::DecodeError;
use crate::resp::{self, RedisError, RedisUrl, Requests};
use crate::store::denied::user_of;
use crate::store::rights::{self, Role};
use crate::store::{process, server};
use crate::time::{Asked, RedisClock};
use crate::wire::Dialect;

/// A server that is new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedisServer {
    /// What it calls itself: `redis`, `valkey`, ...
    pub name: String,
    /// Its own full version text.
    pub version: String,
    /// The other dialect, if programs that speak it have left their keys there, and none of the worker's own has.
    pub strangers: Option<Dialect>,
}

impl RedisServer {
    /// Reads the server's answer to `INFO server`; `address` is where it is.
    ///
    /// # Errors
    /// [`Error::RedisTooOld`] below 6.2, [`Error::NotRedis`] if no version can be read.
    pub(crate) fn from_info(address: &str, info: &str) -> Result<Self, Error> {
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        // A fork reports here which Redis it is compatible with, and its own name and version separately.
        let compatible =
            field("redis_version").ok_or_else(|| Error::NotRedis { address: address.to_owned() })?;
        match Version::parse(compatible) {
            None => Err(Error::NotRedis { address: address.to_owned() }),
            Some(version) if version < Version::from(REDIS_MIN) => {
                Err(Error::RedisTooOld { address: address.to_owned(), version: compatible.to_owned() })
            }
            Some(_) => {
                let name = field("server_name").unwrap_or("redis").to_owned();
                let version = field(&format!("{name}_version")).unwrap_or(compatible).to_owned();
                Ok(Self { name, version, strangers: None })
            }
        }
    }
}

/// Connects once and asks the server what it is, what time it has, and whether we may do what a worker does there. One
/// round trip plus the connect.
///
/// # Errors
/// Why the engine cannot work with it, and what to do.
pub(crate) fn check(url: &RedisUrl, dialect: Dialect, clock: &RedisClock) -> Result<RedisServer, Error> {
    let (address, keys) = (url.to_string(), dialect.keys(url.is_cluster()));
    let mut conn = BlockingConnection::connect(url).map_err(|error| explain(&address, error))?;
    let mut requests = Requests::new();
    let other = dialect.other();
    process::ask_server_info(&mut requests);
    rights::ask(Role::Worker, keys, &mut requests);
    server::ask_clock(&mut requests);
    // A user with a name need not have the right to look, and what it is denied is in the server's log.
    if url.credentials().is_none_or(|credentials| credentials.username.is_none()) {
        server::ask_traces(keys, &mut requests);
        server::ask_traces(other.keys(url.is_cluster()), &mut requests);
    }
    let asked = Asked::now();
    let replies = conn.call(&requests).map_err(|error| explain(&address, error))?;
    let [info, rights, time, traces @ ..] = replies.as_slice() else {
        return Err(Error::NotRedis { address });
    };
    // A missing right shows below; a server that cannot answer now does so with the first lease.
    if let Ok(time) = server::clock(time) {
        clock.learn(asked, time);
    }
    match rights::missing(Role::Worker, keys, rights) {
        Ok(None) => {
            // The rights are complete, so the server has answered with positions.
            let commands = rights::unknown(Role::Worker, keys, rights).unwrap_or_default();
            if !commands.is_empty() {
                return Err(Error::RedisLacks { address, commands: commands.join(", ") });
            }
        }
        Ok(Some(missing)) => {
            return Err(Error::RedisRights { address, user: user_of(url), rules: missing.rules.join(" ") });
        }
        // It is loading, or busy, and cannot answer now; what is missing shows once it serves.
        Err(resp::Error::Redis(error)) if error.kind().may_heal() => {}
        Err(error) => return Err(explain(&address, error)),
    }
    let info = info.as_bulk().map_err(|error| explain(&address, error))?;
    let info = String::from_utf8_lossy(info);
    let server = RedisServer::from_info(&address, &info)?;
    check_mode(url, &address, &info)?;
    let is_strange = match traces {
        [own, strange] => server::has_traces(strange) && !server::has_traces(own),
        _ => false,
    };
    Ok(RedisServer { strangers: is_strange.then_some(other), ..server })
}

/// Whether the server and the url agree about being a cluster.
fn check_mode(url: &RedisUrl, address: &str, info: &str) -> Result<(), Error> {
    let is_node = info.lines().any(|line| line.trim() == "redis_mode:cluster");
    match (url.is_cluster(), is_node) {
        (false, true) => Err(Error::RedisIsCluster { address: address.to_owned() }),
        (true, false) => Err(Error::RedisNoCluster { address: address.to_owned() }),
        _ => Ok(()),
    }
}

fn explain(address: &str, error: impl Into<net::Error>) -> Error {
    let lost = |kind: io::ErrorKind, text: String| explain_connect(address, io::Error::new(kind, text));
    let error = error.into();
    match error {
        net::Error::Io { cause, .. } => explain_connect(address, cause),
        net::Error::Tls(cause) => Error::RedisTls { address: address.to_owned(), cause },
        net::Error::NoPrimary(cause) => Error::RedisNoPrimary { address: address.to_owned(), cause },
        net::Error::NoNode(cause) => Error::RedisNoNode { address: address.to_owned(), cause },
        net::Error::Closed => lost(io::ErrorKind::UnexpectedEof, error.to_string()),
        // The first byte of an alert of TLS.
        net::Error::Decode(DecodeError::UnknownKind { byte: 0x15 }) => {
            lost(io::ErrorKind::UnexpectedEof, "it speaks TLS".to_owned())
        }
        net::Error::Timeout { .. } => lost(io::ErrorKind::TimedOut, error.to_string()),
        net::Error::Redis(reply) => explain_reply(address, &words(&reply)),
        net::Error::Handshake(refused) => explain_handshake(address, refused),
        other => lost(io::ErrorKind::InvalidData, other.to_string()),
    }
}

fn explain_handshake(address: &str, refused: HandshakeError) -> Error {
    let address = address.to_owned();
    match refused {
        HandshakeError::WrongPassword { .. } | HandshakeError::PasswordNotSet | HandshakeError::UserAlone => {
            Error::RedisPasswordWrong { address }
        }
        HandshakeError::WrongPasswordInFile { file, .. } => Error::RedisPasswordFile { address, file },
        HandshakeError::PasswordRequired => Error::RedisPasswordMissing { address },
        HandshakeError::NoSuchDatabase { .. } => Error::RedisNoSuchDatabase { address },
        HandshakeError::Refused { cause, .. } => explain_reply(&address, &words(&cause)),
        other => Error::RedisRefuses { address, reply: other.to_string() },
    }
}

/// The reply as the server wrote it, its code first.
fn words(reply: &RedisError) -> String {
    format!("{} {}", reply.code(), reply.message())
}

/// What an error reply to the handshake (AUTH, SELECT, INFO) means. `reply` has no leading `-`.
#[must_use]
pub(crate) fn explain_reply(address: &str, reply: &str) -> Error {
    let address = address.to_owned();
    let words = reply.to_ascii_lowercase();
    let code = reply.split(' ').next().unwrap_or_default();
    match code {
        "NOAUTH" => Error::RedisPasswordMissing { address },
        "WRONGPASS" => Error::RedisPasswordWrong { address },
        "NOPERM" => Error::RedisPermission { address, reply: reply.to_owned() },
        "LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" | "CLUSTERDOWN" => {
            Error::RedisBusy { address, reply: reply.to_owned() }
        }
        // A password for a server that has none: AUTH with one argument, from before ACL users had their own code.
        _ if words.contains("invalid password") || words.contains("without any password configured") => {
            Error::RedisPasswordWrong { address }
        }
        _ if words.contains("db index") || words.contains("select is not allowed in cluster mode") => {
            Error::RedisNoSuchDatabase { address }
        }
        _ if words.contains("max number of clients") => Error::RedisBusy { address, reply: reply.to_owned() },
        _ => Error::RedisRefuses { address, reply: reply.to_owned() },
    }
}

/// What a failed connection means.
#[must_use]
pub(crate) fn explain_connect(address: &str, cause: io::Error) -> Error {
    let unix = address.starts_with("unix:");
    let advice = match cause.kind() {
        io::ErrorKind::ConnectionRefused if unix => "no server listens on this socket any longer; start it",
        io::ErrorKind::NotFound if unix => {
            "there is no such socket; check the path, and `unixsocket` in redis.conf"
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not open the socket; check `unixsocketperm` in redis.conf"
        }
        io::ErrorKind::ConnectionRefused => "nothing listens there; start the server, or check host and port",
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock if address.starts_with("rediss") => {
            "no answer; check host, port and firewall, and whether the port speaks TLS: one that does not waits for more"
        }
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer; check host, port and firewall",
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "it hung up; is this a Redis port, and does it want TLS (rediss://)?"
        }
        _ => "check the URL given with --redis-url or REDIS_URL",
    };
    Error::RedisUnreachable { address: address.to_owned(), cause, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "redis://<hidden>@db:6379/3";

    fn info(text: &str) -> Result<RedisServer, Error> {
        RedisServer::from_info(ADDRESS, text)
    }

    #[test]
    fn servers_from_6_2_on_are_taken_and_named() {
        let check = |text: &str, name: &str, version: &str| {
            let server = info(text).unwrap();
            assert_eq!((server.name.as_str(), server.version.as_str()), (name, version));
        };
        check("# Server\r\nredis_version:6.2.0\r\nos:Linux\r\n", "redis", "6.2.0");
        check("# Server\r\nredis_version:7.0.15\r\n", "redis", "7.0.15");
        check("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.1\r\n", "valkey", "8.1.1");
        check("redis_version:255.255.255\n", "redis", "255.255.255");
    }

    #[test]
    fn older_servers_and_strangers_are_refused() {
        for version in ["6.0.16", "5.0.7", "2.8.0"] {
            let text = info(&format!("redis_version:{version}\r\n")).unwrap_err().to_string();
            assert!(text.contains(version) && text.contains("6.2") && text.contains("--redis-url"), "{text}");
        }
        for text in ["", "HTTP/1.1 400", "redis_version:\r\n", "my_redis_version:7.0.0"] {
            assert!(matches!(info(text), Err(Error::NotRedis { .. })), "{text:?}");
        }
    }

    #[test]
    fn replies_are_told_apart() {
        let check = |reply: &str, part: &str| {
            let text = explain_reply(ADDRESS, reply).to_string();
            assert!(text.contains(part) && text.contains(ADDRESS), "{reply}: {text}");
        };
        check("NOAUTH Authentication required.", "wants a password");
        check(
            "WRONGPASS invalid username-password pair or user is disabled.",
            "refuses the user name or password",
        );
        check("ERR invalid password", "refuses the user name or password");
        check(
            "ERR AUTH <password> called without any password configured for the default user",
            "user name or pass",
        );
        check("ERR DB index is out of range", "no such database");
        check("ERR SELECT is not allowed in cluster mode", "no such database");
        check("NOPERM this user has no permissions to run the 'info' command", "info");
        check("LOADING Redis is loading the dataset in memory", "cannot serve yet");
        check("ERR max number of clients reached", "cannot serve yet");
        check("DENIED Redis is running in protected mode", "refuses: DENIED");
    }

    #[test]
    fn connection_failures_say_where_to_look() {
        let check = |address: &str, kind: io::ErrorKind, part: &str| {
            let text = explain_connect(address, kind.into()).to_string();
            assert!(text.contains(part) && text.contains(address), "{text}");
        };
        check(ADDRESS, io::ErrorKind::ConnectionRefused, "nothing listens");
        check("unix:///run/r.sock", io::ErrorKind::NotFound, "no such socket");
        check("unix:///run/r.sock", io::ErrorKind::ConnectionRefused, "any longer");
        check("unix:///run/r.sock", io::ErrorKind::PermissionDenied, "unixsocketperm");
        check(ADDRESS, io::ErrorKind::TimedOut, "firewall");
        check(ADDRESS, io::ErrorKind::UnexpectedEof, "TLS");
    }
}
