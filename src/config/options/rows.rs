//! The rows of the table of options.

use super::{
    Allowed, BALANCE_WORDS, BASE, Change, DIALECT_WORDS, DefaultValue, LOG_FORMAT_WORDS, METRICS_WORDS,
    MODE_WORDS, OptionId, OptionSpec, UNKNOWN_WORDS,
};
use crate::limits::{
    CONCURRENCY_MAX, CORES_MAX, DEAD_JOBS_CONFIGURED_MAX, DEAD_JOBS_MAX, DEAD_TIMEOUT, DEAD_TIMEOUT_MAX,
    POLL_INTERVAL, POLL_INTERVAL_MAX, RETRIES_MAX, STATS_INTERVAL, STATS_INTERVAL_MAX, STOP_TIMEOUT,
    STOP_TIMEOUT_MAX, UNKNOWN_FOR, UNKNOWN_FOR_MAX,
};

/// A key of the gem that is accepted and has no effect.
const fn unused(key: &'static str) -> OptionSpec {
    OptionSpec { key, ..BASE }
}

/// A file about the connection to Redis: YAML key and flag, and what it is for.
const fn redis_file(
    id: OptionId,
    (key, flag): (&'static str, &'static str),
    help: &'static str,
) -> OptionSpec {
    let allowed = Allowed::Text("the path of a file");
    OptionSpec { id, key, flag: Some(flag), value_name: "FILE", allowed, help, ..BASE }
}

/// Every option, in the order of `--help`.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        id: OptionId::Cores,
        key: "cores",
        flag: Some("cores"),
        value_name: "N",
        default: DefaultValue::Later("all cores this process may use"),
        allowed: Allowed::Number { min: 1, max: CORES_MAX as u64 },
        help: "Cores to use, each with its own pinned thread, io_uring and Redis connection",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Concurrency,
        key: "concurrency",
        flag: Some("concurrency"),
        short: Some('c'),
        value_name: "N",
        default: DefaultValue::Later("10 per core, or the threads of the runners"),
        allowed: Allowed::Number { min: 1, max: CONCURRENCY_MAX as u64 },
        help: "Jobs in flight in this process, split over its cores",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Queues,
        key: "queues",
        flag: Some("queue"),
        short: Some('q'),
        value_name: "NAME[:PRIORITY],...",
        default: DefaultValue::Text("default"),
        allowed: Allowed::Text("queue names, each alone or as `name:priority` with a whole number"),
        help: "Queues to serve; the higher number is served first (0 if not given); may be repeated",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Require,
        key: "require",
        flag: Some("require"),
        short: Some('r'),
        value_name: "PATH",
        allowed: Allowed::Text("a Ruby, Python or Node file, or a directory with one of their applications"),
        help: "Application in Ruby, Python or Node whose jobs run in child processes, every name",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Balance,
        key: "balance",
        flag: Some("balance"),
        value_name: "HOW",
        default: DefaultValue::Text("strict"),
        allowed: Allowed::Words(BALANCE_WORDS),
        help: "How queues share the slots: by priority (strict), by weight (weighted; a number below 1 counts as 1; not in a \
               Redis Cluster), evenly (even), or one each and the rest by the work that waits (adaptive; adaptive-io: the \
               rest to queues named -io)",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Timeout,
        key: "shutdown_timeout",
        gem_key: Some("timeout"),
        flag: Some("shutdown-timeout"),
        short: Some('t'),
        value_name: "SECONDS",
        default: DefaultValue::Number(STOP_TIMEOUT.as_secs()),
        allowed: Allowed::Number { min: 1, max: STOP_TIMEOUT_MAX.as_secs() },
        help: "How long a stop waits for running jobs before it hands them back",
        change: Change::Hangup,
        ..BASE
    },
    OptionSpec {
        id: OptionId::Environment,
        key: "environment",
        flag: Some("environment"),
        short: Some('e'),
        variable: Some("APP_ENV"),
        value_name: "NAME",
        default: DefaultValue::Text("development"),
        allowed: Allowed::Text("a name of 1 to 64 bytes without blanks"),
        help: "Section of the configuration file that is laid over its top level",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Tag,
        key: "tag",
        flag: Some("tag"),
        variable: None,
        value_name: "TEXT",
        allowed: Allowed::Text("a text of 1 to 64 bytes without blanks"),
        help: "What this deployment is called, such as a git revision; shown by `processes` and `top`, and in the log",
        ..BASE
    },
    OptionSpec {
        id: OptionId::ConfigFile,
        key: "config_file",
        flag: Some("config"),
        short: Some('C'),
        value_name: "FILE.yml",
        default: DefaultValue::Later("no file"),
        allowed: Allowed::Text("the path of a YAML file"),
        help: "Configuration file; the jiggler gem's keys are accepted",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Dialect,
        key: "dialect",
        flag: Some("dialect"),
        value_name: "GEM",
        default: DefaultValue::Text("jiggler"),
        allowed: Allowed::Words(DIALECT_WORDS),
        help: "Whose programs share the Redis: those of the gem jiggler, or those of sidekiq",
        ..BASE
    },
    OptionSpec {
        id: OptionId::SidekiqMetrics,
        key: "sidekiq_metrics",
        flag: Some("sidekiq-metrics"),
        value_name: "VERSION",
        default: DefaultValue::Text("8"),
        allowed: Allowed::Words(METRICS_WORDS),
        help: "For the metrics pages of which version of sidekiq to count, in its dialect",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Mode,
        key: "mode",
        flag: Some("mode"),
        value_name: "MODE",
        default: DefaultValue::Text("at-least-once"),
        allowed: Allowed::Words(MODE_WORDS),
        help: "What a crash means for a running job: it runs again (at-least-once) or is gone (at-most-once)",
        ..BASE
    },
    OptionSpec {
        id: OptionId::DefaultRetries,
        key: "default_retries",
        gem_key: Some("max_retries"),
        flag: Some("default-retries"),
        value_name: "N",
        default: DefaultValue::Later("the program's own number, or that of the gem: 0, of sidekiq 25"),
        allowed: Allowed::Number { min: 0, max: RETRIES_MAX as u64 },
        help: "Retries of a job whose payload and handler name no number",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Unknown,
        key: "unknown",
        flag: Some("unknown"),
        value_name: "WHAT",
        default: DefaultValue::Text("leave"),
        allowed: Allowed::Words(UNKNOWN_WORDS),
        help: "What becomes of a job whose name this program does not know: leave it to workers that do, or fail it at once",
        ..BASE
    },
    OptionSpec {
        id: OptionId::UnknownFor,
        key: "unknown_for",
        flag: Some("unknown-for"),
        value_name: "SECONDS",
        default: DefaultValue::Number(UNKNOWN_FOR.as_secs()),
        allowed: Allowed::Number { min: 1, max: UNKNOWN_FOR_MAX.as_secs() },
        help: "How long such a job is left to other workers before it fails",
        ..BASE
    },
    OptionSpec {
        id: OptionId::RedisUrl,
        key: "redis_url",
        flag: Some("redis-url"),
        variable: Some("REDIS_URL"),
        value_name: "URL",
        default: DefaultValue::Later("127.0.0.1:6379 if something listens there, else a private server"),
        allowed: Allowed::Text(
            "`redis://[user:password@]host[:port][/db]`, `rediss://` (TLS), `unix:///path[?db=n]`, \
             `redis+sentinel://host[:port],.../primary[/db]` or `redis+cluster://host[:port],...`",
        ),
        help: "Where Redis is: redis://[user:password@]host[:port][/db], rediss:// for TLS, unix:///path[?db=n], \
               redis+sentinel://host[:port],.../primary[/db], or redis+cluster://host[:port],... A password in this flag shows in the list of processes: \
               use the variable, or a password file",
        ..BASE
    },
    OptionSpec {
        id: OptionId::PrivateRedis,
        key: "private_redis",
        flag: Some("private-redis"),
        default: DefaultValue::Switch(false),
        allowed: Allowed::Switch,
        help: "Start a private Redis in production too, where no server is named and none listens on 127.0.0.1:6379",
        ..BASE
    },
    redis_file(
        OptionId::RedisPasswordFile,
        ("redis_password_file", "redis-password-file"),
        "File whose one line is the password of Redis",
    ),
    redis_file(
        OptionId::RedisCaFile,
        ("redis_ca_file", "redis-ca-file"),
        "PEM file of the authorities to trust for rediss://, in place of the system's",
    ),
    redis_file(
        OptionId::RedisCertFile,
        ("redis_cert_file", "redis-cert-file"),
        "PEM file of the client certificate to show over rediss://",
    ),
    redis_file(
        OptionId::RedisKeyFile,
        ("redis_key_file", "redis-key-file"),
        "PEM file of that certificate's private key",
    ),
    OptionSpec {
        id: OptionId::RedisServerName,
        key: "redis_server_name",
        flag: Some("redis-server-name"),
        value_name: "NAME",
        allowed: Allowed::Text("a host name or an address"),
        help: "Name that the certificate of rediss:// must be for, if it is not the host of the URL",
        ..BASE
    },
    redis_file(
        OptionId::RedisSentinelPasswordFile,
        ("redis_sentinel_password_file", "redis-sentinel-password-file"),
        "File whose one line is the password of the sentinels",
    ),
    OptionSpec {
        id: OptionId::Web,
        key: "web",
        flag: Some("web"),
        value_name: "[ADDRESS:]PORT",
        default: DefaultValue::Later("no server; `jiggler-uring web`: 127.0.0.1:9394"),
        allowed: Allowed::Text("an address and a port, or a port of 127.0.0.1"),
        help: "Where to serve metrics and probes over HTTP; without an address on 127.0.0.1",
        ..BASE
    },
    OptionSpec {
        id: OptionId::WebAuth,
        key: "web_auth",
        flag: Some("web-auth"),
        value_name: "FILE",
        allowed: Allowed::Text("the path of a file"),
        help: "File of those who may: lines that `htpasswd -nB NAME` prints, and bearer tokens; a role may follow: read, \
               operate, admin",
        ..BASE
    },
    OptionSpec {
        id: OptionId::WebPrefix,
        key: "web_prefix",
        flag: Some("web-prefix"),
        value_name: "PATH",
        allowed: Allowed::Text("a path such as /jobs, of letters, digits and -._~"),
        help: "Path under which a proxy passes requests on to it, unless the proxy takes the path off: /jobs",
        ..BASE
    },
    OptionSpec {
        id: OptionId::WebReadOnly,
        key: "web_read_only",
        flag: Some("web-read-only"),
        default: DefaultValue::Switch(false),
        allowed: Allowed::Switch,
        help: "Let nobody act on jobs, queues and processes over HTTP, whatever the role",
        ..BASE
    },
    OptionSpec {
        id: OptionId::WebOpen,
        key: "web_open",
        flag: Some("web-open"),
        default: DefaultValue::Switch(false),
        allowed: Allowed::Switch,
        help: "Let everybody read them who reaches an address that is not loopback",
        ..BASE
    },
    OptionSpec {
        id: OptionId::Verbose,
        key: "verbose",
        flag: Some("verbose"),
        short: Some('v'),
        default: DefaultValue::Switch(false),
        allowed: Allowed::Switch,
        help: "Log at debug level, with a line for each failure however many there are; RUST_LOG sets the levels of targets",
        change: Change::Hangup,
        ..BASE
    },
    OptionSpec {
        id: OptionId::LogFormat,
        key: "log_format",
        flag: Some("log-format"),
        value_name: "FORMAT",
        default: DefaultValue::Text("text"),
        allowed: Allowed::Words(LOG_FORMAT_WORDS),
        help: "Shape of log lines on standard error: key=value text, or one JSON object a line",
        ..BASE
    },
    OptionSpec {
        id: OptionId::StatsInterval,
        key: "stats_interval",
        default: DefaultValue::Number(STATS_INTERVAL.as_secs()),
        allowed: Allowed::Number { min: 1, max: STATS_INTERVAL_MAX.as_secs() },
        help: "Seconds between two heartbeats",
        change: Change::Hangup,
        ..BASE
    },
    OptionSpec {
        id: OptionId::PollerEnabled,
        key: "poller_enabled",
        default: DefaultValue::Switch(true),
        allowed: Allowed::Switch,
        help: "Whether this process moves due retries and scheduled jobs into their queues",
        change: Change::Hangup,
        ..BASE
    },
    OptionSpec {
        id: OptionId::PollInterval,
        key: "poll_interval",
        gem_key: Some("average_scheduled_poll_interval"),
        default: DefaultValue::Number(POLL_INTERVAL.as_secs()),
        allowed: Allowed::Decimal { min: 1, max: POLL_INTERVAL_MAX.as_secs() },
        help: "Mean seconds between two looks at the retry and scheduled sets",
        change: Change::Hangup,
        ..BASE
    },
    OptionSpec {
        id: OptionId::IgnoreBadCron,
        key: "ignore_bad_cron",
        flag: Some("ignore-bad-cron"),
        default: DefaultValue::Switch(false),
        allowed: Allowed::Switch,
        help: "Start although periodic jobs of the configuration file are refused, without them",
        ..BASE
    },
    OptionSpec {
        id: OptionId::MaxDeadJobs,
        key: "max_dead_jobs",
        gem_key: Some("dead_max_jobs"),
        default: DefaultValue::Number(DEAD_JOBS_MAX),
        allowed: Allowed::Number { min: 1, max: DEAD_JOBS_CONFIGURED_MAX },
        help: "Entries the dead set keeps",
        change: Change::Hangup,
        ..BASE
    },
    OptionSpec {
        id: OptionId::DeadTimeout,
        key: "dead_timeout",
        gem_key: Some("dead_timeout_in_seconds"),
        default: DefaultValue::Number(DEAD_TIMEOUT.as_secs()),
        allowed: Allowed::Number { min: 1, max: DEAD_TIMEOUT_MAX.as_secs() },
        help: "Seconds an entry stays in the dead set",
        change: Change::Hangup,
        ..BASE
    },
    unused("in_process_interval"),
    unused("fetchers_concurrency"),
    unused("server_concurrency"),
    unused("server_mode"),
    unused("client_concurrency"),
    unused("client_async"),
    unused("client_redis_pool"),
    unused("strict"),
    // Of Sidekiq.
    unused("pidfile"),
    unused("logfile"),
    unused("daemon"),
    unused("index"),
    unused("labels"),
];
