//! Whole loads: what lies over a url, what is rejected, and that no secret is shown.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::config::{
    Config, Raw,
    options::{OptionId, OptionSpec},
    value::Value,
};
use crate::limits::SECRET_FILE_BYTES_MAX;

fn load(given: &[(OptionId, &str)]) -> Result<Config, Error> {
    let mut raw = Raw::default();
    for (id, text) in given {
        let spec = OptionSpec::of(*id).unwrap();
        raw.set(spec, &Value::Text((*text).into()), Origin::Flag(spec.flag.unwrap())).unwrap();
    }
    Config::load(raw, &|_| None)
}

fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
    file
}

fn path(file: &tempfile::NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

#[test]
fn files_and_names_are_laid_over_the_url() {
    let password = file("s3cr:t@\n", 0o600);
    let given = [
        (OptionId::RedisUrl, "rediss://worker@db:6380/1?ca_file=/etc/old.pem&server_name=old"),
        (OptionId::RedisPasswordFile, path(&password)),
        (OptionId::RedisCaFile, "/etc/new.pem"),
        (OptionId::RedisCertFile, "/etc/cert.pem"),
        (OptionId::RedisKeyFile, "/etc/key.pem"),
    ];
    let config = load(&given).unwrap();
    let url = config.redis_url.unwrap().url;
    assert_eq!(url.to_string(), "rediss://worker:***@db:6380/1");
    let tls = url.tls().unwrap();
    let files =
        [&tls.ca_file, &tls.cert_file, &tls.key_file].map(|file| file.as_deref().unwrap().to_str().unwrap());
    assert_eq!(files, ["/etc/new.pem", "/etc/cert.pem", "/etc/key.pem"]);
    assert_eq!(tls.server_name.as_deref(), Some("old"));
    assert_eq!(url.credentials().unwrap().password, "s3cr:t@");
    assert_eq!(config.redis_notes, [""; 0]);
    let sentinel = [
        (OptionId::RedisUrl, "redis+sentinel://:pw@a,b/mymaster"),
        (OptionId::RedisSentinelPasswordFile, path(&password)),
    ];
    let url = load(&sentinel).unwrap().redis_url.unwrap().url;
    let Place::Sentinels(sentinels) = url.place() else { panic!("{url}") };
    assert_eq!(sentinels.credentials().unwrap().password, "s3cr:t@");
}

#[test]
fn what_has_no_meaning_is_refused_with_the_way_out() {
    let good = file("pw", 0o600);
    let check = |given: &[(OptionId, &str)], parts: &[&str]| {
        let error = load(given).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    };
    let plain = (OptionId::RedisUrl, "redis://h");
    check(&[(OptionId::RedisCaFile, "/x")], &["--redis-ca-file: no redis url", "REDIS_URL"]);
    check(&[plain, (OptionId::RedisCaFile, "/x")], &["--redis-ca-file", "write rediss://"]);
    check(&[plain, (OptionId::RedisServerName, "x")], &["--redis-server-name", "write rediss://"]);
    let twice = [(OptionId::RedisUrl, "redis://:hunter2@h"), (OptionId::RedisPasswordFile, path(&good))];
    check(&twice, &["--redis-password-file", "--redis-url", "keep one"]);
    check(&[plain, (OptionId::RedisSentinelPasswordFile, path(&good))], &["redis+sentinel://"]);
    check(&[plain, (OptionId::RedisPasswordFile, "/no/such")], &["/no/such", "No such file"]);
    for text in ["", "\n", "a\nb", &"x".repeat(SECRET_FILE_BYTES_MAX as usize + 1)] {
        let bad = file(text, 0o600);
        check(&[plain, (OptionId::RedisPasswordFile, path(&bad))], &["password", path(&bad)]);
    }
}

#[test]
fn a_secret_that_others_can_see_is_noted_and_not_shown() {
    let (open, closed) = (file("hunter2", 0o644), file("hunter2", 0o640));
    let by_flag = load(&[(OptionId::RedisUrl, "redis://:hunter2@h")]).unwrap();
    assert!(by_flag.redis_notes.len() == 1 && by_flag.redis_notes[0].contains("list of processes"));
    let by_open =
        load(&[(OptionId::RedisUrl, "redis://h"), (OptionId::RedisPasswordFile, path(&open))]).unwrap();
    assert!(by_open.redis_notes.len() == 1 && by_open.redis_notes[0].contains("chmod 600"));
    let by_closed =
        load(&[(OptionId::RedisUrl, "redis://h"), (OptionId::RedisPasswordFile, path(&closed))]).unwrap();
    assert_eq!(by_closed.redis_notes, [""; 0]);
    for config in [by_flag, by_open, by_closed] {
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }
}
