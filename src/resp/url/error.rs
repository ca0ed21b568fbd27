//! What can be wrong with a url, described without quoting it: what is in the wrong place may be a password.

use thiserror::Error;

/// An invalid url. Never heals; the text names the part and the way out.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// No `scheme://` at its start.
    #[error("redis url has no scheme; write redis://host:port/database or unix:///path/to.sock?db=n")]
    NoScheme,
    /// An unknown scheme.
    #[error(
        "redis url has scheme {scheme:?}; supported are redis://, rediss:// (TLS), unix://, redis+sentinel://, \
         rediss+sentinel://, redis+cluster:// and rediss+cluster://"
    )]
    UnknownScheme {
        /// The scheme found.
        scheme: String,
    },
    /// `rediss://` in a build without TLS.
    #[error(
        "redis url asks for TLS (rediss://), which this build does not support; build with the cargo feature `tls`, \
         which is on by default"
    )]
    TlsUnsupported,
    /// A TLS file or name in a url whose scheme does not encrypt.
    #[error("redis url gives {part}, but {scheme}:// does not encrypt; write rediss://")]
    NotEncrypted {
        /// The query parameter.
        part: &'static str,
        /// The scheme of the url.
        scheme: &'static str,
    },
    /// A sentinel user or password in a url without sentinels.
    #[error(
        "redis url gives a sentinel user or password, but {scheme}:// names no sentinels; write redis+sentinel://"
    )]
    NoSentinels {
        /// The scheme of the url.
        scheme: &'static str,
    },
    /// A sentinel url that does not name a primary.
    #[error(
        "redis url names sentinels but no primary; write redis+sentinel://host1:26379,host2:26379/mymaster"
    )]
    NoPrimaryName,
    /// A name that sentinels do not accept for a primary.
    #[error("redis url has a bad primary name; it must be 1 to {name_bytes_max} letters, digits or . - _")]
    BadPrimaryName {
        /// [`SENTINEL_PRIMARY_BYTES_MAX`](crate::limits::SENTINEL_PRIMARY_BYTES_MAX).
        name_bytes_max: usize,
    },
    /// More sentinels than anyone runs.
    #[error("redis url names {count} sentinels; at most {count_max} are allowed")]
    TooManySentinels {
        /// How many.
        count: usize,
        /// [`SENTINELS_MAX`](crate::limits::SENTINELS_MAX).
        count_max: usize,
    },
    /// More cluster nodes than are useful.
    #[error("redis url names {count} cluster nodes; it needs only a few of them, at most {count_max}")]
    TooManyNodes {
        /// How many.
        count: usize,
        /// [`CLUSTER_SEEDS_MAX`](crate::limits::CLUSTER_SEEDS_MAX).
        count_max: usize,
    },
    /// A cluster has only database 0.
    #[error("redis url asks for database {database}, but a cluster has only database 0; leave it out")]
    DatabaseOfCluster {
        /// The database of the url.
        database: u32,
    },
    /// `redis://` without a host.
    #[error("redis url has no host; write redis://host:port/database")]
    NoHost,
    /// The host is not a name, an IPv4 address, or an IPv6 address in brackets.
    #[error(
        "redis url has a bad host; it must be a name, an IPv4 address, or an IPv6 address in brackets, and a password \
         comes before it: redis://:PASSWORD@host"
    )]
    BadHost,
    /// The port is not a number from 1 to 65535.
    #[error(
        "redis url has a bad port; it must be a number from 1 to 65535. A password is written redis://:PASSWORD@host, \
         and a / ? # or @ in it must be percent-encoded"
    )]
    BadPort,
    /// The database is not a number.
    #[error(
        "redis url has a bad database; it must be a number such as /0 or ?db=0. A password is written \
         redis://:PASSWORD@host, and a / ? # or @ in it must be percent-encoded"
    )]
    BadDatabase,
    /// A unix url without an absolute path.
    #[error("redis url has no absolute socket path; write unix:///path/to.sock")]
    NoPath,
    /// An invalid socket path.
    #[error(
        "redis url has a socket path of {bytes} bytes or with a zero byte in it; the system allows at most {bytes_max} bytes"
    )]
    BadPath {
        /// Length of the decoded path.
        bytes: usize,
        /// [`UNIX_SOCKET_PATH_BYTES_MAX`](crate::limits::UNIX_SOCKET_PATH_BYTES_MAX).
        bytes_max: usize,
    },
    /// An unknown query parameter.
    #[error(
        "redis url has an unknown query parameter; supported are db, user and password, for TLS also ca_file, cert_file, \
         key_file and server_name, for sentinels also sentinel_user and sentinel_password"
    )]
    UnknownParameter,
    /// The same thing is given twice.
    #[error("redis url gives the {part} twice")]
    Twice {
        /// "database", "user", "password", or the name of the query parameter.
        part: &'static str,
    },
    /// A `#`, which begins a fragment and would cut a password or path short.
    #[error("redis url contains a #; percent-encode it as %23")]
    Fragment,
    /// A `%` without two hex digits, or invalid UTF-8.
    #[error("redis url has a {part} with a % that is not followed by two hex digits, or that is not UTF-8")]
    BadEncoding {
        /// "user", "password", "host", "socket path", or the name of the query parameter.
        part: &'static str,
    },
}
