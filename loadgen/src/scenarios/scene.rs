//! What most scenarios set up alike: CPUs for Redis and for the worker, a running Redis, and their description.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use jiggler_uring::internal::resp::url::RedisUrl;
use serde::Serialize;

use super::Session;
use crate::cli::{DistanceOptions, Mode, RedisOptions};
use crate::delay_line::DelayLine;
use crate::error::Error;
use crate::machine::Machine;
use crate::placement::Placement;
use crate::redis_server::RedisServer;
use crate::report::format::counted;
use crate::worker::Program;

/// A private Redis and a program to run with it. Dropping it ends Redis.
#[derive(Debug)]
pub(super) struct Scene {
    /// The program.
    pub(super) program: Program,
    /// The number of shards it is placed for.
    pub(super) cores: u64,
    /// Between the worker and Redis, if Redis is to be further away.
    line: Option<(DelayLine, Duration)>,
    /// The running Redis.
    pub(super) server: RedisServer,
    /// What all of it runs on.
    pub(super) machine: Machine,
}

/// The names of a worker's setting.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Processor {
    /// As a table shows it, with the version.
    pub(super) title: String,
    /// As used to compare two runs of loadgen: the same from version to version.
    pub(super) key: String,
}

impl Scene {
    /// Picks CPUs for a worker with `cores` shards, and starts Redis.
    ///
    /// # Errors
    /// Redis does not start, or an interrupt.
    pub(super) fn set(
        program: Program,
        cores: u64,
        redis: &RedisOptions,
        session: &Session,
    ) -> Result<Self, Error> {
        let placement = Placement::plan(usize::try_from(cores).unwrap_or(usize::MAX), redis.redis_cpu)?;
        let server = RedisServer::start(redis, &placement, &session.interrupt)?;
        let machine = Machine::describe(&mut server.client()?, &placement, Some(&program))?;
        Ok(Self { program, cores, line: None, server, machine })
    }

    /// Moves Redis away from the worker, if requested.
    ///
    /// # Errors
    /// The line cannot be opened.
    pub(super) fn at(mut self, distance: DistanceOptions) -> Result<Self, Error> {
        if let Some(delay) = distance.delay {
            self.line = Some((DelayLine::open(self.server.port(), delay)?, delay));
        }
        Ok(self)
    }

    /// A bare connection to the address where the worker finds Redis, over TCP whatever the transport.
    ///
    /// # Errors
    /// Nobody is listening.
    pub(super) fn worker_stream(&self) -> io::Result<TcpStream> {
        let port = self.line.as_ref().map_or_else(|| self.server.port(), |(line, _)| line.port());
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Where the worker finds Redis.
    pub(super) fn worker_url(&self) -> &RedisUrl {
        self.line.as_ref().map_or_else(|| self.server.url(), |(line, _)| line.url())
    }

    /// The name of the program in this setting.
    pub(super) fn processor(&self, mode: Mode) -> Processor {
        let away = away(self.line.as_ref().map(|(_, delay)| *delay));
        let key = format!("{}, {}{away}", counted(self.cores, "core"), mode.flag());
        Processor { title: format!("{}, {key}", self.machine.worker.as_deref().unwrap_or("worker")), key }
    }

    /// Shuts Redis down cleanly.
    ///
    /// # Errors
    /// It did not end in time.
    pub(super) fn end(self) -> Result<Machine, Error> {
        self.server.stop()?;
        Ok(self.machine)
    }
}

/// What that means.
pub(super) const AWAY: &str = "away: bytes between the worker, or the null client, and Redis take this much longer each \
     way, through a proxy on the worker's CPUs; what fills the queue is not delayed";

/// What a row adds to its name when Redis is that far away.
pub(super) fn away(delay: Option<Duration>) -> String {
    match delay {
        None => String::new(),
        Some(delay) => format!(", {} ms away", delay.as_secs_f64() * 1e3),
    }
}
