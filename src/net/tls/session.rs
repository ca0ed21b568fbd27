//! One TLS connection without its socket.
//!
//! Whatever comes in is decrypted at once and passed on, so nothing waits in here unseen: if the socket has nothing to
//! read, neither has the session. An end without a close_notify counts as an end like any other: a reply states its
//! length, so a truncated one is never taken for a whole one.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConnection, OtherError};

use super::{TlsError, config_for};
use crate::{limits::TLS_SEND_BYTES, resp::url::TlsFiles};

/// The state of one connection.
pub(in crate::net) struct Session {
    conn: ClientConnection,
    host: String,
}

impl Session {
    /// A session that is about to start.
    ///
    /// # Errors
    /// [`TlsError`] about a file, or the name.
    pub(in crate::net) fn new(files: &TlsFiles, host: &str) -> Result<Self, TlsError> {
        let name = server_name(files, host)?;
        let mut conn = ClientConnection::new(Arc::clone(&config_for(files)?), name)
            .map_err(|error| explain(host, error))?;
        conn.set_buffer_limit(Some(TLS_SEND_BYTES));
        Ok(Self { conn, host: host.to_owned() })
    }

    /// Whether the handshake is still incomplete. Its last messages may still be on their way.
    pub(in crate::net) fn is_handshaking(&self) -> bool {
        self.conn.is_handshaking()
    }

    /// Whether encrypted bytes are waiting to be written out.
    pub(in crate::net) fn wants_write(&self) -> bool {
        self.conn.wants_write()
    }

    /// Takes plain bytes to send, as many as there is room for: [`TLS_SEND_BYTES`].
    pub(in crate::net) fn encrypt(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.conn.writer().write(plain)
    }

    /// Writes encrypted bytes out, once, and returns how many.
    pub(in crate::net) fn write_out(&mut self, socket: &mut impl Write) -> io::Result<usize> {
        self.conn.write_tls(socket)
    }

    /// Decrypts what came, split anywhere, and passes on what is readable so far.
    ///
    /// # Errors
    /// [`TlsError`]; the connection is useless after it.
    pub(in crate::net) fn decrypt(
        &mut self,
        mut ciphered: &[u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), TlsError> {
        while !ciphered.is_empty() {
            let failed =
                |error: io::Error| TlsError::Failed { host: self.host.clone(), reason: error.to_string() };
            if self.conn.read_tls(&mut ciphered as &mut dyn Read).map_err(failed)? == 0 {
                // The other end has sent close_notify; what follows is ignored.
                return Ok(());
            }
            self.conn.process_new_packets().map_err(|error| explain(&self.host, error))?;
            loop {
                let mut reader = self.conn.reader();
                let plain = match io::BufRead::fill_buf(&mut reader) {
                    Ok(plain) => plain,
                    // Nothing can be read before more has come.
                    Err(_) => break,
                };
                let count = plain.len();
                if count == 0 {
                    break;
                }
                take(plain);
                io::BufRead::consume(&mut reader, count);
            }
        }
        Ok(())
    }
}

/// The name the server's certificate must be for.
fn server_name(files: &TlsFiles, host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = files.server_name.as_deref().unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::BadServerName { name: name.to_owned() })
}

/// Whether a server's certificate was refused because it is one that signs others. The library's type for this cannot be
/// named here, so its name is searched for in the text; a test pins that.
fn is_of_authority(error: &OtherError) -> bool {
    format!("{:?}", error.0).contains("CaUsedAsEndEntity")
}

/// Rephrases what rustls reports in the words of someone who runs a Redis.
fn explain(host: &str, error: rustls::Error) -> TlsError {
    let host = host.to_owned();
    let reason = error.to_string();
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::UnknownIssuer => TlsError::UnknownAuthority { host },
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                TlsError::NotValidNow { host, reason: error.to_string() }
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsError::WrongName { host, reason: error.to_string() }
            }
            CertificateError::Other(error) if is_of_authority(&error) => TlsError::AuthorityAsServer { host },
            CertificateError::Other(_) => {
                TlsError::Failed { host, reason: "its certificate cannot be used for a server".to_owned() }
            }
            _ => TlsError::Failed { host, reason },
        },
        rustls::Error::InvalidMessage(_) => TlsError::NotTls { host },
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
                TlsError::CertificateWanted { host }
            }
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown => {
                TlsError::CertificateRefused { host, reason: format!("{alert:?}") }
            }
            _ => TlsError::Failed { host, reason },
        },
        _ => TlsError::Failed { host, reason },
    }
}
