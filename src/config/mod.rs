//! Configuration: from flags, environment, file and defaults to one [`Config`] in which everything is decided.
//!
//! The order is default < file < environment < flag. [`options`] is the table of all options, `settings` the fields it
//! fills, [`value`] and [`types`] parse, [`raw`] holds the values of one source, [`yaml`] reads the file. Only `cli` and
//! `yaml` know where text comes from; the rest of the crate sees [`Config`]. What a machine can do (cores, kernel, Redis)
//! is up to `boot`.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

mod by_queue;
pub mod error;
pub mod options;
mod pace;
mod periodic;
pub mod raw;
mod redis;
mod runners;
mod settings;
mod slots;
pub mod table;
#[cfg(test)]
mod test_file;
pub mod types;
pub mod value;
pub mod yaml;

pub use error::{Error, Origin};
pub use periodic::PeriodicItem;
pub use raw::Raw;
pub use slots::QueueWish;
pub use types::{
    Balance, GivenUrl, LogFormat, LogLevel, Mode, QueueOrder, QueueSpec, Queues, QueuesError, Unknown,
};

pub use crate::balance::Pace;
pub use crate::handler::Pattern;
pub use crate::runner::spec::{Language, Program, RunnerSpec};

use options::{Change, OptionId};

use crate::limits::{CLUSTER_QUEUES_MAX, CONCURRENCY_PER_CORE};
use crate::resp::RedisUrl;
use crate::runner::spec::threads_of_all;
use crate::wire::Dialect;
use crate::wire::sidekiq_metrics::MetricsFor;

/// What Sidekiq uses without REDIS_URL.
const USUAL_REDIS: &str = "redis://localhost:6379/0";

/// How to look up an environment variable: the real one in `main`, a table in tests.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Every option of a worker process, decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Shards requested; `None`: as many as cores this process may use. May be more than there are.
    pub cores: Option<usize>,
    /// Jobs in flight per process; `None`: [`CONCURRENCY_PER_CORE`] for each core in use, or the threads of its runners.
    pub concurrency: Option<usize>,
    /// Queues to serve.
    pub queues: Queues,
    /// What their numbers mean.
    pub balance: Balance,
    /// How long a stop waits for running jobs.
    pub timeout: Duration,
    /// Name of the environment.
    pub environment: String,
    /// Whose programs share the Redis.
    pub dialect: Dialect,
    /// For which of Sidekiq's pages of metrics to count.
    pub sidekiq_metrics: MetricsFor,
    /// What a crash means for a running job.
    pub mode: Mode,
    /// Retries of a job for which neither its payload nor its handler names a number; `None`: the program's default.
    pub default_retries: Option<u32>,
    /// What becomes of a job whose name this program does not know.
    pub unknown: Unknown,
    /// How long such a job is left to other workers, before it fails.
    pub unknown_for: Duration,
    /// Where Redis is; for `None` see `embedded`.
    pub redis_url: Option<GivenUrl>,
    /// Whether a private Redis may be started even though the environment is production.
    pub private_redis: bool,
    /// Warnings about Redis secrets that others on this machine can see.
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
    /// Whether to start although a periodic job of the file is refused.
    pub ignore_bad_cron: bool,
    /// The periodic jobs of the file, those that are refused only where they do not matter.
    pub periodic: Vec<PeriodicItem>,
    /// Programs that run jobs in processes of their own.
    pub runners: Vec<RunnerSpec>,
    /// What queues are to have, under a balance that gives slots to queues.
    pub slots: Vec<QueueWish>,
    /// Queues whose due jobs have a pace.
    pub paces: Vec<Pace>,
    /// Entries the dead set keeps.
    pub max_dead_jobs: u64,
    /// How long an entry stays in the dead set.
    pub dead_timeout: Duration,
    /// What the deployment is called, if it has a name.
    pub tag: Option<String>,
    /// Where metrics and probes are served over HTTP; `None`: nowhere.
    pub web: Option<SocketAddr>,
    /// The file of those who may read them.
    pub web_auth: Option<PathBuf>,
    /// The path under which a proxy passes requests on, with a slash before it and none behind; `None`: it takes the
    /// path off, or there is no proxy.
    pub web_prefix: Option<String>,
    /// Whether everybody may, on an address that is not loopback.
    pub web_open: bool,
    /// Whether nobody may act on anything over HTTP.
    pub web_read_only: bool,
    /// The file that some of this came from, if one was named.
    pub config_file: Option<PathBuf>,
    /// Places of settings that are accepted only for compatibility with the gem and have no effect.
    pub unused: Vec<Origin>,
}

impl Config {
    /// Lays `flags` over the environment, the file that either of them names, and the defaults.
    ///
    /// # Errors
    /// [`Error`]: the first value or key that is rejected, with its place and what is allowed.
    pub fn load(flags: Raw, variables: Variables<'_>) -> Result<Self, Error> {
        Self::load_for_order(flags, variables)?.with_good_cron()
    }

    /// The same for an order that does nothing about the periodic jobs of the file: those that are refused do not matter.
    ///
    /// # Errors
    /// As [`Self::load`]
    pub(crate) fn load_for_order(flags: Raw, variables: Variables<'_>) -> Result<Self, Error> {
        let defaults = Raw::defaults()?;
        let above = flags.over(Raw::from_environment(variables)?);
        let Some(path) = &above.config_file else { return Self::decide(above.over(defaults)) };
        let document = yaml::Document::read(path)?;
        let environment =
            above.environment.as_deref().or(document.environment()).or(defaults.environment.as_deref());
        let environment = environment.unwrap_or_default().to_owned();
        Self::decide(above.over(document.for_environment(&environment)).over(defaults))
    }

    /// Turns a source with [`Raw::defaults`] underneath into a configuration.
    fn decide(mut raw: Raw) -> Result<Self, Error> {
        let redis = std::mem::take(&mut raw.redis);
        let redis_notes = redis.notes(raw.redis_url.as_ref());
        let redis_url = redis.lay_over(raw.redis_url.take())?;
        let config = Self { redis_url, redis_notes, ..Self::of(raw) }.in_dialect()?;
        let is_cluster = config.redis_url.as_ref().is_some_and(|given| given.url.is_cluster());
        if is_cluster && config.balance == Balance::Weighted {
            return Err(Error::WeightedInCluster);
        }
        let count = config.queues.as_slice().len();
        if is_cluster && count > CLUSTER_QUEUES_MAX {
            return Err(Error::QueuesInCluster { count });
        }
        slots::check(&config.slots, config.balance, &config.queues)?;
        Ok(config)
    }

    /// What is decided by the dialect: how queues are read, and where Redis is if nobody says so.
    fn in_dialect(mut self) -> Result<Self, Error> {
        let refused = |origin, reason| Error::BadValue { origin, reason };
        let (dialect, queues) = (self.dialect, std::mem::take(&mut self.queues));
        let queues = match dialect {
            Dialect::Jiggler => queues.checked(),
            Dialect::Sidekiq => queues.read_as_sidekiq(),
        };
        self.queues = queues.map_err(|error| refused(Origin::Flag("queue"), error.to_string()))?;
        if dialect == Dialect::default() {
            return Ok(self);
        }
        // Other programs push there: a private Redis would be empty.
        let mut given = match self.redis_url.take() {
            Some(given) => given,
            None => usual_redis()?,
        };
        if given.url.is_cluster() && !dialect.allows_cluster() {
            let reason = "sidekiq cannot use a redis cluster: its keys have no hash tags".to_owned();
            return Err(refused(given.origin, reason));
        }
        given.dialect = dialect;
        self.redis_url = Some(given);
        Ok(self)
    }

    /// Refuses it because of what is refused in the `cron:` list, unless told to go on without that.
    fn with_good_cron(self) -> Result<Self, Error> {
        let refused = |item: &PeriodicItem| Some(format!("{}: {}", item.place, item.entry.as_ref().err()?));
        let reasons: Vec<String> = self.periodic.iter().filter_map(refused).collect();
        if self.ignore_bad_cron || reasons.is_empty() {
            return Ok(self);
        }
        Err(Error::BadCron { reasons: reasons.join("; ") })
    }

    /// The options in which two configurations differ, in the order of the table.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<OptionId> {
        let rows = options::OPTIONS.iter().map(|spec| spec.id);
        rows.filter(|id| self.differs(other, *id)).collect()
    }

    /// The keys of the file, beside those of the table, in which two configurations differ. All of them need a restart.
    #[must_use]
    pub(crate) fn different_lists(&self, other: &Self) -> Vec<&'static str> {
        // Where something is said may change without a change of what is.
        let slots = self.slots.iter().map(QueueWish::said).ne(other.slots.iter().map(QueueWish::said));
        let entry = |item: &PeriodicItem| item.entry.clone();
        let lists = [
            (slots::KEY, slots),
            (pace::KEY, self.paces != other.paces),
            (periodic::KEY, self.periodic.iter().map(entry).ne(other.periodic.iter().map(entry))),
        ];
        lists.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    fn differs_apart(&self, other: &Self, id: OptionId) -> bool {
        let url = |config: &Self| {
            config.redis_url.as_ref().map(|given| given.url.without_file_contents().into_owned())
        };
        if id == OptionId::Require {
            return self.runners != other.runners;
        }
        // What files say about Redis, the url has taken up; the file of options is named by the command line, which stays.
        id == OptionId::RedisUrl && url(self) != url(other)
    }

    /// Takes these options where they may change while the process runs, and otherwise those of `running`.
    #[must_use]
    pub fn reloaded_into(self, running: &Self) -> Self {
        let mut reloaded = running.clone();
        for spec in options::OPTIONS.iter().filter(|spec| spec.change == Change::Hangup) {
            reloaded.adopt(spec.id, &self);
        }
        reloaded
    }

    /// Jobs in flight in this process when it runs on `cores` cores.
    #[must_use]
    pub fn concurrency_on(&self, cores: usize) -> usize {
        self.concurrency.unwrap_or_else(|| match &*self.runners {
            [] => CONCURRENCY_PER_CORE * cores,
            // Each job in hand has its thread (P8).
            runners => threads_of_all(runners, cores),
        })
    }

    /// The one info line about settings without effect, if there are any.
    #[must_use]
    pub fn unused_note(&self) -> Option<String> {
        let places: Vec<String> = self.unused.iter().map(ToString::to_string).collect();
        (!places.is_empty()).then(|| format!("not used by jiggler-uring: {}", places.join("; ")))
    }
}

/// Where Redis is for the programs of others that are told nothing.
fn usual_redis() -> Result<GivenUrl, Error> {
    let origin = Origin::Default("redis_url");
    let url = RedisUrl::parse(USUAL_REDIS)
        .map_err(|error| Error::BadValue { origin: origin.clone(), reason: error.to_string() })?;
    Ok(GivenUrl { url, origin, dialect: Dialect::default() })
}

impl Default for Config {
    /// What a process gets if nothing is configured.
    fn default() -> Self {
        let defaults = Raw::defaults();
        debug_assert!(defaults.is_ok(), "the table's own test passes its defaults through their parsers");
        Self::of(defaults.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
