//! What one identity of a process consists of, and what its shards and control get of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::placement::Placement;
use super::web::Web;
use crate::balance::{Rule, Wish};
use crate::cli::Program;
use crate::client::Spelling;
use crate::config::{Balance, Config, Mode, QueueOrder, Unknown};
use crate::control::{
    BalanceOptions, ControlOptions, DutyOptions, Expected, RubyListTimes, ServiceManager, Settings,
};
use crate::limits::{WAIT_COMMANDS_PER_SECOND_MAX, WAIT_TIME_MIN, WAITERS_QUEUES_MAX};
use crate::resp::RedisUrl;
use crate::runner::OnCores;
use crate::shard::{self, ShardOptions};
use crate::stats::ShardStats;
use crate::store::turn::QueueKeys;
use crate::time::RedisClock;
use crate::wire::heartbeat_key::{Heartbeat, Poller, ServedQueue, join_queues};
use crate::wire::{DEFAULT_QUEUE, Presence, lease};

/// What one identity of the process consists of.
pub(super) struct Life<'l> {
    pub(super) uuid: String,
    pub(super) spelling: Spelling,
    pub(super) config: &'l Config,
    pub(super) settings: Settings,
    pub(super) placement: &'l Placement,
    pub(super) url: &'l RedisUrl,
    /// What shows it to machines, if anything does.
    pub(super) web: Option<&'l Web>,
    /// What runs jobs in other processes.
    pub(super) runners: &'l OnCores,
    /// For each queue that of the server that has it.
    pub(super) clocks: BTreeMap<String, Arc<RedisClock>>,
}

impl Life<'_> {
    /// The clock for the jobs of a queue.
    fn clock(&self, queue: &str) -> Arc<RedisClock> {
        self.clocks.get(queue).cloned().unwrap_or_default()
    }
}

/// What each of its shards gets.
pub(super) fn shard_options(life: &Life<'_>) -> Vec<ShardOptions> {
    let Life { uuid, spelling: Spelling { keys, schema }, config, settings, placement, url, .. } = life;
    let queues = config.queues.by_priority();
    let is_told = !url.is_cluster() && queues.len() > WAITERS_QUEUES_MAX;
    let at_least_once = config.mode == Mode::AtLeastOnce;
    let waiters = placement.slots.len() * shard::waiters(is_told, at_least_once, queues.len());
    let block_time =
        Duration::from_secs_f64(waiters as f64 / WAIT_COMMANDS_PER_SECOND_MAX).max(WAIT_TIME_MIN);
    let options = |(shard, &slots): (usize, &usize)| ShardOptions {
        shard,
        uuid: uuid.clone(),
        url: RedisUrl::clone(url),
        realm: keys.shared_realm(),
        schema: *schema,
        queues: queues.iter().map(|queue| (queue.name.as_str().to_owned(), queue.priority)).collect(),
        balance: match (config.balance, config.queues.order()) {
            (Balance::Strict, QueueOrder::Weight) | (Balance::Weighted, _) => shard::Balance::Weighted,
            (_, _) => shard::Balance::Strict,
        },
        clocks: queues.iter().map(|queue| life.clock(queue.name.as_str())).collect(),
        slots,
        is_told,
        at_least_once,
        dead_jobs_max: settings.dead_jobs_max,
        dead_timeout: settings.dead_timeout,
        default_retries: config.default_retries,
        leave_unknown: (config.unknown == Unknown::Leave).then(|| schema.leave_for(config.unknown_for)),
        block_time: Duration::from_secs(block_time.as_secs()),
        stats: Arc::new(ShardStats::default()),
    };
    placement.slots.iter().enumerate().map(options).collect()
}

/// What control gets beside these shards.
pub(super) fn control_options(life: &Life<'_>, shards: &[ShardOptions]) -> ControlOptions {
    let Life { uuid, spelling: Spelling { keys, schema }, config, settings, placement, url, .. } = life;
    let show_priorities = config.queues.any_explicit();
    let served: Vec<ServedQueue<'_>> = config
        .queues
        .as_slice()
        .iter()
        .map(|queue| ServedQueue {
            name: queue.name.as_str(),
            priority: show_priorities.then(|| u64::try_from(queue.priority).unwrap_or(0)),
        })
        .collect();
    let hostname = hostname();
    let first = served.first().map_or(DEFAULT_QUEUE, |queue| queue.name);
    let shown = Heartbeat {
        uuid,
        concurrency: placement.slots.iter().sum::<usize>() as u64,
        timeout_s: settings.timeout.as_secs(),
        queues: &join_queues(&served),
        poller: if settings.poll_interval.is_some() { Poller::Enabled } else { Poller::Disabled },
        started_at: life.clock(first).now() as u64,
        pid: std::process::id(),
        hostname: &hostname,
    };
    let names: Vec<&str> = served.iter().map(|queue| queue.name).collect();
    ControlOptions {
        uuid: uuid.clone(),
        url: RedisUrl::clone(url),
        program: Program::title().unwrap_or_default(),
        tag: config.tag.clone().unwrap_or_default(),
        keys: *keys,
        schema: *schema,
        presence: Presence::new(*keys, &shown, config.tag.as_deref().unwrap_or_default())
            .with_metrics(config.sidekiq_metrics),
        duties: duties(life, shards.len(), &names),
        settings: *settings,
        ruby_lists: RubyListTimes::default(),
        told: shards
            .first()
            .filter(|shard| shard.is_told)
            .map_or_else(Vec::new, |shard| shard.queues.iter().map(|(queue, _)| queue.clone()).collect()),
        balance: rule(config.balance).map(|rule| BalanceOptions {
            rule,
            queues: shards
                .first()
                .into_iter()
                .flat_map(|shard| &shard.queues)
                .map(|(queue, _)| (queue.clone(), wish(config, queue)))
                .collect(),
        }),
        paces: config.paces.clone(),
        stats: shards.iter().map(|shard| Arc::clone(&shard.stats)).collect(),
        published: Arc::default(),
        expected: Expected {
            slots: placement.slots.clone(),
            block_time: shards.first().map_or(WAIT_TIME_MIN, |shard| shard.block_time),
        },
        names: Arc::default(),
        periodic: Arc::default(),
        manager: ServiceManager::find(&|name| std::env::var_os(name)),
    }
}

/// What a queue is to have.
fn wish(config: &Config, queue: &str) -> Wish {
    config.slots.iter().find(|wish| wish.queue == queue).map(|wish| wish.wish).unwrap_or_default()
}

/// How slots are given to queues, if they are.
fn rule(balance: Balance) -> Option<Rule> {
    match balance {
        Balance::Strict | Balance::Weighted => None,
        Balance::Even => Some(Rule::Even),
        Balance::Adaptive => Some(Rule::Adaptive),
        Balance::AdaptiveIo => Some(Rule::AdaptiveIo),
    }
}

/// One duty for each realm: one for all queues, or in a cluster one per queue.
fn duties(life: &Life<'_>, shards: usize, queues: &[&str]) -> Vec<DutyOptions> {
    let Life { uuid, spelling: Spelling { keys, .. }, url, .. } = life;
    let duty = |queues: &[&str]| {
        let first = queues.first().copied().unwrap_or(DEFAULT_QUEUE);
        DutyOptions {
            realm: keys.realm(first),
            url: url.at_key(keys.queue(first).as_bytes()),
            lease_member: lease::lease_member(uuid, shards, queues),
            home: QueueKeys::new(*keys, first, uuid, 0),
            clock: life.clock(first),
        }
    };
    if url.is_cluster() { queues.chunks(1).map(duty).collect() } else { vec![duty(queues)] }
}

/// As in the gem: the variable DYNO, or the host name.
fn hostname() -> String {
    std::env::var("DYNO")
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| {
            std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned())
        })
        .unwrap_or_else(|| "unknown".to_owned())
}
