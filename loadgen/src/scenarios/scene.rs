//! What most scenarios set up alike: a place for Redis and one for the worker, a running Redis, and their description.

use serde::Serialize;

use super::Session;
use crate::cli::{Mode, RedisOptions};
use crate::error::Error;
use crate::machine::Machine;
use crate::placement::Placement;
use crate::redis_server::RedisServer;
use crate::report::format::counted;
use crate::worker::Program;

/// A private Redis and a program to run beside it. Dropping it ends Redis.
#[derive(Debug)]
pub(super) struct Scene {
    /// The program.
    pub(super) program: Program,
    /// Shards it is placed for.
    pub(super) cores: u64,
    /// The running Redis.
    pub(super) server: RedisServer,
    /// What all of it runs on.
    pub(super) machine: Machine,
}

/// The names of a worker's setting.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Processor {
    /// As a table shows it, with version.
    pub(super) title: String,
    /// As two runs of loadgen are compared by it: the same from version to version.
    pub(super) key: String,
}

impl Scene {
    /// Places for a worker with `cores` shards, and starts Redis.
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
        Ok(Self { program, cores, server, machine })
    }

    /// What the program in this setting is called.
    pub(super) fn processor(&self, mode: Mode) -> Processor {
        let key = format!("{}, {}", counted(self.cores, "core"), mode.flag());
        Processor { title: format!("{}, {key}", self.machine.worker.as_deref().unwrap_or("worker")), key }
    }

    /// Ends Redis in order.
    ///
    /// # Errors
    /// It did not end in time.
    pub(super) fn end(self) -> Result<Machine, Error> {
        self.server.stop()?;
        Ok(self.machine)
    }
}
