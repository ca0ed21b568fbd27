//! Getting a connected socket for a server: names, addresses, time limits, socket options. Sends no bytes.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use glommio::io::PollableFd;
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::Error;
use crate::limits::{KEEPALIVE_IDLE, TCP_CONNECT_TIMEOUT};
use crate::resp::Endpoint;
use crate::timeout::within;

/// Connects to the first address of a host that answers, or to a unix socket.
///
/// # Errors
/// [`Error::Io`], which names the address.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<Socket, Error> {
    match endpoint {
        Endpoint::Unix(path) => {
            let address = SockAddr::unix(path).map_err(|error| io_error(endpoint, error))?;
            let socket = new_socket(Domain::UNIX).map_err(|error| io_error(endpoint, error))?;
            // A unix socket connects at once or, when the backlog is full, not at all.
            socket.connect(&address).map_err(|error| io_error(endpoint, error))?;
            Ok(socket)
        }
        Endpoint::Tcp { host, port } => {
            let addresses = resolve(host, *port).await.map_err(|error| io_error(endpoint, error))?;
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for address in addresses {
                match connect_tcp(address).await {
                    Ok(socket) => return Ok(socket),
                    Err(error) => last = error,
                }
            }
            Err(io_error(endpoint, last))
        }
    }
}

/// Looks a name up on the executor's helper thread; an address needs no look-up.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    glommio::executor().spawn_blocking(move || Ok((host.as_str(), port).to_socket_addrs()?.collect())).await
}

async fn connect_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = new_socket(Domain::for_address(address))?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
            let fd = PollableFd::new(socket)?;
            let connected = async { fd.writable().await.map_err(io::Error::from) };
            within(TCP_CONNECT_TIMEOUT, connected).await.unwrap_or_else(|| {
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no answer within {TCP_CONNECT_TIMEOUT:?}"),
                ))
            })?;
            if let Some(error) = fd.get_ref().take_error()? {
                return Err(error);
            }
            return prepare_tcp(fd.into_inner());
        }
        Err(error) => return Err(error),
    }
    prepare_tcp(socket)
}

fn new_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Calls go out at once, and a peer that vanished silently is noticed even while a call blocks in it.
fn prepare_tcp(socket: Socket) -> io::Result<Socket> {
    let options = SockRef::from(&socket);
    options.set_tcp_nodelay(true)?;
    options
        .set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_IDLE))?;
    Ok(socket)
}

pub(super) fn io_error(endpoint: &Endpoint, source: io::Error) -> Error {
    Error::Io { what: format!("connect to {endpoint}"), cause: source }
}
