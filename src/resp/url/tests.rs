//! Tables of urls and their results, and proof that no password is ever shown.

use super::*;
use crate::limits::{
    CLUSTER_SEEDS_MAX, SENTINEL_PRIMARY_BYTES_MAX, SENTINELS_MAX, UNIX_SOCKET_PATH_BYTES_MAX,
};

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
    assert_eq!(url.place(), &Place::Server(Endpoint::Tcp { host: "::1".to_owned(), port: 7000 }));
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
fn credentials_are_decoded_and_may_be_in_the_query() {
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
fn invalid_parts_are_named() {
    check_error("localhost:6379", &UrlError::NoScheme);
    check_error("", &UrlError::NoScheme);
    check_error("http://h", &UrlError::UnknownScheme { scheme: "http".to_owned() });
    check_error("redis://", &UrlError::NoHost);
    check_error("redis:///1", &UrlError::NoHost);
    check_error("redis://h:0", &UrlError::BadPort);
    check_error("redis://h:65536", &UrlError::BadPort);
    check_error("redis://h:+1", &UrlError::BadPort);
    check_error("redis://::1", &UrlError::BadHost);
    check_error("redis://[::1", &UrlError::BadHost);
    check_error("redis://[nope]", &UrlError::BadHost);
    check_error("redis://a%20b", &UrlError::BadHost);
    check_error("redis://h/x", &UrlError::BadDatabase);
    check_error("redis://h/-1", &UrlError::BadDatabase);
    check_error("redis://h/4294967296", &UrlError::BadDatabase);
    check_error("redis://h?db=", &UrlError::BadDatabase);
    check_error("redis://h/1?db=2", &UrlError::Twice { part: "database" });
    check_error("redis://:a@h?password=b", &UrlError::Twice { part: "password" });
    check_error("redis://h?timeout=3", &UrlError::UnknownParameter);
    check_error("redis://h/1#x", &UrlError::Fragment);
    check_error("redis://:a%2@h", &UrlError::BadEncoding { part: "password" });
    check_error("redis://:%ff@h", &UrlError::BadEncoding { part: "password" });
    check_error("unix://run/redis.sock", &UrlError::NoPath);
    check_error("unix://", &UrlError::NoPath);
    check_error("unix:///a%00b", &UrlError::BadPath { bytes: 4, bytes_max: UNIX_SOCKET_PATH_BYTES_MAX });
}

#[cfg(feature = "tls")]
#[test]
fn tls_urls_with_their_files_and_names() {
    check("rediss://:pw@h", "rediss://:***@h:6379/0");
    check("REDISS://h:6380/2?ca_file=/etc/ca.pem", "rediss://h:6380/2");
    let url = RedisUrl::parse("rediss://h?server_name=db&key_file=/k&cert_file=/c%26a%20b").unwrap();
    assert_eq!(url.to_string(), "rediss://h:6379/0");
    let files = url.tls().unwrap();
    assert_eq!(files.cert_file.as_deref(), Some(Path::new("/c&a b")));
    assert_eq!(files.key_file.as_deref(), Some(Path::new("/k")));
    assert_eq!((files.server_name.as_deref(), files.ca_file.as_deref()), (Some("db"), None));
    assert_eq!(RedisUrl::parse("redis://h").unwrap().tls(), None);
    check_error("redis://h?ca_file=/x", &UrlError::NotEncrypted { part: "ca_file", scheme: "redis" });
    check_error("unix:///s?server_name=x", &UrlError::NotEncrypted { part: "server_name", scheme: "unix" });
    check_error("rediss://h?ca_file=", &UrlError::BadEncoding { part: "ca_file" });
    check_error("rediss://h?ca_file=/a&ca_file=/b", &UrlError::Twice { part: "ca_file" });
    check("rediss+sentinel://a/m?ca_file=/x", "rediss+sentinel://a:26379/m/0");
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_build_without_tls_refuses_urls_that_ask_for_it() {
    check_error("rediss://:pw@h", &UrlError::TlsUnsupported);
    check_error("rediss+sentinel://h/m", &UrlError::TlsUnsupported);
}

#[test]
fn cluster_urls_have_database_0_and_are_bound_to_the_slot_of_a_key() {
    check("redis+cluster://me:pw@a,b:7000,[::1]:7001", "redis+cluster://me:***@a:6379,b:7000,[::1]:7001");
    check("redis+cluster://a/0", "redis+cluster://a:6379");
    check_error("redis+cluster://a/3", &UrlError::DatabaseOfCluster { database: 3 });
    check_error("redis+cluster://a?db=1", &UrlError::DatabaseOfCluster { database: 1 });
    check_error("redis+cluster://a,", &UrlError::NoHost);
    check_error("redis+cluster://a?sentinel_password=x", &UrlError::NoSentinels { scheme: "redis+cluster" });
    let many = |count: usize| format!("redis+cluster://{}", vec!["h"; count].join(","));
    RedisUrl::parse(&many(CLUSTER_SEEDS_MAX)).unwrap();
    let (count, count_max) = (CLUSTER_SEEDS_MAX + 1, CLUSTER_SEEDS_MAX);
    check_error(&many(count), &UrlError::TooManyNodes { count, count_max });
    let url = RedisUrl::parse("redis+cluster://a").unwrap();
    let Place::Cluster(cluster) = url.place() else { panic!("{url}") };
    assert_eq!(cluster.slot(), None);
    // The example from the cluster specification.
    let bound = url.at_key(b"123456789");
    let Place::Cluster(cluster) = bound.place() else { panic!("{bound}") };
    assert_eq!(cluster.slot(), Some(12_739));
    let alone = RedisUrl::parse("redis://a/3").unwrap();
    assert_eq!(alone.at_key(b"123456789"), alone);
}

#[test]
fn sentinel_urls_with_their_defaults() {
    check("redis+sentinel://a/mymaster", "redis+sentinel://a:26379/mymaster/0");
    check(
        "redis+sentinel://me:pw@a,b:7000,[::1]:7001/my-master.1/3",
        "redis+sentinel://me:***@a:26379,b:7000,[::1]:7001/my-master.1/3",
    );
    let url = "redis+sentinel://:pw@a/m?sentinel_user=watch&sentinel_password=other";
    check(url, "redis+sentinel://:***@a:26379/m/0");
    let url = RedisUrl::parse(url).unwrap();
    let Place::Sentinels(sentinels) = url.place() else { panic!("{url}") };
    assert_eq!(sentinels.credentials().unwrap().password, "other");
    check_error("redis+sentinel://a,b", &UrlError::NoPrimaryName);
    check_error("redis+sentinel://a/", &UrlError::NoPrimaryName);
    check_error("redis+sentinel:///m", &UrlError::NoHost);
    check_error("redis+sentinel://a,/m", &UrlError::NoHost);
    let name_bytes_max = SENTINEL_PRIMARY_BYTES_MAX;
    check_error("redis+sentinel://a/my%20master", &UrlError::BadPrimaryName { name_bytes_max });
    check_error("redis+sentinel://a/m/x", &UrlError::BadDatabase);
    check_error("redis://h?sentinel_password=x", &UrlError::NoSentinels { scheme: "redis" });
    let many = |count: usize| format!("redis+sentinel://{}/m", vec!["h"; count].join(","));
    RedisUrl::parse(&many(SENTINELS_MAX)).unwrap();
    let (count, count_max) = (SENTINELS_MAX + 1, SENTINELS_MAX);
    check_error(&many(count), &UrlError::TooManySentinels { count, count_max });
    let name = |bytes: usize| format!("redis+sentinel://a/{}", "x".repeat(bytes));
    RedisUrl::parse(&name(SENTINEL_PRIMARY_BYTES_MAX)).unwrap();
    assert!(RedisUrl::parse(&name(SENTINEL_PRIMARY_BYTES_MAX + 1)).is_err());
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
    for url in [
        "redis://:hunter2@h",
        "redis://me:hunter2@h:1/2",
        "unix:///s?password=hunter2",
        "redis+sentinel://:hunter2@a/m?sentinel_password=hunter2",
    ] {
        let parsed = RedisUrl::parse(url).unwrap();
        let shown = format!("{parsed} {parsed:?}");
        assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
    }
    // A lone value in the place of the user, a port, a database or a parameter may be a password.
    check("redis://hunter2@h", "redis://***@h:6379/0");
    check("redis://hunter2:@h", "redis://***@h:6379/0");
    check("unix:///s?user=hunter2", "unix://***@/s?db=0");
    check("redis+sentinel://a/m?sentinel_user=hunter2", "redis+sentinel://a:26379/m/0");
    check("redis+cluster://hunter2@a", "redis+cluster://***@a:6379");
    for url in [
        "redis://hunter2@h",
        "redis+sentinel://hunter2@a/m?sentinel_user=hunter2",
        "redis+cluster://hunter%32@a",
        "redis://:hunter2",
        "redis://me:hunter2",
        "redis://h:6379:hunter2",
        "redis://h/hunter2",
        "redis://h?hunter2",
        "redis://h?pasword=hunter2",
        "redis://h?db=hunter2",
        "redis://[hunter2]",
        "redis+sentinel://a/hunter2!",
        "redis+sentinel://me:hunter2/m",
        "redis+cluster://a:hunter2",
        "hunter2@h",
        "redis:hunter2@h",
    ] {
        let shown = match RedisUrl::parse(url) {
            Ok(parsed) => format!("{parsed} {parsed:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!shown.contains("hunter"), "{url}: {shown}");
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
            format!("redis+sentinel://me:hunter{cut}hunter@a,b/m"),
            format!("redis+sentinel://a,b/m/x?sentinel_password=hunter{cut}hunter&bad=1"),
        ] {
            if let Err(error) = RedisUrl::parse(&url) {
                assert!(!format!("{error} {error:?}").contains("hunter"), "{url}: {error:?}");
            }
        }
    }
}
