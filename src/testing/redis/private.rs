//! A Redis private to a test.

use std::path::PathBuf;

pub use crate::embedded::Error as StartError;
use crate::embedded::{Embedded, StateDir, server};
use crate::ids;
use crate::resp::{Endpoint, RedisUrl};

/// A redis-server (or valkey-server) on a unix socket in its own directory, initially empty; stopped and removed when
/// dropped.
///
/// ```no_run
/// use jiggler_uring::testing::PrivateRedis;
/// use jiggler_uring::{Client, NewJob};
///
/// let redis = PrivateRedis::start()?;
/// let mut client = Client::connect(&redis.url())?;
/// client.enqueue(&NewJob::new("Welcome", &(7,))?)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PrivateRedis {
    /// `None` once it has been released.
    server: Option<Embedded>,
    directory: PathBuf,
}

impl PrivateRedis {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// [`StartError::NoProgram`] if none is installed; other errors of its start.
    pub fn start() -> Result<Self, StartError> {
        let program = server::program(&|name| std::env::var_os(name)).ok_or(StartError::NoProgram)?;
        let name = format!("jiggler-uring-test-{}-{}", std::process::id(), ids::jid());
        let directory = std::env::temp_dir().join(name);
        let server = Embedded::acquire(&StateDir::at(directory.clone()), &program)?;
        Ok(Self { server: Some(server), directory })
    }

    /// Where it listens, for [`Client::connect`](crate::Client::connect) and `--redis-url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("unix://{}", self.directory.join("redis.sock").display())
    }

    /// The same, parsed.
    #[must_use]
    pub fn redis_url(&self) -> RedisUrl {
        RedisUrl::new(Endpoint::Unix(self.directory.join("redis.sock")))
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        // It ends with its last user, which is this test; a server that does not shows up in the machine's process
        // list.
        let _released = self.server.take().map(|server| server.release(None));
        let _removed = std::fs::remove_dir_all(&self.directory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Client, NewJob};

    #[test]
    fn each_is_empty_and_nothing_is_left_of_it() {
        let (first, second) = (PrivateRedis::start().unwrap(), PrivateRedis::start().unwrap());
        assert_ne!(first.url(), second.url());
        assert_eq!(RedisUrl::parse(&first.url()).unwrap(), first.redis_url());
        let push = |redis: &PrivateRedis| {
            Client::connect(&redis.url()).unwrap().enqueue_bulk([NewJob::new("N", &(1,)).unwrap()]).unwrap()
        };
        assert_eq!((push(&first), push(&second)), (1, 1));
        let (url, directory) = (first.url(), first.directory.clone());
        drop(first);
        assert!(Client::connect(&url).is_err() && !directory.exists());
        assert!(Client::connect(&second.url()).is_ok());
    }
}
