//! What control is given before it starts, and how it reports that its run ended.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::duty::DutyOptions;
use super::service_manager::ServiceManager;
use super::settings::Settings;
use crate::balance::{Pace, Rule, Wish};
use crate::cron::CronEntry;
use crate::job::Schema;
use crate::limits::{
    RUBY_LISTS_LEAD, RUBY_LISTS_PAUSE, RUBY_LISTS_PERIOD_MAX, RUBY_LISTS_PERIOD_MIN, RUBY_LISTS_RENEWAL,
};
use crate::mesh::Ending;
use crate::resp::RedisUrl;
use crate::stats::{ControlStats, ShardStats};
use crate::wire::{Keyspace, Presence};

/// What control is given before it starts.
#[derive(Debug, Clone)]
pub(crate) struct ControlOptions {
    /// The process: 12 hex digits, new on each start.
    pub(crate) uuid: String,
    /// Name and version of the user's program; empty if it has none.
    pub(crate) program: String,
    /// What the deployment is called; empty if it is not.
    pub(crate) tag: String,
    /// Where Redis is.
    pub(crate) url: RedisUrl,
    /// How keys are spelt.
    pub(crate) keys: Keyspace,
    /// How payloads are written.
    pub(crate) schema: Schema,
    /// How it shows itself to its fleet at the start.
    pub(crate) presence: Presence,
    /// One for each realm whose queues the process serves.
    pub(crate) duties: Vec<DutyOptions>,
    /// What may change while it runs, with its initial values.
    pub(crate) settings: Settings,
    /// How often to look for the lists of dead Ruby servers.
    pub(crate) ruby_lists: RubyListTimes,
    /// The queues, in the order in which the shards have them, if these are told which have jobs; else none.
    pub(crate) told: Vec<String>,
    /// How slots are given to queues, if they are.
    pub(crate) balance: Option<BalanceOptions>,
    /// Queues whose due jobs have a pace.
    pub(crate) paces: Vec<Pace>,
    /// The counters of each shard.
    pub(crate) stats: Vec<Arc<ShardStats>>,
    /// What it publishes about itself and the process.
    pub(crate) published: Arc<ControlStats>,
    /// What the watchdog expects of them.
    pub(crate) expected: Expected,
    /// Names of the jobs it has handlers for, once its first core has built them; `None` in it: too many to publish.
    pub(crate) names: Arc<OnceLock<Option<Vec<String>>>>,
    /// The periodic jobs that it declares, once its first core has built its registry.
    pub(crate) periodic: Arc<OnceLock<Vec<CronEntry>>>,
    /// Where to report how the process is doing.
    pub(crate) manager: Option<ServiceManager>,
}

/// How slots are given to queues.
#[derive(Debug, Clone)]
pub(crate) struct BalanceOptions {
    /// The rule.
    pub(crate) rule: Rule,
    /// The queues, in the order in which the shards have them, and what each is to have.
    pub(crate) queues: Vec<(String, Wish)>,
}

/// What is expected of the shards.
#[derive(Debug, Clone)]
pub(crate) struct Expected {
    /// Slots of each shard.
    pub(crate) slots: Vec<usize>,
    /// How long one blocking call waits in Redis: an idle shard gets an answer this often.
    pub(crate) block_time: Duration,
}

/// How often to look for the lists. The defaults are in `limits`; tests are in more of a hurry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RubyListTimes {
    /// Shortest time between two looks, or between two questions who leads.
    pub(crate) period_min: Duration,
    /// Longest.
    pub(crate) period_max: Duration,
    /// How long the lead is kept without a renewal.
    pub(crate) lead: Duration,
    /// Time between two renewals.
    pub(crate) renewal: Duration,
    /// Pause between two pages, or two batches.
    pub(crate) pause: Duration,
}

impl Default for RubyListTimes {
    fn default() -> Self {
        Self {
            period_min: RUBY_LISTS_PERIOD_MIN,
            period_max: RUBY_LISTS_PERIOD_MAX,
            lead: RUBY_LISTS_LEAD,
            renewal: RUBY_LISTS_RENEWAL,
            pause: RUBY_LISTS_PAUSE,
        }
    }
}

// A renewal that one hanging call delays still arrives in time.
const _: () = assert!(
    RUBY_LISTS_LEAD.as_millis() > RUBY_LISTS_RENEWAL.as_millis() + crate::limits::CALL_TIMEOUT.as_millis()
);

/// How a run of the shards ended.
#[derive(Debug)]
pub(crate) struct RunOutcome {
    /// When the time of the stop was over; `None` if no stop was asked for.
    pub(crate) deadline: Option<Instant>,
    /// One ending for each shard.
    pub(crate) endings: Vec<(usize, Ending)>,
    /// Whether a signal or a message asked for it.
    pub(crate) asked: bool,
    /// The settings in force, for the next identity of this process.
    pub(crate) settings: Settings,
}
