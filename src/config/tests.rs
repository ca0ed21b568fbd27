//! Whole loads: which source wins, what is decided when nothing is set.

use std::{collections::BTreeMap, ffi::OsString, os::unix::ffi::OsStringExt, path::Path, time::Duration};

use super::{
    options::{Allowed, DefaultValue, OPTIONS, OptionId, OptionSpec},
    value::Value,
    *,
};
use crate::limits::STOP_TIMEOUT;

fn flags(given: &[(OptionId, &str)]) -> Raw {
    let mut raw = Raw::default();
    for (id, text) in given {
        let spec = OptionSpec::of(*id).unwrap();
        raw.set(spec, &Value::Text((*text).into()), Origin::Flag(spec.flag.unwrap())).unwrap();
    }
    raw
}

fn load(flags: Raw, variables: &[(&str, &str)]) -> Result<Config, Error> {
    let table: BTreeMap<&str, OsString> =
        variables.iter().map(|(name, value)| (*name, value.into())).collect();
    Config::load(flags, &|name| table.get(name).cloned())
}

fn file(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jiggler.yml");
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (dir, path)
}

#[test]
fn nothing_is_set_and_the_defaults_of_limits_apply() {
    let config = load(Raw::default(), &[]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.timeout, STOP_TIMEOUT);
    assert_eq!(config.environment, "development");
    assert_eq!(config.queues, Queues::default());
    assert_eq!((config.concurrency_on(1), config.concurrency_on(8)), (10, 80));
    assert_eq!(config.unused_note(), None);
}

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let (_dir, path) = file("redis_url: redis://file\nenvironment: file\ntimeout: 3\nconcurrency: 5\n");
    let file_only = load(flags(&[(OptionId::ConfigFile, &path)]), &[]).unwrap();
    assert_eq!(file_only.redis_url.unwrap().url.to_string(), "redis://file:6379/0");
    assert_eq!((file_only.environment.as_str(), file_only.timeout), ("file", Duration::from_secs(3)));

    let variables = [("REDIS_URL", "redis://variable"), ("APP_ENV", "variable")];
    let with_variables = load(flags(&[(OptionId::ConfigFile, &path)]), &variables).unwrap();
    assert_eq!(with_variables.redis_url.unwrap().origin, Origin::Variable("REDIS_URL"));
    assert_eq!(with_variables.environment, "variable");

    let all = [
        (OptionId::ConfigFile, path.as_str()),
        (OptionId::RedisUrl, "redis://flag"),
        (OptionId::Environment, "flag"),
        (OptionId::Timeout, "4"),
    ];
    let all = load(flags(&all), &variables).unwrap();
    assert_eq!(all.redis_url.unwrap().url.to_string(), "redis://flag:6379/0");
    assert_eq!((all.environment.as_str(), all.timeout), ("flag", Duration::from_secs(4)));
    assert_eq!((all.concurrency, all.mode), (Some(5), Mode::AtLeastOnce));
}

#[test]
fn the_section_is_chosen_by_the_environment_that_won() {
    let (_dir, path) = file("environment: b\na: {timeout: 1}\nb: {timeout: 2}\n");
    let timeout = |variables: &[(&str, &str)]| {
        load(flags(&[(OptionId::ConfigFile, &path)]), variables).unwrap().timeout.as_secs()
    };
    assert_eq!(timeout(&[]), 2);
    assert_eq!(timeout(&[("APP_ENV", "a")]), 1);
    assert_eq!(timeout(&[("APP_ENV", "other")]), STOP_TIMEOUT.as_secs());
}

#[test]
fn an_empty_variable_counts_as_unset_except_for_the_url_and_a_bad_one_is_named() {
    let config = load(Raw::default(), &[("APP_ENV", "")]).unwrap();
    assert_eq!((config.redis_url, config.environment.as_str()), (None, "development"));
    let error = load(Raw::default(), &[("REDIS_URL", "")]).unwrap_err().to_string();
    assert!(error.starts_with("environment variable REDIS_URL: it is set, but empty"), "{error}");
    let error = load(Raw::default(), &[("APP_ENV", "a b")]).unwrap_err().to_string();
    assert!(error.starts_with("environment variable APP_ENV: `a b`"), "{error}");
    let bytes = |name: &str| (name == "REDIS_URL").then(|| OsString::from_vec(b"redis://\xff".to_vec()));
    let error = Config::load(Raw::default(), &bytes).unwrap_err().to_string();
    assert_eq!(error, "environment variable REDIS_URL is not valid UTF-8");
}

#[test]
fn settings_without_effect_make_one_line() {
    let (_dir, path) = file("strict: true\nclient_async: true\nconfig_file: other.yml\n");
    let note = load(flags(&[(OptionId::ConfigFile, &path)]), &[]).unwrap().unused_note().unwrap();
    assert!(note.starts_with("not used by jiggler-uring: "), "{note}");
    for key in ["strict", "client_async", "config_file"] {
        assert!(note.contains(&format!("`{key}`")), "{note}");
    }
    assert!(!note.contains('\n'));
}

#[test]
fn the_gems_name_for_the_shutdown_timeout_is_read_and_two_names_at_once_are_not() {
    for key in ["timeout", ":timeout", "shutdown_timeout", ":shutdown_timeout"] {
        let document = yaml::Document::parse(Path::new("x.yml"), &format!("{key}: 7\n")).unwrap();
        let config = Config::decide(document.for_environment("development").over(Raw::defaults().unwrap()));
        assert_eq!(config.unwrap().timeout, Duration::from_secs(7), "{key}");
    }
    let both = yaml::Document::parse(Path::new("x.yml"), "timeout: 7\nshutdown_timeout: 8\n").unwrap_err();
    assert!(both.to_string().contains("twice"), "{both}");
}

/// Every default, written into a file as `--help` shows it, gives the configuration of an empty file.
#[test]
fn the_defaults_of_the_table_round_trip_through_a_file() {
    let mut text = String::new();
    for spec in OPTIONS {
        match spec.default {
            DefaultValue::Later(_) | DefaultValue::Nothing => {}
            shown => text.push_str(&format!("{}: {shown}\n", spec.key)),
        }
    }
    let document = yaml::Document::parse(Path::new("defaults.yml"), &text).unwrap();
    assert_eq!(Config::decide(document.for_environment("development")).unwrap(), Config::default());
}

#[test]
fn texts_that_repeat_a_limit_repeat_the_limit_in_force() {
    let concurrency = OptionSpec::of(OptionId::Concurrency).unwrap();
    assert_eq!(
        concurrency.default.to_string(),
        format!("{CONCURRENCY_PER_CORE} per core, or the threads of the runners")
    );
    for id in [OptionId::Environment, OptionId::Tag] {
        let spec = OptionSpec::of(id).unwrap();
        let Allowed::Text(text) = spec.allowed else { panic!("{spec:?}") };
        assert!(text.contains(&format!("1 to {} bytes", crate::limits::ENVIRONMENT_BYTES_MAX)));
    }
}

/// A reload takes over exactly what the table says may change.
#[test]
fn a_reload_changes_what_the_table_says_and_names_the_rest() {
    let text = "require: ./a.rb\nconcurrency: 3\nqueues: a:2\nbalance: weighted\ntimeout: 9\nmode: at-most-once\ndefault_retries: 2\n\
                unknown: fail\nunknown_for: 5\nverbose: true\nlog_format: json\n\
                stats_interval: 3\npoller_enabled: false\npoll_interval: 7\nmax_dead_jobs: 5\ndead_timeout: 60\n\
                 cores: 1\nredis_url: redis://h\ndialect: sidekiq\nsidekiq_metrics: 7\nprivate_redis: true\nignore_bad_cron: true\nenvironment: staging\ntag: v3\n\
                web: 9394\nweb_auth: /w\nweb_prefix: /jobs\nweb_open: true\nweb_read_only: true\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let mut flags = Raw::default();
    let spec = OptionSpec::of(OptionId::ConfigFile).unwrap();
    let path = Value::Text(file.path().display().to_string().into());
    flags.set(spec, &path, Origin::Flag("config")).unwrap();
    let running = Config::default();
    let read = Config::load(flags, &|_| None).unwrap();
    // The file is named by the command line, and what files say about the connection is part of the url.
    let shows = |id: &OptionId| {
        *id == OptionId::RedisUrl || (*id != OptionId::ConfigFile && !format!("{id:?}").starts_with("Redis"))
    };
    let all: Vec<OptionId> = table::rows().map(|spec| spec.id).filter(shows).collect();
    assert_eq!(running.differences(&read), all);
    let reloaded = read.clone().reloaded_into(&running);
    let changed: Vec<OptionId> =
        table::rows().filter(|spec| spec.change == Change::Hangup).map(|spec| spec.id).collect();
    assert_eq!(running.differences(&reloaded), changed);
    assert_eq!(reloaded.differences(&reloaded), []);
}
