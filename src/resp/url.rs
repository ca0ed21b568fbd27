//! Where a Redis server is, who we are to it and how it is reached, parsed from a url.
//!
//! | form | |
//! |---|---|
//! | `redis://[user[:password]@]host[:port][/database]` | over TCP |
//! | `rediss://…` the same | over TCP with TLS |
//! | `unix://[user[:password]@]/path/to.sock[?db=n]` | over a unix socket |
//! | `redis+sentinel://[user[:password]@]host[:port],host[:port]/primary[/database]` | the primary named by sentinels |
//! | `rediss+sentinel://…` the same | TLS to the sentinels and to the primary |
//! | `redis+cluster://[user[:password]@]host[:port],host[:port]` | a Redis Cluster, by some of its nodes; database 0 |
//! | `rediss+cluster://…` the same | TLS to each node |
//!
//! All accept the query parameters `db`, `user` and `password` where the rest of the url does not give them; those
//! with TLS also `ca_file`, `cert_file`, `key_file` and `server_name` ([`TlsFiles`]); those with sentinels also
//! `sentinel_user` and `sentinel_password`. Every part is percent-decoded. Not responsible for connecting, nor for
//! reading files: the code that connects reads the file of a password.
//!
//! A password is never shown. Display shows scheme, host, port and database, and a user only together with a
//! password, which becomes `***`: a lone value in the user's place is often a password. Errors quote nothing of the
//! url, and text that may contain one goes through `masked`.

mod error;
mod mask;
mod parse;
mod parts;
mod place;

use std::{
    borrow::Cow,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

pub use error::UrlError;
pub(crate) use mask::masked;
#[cfg(feature = "web")]
pub(crate) use parts::percent_decode;
pub(crate) use place::PasswordFile;
pub use place::{Cluster, Credentials, Endpoint, Place, Sentinels, TlsFiles};

use redis_protocol::redis_keyslot;

use crate::foreign::Foreign;

/// A parsed url. Display gives the part of it that may be shown, in a normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    place: Place,
    credentials: Option<Credentials>,
    database: u32,
    tls: Option<Box<TlsFiles>>,
    /// Whether the server was named by a sentinel or a node, whose information may be stale: it is asked for its
    /// role.
    must_be_primary: bool,
}

impl RedisUrl {
    /// A server that requires no password, with database 0; for our own child process.
    #[must_use]
    pub const fn new(endpoint: Endpoint) -> Self {
        let place = Place::Server(endpoint);
        Self { place, credentials: None, database: 0, tls: None, must_be_primary: false }
    }

    /// Parses a url; see the module for its forms.
    ///
    /// # Errors
    /// [`UrlError`] names the invalid part.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        parse::parse(url)
    }

    /// Where the server is, or who knows it.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
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

    /// How it is encrypted; `None` if it is not.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFiles> {
        self.tls.as_deref()
    }

    /// Whether the server must report itself as a primary before it is used.
    #[must_use]
    pub const fn must_be_primary(&self) -> bool {
        self.must_be_primary
    }

    /// The same url with these TLS files and names overriding its own. No effect on a url without TLS.
    #[must_use]
    pub fn with_tls(mut self, over: TlsFiles) -> Self {
        if let Some(own) = self.tls.take() {
            self.tls = Some(Box::new(TlsFiles {
                ca_file: over.ca_file.or(own.ca_file),
                cert_file: over.cert_file.or(own.cert_file),
                key_file: over.key_file.or(own.key_file),
                server_name: over.server_name.or(own.server_name),
            }));
        }
        self
    }

    /// The same url with this password; the user stays.
    #[must_use]
    pub fn with_password(mut self, password: String) -> Self {
        let username = self.credentials.take().and_then(|credentials| credentials.username);
        self.credentials = Some(Credentials { username, password, file: None });
        self
    }

    /// The same with the password that this file holds now, to be read again at each connect.
    #[must_use]
    pub(crate) fn with_password_of(self, path: PathBuf, password: String) -> Self {
        let mut url = self.with_password(password);
        if let Some(credentials) = &mut url.credentials {
            credentials.file = Some(PasswordFile { path, unreadable: None });
        }
        url
    }

    /// The same url with this password for its sentinels. No effect on a url without sentinels.
    #[must_use]
    pub fn with_sentinel_password(mut self, password: String) -> Self {
        if let Place::Sentinels(sentinels) = &mut self.place {
            let username = sentinels.credentials.take().and_then(|credentials| credentials.username);
            sentinels.credentials = Some(Credentials { username, password, file: None });
        }
        self
    }

    /// As [`Self::with_password_of`], for its sentinels.
    #[must_use]
    pub(crate) fn with_sentinel_password_of(self, path: PathBuf, password: String) -> Self {
        let mut url = self.with_sentinel_password(password);
        if let Place::Sentinels(sentinels) = &mut url.place
            && let Some(credentials) = &mut sentinels.credentials
        {
            credentials.file = Some(PasswordFile { path, unreadable: None });
        }
        url
    }

    /// The same with the passwords that its files have now; `read` reads one.
    #[must_use]
    pub(crate) fn renewed(&self, read: &dyn Fn(&Path) -> Result<String, String>) -> Cow<'_, Self> {
        let mut url = Cow::Borrowed(self);
        if let Some(renewed) = self.credentials.as_ref().and_then(|own| own.renewed(read)) {
            url.to_mut().credentials = Some(renewed);
        }
        if let Place::Sentinels(sentinels) = &self.place
            && let Some(renewed) = sentinels.credentials.as_ref().and_then(|own| own.renewed(read))
            && let Place::Sentinels(sentinels) = &mut url.to_mut().place
        {
            sentinels.credentials = Some(renewed);
        }
        url
    }

    /// The same without the passwords of files: what a configuration says, whatever stands in them now.
    #[must_use]
    pub(crate) fn without_file_contents(&self) -> Cow<'_, Self> {
        self.renewed(&|_| Ok(String::new()))
    }

    /// Whether it leads to a Redis Cluster.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }

    /// The same url, bound to the slot of a key: each connection opened with it leads to the primary of that slot. No
    /// effect on a url that does not lead to a cluster.
    #[must_use]
    pub fn at_key(&self, key: &[u8]) -> Self {
        let mut url = self.clone();
        if let Place::Cluster(cluster) = &mut url.place {
            cluster.slot = Some(redis_keyslot(key));
        }
        url
    }

    /// A node of the cluster, as a separate server.
    #[must_use]
    pub(crate) fn node_at(&self, endpoint: Endpoint) -> Self {
        Self { place: Place::Server(endpoint), must_be_primary: false, ..self.clone() }
    }

    /// The server named by a sentinel or a cluster node: user, database and TLS are those of this url.
    #[must_use]
    pub(crate) fn primary_at(&self, endpoint: Endpoint) -> Self {
        Self { place: Place::Server(endpoint), must_be_primary: true, ..self.clone() }
    }

    /// One of the sentinels of this url, as a separate server: TLS is that of this url, the user is not.
    #[must_use]
    pub(crate) fn sentinel_at(&self, endpoint: &Endpoint, credentials: Option<&Credentials>) -> Self {
        Self { credentials: credentials.cloned(), tls: self.tls.clone(), ..Self::new(endpoint.clone()) }
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
        let tls = if self.tls.is_some() { "s" } else { "" };
        match &self.place {
            Place::Server(Endpoint::Tcp { .. }) => write!(f, "redis{tls}://")?,
            Place::Server(Endpoint::Unix(_)) => f.write_str("unix://")?,
            Place::Sentinels(_) => write!(f, "redis{tls}+sentinel://")?,
            Place::Cluster(_) => write!(f, "redis{tls}+cluster://")?,
        }
        if let Some(credentials) = &self.credentials {
            match credentials.shown_user() {
                Some(user) => write!(f, "{}:***@", Foreign::text(user))?,
                None => f.write_str(if credentials.password.is_empty() { "***@" } else { ":***@" })?,
            }
        }
        match &self.place {
            Place::Server(endpoint @ Endpoint::Tcp { .. }) => write!(f, "{endpoint}/{}", self.database),
            Place::Server(endpoint @ Endpoint::Unix(_)) => write!(f, "{endpoint}?db={}", self.database),
            Place::Cluster(cluster) => write!(f, "{cluster}"),
            Place::Sentinels(sentinels) => write!(f, "{sentinels}/{}/{}", sentinels.primary(), self.database),
        }
    }
}

#[cfg(test)]
mod tests;
