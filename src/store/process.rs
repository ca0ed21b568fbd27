//! What a process publishes about itself: heartbeat, lease, figures of its shards.

use std::collections::BTreeSet;
use std::time::Duration;

use super::metrics::{self, Minute};
use super::paused;
use super::register;
use super::scripts::{Script, Scripts};
use super::turn::QueueKeys;
use crate::limits::{DAY_COUNTER_TTL_S, FIGURES_INTERVAL_MAX, IDENTITY_TTL_S};
use crate::resp::{Error, Reply, Requests};
use crate::time::{self, RubyFloat};
use crate::wire::sidekiq_metrics::Spelling;
use crate::wire::sidekiq_process::{SidekiqProcess, Signal, Work};
use crate::wire::{Presence, Realm, Shape};

/// Appends the question what the server is: the server section of `INFO`. The reply is its text.
pub fn ask_server_info(requests: &mut Requests) {
    requests.command(&[b"INFO", b"server"]);
}

/// What a process reports about itself at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Announcement<'a> {
    /// How it shows itself.
    pub presence: &'a Presence,
    /// How it showed itself before, if that is to be removed now.
    pub before: Option<&'a Presence>,
    /// Unix time in seconds.
    pub now: f64,
    /// Resident memory in kB, where it is known.
    pub rss_kb: Option<u64>,
    /// What it does.
    pub doing: &'a Doing,
    /// Its figures, if they should be written.
    pub figures: Option<&'a str>,
    /// How long it counts as living from now on, in seconds.
    pub ttl_s: u64,
}

/// What a process does, as far as other programs than ours show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doing {
    /// Jobs that run.
    pub busy: u64,
    /// Whether it takes no more jobs.
    pub is_quiet: bool,
    /// How long the last round trip took.
    pub round_trip: Duration,
    /// Jobs that run, the longest-running first: not all of them.
    pub work: Vec<Work>,
    /// The places of those that the last report listed, and this one does not.
    pub gone: Vec<String>,
}

impl Doing {
    /// Whether the job at this place is listed.
    #[must_use]
    pub fn lists(&self, worker: &str) -> bool {
        self.work.iter().any(|work| work.worker == worker)
    }
}

/// Appends a process's report: its heartbeat, the end of the previous one, its figures, and with these its name in the
/// register. Safe to repeat. Each is answered by `OK` or an integer.
pub fn announce(announcement: &Announcement<'_>, requests: &mut Requests) {
    let Announcement { presence, before, now, rss_kb, figures, ttl_s, .. } = *announcement;
    match presence.shape() {
        Shape::Key => set(presence.heartbeat_key(), &presence.heartbeat(now, rss_kb), ttl_s, requests),
        Shape::Hash { registry, process } => announce_in(registry, process, announcement, requests),
    }
    if let Some(before) = before {
        withdraw(before, requests);
    }
    if let Some(figures) = figures {
        // They are written less often, and tell that the heartbeat is one of ours: without them it looks like Ruby's.
        set(presence.figures_key(), figures, ttl_s + FIGURES_INTERVAL_MAX.as_secs(), requests);
    }
    // As often, so that a Redis that was flushed knows again soon what there is.
    if let Some(set) = presence.keys().register()
        && (figures.is_some() || before.is_some())
    {
        register::name_process(set, presence.heartbeat_key(), now, requests);
    }
}

/// The heartbeat as Sidekiq's programs read it. What runs is never taken away before it is there again: a page would show
/// nothing in between.
fn announce_in(
    registry: &str,
    process: &SidekiqProcess,
    announcement: &Announcement<'_>,
    requests: &mut Requests,
) {
    let Announcement { now, rss_kb, doing, .. } = *announcement;
    let identity = process.identity.as_bytes();
    requests.command(&[b"SADD", registry.as_bytes(), identity]);
    let quiet: &[u8] = if doing.is_quiet { b"true" } else { b"false" };
    let beat = RubyFloat(now).to_string();
    let mut hash = requests.begin(2 + 2 * 7);
    hash.arg(b"HSET").arg(identity).arg(b"info").arg(process.info.as_bytes());
    hash.arg(b"concurrency").arg_u64(process.concurrency).arg(b"busy").arg_u64(doing.busy);
    hash.arg(b"beat").arg(beat.as_bytes()).arg(b"quiet").arg(quiet);
    hash.arg(b"rss").arg_u64(rss_kb.unwrap_or(0));
    hash.arg(b"rtt_us").arg_u64(u64::try_from(doing.round_trip.as_micros()).unwrap_or(u64::MAX));
    drop(hash);
    expire(process.identity.as_bytes(), IDENTITY_TTL_S, requests);
    let keys = process.work_keys();
    let [work_key, workers_key] = keys.each_ref().map(String::as_bytes);
    if doing.work.is_empty() {
        requests.command(&[b"UNLINK", work_key, workers_key]);
        return;
    }
    let mut work = requests.begin(2 + 2 * doing.work.len());
    work.arg(b"HSET").arg(work_key);
    for Work { worker, json } in &doing.work {
        work.arg(worker.as_bytes()).arg(json.as_bytes());
    }
    drop(work);
    if !doing.gone.is_empty() {
        let mut gone = requests.begin(2 + doing.gone.len());
        gone.arg(b"HDEL").arg(work_key);
        doing.gone.iter().for_each(|worker| _ = gone.arg(worker.as_bytes()));
    }
    expire(work_key, IDENTITY_TTL_S, requests);
    // For readers before 7, with its time to live.
    requests.command(&[b"COPY", work_key, workers_key, b"REPLACE"]);
}

fn expire(key: &[u8], seconds: u64, requests: &mut Requests) {
    requests.begin(3).arg(b"EXPIRE").arg(key).arg_u64(seconds);
}

/// What a process has run since it last said so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// Jobs that ran to an end.
    pub processed: u64,
    /// Jobs that failed.
    pub failed: u64,
}

/// What a process tells at one moment of what it has run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Told {
    /// Since it last said so.
    pub counts: DayCounts,
    /// Unix time in seconds.
    pub now: f64,
    /// The days whose counters it has given a time to live.
    pub expiring: Expiring,
}

/// Days since 1970 whose counters are known to expire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expiring {
    /// The last day whose counter of jobs that ran is.
    pub processed: u64,
    /// The last day whose counter of jobs that failed is.
    pub failed: u64,
}

impl Told {
    fn day(&self) -> u64 {
        self.now as u64 / SECONDS_OF_DAY
    }

    /// Once it is told: the days whose counters expire.
    #[must_use]
    pub fn expires(&self) -> Expiring {
        let Self { counts, expiring, .. } = *self;
        let then = |count: u64, before: u64| if count > 0 { self.day() } else { before };
        Expiring {
            processed: then(counts.processed, expiring.processed),
            failed: then(counts.failed, expiring.failed),
        }
    }
}

const SECONDS_OF_DAY: u64 = 24 * 3_600;

/// Whether other programs than ours expect more of a process than its heartbeat: what [`converse`] appends.
#[must_use]
pub fn converses(presence: &Presence) -> bool {
    matches!(presence.shape(), Shape::Hash { .. })
}

/// For which pages of metrics it tells what it runs.
#[must_use]
pub fn metrics_for(presence: &Presence) -> &'static [Spelling] {
    match presence.shape() {
        Shape::Hash { process, .. } => process.metrics.spellings(),
        Shape::Key => &[],
    }
}

/// Appends what they expect: the questions what an operator asks of it and which of its queues are paused, whose replies
/// [`read_asked`] reads; the counters of the day, and metrics if it is time for them. Not safe to repeat.
pub fn converse(presence: &Presence, told: Told, metrics: Option<&Minute>, requests: &mut Requests) {
    if let Shape::Hash { process, .. } = presence.shape() {
        requests.command(&[b"RPOP", process.signals_key().as_bytes()]);
        paused::ask_served(presence.keys(), &process.queues, requests);
        count(presence, told, metrics, requests);
    }
}

fn count(presence: &Presence, told: Told, metrics: Option<&Minute>, requests: &mut Requests) {
    let (keys, day) = (presence.keys(), time::utc_day(told.now));
    let (names, Told { counts, expiring, .. }) = (keys.names(), told);
    let counters = [
        (names.processed, counts.processed, expiring.processed),
        (names.failures, counts.failed, expiring.failed),
    ];
    for (counter, count, expires) in counters {
        if count > 0 {
            let key = keys.day_counter(counter, &day);
            requests.begin(3).arg(b"INCRBY").arg(key.as_bytes()).arg_u64(count);
            if expires != told.day() {
                expire(key.as_bytes(), DAY_COUNTER_TTL_S, requests);
            }
        }
    }
    if let Some(minute) = metrics {
        metrics::add(minute, requests);
    }
}

/// What others ask of a process.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AskedByOthers {
    /// What an operator asks for.
    pub signal: Option<Signal>,
    /// Which of its queues they have paused; `None`: that cannot be read.
    pub paused: Option<BTreeSet<String>>,
}

/// What others ask of it, from the replies to [`converse`].
///
/// # Errors
/// If the first reply is an error, or not a string.
pub fn read_asked(presence: &Presence, replies: &[Reply]) -> Result<AskedByOthers, Error> {
    let (Shape::Hash { process, .. }, [signal, paused, ..]) = (presence.shape(), replies) else {
        return Ok(AskedByOthers::default());
    };
    Ok(AskedByOthers {
        signal: signal.as_nil_or_bulk()?.and_then(Signal::parse),
        paused: paused::read_served(&process.queues, paused).ok(),
    })
}

fn set(key: &str, value: &str, ttl_s: u64, requests: &mut Requests) {
    let mut command = requests.begin(5);
    command.arg(b"SET").arg(key.as_bytes()).arg(value.as_bytes()).arg(b"EX").arg_u64(ttl_s);
}

/// Appends the end of the heartbeat of a process that now shows itself differently; its figures stay. Each reply is an
/// integer.
pub fn withdraw(presence: &Presence, requests: &mut Requests) {
    if let Shape::Hash { registry, process } = presence.shape() {
        requests.command(&[b"SREM", registry.as_bytes(), process.identity.as_bytes()]);
        let keys = process.work_keys();
        requests.command(&[b"DEL", keys[0].as_bytes(), keys[1].as_bytes()]);
    }
    requests.command(&[b"DEL", presence.heartbeat_key().as_bytes()]);
    if let Some(set) = presence.keys().register() {
        register::forget_process(set, presence.heartbeat_key(), requests);
    }
}

/// Appends what the gem does at its first heartbeat: create both counters; what is already there is left alone, whatever it
/// is. Each is answered by `OK` or nil.
pub fn touch_counters(realm: &Realm, requests: &mut Requests) {
    for key in [&realm.processed, &realm.failures] {
        requests.command(&[b"SET", key.as_bytes(), b"0", b"NX"]);
    }
}

/// What earlier renewals over one connection reported, by Redis's clock in Unix milliseconds; 0 is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseTimes {
    /// When this lease ends. Until then nobody can have fenced the process, so there is no need to ask.
    pub ends_ms: u64,
    /// Until when no other lease ends, so that there is no need to ask which have ended.
    pub none_ends_until_ms: u64,
}

/// How a lease was renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// It was renewed, and the leases of these members have ended.
    Renewed {
        /// What the next renewal may rely on.
        times: LeaseTimes,
        /// The members, longest dead first; they may be any bytes, because anyone may have written them.
        ended: Vec<Vec<u8>>,
    },
    /// It was not renewed: a reaper has taken over the jobs of this process.
    Fenced,
    /// The key of the leases is not a set. Nobody is known to be dead, and nobody would notice the death of this process.
    Spoilt,
}

/// The process whose lease is renewed.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    /// Its name in the lease set.
    pub member: &'a str,
    /// One of its in-flight indexes, where a reaper would have left a fence.
    pub index: &'a QueueKeys,
}

/// Appends the renewal of a lease by Redis's clock, and the question which leases have ended: at most `names_max` of them.
/// [`read_lease`] reads the reply.
pub fn renew_lease(
    scripts: &Scripts,
    holder: Holder<'_>,
    times: LeaseTimes,
    length_ms: u64,
    names_max: usize,
    requests: &mut Requests,
) {
    let mut command = scripts.begin(Script::Lease, 2, 5, requests);
    command.arg(scripts.realm().leases.as_bytes()).arg(&holder.index.index);
    command.arg(holder.member.as_bytes()).arg_u64(length_ms).arg_u64(names_max as u64);
    command.arg_u64(times.ends_ms).arg_u64(times.none_ends_until_ms);
}

/// Reads the reply to [`renew_lease`]: Redis's Unix time, and what the renewal came to.
///
/// # Errors
/// If the reply is an error, or not an array of two numbers and strings.
pub fn read_lease(reply: &Reply) -> Result<(Duration, Renewal), Error> {
    let mut parts = reply.as_array()?;
    let mut number = || {
        let part = parts.next().ok_or_else(|| reply.value().instead_of("a clock and times of leases"))?;
        part.as_integer()
    };
    let clock = Duration::from_micros(u64::try_from(number()?).unwrap_or(0));
    let renewal = match number()? {
        -2 => Renewal::Spoilt,
        ends_ms => match u64::try_from(ends_ms) {
            Err(_) => Renewal::Fenced,
            Ok(ends_ms) => {
                let none_ends_until_ms = u64::try_from(number()?).unwrap_or(0);
                let ended: Result<_, Error> = parts.map(|member| Ok(member.as_bulk()?.to_vec())).collect();
                Renewal::Renewed { times: LeaseTimes { ends_ms, none_ends_until_ms }, ended: ended? }
            }
        },
    };
    Ok((clock, renewal))
}

/// Appends the end of a process: its heartbeat and figures are removed, and what it has run since it last said so is
/// counted. Each is answered by an integer.
pub fn farewell(presence: &Presence, told: Told, metrics: Option<&Minute>, requests: &mut Requests) {
    if converses(presence) {
        count(presence, told, metrics, requests);
    }
    withdraw(presence, requests);
    requests.command(&[b"DEL", presence.figures_key().as_bytes()]);
}

/// Appends the end of a lease in a realm: its process holds no job there. The reply is an integer.
pub fn give_up_lease(realm: &Realm, member: &str, requests: &mut Requests) {
    requests.command(&[b"ZREM", realm.leases.as_bytes(), member.as_bytes()]);
}
