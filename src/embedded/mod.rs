//! The Redis a process uses when none is named: the local server, or else a private one that this program starts.
//!
//! If a URL is given, nothing here happens. Without one, a server on 127.0.0.1:6379 is used; if nothing listens there, a
//! private redis-server (or valkey-server) serves a unix socket in the state directory, with an append-only file and no
//! TCP port. All workers of one user share it. The last one to exit ends it; one that is killed with -9 leaves it
//! running, and the next worker uses it again, so no job is lost either way. The commands `enqueue` and `summary` use
//! what is there and start nothing.
//!
//! Known weakness: a signal to a whole control group (`systemctl stop` with the default KillMode) ends the server
//! together with the worker, which then cannot hand its jobs back; they are in the file and are recovered at the next
//! start. A service should name its Redis.
//!
//! [`paths`] says where things are, [`server`] starts, finds and ends the server, [`keeper`] restarts it when it dies,
//! [`probe`] asks it whether it answers.

mod keeper;
pub(crate) mod paths;
pub(crate) mod probe;
pub(crate) mod server;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    time::Instant,
};

pub(crate) use paths::StateDir;
pub(crate) use server::Embedded;

use crate::{
    config::{Config, GivenUrl, Variables},
    limits::{
        EMBEDDED_START_TIMEOUT, EMBEDDED_STOP_TIMEOUT, LOCAL_PROBE_TIMEOUT, UNIX_SOCKET_PATH_BYTES_MAX,
    },
    resp::{Endpoint, RedisUrl},
};

/// The port a Redis listens on by default.
const REDIS_PORT: u16 = 6379;

/// The environment in which no private server is started without being asked for.
const PRODUCTION: &str = "production";

/// Why there is no Redis to use. None of these passes by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No variable that leads to a state directory is set.
    #[error("no place for a private redis: set HOME or XDG_STATE_HOME, or name a server with --redis-url")]
    NoStateDir,
    /// The socket's path does not fit into a socket address.
    #[error("the socket path {} has {} bytes, more than {UNIX_SOCKET_PATH_BYTES_MAX}: set XDG_STATE_HOME to a shorter \
             directory, or name a server with --redis-url", path.display(), path.as_os_str().len())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
    },
    /// The state directory or a file in it cannot be created, opened or locked.
    #[error("failed to prepare {}", path.display())]
    State {
        /// Which path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// No server program is installed.
    #[error(
        "no redis is given, none listens on 127.0.0.1:{REDIS_PORT}, and neither redis-server nor valkey-server is \
             on PATH: install one (apt-get install redis-server), or name a server with --redis-url or REDIS_URL"
    )]
    NoProgram,
    /// In production jobs must not go to a server that nobody else knows.
    #[error(
        "no redis is given and none listens on 127.0.0.1:{REDIS_PORT}, and in production no private one is started: name a \
         server with --redis-url or REDIS_URL, or give --private-redis"
    )]
    Production,
    /// The program cannot be started.
    #[error("failed to start {}", program.display())]
    Spawn {
        /// Which program.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It ended before it answered.
    #[error("{} ended at its start ({status}); its log {} ends with:\n{tail}", program.display(), log.display())]
    Died {
        /// Which program.
        program: PathBuf,
        /// How it ended.
        status: String,
        /// Path of its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// It runs but does not answer.
    #[error("{} did not answer within {} s; its log {} ends with:\n{tail}", program.display(),
            EMBEDDED_START_TIMEOUT.as_secs(), log.display())]
    Silent {
        /// Which program.
        program: PathBuf,
        /// Path of its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// It was told to end but still runs.
    #[error("the private redis at {} did not end within {} s; its log is {}", socket.display(),
            EMBEDDED_STOP_TIMEOUT.as_secs(), log.display())]
    Lingers {
        /// Path of its socket.
        socket: PathBuf,
        /// Path of its log.
        log: PathBuf,
    },
    /// It could not be told to end.
    #[error("failed to end the private redis at {}", socket.display())]
    Stop {
        /// Path of its socket.
        socket: PathBuf,
        /// The error of talking to it.
        source: io::Error,
    },
    /// A command that starts no server found none.
    #[error("no redis is given, none listens on 127.0.0.1:{REDIS_PORT}, and no worker has started a private one at \
             {}: start a worker with `jiggler-uring`, or name a server with --redis-url or REDIS_URL",
            socket.display())]
    NothingRuns {
        /// Where the private one would be.
        socket: PathBuf,
    },
}

/// The Redis to use.
#[derive(Debug)]
#[must_use = "a private server ends with the last holder"]
pub(crate) enum Found {
    /// The user named it.
    Given(GivenUrl),
    /// A server listens on the usual local port.
    Local,
    /// The private one; it is kept until [`Embedded::release`].
    Private(Embedded),
    /// The private one of a worker, borrowed by a short command.
    Borrowed {
        /// Path of its socket.
        socket: PathBuf,
    },
}

impl Found {
    /// Where to connect to.
    #[must_use]
    pub(crate) fn url(&self) -> RedisUrl {
        match self {
            Self::Given(given) => given.url.clone(),
            Self::Local => {
                RedisUrl::new(Endpoint::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port: REDIS_PORT })
            }
            Self::Private(embedded) => RedisUrl::new(Endpoint::Unix(embedded.socket().to_owned())),
            Self::Borrowed { socket } => RedisUrl::new(Endpoint::Unix(socket.clone())),
        }
    }

    /// From now on a private server is restarted when it dies, if this process started it.
    ///
    /// # Errors
    /// [`Error::Spawn`].
    pub(crate) fn keep_up(&mut self) -> Result<(), Error> {
        match self {
            Self::Private(embedded) => embedded.keep_up(),
            Self::Given(_) | Self::Local | Self::Borrowed { .. } => Ok(()),
        }
    }

    /// Releases a private server, and ends it if no other process uses it: waits for its end until `until` at the latest.
    /// Called when the last connection is closed.
    ///
    /// # Errors
    /// [`Error::Stop`], [`Error::Lingers`] or [`Error::State`]; the server then stays and is used again next time.
    pub(crate) fn release(self, until: Option<Instant>) -> Result<(), Error> {
        match self {
            Self::Private(embedded) => embedded.release(until).map(|_| ()),
            Self::Given(_) | Self::Local | Self::Borrowed { .. } => Ok(()),
        }
    }
}

impl fmt::Display for Found {
    /// One line for the log: which Redis this is and why, without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(given) => write!(f, "using redis at {given}"),
            Self::Local => write!(f, "no redis given: using the one at 127.0.0.1:{REDIS_PORT}"),
            Self::Private(embedded) => {
                write!(f, "no redis given and none on 127.0.0.1:{REDIS_PORT}: {embedded}")
            }
            Self::Borrowed { socket } => write!(f, "using the private redis at {}", socket.display()),
        }
    }
}

/// Whether a worker may start a private server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Private {
    /// If there is no other.
    Allowed,
    /// The environment is production, and none was asked for.
    Refused,
}

impl Private {
    /// What a configuration says.
    pub(crate) fn of(config: &Config) -> Self {
        if config.private_redis || config.environment != PRODUCTION { Self::Allowed } else { Self::Refused }
    }
}

/// The Redis a worker uses; starts a private one if there is no other.
///
/// # Errors
/// [`Error`], when a private one is needed but unavailable.
pub(crate) fn for_worker(config: &Config, variables: Variables<'_>) -> Result<Found, Error> {
    for_worker_beside(REDIS_PORT, config.redis_url.clone(), Private::of(config), variables)
}

fn for_worker_beside(
    port: u16,
    given: Option<GivenUrl>,
    private: Private,
    variables: Variables<'_>,
) -> Result<Found, Error> {
    match given {
        Some(url) => Ok(Found::Given(url)),
        None if local_listens(port) => Ok(Found::Local),
        None if private == Private::Refused => Err(Error::Production),
        None => {
            let program = server::program(variables).ok_or(Error::NoProgram)?;
            Embedded::acquire(&StateDir::locate(variables)?, &program).map(Found::Private)
        }
    }
}

/// The Redis a short command uses; starts nothing.
///
/// # Errors
/// [`Error::NothingRuns`] with the way out, or an error about the state directory.
pub(crate) fn for_command(given: Option<GivenUrl>, variables: Variables<'_>) -> Result<Found, Error> {
    for_command_beside(REDIS_PORT, given, variables)
}

fn for_command_beside(port: u16, given: Option<GivenUrl>, variables: Variables<'_>) -> Result<Found, Error> {
    match given {
        Some(url) => Ok(Found::Given(url)),
        None if local_listens(port) => Ok(Found::Local),
        None => {
            let directory = StateDir::locate(variables)?;
            directory.check_owner()?;
            let socket = directory.socket()?;
            match probe::ask(&socket) {
                probe::Answer::Ready | probe::Answer::Loading | probe::Answer::Silent => {
                    Ok(Found::Borrowed { socket })
                }
                probe::Answer::Nobody => Err(Error::NothingRuns { socket }),
            }
        }
    }
}

/// Whether something listens on the local port. What it is shows with the first command.
fn local_listens(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, LOCAL_PROBE_TIMEOUT).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::Origin;
    use crate::wire::Dialect;

    #[test]
    fn a_given_url_is_used_as_it_is_and_its_password_is_not_shown() {
        let url = RedisUrl::parse("redis://:s3cret@db:7000/2").unwrap();
        let given =
            GivenUrl { url: url.clone(), origin: Origin::Flag("redis-url"), dialect: Dialect::default() };
        let worker = for_worker_beside(NO_PORT, Some(given.clone()), Private::Refused, &|_| None);
        for found in [worker, for_command(Some(given), &|_| None)] {
            let found = found.unwrap();
            assert_eq!(found.url(), url);
            assert!(!format!("{found} {found:?}").contains("s3cret"), "{found:?}");
            found.release(None).unwrap();
        }
    }

    #[test]
    fn a_listener_is_seen_and_a_free_port_is_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(local_listens(port));
        assert!(!local_listens(NO_PORT));
    }

    /// Nothing can listen on it.
    const NO_PORT: u16 = 0;

    #[test]
    fn without_a_url_the_local_server_is_used_or_else_a_private_one_that_commands_find() {
        let root = tempfile::tempdir().unwrap();
        let variables = |name: &str| match name {
            "XDG_STATE_HOME" => Some(root.path().into()),
            name => std::env::var_os(name),
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(matches!(for_worker_beside(port, None, Private::Refused, &variables), Ok(Found::Local)));
        assert!(matches!(for_command_beside(port, None, &variables), Ok(Found::Local)));

        let error = for_command_beside(NO_PORT, None, &variables).unwrap_err();
        assert!(
            matches!(&error, Error::NothingRuns { .. }) && error.to_string().contains("--redis-url"),
            "{error}"
        );

        let error = for_worker_beside(NO_PORT, None, Private::Refused, &variables).unwrap_err();
        assert!(matches!(error, Error::Production), "{error}");
        assert!(error.to_string().contains("--private-redis"), "{error}");

        let worker = for_worker_beside(NO_PORT, None, Private::Allowed, &variables).unwrap();
        assert!(worker.to_string().contains("started a private one"), "{worker}");
        let command = for_command_beside(NO_PORT, None, &variables).unwrap();
        assert!(matches!(command, Found::Borrowed { .. }));
        assert_eq!(command.url(), worker.url());
        command.release(None).unwrap();
        worker.release(None).unwrap();
        let gone = for_command_beside(NO_PORT, None, &variables).unwrap_err();
        assert!(matches!(gone, Error::NothingRuns { .. }), "{gone:?}");

        let without_path = |name: &str| (name != "PATH").then(|| root.path().into());
        let error = for_worker_beside(NO_PORT, None, Private::Allowed, &without_path).unwrap_err();
        assert!(matches!(&error, Error::NoProgram) && error.to_string().contains("apt-get"), "{error}");
    }
}
