//! Asking a server for TLS: PostgreSQL's manual, "SSL Session Encryption".

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::config::SslMode;

use crate::io::stream::Stream;
use crate::io::tls::Connector;
use crate::io::wire::Wire;

/// `SSLRequest`: its length, and the code 80877103 in place of a version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Encrypts a fresh stream if the server can, or fails if it must but cannot. The server's certificate is always
/// verified: encrypting to an unknown peer gives no protection from a man in the middle.
///
/// # Cancel-safety
/// Dropping the future closes the stream.
pub(super) async fn negotiate(
    connector: &Connector,
    name: Option<&str>,
    mut stream: Stream,
    mode: SslMode,
) -> io::Result<Wire> {
    stream.write_all(&SSL_REQUEST).await?;
    let answer = stream.read_u8().await?;
    if answer != b'S' {
        if mode == SslMode::Require {
            return Err(io::Error::other("the server does not speak tls, and sslmode=require needs it"));
        }
        return Ok(Wire::Plain(stream));
    }
    let name =
        name.ok_or_else(|| io::Error::other("a hostaddr without a host has no name to verify for tls"))?;
    Ok(Wire::Tls(Box::new(connector.connect(name, stream).await?)))
}
