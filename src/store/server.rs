//! What a server reports about itself: for `doctor`, never in the path of a job.

use std::time::Duration;

use crate::resp::{Error, Reply, Requests};
use crate::wire::Keyspace;

/// Appends the question for everything the server reports about itself. The reply is read by [`Info::read`].
pub fn ask_info(requests: &mut Requests) {
    requests.command(&[b"INFO"]);
}

/// Appends a ping.
pub fn ping(requests: &mut Requests) {
    requests.command(&[b"PING"]);
}

/// Appends the question for the server's clock. [`clock`] reads the reply.
pub fn ask_clock(requests: &mut Requests) {
    requests.command(&[b"TIME"]);
}

/// The server's clock, as Unix time.
///
/// # Errors
/// [`Error::Redis`], [`Error::Unexpected`].
pub fn clock(reply: &Reply) -> Result<Duration, Error> {
    let mut parts = reply.as_array()?;
    let mut number = || -> Result<u64, Error> {
        let part = parts.next().ok_or_else(|| reply.value().instead_of("two numbers"))?;
        let text = std::str::from_utf8(part.as_bulk()?).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| part.instead_of("a decimal number"))
    };
    let (seconds, micros) = (number()?, number()?);
    Ok(Duration::from_secs(seconds) + Duration::from_micros(micros))
}

/// Appends the question whether programs of a dialect have left keys: counters, sets, registries. [`has_traces`] reads the
/// reply.
pub fn ask_traces(keys: Keyspace, requests: &mut Requests) {
    let names = keys.names();
    let registry = names.registries.as_ref().map_or(names.scheduled, |registries| registries.queues);
    let mut command = requests.begin(6);
    command.arg(b"EXISTS");
    for key in [names.processed, names.retries, names.scheduled, names.dead, registry] {
        command.arg(key.as_bytes());
    }
}

/// Whether they have. A user who may not ask learns of none, nor does one of a cluster, whose nodes have some keys each.
#[must_use]
pub fn has_traces(reply: &Reply) -> bool {
    reply.as_integer().is_ok_and(|count| count > 0)
}

/// Appends the question how soon the server closes idle connections. [`idle_timeout`] reads the reply.
pub fn ask_idle_timeout(requests: &mut Requests) {
    requests.command(&[b"CONFIG", b"GET", b"timeout"]);
}

/// After how many seconds the server closes idle connections; 0: never.
///
/// # Errors
/// [`Error::Redis`] if this may not be asked; [`Error::Unexpected`].
pub fn idle_timeout(reply: &Reply) -> Result<u64, Error> {
    let value = reply.as_array()?.nth(1).ok_or_else(|| reply.value().instead_of("a name and a number"))?;
    let text = std::str::from_utf8(value.as_bulk()?).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| value.instead_of("a decimal number"))
}

/// Lines of `INFO`, by field.
#[derive(Debug, Default)]
pub struct Info(String);

impl Info {
    /// Reads the reply to [`ask_info`].
    ///
    /// # Errors
    /// [`Error::Redis`], [`Error::Unexpected`].
    pub fn read(reply: &Reply) -> Result<Self, Error> {
        Ok(Self(String::from_utf8_lossy(reply.as_bulk()?).into_owned()))
    }

    /// The text of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    }

    /// A field that is a whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }
}

/// Appends the question for the server's number of this connection.
pub fn ask_id(requests: &mut Requests) {
    requests.command(&[b"CLIENT", b"ID"]);
}

/// Appends a trial of key tracking, whose pushes would go to connection `id` itself, and its end. The replies are two `OK`,
/// or the reasons why not.
pub fn try_tracking(id: i64, requests: &mut Requests) {
    requests.command(&[b"CLIENT", b"TRACKING", b"ON", b"REDIRECT", id.to_string().as_bytes()]);
    requests.command(&[b"CLIENT", b"TRACKING", b"OFF"]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::blocking::BlockingConnection;
    use crate::own_redis::OwnRedis;

    fn ask(conn: &mut BlockingConnection, write: impl Fn(&mut Requests)) -> Vec<Reply> {
        let mut requests = Requests::new();
        write(&mut requests);
        conn.call(&requests).unwrap()
    }

    #[test]
    fn a_server_tells_its_clock_and_itself() {
        let redis = OwnRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        let now = clock(&ask(&mut conn, ask_clock)[0]).unwrap().as_secs_f64();
        assert!((now - crate::time::unix_now()).abs() < 60.0);
        assert_eq!(idle_timeout(&ask(&mut conn, ask_idle_timeout)[0]).unwrap(), 0);
        let info = Info::read(&ask(&mut conn, ask_info)[0]).unwrap();
        assert_eq!((info.field("role"), info.number("aof_enabled")), (Some("master"), Some(0)));
        assert_eq!((info.field("maxmemory_policy"), info.field("nonsense")), (Some("noeviction"), None));
        let id = ask(&mut conn, ask_id)[0].as_integer().unwrap();
        let replies = ask(&mut conn, |requests| try_tracking(id, requests));
        assert!(replies.iter().all(|reply| reply.as_ok().is_ok()), "{replies:?}");
    }
}
