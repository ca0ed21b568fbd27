//! Where a Redis server is and who we are to it, read from a url.
//!
//! Accepted: `redis://[user[:password]@]host[:port][/database]` and
//! `unix://[user[:password]@]/path/to.sock[?db=n]`; both take the query parameters `db`, `user` and `password`
//! where the other part does not give them. Every part is percent-decoded. Not responsible for connecting.
//!
//! A password is never shown: Debug and Display write `***`, and an error quotes no text that may belong to one.

use std::{ffi::OsString, fmt, net::Ipv6Addr, os::unix::ffi::OsStringExt, path::PathBuf, str::FromStr};

use thiserror::Error;

use crate::limits::{REDIS_PORT_DEFAULT, UNIX_SOCKET_PATH_BYTES_MAX};

/// A url that makes no sense. Never heals by itself; the text names the part and the way out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// No `scheme://` at its start.
    #[error("redis url has no scheme; write redis://host:port/database or unix:///path/to.sock?db=n")]
    NoScheme,
    /// A scheme that is none of ours.
    #[error("redis url has scheme {scheme:?}; only redis:// and unix:// are known")]
    UnknownScheme {
        /// The scheme found.
        scheme: String,
    },
    /// `rediss://`.
    #[error(
        "redis url asks for TLS (rediss://), which this build does not support; use redis:// over a trusted network or tunnel, or unix://"
    )]
    TlsUnsupported,
    /// `redis://` without a host.
    #[error("redis url names no host; write redis://host:port/database")]
    NoHost,
    /// The host is not a name, an IPv4 address, or an IPv6 address in brackets.
    #[error("redis url has a bad host{}; it must be a name, an IPv4 address, or an IPv6 address in brackets", shown(.host))]
    BadHost {
        /// The host, if no password can be in it.
        host: Option<String>,
    },
    /// The port is not a number from 1 to 65535.
    #[error("redis url has a bad port{}; it must be a number from 1 to 65535, and a / ? # or @ in a password must be percent-encoded", shown(.port))]
    BadPort {
        /// The port, if no password can be in it.
        port: Option<String>,
    },
    /// The database is not a number.
    #[error("redis url has a bad database{}; it must be a number such as /0 or ?db=0", shown(.database))]
    BadDatabase {
        /// The database, if no password can be in it.
        database: Option<String>,
    },
    /// A unix url without an absolute path.
    #[error("redis url has no absolute socket path; write unix:///path/to.sock")]
    NoPath,
    /// A path that no socket can have.
    #[error(
        "redis url has a socket path of {bytes} bytes or with a zero byte in it; the system takes {bytes_max} bytes at most"
    )]
    BadPath {
        /// Length of the decoded path.
        bytes: usize,
        /// [`UNIX_SOCKET_PATH_BYTES_MAX`].
        bytes_max: usize,
    },
    /// A query parameter that is none of ours.
    #[error("redis url has an unknown query parameter{}; known are db, user and password", shown(.name))]
    UnknownParameter {
        /// Its name, if no password can be in it.
        name: Option<String>,
    },
    /// The same thing is said twice.
    #[error("redis url gives the {part} twice")]
    Twice {
        /// "database", "user" or "password".
        part: &'static str,
    },
    /// A `#`, which begins a fragment and so would cut a password or path short.
    #[error("redis url holds a #; percent-encode it as %23")]
    Fragment,
    /// A `%` without two hex digits, or bytes that are no UTF-8.
    #[error("redis url has a {part} with a % that is not followed by two hex digits, or that is no UTF-8")]
    BadEncoding {
        /// "user", "password", "host" or "socket path".
        part: &'static str,
    },
}

fn shown(text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |text| format!(" {text:?}"))
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A name or address without brackets, and a port.
    Tcp {
        /// Not resolved yet.
        host: String,
        /// 1 to 65535.
        port: u16,
    },
    /// A unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// Who we are to the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// An ACL user; `None` for Redis's `default`.
    pub username: Option<String>,
    /// May be empty when there is a user, for users that need none.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).field("password", &"***").finish()
    }
}

/// A parsed url. Display gives it back in a normal form with the password as `***`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    endpoint: Endpoint,
    credentials: Option<Credentials>,
    database: u32,
}

impl RedisUrl {
    /// A server that asks for no password, with database 0; for a child of our own.
    #[must_use]
    pub const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, credentials: None, database: 0 }
    }

    /// Reads a url; see the module for its forms.
    ///
    /// # Errors
    /// [`UrlError`] names the part that makes no sense.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::NoScheme)?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return Err(UrlError::NoScheme);
        }
        match scheme.to_ascii_lowercase().as_str() {
            "redis" => parse_tcp(rest),
            "unix" => parse_unix(rest),
            "rediss" => Err(UrlError::TlsUnsupported),
            _ => Err(UrlError::UnknownScheme { scheme: scheme.to_owned() }),
        }
    }

    /// Where the server listens.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Who we are; `None` if the url does not say.
    #[must_use]
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// Number of the database, 0 unless given.
    #[must_use]
    pub const fn database(&self) -> u32 {
        self.database
    }
}

impl FromStr for RedisUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        Self::parse(url)
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self.endpoint, Endpoint::Tcp { .. }) { "redis://" } else { "unix://" })?;
        if let Some(credentials) = &self.credentials {
            write!(f, "{}:***@", credentials.username.as_deref().unwrap_or(""))?;
        }
        self.endpoint.fmt(f)?;
        match self.endpoint {
            Endpoint::Tcp { .. } => write!(f, "/{}", self.database),
            Endpoint::Unix(_) => write!(f, "?db={}", self.database),
        }
    }
}

fn parse_tcp(rest: &str) -> Result<RedisUrl, UrlError> {
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    let (user_part, host_port) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    // An @ further on means that the authority was cut short inside a password: then nothing may be quoted.
    let quote = Quote { allowed: !tail.contains('@') };
    let (host, port) = parse_host_port(host_port, quote)?;
    let (path, query) = split_query(tail)?;
    let mut parts = Parts::default();
    parts.take_user_part(user_part)?;
    if let Some(database) = path.strip_prefix('/').filter(|database| !database.is_empty()) {
        parts.take_database(database, quote)?;
    }
    parts.take_query(query, quote)?;
    Ok(parts.into_url(Endpoint::Tcp { host, port }))
}

fn parse_unix(rest: &str) -> Result<RedisUrl, UrlError> {
    let (before_query, query) = split_query(rest)?;
    let (user_part, path) = match before_query.find("@/") {
        Some(at) if !before_query.starts_with('/') => (Some(&before_query[..at]), &before_query[at + 1..]),
        _ => (None, before_query),
    };
    if !path.starts_with('/') {
        return Err(UrlError::NoPath);
    }
    let path = percent_decode(path).ok_or(UrlError::BadEncoding { part: "socket path" })?;
    if path.len() > UNIX_SOCKET_PATH_BYTES_MAX || path.contains(&0) {
        return Err(UrlError::BadPath { bytes: path.len(), bytes_max: UNIX_SOCKET_PATH_BYTES_MAX });
    }
    let mut parts = Parts::default();
    parts.take_user_part(user_part)?;
    parts.take_query(query, Quote { allowed: !query.contains('@') })?;
    Ok(parts.into_url(Endpoint::Unix(PathBuf::from(OsString::from_vec(path)))))
}

/// Whether a part of the url may be quoted in an error.
#[derive(Clone, Copy)]
struct Quote {
    allowed: bool,
}

impl Quote {
    fn of(self, text: &str) -> Option<String> {
        self.allowed.then(|| text.to_owned())
    }
}

/// What user part, path and query say together.
#[derive(Default)]
struct Parts {
    username: Option<String>,
    password: Option<String>,
    database: Option<u32>,
}

impl Parts {
    fn take_user_part(&mut self, user_part: Option<&str>) -> Result<(), UrlError> {
        let Some(user_part) = user_part else { return Ok(()) };
        let (username, password) = user_part.split_once(':').map_or((user_part, None), |(u, p)| (u, Some(p)));
        if !username.is_empty() {
            self.username = Some(decode_text(username, "user")?);
        }
        if let Some(password) = password.filter(|password| !password.is_empty()) {
            self.password = Some(decode_text(password, "password")?);
        }
        Ok(())
    }

    fn take_database(&mut self, text: &str, quote: Quote) -> Result<(), UrlError> {
        // Digits only: `parse` alone would take a sign.
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let number = number.ok_or_else(|| UrlError::BadDatabase { database: quote.of(text) })?;
        set_once(&mut self.database, number, "database")
    }

    fn take_query(&mut self, query: &str, quote: Quote) -> Result<(), UrlError> {
        // A & in a password that is not percent-encoded makes parameters of the rest of it.
        let quote = Quote { allowed: quote.allowed && !query.contains("password=") };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "db" => self.take_database(value, quote)?,
                "user" => set_once(&mut self.username, decode_text(value, "user")?, "user")?,
                "password" => set_once(&mut self.password, decode_text(value, "password")?, "password")?,
                _ => return Err(UrlError::UnknownParameter { name: quote.of(name) }),
            }
        }
        Ok(())
    }

    fn into_url(self, endpoint: Endpoint) -> RedisUrl {
        let credentials = match (self.username, self.password) {
            (None, None) => None,
            (username, password) => Some(Credentials { username, password: password.unwrap_or_default() }),
        };
        RedisUrl { endpoint, credentials, database: self.database.unwrap_or(0) }
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, part: &'static str) -> Result<(), UrlError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(UrlError::Twice { part }),
    }
}

fn split_query(text: &str) -> Result<(&str, &str), UrlError> {
    if text.contains('#') {
        return Err(UrlError::Fragment);
    }
    Ok(text.split_once('?').unwrap_or((text, "")))
}

fn parse_host_port(text: &str, quote: Quote) -> Result<(String, u16), UrlError> {
    let bad_host = |host: &str| UrlError::BadHost { host: quote.of(host) };
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or_else(|| bad_host(text))?;
        address.parse::<Ipv6Addr>().map_err(|_| bad_host(address))?;
        let port = match after {
            "" => None,
            _ => Some(after.strip_prefix(':').ok_or_else(|| bad_host(text))?),
        };
        (address.to_owned(), port)
    } else {
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        if port.is_some_and(|port| port.contains(':')) {
            return Err(bad_host(text));
        }
        (decode_text(host, "host")?, port)
    };
    let port = match port.filter(|port| !port.is_empty()) {
        None => REDIS_PORT_DEFAULT,
        Some(port) => parse_port(port).ok_or_else(|| UrlError::BadPort { port: quote.of(port) })?,
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad_host(&host));
    }
    Ok((host, port))
}

fn parse_port(text: &str) -> Option<u16> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
        .filter(|port| *port > 0)
}

fn decode_text(text: &str, part: &'static str) -> Result<String, UrlError> {
    let bytes = percent_decode(text).ok_or(UrlError::BadEncoding { part })?;
    String::from_utf8(bytes).map_err(|_| UrlError::BadEncoding { part })
}

/// `None` for a `%` without two hex digits after it.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    Some(decoded)
}

#[cfg(test)]
mod tests;
