//! Redis urls: any text is read or refused, what is shown reads back, and no text shows a password.

use std::fmt::Debug;

use jiggler_uring::internal::resp::url::{Credentials, Endpoint, Place, RedisUrl};

/// Longer than anything a case is likely to contain by chance.
const SECRET: &str = "S3cr3t.v4lue";

/// Checks one text, alone and with a password in it.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(url) = RedisUrl::parse(text) {
        check_shown(&url);
    }
    if text.contains(SECRET) {
        return;
    }
    let (before, behind) = text.split_at(text.ceil_char_boundary(text.len() / 2));
    for url in [
        format!("redis://{before}:{SECRET}@{behind}"),
        format!("redis://user:{SECRET}{before}@{behind}"),
        format!("redis://user:{before}{SECRET}@{behind}"),
        format!("redis://user:{before}{SECRET}{behind}@h"),
        format!("unix://{before}:{SECRET}@/{behind}"),
        format!("unix:///{before}?password={SECRET}{behind}"),
        format!("redis://h/0?password={before}{SECRET}&{behind}"),
        format!("rediss://{before}:{SECRET}@{behind}?ca_file=/{before}"),
        format!("redis+sentinel://user:{before}{SECRET}@a,{behind}/primary"),
        format!("redis+sentinel://a,b/{before}?sentinel_password={SECRET}{behind}"),
        format!("redis+cluster://user:{before}{SECRET}@a,{behind}"),
    ] {
        check_secret(&url);
    }
}

/// What a url shows of itself, if it has no secret and a plain path, is a url with the same meaning.
fn check_shown(url: &RedisUrl) {
    let shown = url.to_string();
    let plain = match url.place() {
        Place::Server(Endpoint::Unix(path)) => {
            assert!(path.is_absolute());
            path.to_str().is_some_and(|path| path.chars().all(|c| c.is_ascii_alphanumeric() || c == '/'))
        }
        Place::Server(endpoint) => is_plain_host(endpoint),
        Place::Sentinels(sentinels) => {
            assert!(!sentinels.hosts().is_empty() && !sentinels.primary().is_empty());
            sentinels.credentials().is_none() && sentinels.hosts().iter().all(is_plain_host)
        }
        Place::Cluster(cluster) => {
            assert!(!cluster.hosts().is_empty() && cluster.slot().is_none() && url.database() == 0);
            cluster.hosts().iter().all(is_plain_host)
        }
    };
    if plain && url.credentials().is_none() {
        assert_eq!(RedisUrl::parse(&shown).as_ref(), Ok(url), "{shown}");
    }
}

fn is_plain_host(endpoint: &Endpoint) -> bool {
    let Endpoint::Tcp { host, port } = endpoint else { return false };
    assert!(!host.is_empty() && *port > 0);
    host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':'))
}

fn check_secret(text: &str) {
    match RedisUrl::parse(text) {
        // Where a part of the text reads the secret as something else, it is not a password.
        Ok(url) if url.credentials().is_some_and(|who| who.password.contains(SECRET)) => {
            let name_has_it = url.credentials().and_then(|who| who.username.as_ref());
            if name_has_it.is_none_or(|name| !name.contains(SECRET)) {
                assert_no_secret(&url, &url.to_string());
            }
        }
        Ok(url) if of_sentinels(&url).is_some_and(|who| who.password.contains(SECRET)) => {
            let name_has_it = of_sentinels(&url).and_then(|who| who.username.as_ref());
            if name_has_it.is_none_or(|name| !name.contains(SECRET)) {
                assert_no_secret(&url, &url.to_string());
            }
        }
        Ok(_) => {}
        Err(error) => assert_no_secret(&error, &error.to_string()),
    }
}

fn of_sentinels(url: &RedisUrl) -> Option<&Credentials> {
    match url.place() {
        Place::Sentinels(sentinels) => sentinels.credentials(),
        Place::Server(_) | Place::Cluster(_) => None,
    }
}

fn assert_no_secret(value: &impl Debug, shown: &str) {
    assert!(
        !shown.contains(SECRET) && !format!("{value:?}").contains(SECRET),
        "the password is shown: {shown}"
    );
}
