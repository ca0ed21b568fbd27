//! Why there is no TLS connection, in words that let an administrator fix it.

use std::path::PathBuf;

use thiserror::Error;

/// TLS cannot be set up, or the other end is not trusted. Trying again fixes none of these, unless someone changes a
/// file, a clock or the server meanwhile; a running worker does try again. None contains a key.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The build lacks TLS.
    #[error("this build was made without TLS; build with the cargo feature `tls`, which is on by default")]
    NotBuilt,
    /// A file of certificates or keys cannot be used.
    #[error("{what} {}: {reason}", path.display())]
    File {
        /// "the CA file", "the client certificate", "the client key".
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("{given} is given and no {missing}; a client certificate needs both")]
    HalfAnIdentity {
        /// What is given, as the url spells it.
        given: &'static str,
        /// What is missing.
        missing: &'static str,
    },
    /// Nothing is trusted.
    #[error(
        "no trusted certificate authority was found; install the package ca-certificates, or name the authority of \
         your redis with --redis-ca-file"
    )]
    NoRoots,
    /// The name cannot be a server's.
    #[error("{name:?} is not a name or address that a certificate can be for; give --redis-server-name")]
    BadServerName {
        /// The name.
        name: String,
    },
    /// The certificate leads to no authority that is trusted.
    #[error(
        "the certificate of {host} comes from an authority that is not trusted here; name the authority's file with \
         --redis-ca-file"
    )]
    UnknownAuthority {
        /// The server.
        host: String,
    },
    /// The server presents the certificate of an authority, usually its own.
    #[error(
        "the certificate of {host} is that of an authority (CA:TRUE), as `openssl req -x509` makes one, not that of \
         a server: make it anew with -addext basicConstraints=critical,CA:FALSE, or have a server's certificate signed by it"
    )]
    AuthorityAsServer {
        /// The server.
        host: String,
    },
    /// It has expired, or is not valid yet.
    #[error(
        "the certificate of {host} is not valid at this time ({reason}); renew it, or check the clocks of both machines"
    )]
    NotValidNow {
        /// The server.
        host: String,
        /// Since or until when.
        reason: String,
    },
    /// It is for another name.
    #[error(
        "the certificate of {host} is for another name ({reason}); write that name into the url, or give it with \
         --redis-server-name"
    )]
    WrongName {
        /// The server.
        host: String,
        /// Which names it is for.
        reason: String,
    },
    /// The server requires a client certificate.
    #[error("{host} wants a client certificate; give --redis-cert-file and --redis-key-file")]
    CertificateWanted {
        /// The server.
        host: String,
    },
    /// The server rejects our certificate.
    #[error("{host} refuses the client certificate ({reason}); is it from the authority that redis trusts?")]
    CertificateRefused {
        /// The server.
        host: String,
        /// Its alert.
        reason: String,
    },
    /// What came is not TLS.
    #[error(
        "{host} does not speak TLS on this port; use redis:// for a plain port, or the port of `tls-port`"
    )]
    NotTls {
        /// The server.
        host: String,
    },
    /// A plain url leads to a port that speaks TLS.
    #[error("{host} speaks TLS on this port; write rediss:// into the url, or give the plain port")]
    NotPlain {
        /// The server.
        host: String,
    },
    /// It closed the connection before encryption was set up.
    #[error("{host} closed the connection during the TLS handshake; is it the port of `tls-port`?")]
    HungUp {
        /// The server.
        host: String,
    },
    /// Anything else.
    #[error("TLS with {host} failed: {reason}")]
    Failed {
        /// The server.
        host: String,
        /// What the TLS library reports.
        reason: String,
    },
}
