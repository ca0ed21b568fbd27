//! What a server says of itself and of what its user may do: for `doctor`, never on the way of a job.

use std::time::Duration;

use crate::resp::{Error, RedisErrorKind, Reply, Requests, Value};
use crate::wire::keys;

/// Appends the question for everything the server says of itself. The reply is read by [`Info::read`].
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

/// Appends the question under which number the server knows this connection.
pub fn ask_id(requests: &mut Requests) {
    requests.command(&[b"CLIENT", b"ID"]);
}

/// Appends a trial of key tracking, whose pushes would go to connection `id` itself, and its end. Two `OK` answer, or why
/// not.
pub fn try_tracking(id: i64, requests: &mut Requests) {
    requests.command(&[b"CLIENT", b"TRACKING", b"ON", b"REDIRECT", id.to_string().as_bytes()]);
    requests.command(&[b"CLIENT", b"TRACKING", b"OFF"]);
}

/// Appends the question who we are to the server.
pub fn ask_user(requests: &mut Requests) {
    requests.command(&[b"ACL", b"WHOAMI"]);
}

/// What the engine needs: a sample of each command, with the keys it is used on. Scripts run with the rights of their
/// caller, so what they call counts too.
const NEEDED: &[&str] = &[
    "BLMOVE {list} {flight} RIGHT LEFT 1",
    "BRPOP {list} 1",
    "LMOVE {flight} {list} LEFT RIGHT",
    "RPOP {list} 1",
    "LPOP {list} 1",
    "LPUSH {list} job",
    "RPUSH {flight} job",
    "LREM {flight} 1 job",
    "LLEN {list}",
    "LRANGE {list} 0 1",
    "LINDEX {flight} 0",
    "HSET {flight} field 1",
    "HGET {flight} field",
    "HDEL {flight} field",
    "HKEYS {flight}",
    "ZADD {set} 1 job",
    "ZREM {set} job",
    "ZCARD {set}",
    "ZSCORE {set} job",
    "ZRANGE {set} 0 1",
    "ZRANGEBYSCORE {set} 0 1",
    "ZREMRANGEBYRANK {set} 0 0",
    "ZREMRANGEBYSCORE {set} 0 0",
    "SET {own} 1",
    "GET {own}",
    "GETEX {own}",
    "MGET {own}",
    "DEL {own}",
    "UNLINK {flight}",
    "EXISTS {own}",
    "EXPIRE {own} 1",
    "PEXPIRE {own} 1",
    "TYPE {own}",
    "INCRBY {counter} 1",
    "SCAN 0",
    "TIME",
    "EVALSHA 0000 1 {list}",
    "SCRIPT LOAD text",
    "PUBLISH {channel} jid",
    "SUBSCRIBE {channel}",
    "CLIENT ID",
];

/// Whether a user may do what the engine does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    All,
    /// Not these, each with the server's words.
    Denied(Vec<String>),
    /// The server does not tell: it is older than 7.0, or refuses the question.
    Untold(String),
}

/// Appends the question whether `user` may do each of what the engine does: one ACL DRYRUN for each. [`rights`] reads the
/// replies.
pub fn ask_rights(user: &str, requests: &mut Requests) {
    for sample in NEEDED {
        let words: Vec<String> = sample.split(' ').map(filled).collect();
        let mut command = requests.begin(3 + words.len());
        command.arg(b"ACL").arg(b"DRYRUN").arg(user.as_bytes());
        for word in &words {
            command.arg(word.as_bytes());
        }
    }
}

fn filled(word: &str) -> String {
    match word {
        "{list}" => keys::queue("default"),
        "{flight}" => keys::in_flight_index("default", "000000000000", 0),
        "{set}" => keys::RETRIES.to_owned(),
        "{own}" => keys::process("000000000000"),
        "{counter}" => keys::PROCESSED.to_owned(),
        "{channel}" => keys::CANCEL_CHANNEL.to_owned(),
        _ => word.to_owned(),
    }
}

/// Reads the replies to [`ask_rights`].
#[must_use]
pub fn rights(replies: &[Reply]) -> Rights {
    let mut denied = Vec::new();
    for (reply, sample) in replies.iter().zip(NEEDED) {
        match reply.value() {
            Value::Simple(b"OK") => {}
            // A denial is a text, not an error.
            Value::Bulk(text) => denied.push(format!("{sample}: {}", String::from_utf8_lossy(text))),
            Value::Error(error) if error.kind() == RedisErrorKind::NoPerm => {
                return Rights::Untold("this user may not ask (ACL DRYRUN)".to_owned());
            }
            Value::Error(error) => return Rights::Untold(error.to_owned().to_string()),
            _ => return Rights::Untold("an answer that is none".to_owned()),
        }
    }
    if denied.is_empty() { Rights::All } else { Rights::Denied(denied) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::blocking::BlockingConnection;
    use crate::test_redis::TestRedis;

    fn ask(conn: &mut BlockingConnection, write: impl Fn(&mut Requests)) -> Vec<Reply> {
        let mut requests = Requests::new();
        write(&mut requests);
        conn.call(&requests).unwrap()
    }

    #[test]
    fn a_server_tells_what_its_user_may_do() {
        let redis = TestRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        assert_eq!(rights(&ask(&mut conn, |requests| ask_rights("default", requests))), Rights::All);
        ask(&mut conn, |requests| {
            requests.command(&[b"ACL", b"SETUSER", b"default", b"-blmove", b"resetchannels"]);
        });
        let Rights::Denied(denied) = rights(&ask(&mut conn, |requests| ask_rights("default", requests)))
        else {
            panic!("nothing is denied");
        };
        assert_eq!(denied.len(), 3, "{denied:?}");
        assert!(denied[0].starts_with("BLMOVE {list}") && denied[2].starts_with("SUBSCRIBE"), "{denied:?}");
        ask(&mut conn, |requests| requests.command(&[b"ACL", b"SETUSER", b"default", b"-acl"]));
        let untold = rights(&ask(&mut conn, |requests| ask_rights("default", requests)));
        assert!(matches!(untold, Rights::Untold(_)), "{untold:?}");
    }

    #[test]
    fn a_server_tells_its_clock_and_itself() {
        let redis = TestRedis::start();
        let mut conn = BlockingConnection::connect(&redis.url()).unwrap();
        let now = clock(&ask(&mut conn, ask_clock)[0]).unwrap().as_secs_f64();
        assert!((now - crate::time::unix_now()).abs() < 60.0);
        let info = Info::read(&ask(&mut conn, ask_info)[0]).unwrap();
        assert_eq!((info.field("role"), info.number("aof_enabled")), (Some("master"), Some(0)));
        assert_eq!((info.field("maxmemory_policy"), info.field("nonsense")), (Some("noeviction"), None));
        let id = ask(&mut conn, ask_id)[0].as_integer().unwrap();
        let replies = ask(&mut conn, |requests| try_tracking(id, requests));
        assert!(replies.iter().all(|reply| reply.as_ok().is_ok()), "{replies:?}");
    }
}
