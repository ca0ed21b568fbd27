//! A real redis-server for one test, with the library's own client: for tests of the library's parts, inside the
//! crate and outside. Tests of the whole program have `engine/harness/redis.rs`, which understands the keys in it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "part of tests, of which each uses a part; a server that fails, fails its test"
)]

use std::path::PathBuf;

use crate::internal::net::blocking::BlockingConnection;
use crate::internal::resp::{RedisUrl, Reply, Requests, Value};
use crate::internal::store::scripts::{self, Scripts};
use crate::internal::wire::keys::JIGGLER;
use crate::redis_server::RedisServer;

/// The server, and the crate's own client for it.
pub(crate) struct OwnRedis {
    server: RedisServer,
}

impl OwnRedis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more configuration, as command line flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        Self { server: RedisServer::start_with(flags) }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.server.socket()
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    pub(crate) fn url(&self) -> RedisUrl {
        RedisUrl::parse(&self.url_text()).unwrap()
    }

    pub(crate) fn url_text(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub(crate) fn connect(&self) -> BlockingConnection {
        BlockingConnection::connect(&self.url()).unwrap()
    }

    /// A server, a connection, and the scripts that its server knows.
    pub(crate) fn with_scripts() -> (Self, BlockingConnection, Scripts) {
        let redis = Self::start();
        let mut conn = redis.connect();
        let mut requests = Requests::new();
        scripts::load(&JIGGLER.shared_realm(), &mut requests);
        let scripts = Scripts::read(JIGGLER.shared_realm(), &conn.call(&requests).unwrap()).unwrap();
        (redis, conn, scripts)
    }

    /// Runs one command over a new connection.
    pub(crate) fn run(&self, args: &[&[u8]]) -> Reply {
        let mut requests = Requests::new();
        requests.command(args);
        self.connect().call_one(&requests).unwrap()
    }

    /// Runs one command whose reply is a list of strings.
    pub(crate) fn strings(&self, args: &[&[u8]]) -> Vec<String> {
        let reply = self.run(args);
        let text = |value: Value<'_>| String::from_utf8(value.as_bulk().unwrap().to_vec()).unwrap();
        reply.as_array().unwrap().map(text).collect()
    }
}
