//! The options in code: which row each belongs to, its field in [`Raw`] and in [`Config`], and how its value is parsed.
//!
//! An option is spelt three times: its row in `options::rows`, its line here, its field in [`Config`]. Its default is in
//! the row only.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    Config,
    error::Origin,
    options::OptionSpec,
    periodic::PeriodicItem,
    raw::{address, count, environment, file, metrics, path_prefix, queues, retries, word},
    redis::RedisParts,
    slots::QueueWish,
    types::{Balance, GivenUrl, LogFormat, LogLevel, Mode, Queues, Unknown},
    value::Value,
};
use crate::balance::Pace;
use crate::runner::spec::RunnerSpec;
use crate::wire::{Dialect, sidekiq_metrics::MetricsFor};

/// How an option's value is parsed; the error says what is allowed.
type Parse<T> = fn(&OptionSpec, &Value<'_>) -> Result<T, String>;

macro_rules! settings {
    (
        decided { $($(#[$doc:meta])* $id:ident => $field:ident: $type:ty = $parse:expr;)* }
        open { $($(#[$open_doc:meta])* $open_id:ident => $open:ident: $open_type:ty = $open_parse:expr;)* }
        apart { $($(#[$apart_doc:meta])* $apart:ident;)* }
    ) => {
        /// Which option a row is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OptionId {
            $($(#[$doc])* $id,)*
            $($(#[$open_doc])* $open_id,)*
            $($(#[$apart_doc])* $apart,)*
        }

        /// The values of one source; `None` where it sets none.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Raw {
            $(pub(super) $field: Option<$type>,)*
            $(pub(super) $open: Option<$open_type>,)*
            pub(super) config_file: Option<PathBuf>,
            pub(super) redis_url: Option<GivenUrl>,
            pub(super) redis: RedisParts,
            /// The periodic jobs of a file.
            pub(super) periodic: Option<Vec<PeriodicItem>>,
            /// The runners of a file.
            pub(super) runners: Option<Vec<RunnerSpec>>,
            /// What queues of a file are to have.
            pub(super) slots: Option<Vec<QueueWish>>,
            /// Paces of due jobs of a file.
            pub(super) paces: Option<Vec<Pace>>,
            /// The runner of the application that is required.
            pub(super) require: Option<RunnerSpec>,
            /// Places of settings that are accepted and have no effect.
            pub(super) unused: Vec<Origin>,
        }

        impl Raw {
            pub(super) fn parse(
                &mut self,
                spec: &OptionSpec,
                value: &Value<'_>,
                origin: Origin,
            ) -> Result<(), String> {
                match spec.id {
                    $(OptionId::$id => {
                        let parse: Parse<$type> = $parse;
                        self.$field = Some(parse(spec, value)?);
                    })*
                    $(OptionId::$open_id => {
                        let parse: Parse<$open_type> = $open_parse;
                        self.$open = Some(parse(spec, value)?);
                    })*
                    $(OptionId::$apart)|* => self.parse_apart(spec, value, origin)?,
                }
                Ok(())
            }

            /// These options where they are set, otherwise those of `lower`.
            #[must_use]
            pub fn over(self, lower: Self) -> Self {
                Self {
                    $($field: self.$field.or(lower.$field),)*
                    $($open: self.$open.or(lower.$open),)*
                    config_file: self.config_file.or(lower.config_file),
                    redis_url: self.redis_url.or(lower.redis_url),
                    redis: self.redis.over(lower.redis),
                    periodic: self.periodic.or(lower.periodic),
                    runners: self.runners.or(lower.runners),
                    slots: self.slots.or(lower.slots),
                    paces: self.paces.or(lower.paces),
                    require: self.require.or(lower.require),
                    unused: self.unused.into_iter().chain(lower.unused).collect(),
                }
            }
        }

        impl Config {
            /// The values of a source that has the table's defaults underneath, so that a value which must be decided is
            /// there.
            pub(super) fn of(raw: Raw) -> Self {
                Self {
                    $($field: raw.$field.unwrap_or_default(),)*
                    $($open: raw.$open,)*
                    redis_url: raw.redis_url,
                    redis_notes: Vec::new(),
                    periodic: raw.periodic.unwrap_or_default(),
                    slots: raw.slots.unwrap_or_default(),
                    paces: raw.paces.unwrap_or_default(),
                    runners: raw.runners.into_iter().flatten().chain(raw.require).collect(),
                    config_file: raw.config_file,
                    unused: raw.unused,
                }
            }

            /// Whether two configurations differ in an option.
            pub(super) fn differs(&self, other: &Self, id: OptionId) -> bool {
                match id {
                    $(OptionId::$id => self.$field != other.$field,)*
                    $(OptionId::$open_id => self.$open != other.$open,)*
                    $(OptionId::$apart)|* => self.differs_apart(other, id),
                }
            }

            /// Takes over the value of an option, if it has its own field.
            pub(super) fn adopt(&mut self, id: OptionId, from: &Self) {
                match id {
                    $(OptionId::$id => self.$field = from.$field.clone(),)*
                    $(OptionId::$open_id => self.$open = from.$open.clone(),)*
                    $(OptionId::$apart)|* => {}
                }
            }
        }
    };
}

settings! {
    // The table has a default for each of these.
    decided {
        /// Queues to serve, with priorities.
        Queues => queues: Queues = |spec, value| queues(spec, value);
        /// What their numbers mean.
        Balance => balance: Balance = word;
        /// Seconds a stop waits.
        Timeout => timeout: Duration = |spec, value| value.seconds(spec);
        /// Section of the file, and a label in logs.
        Environment => environment: String = environment;
        /// What a crash means for a running job.
        Mode => mode: Mode = word;
        /// Whose programs share the Redis.
        Dialect => dialect: Dialect = word;
        /// For which of Sidekiq's pages of metrics to count.
        SidekiqMetrics => sidekiq_metrics: MetricsFor = metrics;
        /// Debug log.
        Verbose => log_level: LogLevel = |spec, value| value.switch(spec).map(LogLevel::of_verbose);
        /// Shape of log lines.
        LogFormat => log_format: LogFormat = word;
        /// What becomes of jobs that no handler here is registered for.
        Unknown => unknown: Unknown = word;
        /// How long such jobs are left to others.
        UnknownFor => unknown_for: Duration = |spec, value| value.seconds(spec);
        /// Heartbeat period.
        StatsInterval => stats_interval: Duration = |spec, value| value.seconds(spec);
        /// Whether a private Redis may be started in production.
        PrivateRedis => private_redis: bool = |spec, value| value.switch(spec);
        /// Whether everybody may read metrics on an address that is not loopback.
        WebOpen => web_open: bool = |spec, value| value.switch(spec);
        /// Whether nobody may act over HTTP.
        WebReadOnly => web_read_only: bool = |spec, value| value.switch(spec);
        /// Whether this process polls the retry and scheduled sets.
        PollerEnabled => poller_enabled: bool = |spec, value| value.switch(spec);
        /// Whether to start although a periodic job of the file is refused.
        IgnoreBadCron => ignore_bad_cron: bool = |spec, value| value.switch(spec);
        /// Mean period of that poller.
        PollInterval => poll_interval: Duration = |spec, value| value.decimal_seconds(spec);
        /// Size of the dead set.
        MaxDeadJobs => max_dead_jobs: u64 = |spec, value| value.number(spec);
        /// Age of the dead set's entries.
        DeadTimeout => dead_timeout: Duration = |spec, value| value.seconds(spec);
    }
    // Decided when the machine is known.
    open {
        /// Shards to run.
        Cores => cores: usize = |spec, value| value.number(spec).map(count);
        /// Retries of jobs that name none.
        DefaultRetries => default_retries: u32 = retries;
        /// Jobs in flight per process.
        Concurrency => concurrency: usize = |spec, value| value.number(spec).map(count);
        /// What the deployment is called.
        Tag => tag: String = environment;
        /// Where metrics and probes are served.
        Web => web: SocketAddr = address;
        /// A file of those who may read them.
        WebAuth => web_auth: PathBuf = file;
        /// The path under which a proxy passes requests on.
        WebPrefix => web_prefix: String = path_prefix;
    }
    // Without their own field: the place matters too, or several make up one value.
    apart {
        /// The YAML file itself.
        ConfigFile;
        /// An application whose jobs run in children.
        Require;
        /// Where Redis is.
        RedisUrl;
        /// A file with its password.
        RedisPasswordFile;
        /// A file of authorities to trust.
        RedisCaFile;
        /// The certificate to present to it.
        RedisCertFile;
        /// The key of that certificate.
        RedisKeyFile;
        /// The name its certificate must be for.
        RedisServerName;
        /// A file with the password of its sentinels.
        RedisSentinelPasswordFile;
        /// A setting of the gem that has no meaning here.
        Unused;
    }
}
