//! The executor that shows the process to machines ([`crate::web`]): its socket, its thread, its end.
//!
//! The socket is bound before anything else starts and kept under every identity of the process. The thread is pinned
//! nowhere. It ends last, so that a probe sees the whole shutdown.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use socket2::{Domain, Socket, Type};
use thiserror::Error;

use super::carry_out;
use super::launch_error::LaunchError;
use super::pulse;
use crate::boot;
use crate::cli::{Failure, Program, VERSION};
use crate::client::Spelling;
use crate::config::Config;
use crate::control::ControlOptions;
use crate::limits::{EXECUTOR_IO_BYTES, EXECUTOR_PREEMPT, WEB_ADDRESS, WEB_BACKLOG};
use crate::mesh::{CountsReader, ShardEnd, counts_link};
use crate::resp::RedisUrl;
use crate::web::{self, Access, Shown, WebOptions, WorkerSide};
use crate::wire::client_name;

/// Why nothing is served. The first two are for the user to change.
#[derive(Debug, Error)]
enum WebError {
    /// Others could read it.
    #[error(
        "--web {address} can be reached from other machines: give --web-auth FILE with users or tokens, or --web-open to \
         let everybody read"
    )]
    Public { address: SocketAddr },
    /// The address is taken, or not of this machine.
    #[error("--web {address}: {cause}; another process may listen there")]
    Bind { address: SocketAddr, cause: io::Error },
}

/// A socket that listens, and who may read.
pub(super) struct Web {
    socket: TcpListener,
    address: SocketAddr,
    access: Access,
    prefix: String,
}

/// The executor, until it is ended.
pub(super) struct Running {
    lifeline: UnixStream,
    thread: ExecutorJoinHandle<()>,
}

impl Web {
    /// Binds the socket, if one is wanted.
    ///
    /// # Errors
    /// The address would be open to others, or is taken; a file of users is not one.
    pub(super) fn bind(config: &Config) -> Result<Option<Self>, Failure> {
        let Some(address) = config.web else { return Ok(None) };
        let access = match &config.web_auth {
            Some(path) => Access::of_file(path).map_err(Failure::usage)?,
            None if address.ip().is_loopback() => Access::local(),
            None if config.web_open => Access::open(),
            None => return Err(Failure::usage(WebError::Public { address })),
        };
        let access = if config.web_read_only { access.read_only() } else { access };
        let socket = listen(address).map_err(|cause| WebError::Bind { address, cause })?;
        let address = socket.local_addr()?;
        let prefix = config.web_prefix.clone().unwrap_or_default();
        Ok(Some(Self { socket, address, access, prefix }))
    }

    /// Starts to serve what this process runs.
    pub(super) fn start_beside(
        &self,
        control: &ControlOptions,
        counts: Vec<CountsReader>,
    ) -> Result<Running, LaunchError> {
        let worker = WorkerSide {
            shards: control.stats.iter().map(Arc::clone).collect(),
            slots: control.expected.slots.clone(),
            control: Arc::clone(&control.published),
            counts,
        };
        let spelling = Spelling { keys: control.keys, schema: control.schema };
        let name = client_name(&control.uuid, None, "web");
        self.start(self.shown(&control.url, spelling, name, control.tag.clone(), Some(worker)))
    }

    fn shown(
        &self,
        url: &RedisUrl,
        spelling: Spelling,
        client_name: String,
        tag: String,
        worker: Option<WorkerSide>,
    ) -> Shown {
        Shown {
            access: self.access.clone(),
            prefix: self.prefix.clone(),
            is_loopback: self.address.ip().is_loopback(),
            url: url.clone(),
            keys: spelling.keys,
            schema: spelling.schema,
            client_name,
            version: VERSION,
            program: Program::title().unwrap_or_default(),
            tag,
            worker,
        }
    }

    fn start(&self, shown: Shown) -> Result<Running, LaunchError> {
        let failed = |error: io::Error| LaunchError::Web { reason: error.to_string() };
        let (lifeline, other_end) = UnixStream::pair().map_err(failed)?;
        let listener = self.socket.try_clone().map_err(failed)?;
        let options = WebOptions { listener, lifeline: other_end, shown };
        let thread = LocalExecutorBuilder::new(Placement::Unbound)
            .name("web")
            .io_memory(EXECUTOR_IO_BYTES)
            .preempt_timer(EXECUTOR_PREEMPT)
            .spawn(move || async move {
                pulse::start(|| ());
                if let Err(error) = web::run(options).await {
                    tracing::error!(%error, "web: nothing is served");
                }
            })
            .map_err(|error| LaunchError::Executor { what: "web".to_owned(), reason: error.to_string() })?;
        tracing::info!(address = %self.address, "web: serving metrics and probes");
        Ok(Running { lifeline, thread })
    }
}

impl Running {
    /// Ends it: what is being answered is cut off.
    pub(super) fn end(self) {
        drop(self.lifeline);
        // A panic of its thread was logged, and there is nothing to put in order after it.
        let _ended = self.thread.join();
    }
}

/// Links a shard to the server, if there is one, so that it can be asked what it has counted.
pub(super) fn link(web: Option<&Web>, end: ShardEnd, readers: &mut Vec<CountsReader>) -> ShardEnd {
    if web.is_none() {
        return end;
    }
    let (reader, counts) = counts_link();
    readers.push(reader);
    end.counted_for(counts)
}

/// A socket that listens at this address, also just after another has.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(WEB_BACKLOG)?;
    Ok(socket.into())
}

/// `jiggler-uring web`: serves until a signal ends it.
///
/// # Errors
/// As [`Web::bind`]; Redis is not named and none runs here; the machine has no io_uring.
pub(super) fn alone(mut config: Config) -> Result<(), Failure> {
    config.web.get_or_insert(WEB_ADDRESS);
    glommio::early_init();
    let asked = std::env::var("RUST_LOG").ok();
    let _whose = boot::logging::install(config.log_level, asked.as_deref(), config.log_format, || ())
        .map_err(|error| io::Error::new(error.kind(), format!("failed to start the log: {error}")))?;
    boot::check_machine(1).map_err(Failure::usage)?;
    let db = carry_out::redis(config.redis_url.clone())?;
    // Before any thread, and before anybody can know that it runs.
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    let Some(web) = Web::bind(&config)? else { return Ok(()) };
    let spelling = Spelling::of(config.dialect, &db.url);
    let tag = config.tag.clone().unwrap_or_default();
    let running = web.start(web.shown(&db.url, spelling, "jiggler-uring:web".to_owned(), tag, None))?;
    let _signal = signals.forever().next();
    running.end();
    tracing::info!("stopped");
    boot::logging::flush();
    Ok(())
}
