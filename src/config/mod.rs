//! Configuration: from flags, environment, file and defaults to one [`Config`] in which everything is decided.
//!
//! The order is default < file < environment < flag. [`options`] is the table of what there is, [`value`] and
//! [`types`] parse, [`raw`] holds what one source says, [`yaml`] reads the file. Only `cli` and `yaml` know where text
//! comes from; the rest of the crate sees [`Config`]. What a machine can do (cores, kernel, Redis) is `boot`'s.

use std::{ffi::OsString, path::PathBuf, time::Duration};

pub mod error;
pub mod options;
pub mod raw;
mod redis;
pub mod table;
pub mod types;
pub mod value;
pub mod yaml;

pub use error::{Error, Origin};
pub use raw::Raw;
pub use types::{GivenUrl, LogFormat, LogLevel, Mode, QueueSpec, Queues};

use options::OptionId;

use crate::limits::{
    CONCURRENCY_PER_CORE, DEAD_JOBS_MAX, DEAD_TIMEOUT, POLL_INTERVAL, STATS_INTERVAL, STOP_TIMEOUT,
};

/// How to look up an environment variable: the real one in `main`, a table in tests.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Every option of a worker process, decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Shards asked for; `None`: as many as cores this process may use. May be more than there are.
    pub cores: Option<usize>,
    /// Jobs in flight per process; `None`: [`CONCURRENCY_PER_CORE`] for each core in use.
    pub concurrency: Option<usize>,
    /// Queues to serve.
    pub queues: Queues,
    /// How long a stop waits for running jobs.
    pub timeout: Duration,
    /// Name of the environment.
    pub environment: String,
    /// What a crash means for a running job.
    pub mode: Mode,
    /// Where Redis is; `None`: see `embedded`.
    pub redis_url: Option<GivenUrl>,
    /// Warnings about secrets of Redis that others on this machine can see.
    pub redis_notes: Vec<String>,
    /// How much is logged.
    pub log_level: LogLevel,
    /// Shape of log lines.
    pub log_format: LogFormat,
    /// Heartbeat period.
    pub stats_interval: Duration,
    /// Whether this process polls the retry and scheduled sets.
    pub poller_enabled: bool,
    /// Mean period of that poller.
    pub poll_interval: Duration,
    /// Entries the dead set keeps.
    pub max_dead_jobs: u64,
    /// How long an entry stays in the dead set.
    pub dead_timeout: Duration,
    /// The file some of this came from, if one was named.
    pub config_file: Option<PathBuf>,
    /// Places of settings that were accepted for the gem's sake and have no effect.
    pub unused: Vec<Origin>,
}

impl Config {
    /// Lays `flags` over the environment, the file that either names, and the defaults.
    ///
    /// # Errors
    /// [`Error`]: the first value or key that is refused, with its place and what is allowed.
    pub fn load(flags: Raw, variables: Variables<'_>) -> Result<Self, Error> {
        let defaults = Raw::defaults()?;
        let above = flags.over(Raw::from_environment(variables)?);
        let Some(path) = &above.config_file else { return Self::decide(above.over(defaults)) };
        let document = yaml::Document::read(path)?;
        let environment =
            above.environment.as_deref().or(document.environment()).or(defaults.environment.as_deref());
        let environment = environment.unwrap_or_default().to_owned();
        Self::decide(above.over(document.for_environment(&environment)).over(defaults))
    }

    /// Fills what is still open. [`Raw::defaults`] has set everything the table gives a default for; the fallbacks
    /// here are the same constants, so a caller may decide a bare [`Raw`] too.
    fn decide(mut raw: Raw) -> Result<Self, Error> {
        let redis = std::mem::take(&mut raw.redis);
        let redis_notes = redis.notes(raw.redis_url.as_ref());
        let redis_url = redis.lay_over(raw.redis_url.take())?;
        Ok(Self { redis_url, redis_notes, ..Self::decide_rest(raw) })
    }

    fn decide_rest(raw: Raw) -> Self {
        Self {
            cores: raw.cores,
            concurrency: raw.concurrency,
            queues: raw.queues.unwrap_or_default(),
            timeout: raw.timeout.unwrap_or(STOP_TIMEOUT),
            environment: raw.environment.unwrap_or_else(|| "development".to_owned()),
            mode: raw.mode.unwrap_or_default(),
            redis_url: raw.redis_url,
            redis_notes: Vec::new(),
            log_level: if raw.verbose.unwrap_or_default() { LogLevel::Debug } else { LogLevel::Info },
            log_format: raw.log_format.unwrap_or_default(),
            stats_interval: raw.stats_interval.unwrap_or(STATS_INTERVAL),
            poller_enabled: raw.poller_enabled.unwrap_or(true),
            poll_interval: raw.poll_interval.unwrap_or(POLL_INTERVAL),
            max_dead_jobs: raw.max_dead_jobs.unwrap_or(DEAD_JOBS_MAX),
            dead_timeout: raw.dead_timeout.unwrap_or(DEAD_TIMEOUT),
            config_file: raw.config_file,
            unused: raw.unused,
        }
    }

    /// The options in which two configurations differ, in the order of the table.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<OptionId> {
        let url = |config: &Self| config.redis_url.as_ref().map(|given| given.url.clone());
        let differ = |id: &OptionId| match id {
            OptionId::Cores => self.cores != other.cores,
            OptionId::Concurrency => self.concurrency != other.concurrency,
            OptionId::Queues => self.queues != other.queues,
            OptionId::Timeout => self.timeout != other.timeout,
            OptionId::Environment => self.environment != other.environment,
            OptionId::Mode => self.mode != other.mode,
            OptionId::RedisUrl => url(self) != url(other),
            // The url has taken up what these say.
            OptionId::RedisPasswordFile
            | OptionId::RedisCaFile
            | OptionId::RedisCertFile
            | OptionId::RedisKeyFile
            | OptionId::RedisServerName
            | OptionId::RedisSentinelPasswordFile => false,
            OptionId::Verbose => self.log_level != other.log_level,
            OptionId::LogFormat => self.log_format != other.log_format,
            OptionId::StatsInterval => self.stats_interval != other.stats_interval,
            OptionId::PollerEnabled => self.poller_enabled != other.poller_enabled,
            OptionId::PollInterval => self.poll_interval != other.poll_interval,
            OptionId::MaxDeadJobs => self.max_dead_jobs != other.max_dead_jobs,
            OptionId::DeadTimeout => self.dead_timeout != other.dead_timeout,
            // The file is named by the command line, which stays; what has no effect has none.
            OptionId::ConfigFile | OptionId::Unused => false,
        };
        options::OPTIONS.iter().map(|spec| spec.id).filter(differ).collect()
    }

    /// These options where they may change while the process runs, else those of `running`.
    #[must_use]
    pub fn reloaded_into(self, running: &Self) -> Self {
        Self {
            timeout: self.timeout,
            log_level: self.log_level,
            stats_interval: self.stats_interval,
            poller_enabled: self.poller_enabled,
            poll_interval: self.poll_interval,
            max_dead_jobs: self.max_dead_jobs,
            dead_timeout: self.dead_timeout,
            ..running.clone()
        }
    }

    /// Jobs in flight in this process when it runs on `cores` cores.
    #[must_use]
    pub fn concurrency_on(&self, cores: usize) -> usize {
        self.concurrency.unwrap_or(CONCURRENCY_PER_CORE * cores)
    }

    /// The one info line about settings without effect, if there are any.
    #[must_use]
    pub fn unused_note(&self) -> Option<String> {
        let places: Vec<String> = self.unused.iter().map(ToString::to_string).collect();
        (!places.is_empty()).then(|| format!("not used by jiggler-uring: {}", places.join("; ")))
    }
}

impl Default for Config {
    /// What a process gets that nobody tells anything.
    fn default() -> Self {
        Self::decide_rest(Raw::default())
    }
}

#[cfg(test)]
mod tests;
