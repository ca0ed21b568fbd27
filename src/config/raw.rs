//! Options of one source (file, environment or flags), each set or not: the stage between text and [`Config`].
//!
//! [`Raw::set`] is the only place that turns a value into an option; `settings` lists the fields. [`Raw::over`] lays
//! sources over each other; filling the gaps is up to `Config`.
//!
//! [`Config`]: super::Config

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

pub use super::settings::Raw;
use super::{
    error::{Error, Origin},
    options::{DefaultValue, OPTIONS, OptionId, OptionSpec},
    types::{GivenUrl, QueueSpec, Queues, QueuesError},
    value::Value,
};
use crate::{
    limits::{ENVIRONMENT_BYTES_MAX, WEB_PREFIX_BYTES_MAX},
    resp,
    runner::spec::RunnerSpec,
    wire::{Dialect, QueueName, sidekiq_metrics::MetricsFor},
};

impl Raw {
    /// The defaults of the table, through the same parser as everything else.
    ///
    /// # Errors
    /// None, provided the table's own test passes.
    pub fn defaults() -> Result<Self, Error> {
        let mut raw = Self::default();
        for spec in OPTIONS {
            let value = match spec.default {
                DefaultValue::Text(text) => Value::Text(text.into()),
                DefaultValue::Number(number) => Value::Text(number.to_string().into()),
                DefaultValue::Switch(switch) => Value::Switch(switch),
                DefaultValue::Later(_) | DefaultValue::Nothing => continue,
            };
            raw.set(spec, &value, Origin::Default(spec.key))?;
        }
        Ok(raw)
    }

    /// The values from the environment. An empty variable counts as unset, because process files write it that way, except
    /// for an empty url: something is missing there, and the jobs would go to another server.
    ///
    /// # Errors
    /// [`Error::NotUnicode`], or [`Error::BadValue`] with the variable's name.
    pub fn from_environment(variable: super::Variables<'_>) -> Result<Self, Error> {
        let mut raw = Self::default();
        for spec in OPTIONS {
            let mut found = spec.variables().filter_map(|name| Some((name, variable(name)?)));
            let given = found.find(|(_, value)| spec.id == OptionId::RedisUrl || !value.is_empty());
            let Some((name, value)) = given else { continue };
            if value.is_empty() && spec.id == OptionId::RedisUrl {
                let reason =
                    "it is set, but empty: give it a url such as redis://host:6379, or unset it".to_owned();
                return Err(Error::BadValue { origin: Origin::Variable(name), reason });
            }
            let text = value
                .into_string()
                .map_err(|_| Error::NotUnicode { place: Origin::Variable(name).to_string() })?;
            raw.set(spec, &Value::Text(text.into()), Origin::Variable(name))?;
        }
        Ok(raw)
    }

    /// Parses `value` for the option of `spec` and keeps it.
    ///
    /// # Errors
    /// [`Error::BadValue`] with `origin`, the value (never a Redis URL) and what is allowed.
    pub fn set(&mut self, spec: &OptionSpec, value: &Value<'_>, origin: Origin) -> Result<(), Error> {
        let place = origin.clone();
        self.parse(spec, value, origin).map_err(|reason| Error::BadValue { origin: place, reason })
    }

    /// The options that have no field of their own in `settings`.
    pub(super) fn parse_apart(
        &mut self,
        spec: &OptionSpec,
        value: &Value<'_>,
        origin: Origin,
    ) -> Result<(), String> {
        match spec.id {
            // A file that names a file is a feature of the gem; ours is already being read.
            OptionId::ConfigFile if matches!(origin, Origin::File { .. }) => self.unused.push(origin),
            OptionId::Require => {
                self.require = Some(RunnerSpec::of_path(&file(spec, value)?)?);
            }
            OptionId::ConfigFile => self.config_file = Some(value.text(spec)?.into()),
            OptionId::RedisUrl => self.redis_url = Some(redis_url(spec, value, origin)?),
            OptionId::RedisPasswordFile => self.redis.password_file = Some((file(spec, value)?, origin)),
            OptionId::RedisCaFile => self.redis.ca_file = Some((file(spec, value)?, origin)),
            OptionId::RedisCertFile => self.redis.cert_file = Some((file(spec, value)?, origin)),
            OptionId::RedisKeyFile => self.redis.key_file = Some((file(spec, value)?, origin)),
            OptionId::RedisServerName => self.redis.server_name = Some((not_empty(spec, value)?, origin)),
            OptionId::RedisSentinelPasswordFile => {
                self.redis.sentinel_password_file = Some((file(spec, value)?, origin));
            }
            _ => self.unused.push(origin),
        }
        Ok(())
    }
}

/// The table bounds every count far below `u32::MAX`; a `usize` has 64 bits here.
pub(super) fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The table bounds it far below `u32::MAX`.
pub(super) fn retries(spec: &OptionSpec, value: &Value<'_>) -> Result<u32, String> {
    value.number(spec).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

pub(super) fn word<T: std::str::FromStr>(spec: &OptionSpec, value: &Value<'_>) -> Result<T, String> {
    match value {
        Value::Text(text) => text.parse().map_err(|_| value.refused(spec)),
        _ => Err(value.refused(spec)),
    }
}

/// A version, a word, or what YAML makes of `off`.
pub(super) fn metrics(spec: &OptionSpec, value: &Value<'_>) -> Result<MetricsFor, String> {
    if *value == Value::Switch(false) {
        return Ok(MetricsFor::Off);
    }
    value.text(spec)?.parse().map_err(|_| value.refused(spec))
}

pub(super) fn environment(spec: &OptionSpec, value: &Value<'_>) -> Result<String, String> {
    let name = value.text(spec)?;
    let valid = !name.is_empty()
        && name.len() <= ENVIRONMENT_BYTES_MAX
        && !name.chars().any(|c| c.is_whitespace() || c.is_control());
    if valid { Ok(name) } else { Err(value.refused(spec)) }
}

/// An address and a port, or a port of 127.0.0.1.
pub(super) fn address(spec: &OptionSpec, value: &Value<'_>) -> Result<SocketAddr, String> {
    let text = value.text(spec)?;
    let loopback = |port: u16| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    let port = text.strip_prefix("localhost:").unwrap_or(&text);
    let parsed = port.parse().map(loopback).ok().or_else(|| text.parse().ok());
    parsed.ok_or_else(|| value.refused(spec))
}

/// A path of segments that mean themselves.
pub(super) fn path_prefix(spec: &OptionSpec, value: &Value<'_>) -> Result<String, String> {
    let text = value.text(spec)?;
    let path = text.strip_suffix('/').unwrap_or(&text);
    let is_segment = |segment: &str| {
        let means_itself = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(means_itself)
    };
    let segments = path.strip_prefix('/').filter(|_| path.len() <= WEB_PREFIX_BYTES_MAX);
    let is_path = segments.is_some_and(|segments| segments.split('/').all(is_segment));
    if is_path { Ok(path.to_owned()) } else { Err(value.refused(spec)) }
}

fn not_empty(spec: &OptionSpec, value: &Value<'_>) -> Result<String, String> {
    let text = value.text(spec)?;
    if text.trim().is_empty() { Err(value.refused(spec)) } else { Ok(text) }
}

pub(super) fn file(spec: &OptionSpec, value: &Value<'_>) -> Result<PathBuf, String> {
    not_empty(spec, value).map(PathBuf::from)
}

/// The parser's errors contain no password.
fn redis_url(spec: &OptionSpec, value: &Value<'_>, origin: Origin) -> Result<GivenUrl, String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => {
            let url = resp::RedisUrl::parse(text.trim()).map_err(|error| error.to_string())?;
            Ok(GivenUrl { url, origin, dialect: Dialect::default() })
        }
        _ => Err(format!("this is not a URL; give {}", spec.allowed)),
    }
}

/// The queues of an option: text with commas, or a list of texts and of the gem's `[name, priority]` pairs.
pub(super) fn queues(spec: &OptionSpec, value: &Value<'_>) -> Result<Queues, String> {
    Queues::of_source(queue_specs(spec, value)?).map_err(|error| error.to_string())
}

fn queue_specs(spec: &OptionSpec, value: &Value<'_>) -> Result<Vec<QueueSpec>, String> {
    let Value::List(items) = value else { return queue_list(spec, value) };
    let mut specs = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::List(pair) => specs.push(queue_pair(spec, pair)?),
            item => specs.extend(queue_list(spec, item)?),
        }
    }
    Ok(specs)
}

fn queue_list(spec: &OptionSpec, value: &Value<'_>) -> Result<Vec<QueueSpec>, String> {
    Queues::parse_list(&value.text(spec)?).map_err(|error| error.to_string())
}

fn queue_pair(spec: &OptionSpec, pair: &[Value<'_>]) -> Result<QueueSpec, String> {
    let [name, priority] = pair else {
        return Err("a queue given as a list must have two elements: `[name, priority]`".to_owned());
    };
    let name = QueueName::new(&name.text(spec)?).map_err(|error| error.to_string())?;
    let spec: Result<QueueSpec, QueuesError> = format!("{name}:{}", priority.text(spec)?).parse();
    spec.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Balance, LogFormat, LogLevel, Mode, Unknown};

    /// A non-default value for each option, as the user would write it, and whether it was kept.
    fn sample(id: OptionId) -> (&'static str, fn(&Raw) -> bool) {
        match id {
            OptionId::Cores => ("3", |raw| raw.cores == Some(3)),
            OptionId::Require => ("./app.rb", |raw| raw.require.is_some()),
            OptionId::Concurrency => ("77", |raw| raw.concurrency == Some(77)),
            OptionId::Queues => ("a:2,b", |raw| raw.queues.as_ref().is_some_and(|q| q.as_slice().len() == 2)),
            OptionId::Timeout => ("9", |raw| raw.timeout == Some(Duration::from_secs(9))),
            OptionId::Environment => ("staging", |raw| raw.environment.as_deref() == Some("staging")),
            OptionId::Tag => ("3f2a1c9", |raw| raw.tag.as_deref() == Some("3f2a1c9")),
            OptionId::ConfigFile => ("x.yml", |raw| raw.config_file == Some("x.yml".into())),
            OptionId::Dialect => ("sidekiq", |raw| raw.dialect == Some(Dialect::Sidekiq)),
            OptionId::SidekiqMetrics => ("both", |raw| raw.sidekiq_metrics == Some(MetricsFor::Both)),
            OptionId::Mode => ("at-most-once", |raw| raw.mode == Some(Mode::AtMostOnce)),
            OptionId::DefaultRetries => ("5", |raw| raw.default_retries == Some(5)),
            OptionId::Balance => ("weighted", |raw| raw.balance == Some(Balance::Weighted)),
            OptionId::Unknown => ("fail", |raw| raw.unknown == Some(Unknown::Fail)),
            OptionId::UnknownFor => ("7", |raw| raw.unknown_for == Some(Duration::from_secs(7))),
            OptionId::RedisUrl => ("redis://h", |raw| {
                raw.redis_url.as_ref().is_some_and(|given| given.url.to_string() == "redis://h:6379/0")
            }),
            OptionId::PrivateRedis => ("true", |raw| raw.private_redis == Some(true)),
            OptionId::RedisPasswordFile => ("/p", |raw| raw.redis.password_file.is_some()),
            OptionId::RedisCaFile => ("/ca", |raw| raw.redis.ca_file.is_some()),
            OptionId::RedisCertFile => ("/cert", |raw| raw.redis.cert_file.is_some()),
            OptionId::RedisKeyFile => ("/key", |raw| raw.redis.key_file.is_some()),
            OptionId::RedisServerName => ("db", |raw| raw.redis.server_name.is_some()),
            OptionId::RedisSentinelPasswordFile => ("/s", |raw| raw.redis.sentinel_password_file.is_some()),
            OptionId::Web => ("9394", |raw| raw.web == Some(SocketAddr::from(([127, 0, 0, 1], 9394)))),
            OptionId::WebAuth => ("/w", |raw| raw.web_auth == Some("/w".into())),
            OptionId::WebPrefix => ("/jobs/", |raw| raw.web_prefix.as_deref() == Some("/jobs")),
            OptionId::WebOpen => ("true", |raw| raw.web_open == Some(true)),
            OptionId::WebReadOnly => ("true", |raw| raw.web_read_only == Some(true)),
            OptionId::Verbose => ("true", |raw| raw.log_level == Some(LogLevel::Debug)),
            OptionId::LogFormat => ("json", |raw| raw.log_format == Some(LogFormat::Json)),
            OptionId::StatsInterval => ("11", |raw| raw.stats_interval == Some(Duration::from_secs(11))),
            OptionId::PollerEnabled => ("false", |raw| raw.poller_enabled == Some(false)),
            OptionId::IgnoreBadCron => ("true", |raw| raw.ignore_bad_cron == Some(true)),
            OptionId::PollInterval => ("1.5", |raw| raw.poll_interval == Some(Duration::from_millis(1500))),
            OptionId::MaxDeadJobs => ("12", |raw| raw.max_dead_jobs == Some(12)),
            OptionId::DeadTimeout => ("13", |raw| raw.dead_timeout == Some(Duration::from_secs(13))),
            OptionId::Unused => ("anything", |raw| raw.unused.len() == 1),
        }
    }

    #[test]
    fn every_option_of_the_table_is_documented_unique_and_kept_by_a_raw_source() {
        let mut seen = std::collections::BTreeSet::new();
        for spec in OPTIONS {
            assert!(spec.help.len() > 10 && !spec.help.ends_with('.'), "{}: help", spec.key);
            assert!(spec.flag.is_some() || !spec.key.is_empty());
            for name in [Some(spec.key.to_owned()), spec.short.map(|c| format!("-{c}"))].into_iter().flatten()
            {
                assert!(seen.insert(name.clone()), "{name} twice");
            }
            assert!(spec.gem_key.is_none_or(|key| seen.insert(key.to_owned())), "{} twice", spec.key);
            let flag = spec.flag.map(|flag| format!("--{flag}"));
            for name in flag.into_iter().chain(spec.variables().map(str::to_owned)) {
                assert!(seen.insert(name), "{} twice", spec.key);
            }
            let (text, kept) = sample(spec.id);
            let mut raw = Raw::default();
            raw.set(spec, &Value::Text(text.into()), Origin::Flag("x")).unwrap();
            assert!(kept(&raw), "{}", spec.key);
            assert!(!kept(&Raw::default()), "{}: the sample must differ from nothing", spec.key);
            // A source laid over another keeps its own value and lets the other's through where it has none.
            assert!(kept(&raw.clone().over(Raw::default())), "{}", spec.key);
            assert!(kept(&Raw::default().over(raw)), "{}", spec.key);
        }
    }

    #[test]
    fn the_defaults_of_the_table_pass_their_own_parsers() {
        let raw = Raw::defaults().unwrap();
        assert_eq!(raw.mode, Some(Mode::default()));
        assert_eq!(raw.log_format, Some(LogFormat::default()));
        assert_eq!((raw.cores, raw.concurrency, &raw.redis_url), (None, None, &None));
        // What must be decided has its default in the table.
        let Raw { queues, timeout, environment, log_level, stats_interval, poller_enabled, .. } = &raw;
        assert!(queues.is_some() && timeout.is_some() && environment.is_some() && log_level.is_some());
        assert!(stats_interval.is_some() && poller_enabled.is_some() && raw.poll_interval.is_some());
        assert!(raw.max_dead_jobs.is_some() && raw.dead_timeout.is_some());
        assert_eq!((raw.unknown, raw.default_retries), (Some(Unknown::Leave), None));
        assert!(raw.unknown_for.is_some());
    }

    #[test]
    fn an_address_may_be_a_port_alone_and_a_name_is_none() {
        let spec = OptionSpec::of(OptionId::Web).unwrap();
        let parse = |text: &'static str| address(spec, &Value::Text(text.into()));
        for (text, expected) in [
            ("9394", "127.0.0.1:9394"),
            ("localhost:80", "127.0.0.1:80"),
            ("0.0.0.0:9394", "0.0.0.0:9394"),
            ("[::1]:9394", "[::1]:9394"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), expected);
        }
        for text in ["", "web.example:80", "127.0.0.1", "::1:80", "70000", ":80"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn queues_come_as_text_list_and_pairs() {
        let spec = OptionSpec::of(OptionId::Queues).unwrap();
        let text = |text: &'static str| Value::Text(text.into());
        let check = |value: Value<'_>, expected: &str| {
            let mut raw = Raw::default();
            raw.set(spec, &value, Origin::Flag("queue")).unwrap();
            let shown: Vec<String> = raw.queues.unwrap().as_slice().iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(","), expected);
        };
        check(text("a,b:3"), "a,b:3");
        check(Value::List(vec![text("a"), Value::List(vec![text("b"), Value::Integer(0)])]), "a,b:0");
        check(Value::List(vec![text("a, c"), text("b:-1")]), "a,c,b:-1");
        let three = Value::List(vec![Value::List(vec![text("a"), Value::Integer(1), Value::Integer(2)])]);
        let error = Raw::default().set(spec, &three, Origin::Flag("queue")).unwrap_err();
        assert!(error.to_string().contains("[name, priority]"), "{error}");
    }

    #[test]
    fn a_redis_url_is_in_no_error() {
        let spec = OptionSpec::of(OptionId::RedisUrl).unwrap();
        let list = Value::List(vec![Value::Text("redis://:s3cret@h".into())]);
        let error = Raw::default().set(spec, &list, Origin::Flag("redis-url")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        assert!(error.to_string().starts_with("--redis-url: "), "{error}");
        for url in [
            "http://u:s3cret@h",
            "redis://u:s3cret@h:port",
            "redis://:s3cret#@h",
            "redis://u:s3cret@h/x?s3cret",
        ] {
            let error = Raw::default()
                .set(spec, &Value::Text(url.into()), Origin::Variable("REDIS_URL"))
                .unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
            assert!(error.to_string().starts_with("environment variable REDIS_URL: redis url "), "{error}");
        }
    }
}
