//! A real redis-server for one test: own directory, own unix socket and port, ended with the test.
//!
//! Only for tests of this crate's modules; not part of the library.

use std::path::PathBuf;

use crate::net::blocking::BlockingConnection;
use crate::redis_server::RedisServer;
use crate::resp::{
    encode::Requests,
    reply::{Reply, Value},
    url::RedisUrl,
};
use crate::store::scripts::{self, Scripts};
use crate::wire::Realm;

/// The server, and the crate's own client for it.
pub(crate) struct TestRedis {
    server: RedisServer,
}

impl TestRedis {
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
        scripts::load(&Realm::SHARED, &mut requests);
        let scripts = Scripts::read(Realm::SHARED, &conn.call(&requests).unwrap()).unwrap();
        (redis, conn, scripts)
    }

    /// Runs one command over a connection of its own.
    pub(crate) fn run(&self, args: &[&[u8]]) -> Reply {
        let mut requests = Requests::new();
        requests.command(args);
        self.connect().call_one(&requests).unwrap()
    }

    /// Runs one command that answers with a list of strings.
    pub(crate) fn strings(&self, args: &[&[u8]]) -> Vec<String> {
        let reply = self.run(args);
        let text = |value: Value<'_>| String::from_utf8(value.as_bulk().unwrap().to_vec()).unwrap();
        reply.as_array().unwrap().map(text).collect()
    }
}
