//! Tables of urls and what becomes of them, and that no password is ever shown.

use super::*;

fn check(url: &str, normal: &str) {
    assert_eq!(RedisUrl::parse(url).map(|url| url.to_string()), Ok(normal.to_owned()), "{url}");
}

fn check_error(url: &str, expected: &UrlError) {
    assert_eq!(RedisUrl::parse(url).as_ref(), Err(expected), "{url}");
}

fn credentials(url: &str) -> (Option<String>, String) {
    let url = RedisUrl::parse(url).unwrap();
    let credentials = url.credentials().unwrap();
    (credentials.username.clone(), credentials.password.clone())
}

#[test]
fn tcp_urls_with_their_defaults() {
    check("redis://localhost", "redis://localhost:6379/0");
    check("redis://localhost/", "redis://localhost:6379/0");
    check("redis://localhost:/", "redis://localhost:6379/0");
    check("REDIS://localhost:7000/3", "redis://localhost:7000/3");
    check("redis://localhost?db=4", "redis://localhost:6379/4");
    check("redis://127.0.0.1:65535/15", "redis://127.0.0.1:65535/15");
    check("redis://[::1]", "redis://[::1]:6379/0");
    check("redis://[fe80::1]:7000/2", "redis://[fe80::1]:7000/2");
    check("redis://@localhost", "redis://localhost:6379/0");
    check("redis://:@localhost", "redis://localhost:6379/0");
    let url = RedisUrl::parse("redis://[::1]:7000").unwrap();
    assert_eq!(url.endpoint(), &Endpoint::Tcp { host: "::1".to_owned(), port: 7000 });
}

#[test]
fn unix_urls_with_their_defaults() {
    check("unix:///run/redis.sock", "unix:///run/redis.sock?db=0");
    check("unix:///run/redis.sock?db=7", "unix:///run/redis.sock?db=7");
    check("unix://me:pw@/run/redis.sock", "unix://me:***@/run/redis.sock?db=0");
    check("unix:///run/a%20b%3F.sock", "unix:///run/a b?.sock?db=0");
    check("unix:///run/a@/b.sock", "unix:///run/a@/b.sock?db=0");
}

#[test]
fn credentials_are_decoded_and_may_stand_in_the_query() {
    let some = |user: &str, password: &str| (Some(user.to_owned()), password.to_owned());
    assert_eq!(credentials("redis://:pw@h"), (None, "pw".to_owned()));
    assert_eq!(credentials("redis://me:p%40s%2Fs%3A%C3%A9@h"), some("me", "p@s/s:é"));
    assert_eq!(credentials("redis://me:p@ss:w@h"), some("me", "p@ss:w"));
    assert_eq!(credentials("redis://me@h"), some("me", ""));
    assert_eq!(credentials("unix:///s?user=me&password=a%26b"), some("me", "a&b"));
    assert_eq!(credentials("unix://me@/s?password=pw"), some("me", "pw"));
    assert_eq!(RedisUrl::parse("redis://h").unwrap().credentials(), None);
}

#[test]
fn what_makes_no_sense_is_named() {
    let some = |text: &str| Some(text.to_owned());
    check_error("localhost:6379", &UrlError::NoScheme);
    check_error("", &UrlError::NoScheme);
    check_error("http://h", &UrlError::UnknownScheme { scheme: "http".to_owned() });
    check_error("rediss://:pw@h", &UrlError::TlsUnsupported);
    check_error("redis://", &UrlError::NoHost);
    check_error("redis:///1", &UrlError::NoHost);
    check_error("redis://h:0", &UrlError::BadPort { port: some("0") });
    check_error("redis://h:65536", &UrlError::BadPort { port: some("65536") });
    check_error("redis://h:+1", &UrlError::BadPort { port: some("+1") });
    check_error("redis://::1", &UrlError::BadHost { host: some("::1") });
    check_error("redis://[::1", &UrlError::BadHost { host: some("[::1") });
    check_error("redis://[nope]", &UrlError::BadHost { host: some("nope") });
    check_error("redis://a%20b", &UrlError::BadHost { host: some("a b") });
    check_error("redis://h/x", &UrlError::BadDatabase { database: some("x") });
    check_error("redis://h/-1", &UrlError::BadDatabase { database: some("-1") });
    check_error("redis://h/4294967296", &UrlError::BadDatabase { database: some("4294967296") });
    check_error("redis://h?db=", &UrlError::BadDatabase { database: some("") });
    check_error("redis://h/1?db=2", &UrlError::Twice { part: "database" });
    check_error("redis://:a@h?password=b", &UrlError::Twice { part: "password" });
    check_error("redis://h?timeout=3", &UrlError::UnknownParameter { name: some("timeout") });
    check_error("redis://h/1#x", &UrlError::Fragment);
    check_error("redis://:a%2@h", &UrlError::BadEncoding { part: "password" });
    check_error("redis://:%ff@h", &UrlError::BadEncoding { part: "password" });
    check_error("unix://run/redis.sock", &UrlError::NoPath);
    check_error("unix://", &UrlError::NoPath);
    check_error("unix:///a%00b", &UrlError::BadPath { bytes: 4, bytes_max: UNIX_SOCKET_PATH_BYTES_MAX });
}

#[test]
fn a_socket_path_may_have_exactly_the_allowed_length() {
    let url = |bytes: usize| format!("unix:///{}", "x".repeat(bytes - 1));
    RedisUrl::parse(&url(UNIX_SOCKET_PATH_BYTES_MAX - 1)).unwrap();
    RedisUrl::parse(&url(UNIX_SOCKET_PATH_BYTES_MAX)).unwrap();
    let bytes = UNIX_SOCKET_PATH_BYTES_MAX + 1;
    check_error(&url(bytes), &UrlError::BadPath { bytes, bytes_max: UNIX_SOCKET_PATH_BYTES_MAX });
}

#[test]
fn neither_debug_nor_display_nor_an_error_shows_a_password() {
    for url in ["redis://:hunter2@h", "redis://me:hunter2@h:1/2", "unix:///s?password=hunter2"] {
        let parsed = RedisUrl::parse(url).unwrap();
        let shown = format!("{parsed} {parsed:?}");
        assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
    }
    // Unescaped characters cut the url inside the password; no part of it may be quoted.
    for cut in ["/", "?", "#", "/?", "?=", "%", ":"] {
        for url in [
            format!("redis://:hunter{cut}hunter@h:bad"),
            format!("redis://me:hunter{cut}hunter@h:bad"),
            format!("redis://me:1{cut}hunter@h:bad"),
            format!("redis://:hunter{cut}hunter@h/hunter@bad"),
            format!("unix://me:hunter{cut}hunter@/s?bad"),
            format!("unix:///s?password=hunter{cut}hunter@&bad=1&hunter@"),
        ] {
            if let Err(error) = RedisUrl::parse(&url) {
                assert!(!format!("{error} {error:?}").contains("hunter"), "{url}: {error:?}");
            }
        }
    }
}
