//! What a test of the whole program builds on: a Redis, a worker process, a faulty line between them, the account of
//! every job.

pub(crate) mod account;
pub(crate) mod cluster;
mod config;
pub(crate) mod gem;
#[cfg(feature = "web")]
pub(crate) mod html;
#[cfg(feature = "web")]
pub(crate) mod http;
mod log_pipe;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod sentinels;
mod spelling;
mod worker;

#[path = "../../support/redis_server.rs"]
pub(crate) mod redis_server;
#[path = "../../support/wait.rs"]
pub(crate) mod wait;

pub(crate) use account::Account;
pub(crate) use config::{ConfigFile, config_file};
pub(crate) use redis::{Redis, json};
pub(crate) use worker::{Worker, command, output_of, output_with, with_args};
