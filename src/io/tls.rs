//! TLS for the streams of handlers: rustls, and which servers are trusted.
//!
//! A server must present a certificate for its name that chains to a trusted root. Those are the system's roots, plus
//! those in an optional extra file, for a company's own. There is no way to trust every server.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::stream::Stream;
use crate::net::tls::{RootsError, roots};

/// Which servers are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsOptions {
    /// A file of certificates in PEM form that are trusted as roots.
    pub ca_file: Option<PathBuf>,
    /// Whether the system's roots are trusted too.
    pub system_roots: bool,
}

/// Trust cannot be set up as requested. Another attempt does not fix it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file of roots cannot be read, or contains something that is not a certificate.
    #[error("read the certificates in {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing is trusted.
    #[error(
        "no trusted certificate authority was found; install the package ca-certificates or name a ca_file"
    )]
    NoRoots,
    /// The crypto library refused what rustls asks of it.
    #[error("tls is not available: {0}")]
    Unavailable(#[from] rustls::Error),
}

impl From<RootsError> for TlsError {
    fn from(error: RootsError) -> Self {
        match error {
            RootsError::File { path, reason } => Self::CaFile { path, reason },
            RootsError::None => Self::NoRoots,
        }
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { ca_file: None, system_roots: true }
    }
}

/// What opens encrypted streams.
#[derive(Clone)]
pub(super) struct Connector(TlsConnector);

impl Connector {
    /// Reads the roots, which takes a few milliseconds of the core: once per client.
    pub(super) fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let trusted = roots(options.ca_file.as_deref(), options.system_roots)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Encrypts a stream to the server of this name.
    ///
    /// # Errors
    /// Of kind `InvalidData` if the server is not trusted.
    ///
    /// # Cancel-safety
    /// Dropping the future closes the stream.
    pub(super) async fn connect(&self, host: &str, stream: Stream) -> io::Result<TlsStream<Stream>> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("invalid server name: {host}"))
        })?;
        self.0.connect(name, stream).await
    }
}
