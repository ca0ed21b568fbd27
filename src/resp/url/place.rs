//! Where a server can be found, and who we are to it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where a server listens.
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

/// How a url says where its server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It names the server.
    Server(Endpoint),
    /// It names servers that know where the server is; they are asked at each connect.
    Sentinels(Box<Sentinels>),
    /// It names nodes of a cluster: they are asked at each connect which of them has a slot.
    Cluster(Box<Cluster>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(endpoint) => endpoint.fmt(f),
            Self::Sentinels(sentinels) => write!(f, "{:?} of the sentinels {sentinels}", sentinels.primary),
            Self::Cluster(cluster) => match cluster.slot {
                Some(slot) => write!(f, "slot {slot} of the cluster at {cluster}"),
                None => write!(f, "the cluster at {cluster}"),
            },
        }
    }
}

/// Sentinels, and the name under which they watch a primary.
///
/// Invariant: 1 to [`SENTINELS_MAX`](crate::limits::SENTINELS_MAX) hosts, all [`Endpoint::Tcp`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentinels {
    pub(super) hosts: Vec<Endpoint>,
    pub(super) primary: String,
    pub(super) credentials: Option<Credentials>,
}

impl Sentinels {
    /// Where they listen, in the order they are asked.
    #[must_use]
    pub fn hosts(&self) -> &[Endpoint] {
        &self.hosts
    }

    /// What they call the primary.
    #[must_use]
    pub fn primary(&self) -> &str {
        &self.primary
    }

    /// Who we are to them, which may differ from who we are to the primary.
    #[must_use]
    pub const fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hosts(&self.hosts, f)
    }
}

/// Nodes of a Redis Cluster, and the wanted slot.
///
/// Invariant: 1 to [`CLUSTER_SEEDS_MAX`](crate::limits::CLUSTER_SEEDS_MAX) hosts, all [`Endpoint::Tcp`]; a slot below
/// [`CLUSTER_SLOTS`](crate::limits::CLUSTER_SLOTS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub(super) hosts: Vec<Endpoint>,
    pub(super) slot: Option<u16>,
}

impl Cluster {
    /// Nodes that are asked who has the slot, in this order.
    #[must_use]
    pub fn hosts(&self) -> &[Endpoint] {
        &self.hosts
    }

    /// The wanted slot; `None` if any node will do.
    #[must_use]
    pub const fn slot(&self) -> Option<u16> {
        self.slot
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hosts(&self.hosts, f)
    }
}

fn write_hosts(hosts: &[Endpoint], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, host) in hosts.iter().enumerate() {
        write!(f, "{}{host}", if index == 0 { "" } else { "," })?;
    }
    Ok(())
}

/// Who we are to the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// An ACL user; `None` for Redis's `default`.
    pub username: Option<String>,
    /// May be empty if there is a user, for users that need no password.
    pub password: String,
    /// Where the password stands, if it is of a file: it is read again at each connect.
    pub(crate) file: Option<PasswordFile>,
}

/// A file that holds a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PasswordFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Why it could not be read again: the password is the last that was read.
    pub(crate) unreadable: Option<String>,
}

impl fmt::Display for PasswordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.unreadable {
            None => path.fmt(f),
            Some(reason) => write!(f, "{path}, read before, for it cannot be read now: {reason}"),
        }
    }
}

impl Credentials {
    /// The user, if it may be shown: a name without a password may itself be a password.
    #[must_use]
    pub fn shown_user(&self) -> Option<&str> {
        self.username.as_deref().filter(|_| !self.password.is_empty())
    }

    /// These with the password that their file has now. One that cannot be read leaves the last password: some are removed
    /// once they are read.
    pub(super) fn renewed(&self, read: &dyn Fn(&Path) -> Result<String, String>) -> Option<Self> {
        let path = &self.file.as_ref()?.path;
        let (password, unreadable) = match read(path) {
            Ok(password) => (password, None),
            Err(reason) => (self.password.clone(), Some(reason)),
        };
        let file = Some(PasswordFile { path: path.clone(), unreadable });
        Some(Self { username: self.username.clone(), password, file })
    }

    /// What must not be shown: the password, or what may be one.
    #[must_use]
    pub(crate) fn secret(&self) -> Option<&str> {
        let alone = self.username.as_deref().filter(|_| self.password.is_empty());
        alone.or(Some(&self.password)).filter(|secret| !secret.is_empty())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.shown_user()).field("password", &"***").finish()
    }
}

/// The TLS settings of a connection: files and names, read only when a connection is opened. If unset: the system's
/// roots are trusted, no certificate is presented, and the server must have one for the host in its url.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates in PEM form that are trusted as roots, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate we present, in PEM form, with the chain to a root the server trusts.
    pub cert_file: Option<PathBuf>,
    /// Its private key, in PEM form.
    pub key_file: Option<PathBuf>,
    /// The name the server's certificate must be for, if it is not the host in the url.
    pub server_name: Option<String>,
}

impl TlsFiles {
    /// The query parameters that are set.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        let parameters = [
            ("ca_file", self.ca_file.is_some()),
            ("cert_file", self.cert_file.is_some()),
            ("key_file", self.key_file.is_some()),
            ("server_name", self.server_name.is_some()),
        ];
        parameters.into_iter().filter_map(|(name, is_given)| is_given.then_some(name))
    }
}
