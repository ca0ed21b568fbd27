//! From a call that Redis denied to the line that an administrator should run.
//!
//! The error itself names at best one command, and before Redis 7.2 not even that inside a script. So the server is asked,
//! in one call, which rights of the user's role are missing. The caller brings the connection, and may be denied that call
//! as well: then the words of the error must do.

use super::rights::{self, Reach, Role};
use crate::net;
use crate::resp::{Error, RedisErrorKind, RedisUrl, Reply, Requests};
use crate::wire::Keyspace;

/// The user that a url names, if it may be shown.
#[must_use]
pub fn user_of(url: &RedisUrl) -> String {
    let user = url.credentials().and_then(|credentials| {
        let hidden = credentials.username.as_ref().map(|_| "USER");
        credentials.shown_user().or(hidden)
    });
    user.unwrap_or("default").to_owned()
}

/// Whether a call failed for lack of a right.
#[must_use]
pub fn is_denial(error: &net::Error) -> bool {
    matches!(error, net::Error::Redis(error) if error.kind() == RedisErrorKind::NoPerm)
}

/// The question which of a role's rights are missing; [`lacking`] reads its only reply.
#[must_use]
pub fn question(role: Role, keys: Keyspace) -> Requests {
    let mut requests = Requests::new();
    rights::ask(role, keys, &mut requests);
    requests
}

/// The line that gives the user of `url` what it lacks; `None` if it lacks nothing, or the server cannot tell (before 7.0).
///
/// # Errors
/// As [`rights::missing`].
pub fn lacking(url: &RedisUrl, role: Role, keys: Keyspace, reply: &Reply) -> Result<Option<String>, Error> {
    Ok(rights::missing(role, keys, reply)?.map(|missing| set_user(url, &missing.rules.join(" "))))
}

/// The line that gives the user of `url` all that its role needs.
#[must_use]
pub fn all(url: &RedisUrl, role: Role, keys: Keyspace) -> String {
    set_user(url, &rights::acl_line_of(role, keys, Reach::to(url)))
}

/// The line that grants what the words of a denial ask for: the command or the keys they name, or everything if they name
/// none.
#[must_use]
pub fn by_words(url: &RedisUrl, role: Role, keys: Keyspace, words: &str) -> String {
    if let Some(command) = quoted_before(words, "command") {
        return set_user(url, &format!("+{command}"));
    }
    if words.contains("key") {
        let patterns = rights::key_patterns(keys).map(|pattern| format!("~{pattern}"));
        return set_user(url, &patterns.join(" "));
    }
    all(url, role, keys)
}

fn set_user(url: &RedisUrl, rules: &str) -> String {
    format!("ACL SETUSER {} {rules}", user_of(url))
}

/// `lpush` in `… the 'lpush' command`, if it looks like a command's name.
fn quoted_before<'a>(words: &'a str, noun: &str) -> Option<&'a str> {
    let end = words.find(&format!("' {noun}"))?;
    let start = words[..end].rfind('\'')? + 1;
    let name = &words[start..end];
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'|' || byte == b'-' || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_redis::OwnRedis;
    use crate::wire::keys::JIGGLER;

    #[test]
    fn the_words_of_a_denial_lead_to_a_rule() {
        let url = RedisUrl::parse("redis://shop:pw@localhost").unwrap();
        let check = |words: &str, line: &str| {
            assert_eq!(by_words(&url, Role::Producer, JIGGLER, words), format!("ACL SETUSER shop {line}"));
        };
        let keys = "~jiggler:* ~{jiggler:list:*";
        check("NOPERM this user has no permissions to run the 'lpush' command or its subcommand", "+lpush");
        check("NOPERM User shop has no permissions to run the 'script|load' command", "+script|load");
        check("NOPERM this user has no permissions to access one of the keys used as arguments", keys);
        check("NOPERM No permissions to access a key", keys);
        let all = format!("+ping +lpush +zadd {keys}");
        check("ERR The user executing the script can't run this command or subcommand", &all);
        check("NOPERM to run the 'x; +@all' command", &all);
    }

    #[test]
    fn each_role_is_told_what_it_lacks_and_nothing_of_the_others() {
        let redis = OwnRedis::start();
        let url = format!("redis://u:pw@127.0.0.1:{}", redis.port());
        let url = RedisUrl::parse(&url).unwrap();
        let lacks = |role, rules: &str| {
            let mut words = vec!["ACL", "SETUSER", "u", "reset", "on", ">pw", "+eval"];
            words.extend(rules.split(' '));
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            redis.run(&words).as_ok().unwrap();
            let mut conn = net::blocking::BlockingConnection::connect(&url).unwrap();
            lacking(&url, role, JIGGLER, &conn.call(&question(role, JIGGLER)).unwrap()[0]).unwrap()
        };
        for role in [Role::Worker, Role::Producer, Role::Canceller, Role::Summary, Role::Operator] {
            assert_eq!(lacks(role, &rights::acl_line_of(role, JIGGLER, Reach::Directly)), None, "{role:?}");
        }
        let line = |rules: &str| Some(format!("ACL SETUSER u {rules}"));
        assert_eq!(lacks(Role::Producer, "+ping +zadd ~jiggler:* ~{jiggler:list:*"), line("+lpush"));
        assert_eq!(
            lacks(Role::Summary, "+scan +zcard +get +mget +llen ~other:*"),
            line("~jiggler:* ~{jiggler:list:*")
        );
        assert_eq!(lacks(Role::Canceller, "+ping +publish"), line("+publish &jiggler:uring:cancel:*"));
    }
}
