//! From a configuration to a logged-in client: which server, TLS or not, and the task that drives it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage, Statement};

use super::Error;
use super::rest::{Observed, Rest};
use crate::io::stream::Stream;
use crate::io::timer;
#[cfg(feature = "tls")]
use crate::io::tls::Connector;
use crate::io::wire::Wire;

/// The port of a server whose configuration names none; PostgreSQL's default.
const PORT: u16 = 5432;

/// One server of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    place: ServerAddress,
    port: u16,
    /// The name its certificate must carry.
    name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ServerAddress {
    Name(String),
    Address(IpAddr),
    Unix(PathBuf),
}

/// Where a pool's connections go.
pub(super) struct Link {
    /// Invariant: it does not ask for TLS, which is done here.
    config: Config,
    servers: Vec<Server>,
    ssl_mode: SslMode,
    timeout: Duration,
    #[cfg(feature = "tls")]
    connector: Option<Connector>,
}

/// A logged-in client, and whether its connection is at rest.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) rest: Rc<Rest>,
    /// Its index among the servers.
    pub(super) server: usize,
    /// Statements prepared on it, by text.
    pub(super) statements: RefCell<HashMap<String, Statement>>,
}

impl Link {
    pub(super) fn new(
        mut config: Config,
        timeout: Duration,
        #[cfg(feature = "tls")] tls: &crate::io::tls::TlsOptions,
    ) -> Result<Self, Error> {
        let servers = servers(&config)?;
        let ssl_mode = config.get_ssl_mode();
        if config.get_ssl_negotiation() == SslNegotiation::Direct {
            return Err(wrong("sslnegotiation=direct is not supported; leave it out"));
        }
        #[cfg(not(feature = "tls"))]
        if ssl_mode == SslMode::Require {
            return Err(wrong("sslmode=require needs the cargo feature tls"));
        }
        #[cfg(feature = "tls")]
        let connector = match ssl_mode {
            SslMode::Disable => None,
            _ => match Connector::new(tls) {
                Ok(connector) => Some(connector),
                // A machine without certificates can still talk to a server in plain text if that is allowed.
                Err(_) if ssl_mode == SslMode::Prefer && tls.ca_file.is_none() => None,
                Err(error) => return Err(wrong(&error.to_string())),
            },
        };
        let timeout = config.get_connect_timeout().copied().unwrap_or(timeout);
        config.ssl_mode(SslMode::Disable);
        Ok(Self {
            config,
            servers,
            ssl_mode,
            timeout,
            #[cfg(feature = "tls")]
            connector,
        })
    }

    /// Logs in to the first server that accepts us and is of the requested kind.
    ///
    /// # Errors
    /// The error of the last server.
    ///
    /// # Cancel-safety
    /// Dropping the future closes the connection.
    pub(super) async fn open(&self) -> Result<Opened, Error> {
        let mut last = wrong("it has no host");
        for (index, server) in self.servers.iter().enumerate() {
            let timeout = || Error::ConnectTimeout { server: server.to_string(), after: self.timeout };
            match timer::timeout(self.timeout, self.log_in(index, server)).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => last = error,
                Err(_) => last = timeout(),
            }
        }
        Err(last)
    }

    /// Asks a server to cancel what this client is running there.
    pub(super) async fn cancel(&self, client: &Client, server: usize) -> Result<(), Error> {
        let Some(server) = self.servers.get(server) else { return Ok(()) };
        let failed = |source| Error::Connect { server: server.to_string(), source };
        let wire = self.wire(server).await.map_err(failed)?;
        let sent = client.cancel_token().cancel_query_raw(wire, NoTls).await;
        sent.map_err(|source| Error::Login { server: server.to_string(), source })
    }

    async fn log_in(&self, index: usize, server: &Server) -> Result<Opened, Error> {
        let failed = |source| Error::Login { server: server.to_string(), source };
        let wire = self.wire(server).await;
        let wire = wire.map_err(|source| Error::Connect { server: server.to_string(), source })?;
        let (observed, rest) = Observed::new(wire);
        let (client, conn) = self.config.connect_raw(observed, NoTls).await.map_err(failed)?;
        glommio::spawn_local(async move {
            // The client notifies anyone waiting for an answer; an idle connection is found closed.
            if let Err(error) = conn.await {
                tracing::debug!(error = %error, "a connection to postgres ended");
            }
        })
        .detach();
        let wanted = match self.config.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => Some("off"),
            TargetSessionAttrs::ReadOnly => Some("on"),
            _ => None,
        };
        if let Some(wanted) = wanted {
            let rows = client.simple_query("SHOW transaction_read_only").await.map_err(failed)?;
            let is = |row: &SimpleQueryMessage| matches!(row, SimpleQueryMessage::Row(row) if row.get(0) == Some(wanted));
            if !rows.iter().any(is) {
                let source = io::Error::other(format!("transaction_read_only is not {wanted}"));
                return Err(Error::Connect { server: server.to_string(), source });
            }
        }
        Ok(Opened { client, rest, server: index, statements: RefCell::default() })
    }

    async fn wire(&self, server: &Server) -> io::Result<Wire> {
        let stream = match &server.place {
            // A server does not speak TLS over a unix socket.
            ServerAddress::Unix(path) => return Stream::connect_unix(path).map(Wire::Plain),
            ServerAddress::Name(host) => Stream::connect(host, server.port).await?,
            ServerAddress::Address(address) => Stream::connect(&address.to_string(), server.port).await?,
        };
        #[cfg(feature = "tls")]
        if let Some(connector) = &self.connector {
            return super::tls::negotiate(connector, server.name.as_deref(), stream, self.ssl_mode).await;
        }
        debug_assert!(self.ssl_mode != SslMode::Require, "refused when the pool was made");
        Ok(Wire::Plain(stream))
    }
}

fn wrong(reason: &str) -> Error {
    Error::Config { reason: reason.to_owned() }
}

/// Hosts, addresses and ports of a configuration, paired as libpq does.
fn servers(config: &Config) -> Result<Vec<Server>, Error> {
    let (hosts, addresses, ports) = (config.get_hosts(), config.get_hostaddrs(), config.get_ports());
    let count = hosts.len().max(addresses.len());
    if count == 0 {
        return Err(wrong("it has no host"));
    }
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(wrong("the numbers of hosts and hostaddrs differ"));
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(wrong("the numbers of hosts and ports differ"));
    }
    let server = |index: usize| {
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(PORT);
        let name = match hosts.get(index) {
            Some(Host::Tcp(name)) => Some(name.clone()),
            _ => None,
        };
        let place = match (addresses.get(index), hosts.get(index)) {
            (Some(address), _) => ServerAddress::Address(*address),
            (None, Some(Host::Unix(dir))) => ServerAddress::Unix(dir.join(format!(".s.PGSQL.{port}"))),
            (None, _) => ServerAddress::Name(name.clone()?),
        };
        Some(Server { place, port, name })
    };
    Ok((0..count).filter_map(server).collect())
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            ServerAddress::Unix(path) => write!(f, "{}", path.display()),
            ServerAddress::Name(name) => write!(f, "{name}:{}", self.port),
            ServerAddress::Address(address) => write!(f, "{address}:{}", self.port),
        }
    }
}
