//! What a living process does for the fleet: it puts the jobs of dead processes back.

use std::ops::AddAssign;
use std::time::Duration;

use super::flight::{self, Burial};
use super::lead;
use super::scripts::{Script, Scripts};
use super::turn::QueueKeys;
use crate::limits::{
    FENCE, HAND_BACK_BYTES_MAX, REAP_BYTES_MAX, REAP_JOBS_MAX, RECOVERIES_MAX, RECOVERIES_MEMORY,
    SUSPECT_PAUSE_MAX, SUSPECT_RECOVERIES,
};
use crate::resp::{Error, Reply, Requests, Value};
use crate::wire::{Keyspace, Presence, figures, in_flight};

/// How reaping one shard ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaped {
    /// The shard is fenced, and its jobs are where they belong.
    Jobs(ReapedJobs),
    /// The process lives: its lease was renewed.
    Alive,
    /// Its lease is gone: another reaper was here.
    Gone,
}

/// What became of a dead shard's jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReapedJobs {
    /// Jobs that are back in their queues.
    pub back: u64,
    /// Jobs in the suspects lists: [`free_suspects`] frees them, one by one.
    pub suspects: u64,
    /// Jobs in the poison lists, to be buried.
    pub poison: u64,
    /// The key of a queue that is not a list, whose jobs stay in flight; empty if there is none.
    pub broken: String,
    /// Jobs are left for another call. Until then its suspects and poison are not counted.
    pub more: bool,
}

impl AddAssign for ReapedJobs {
    fn add_assign(&mut self, other: Self) {
        self.back += other.back;
        self.suspects += other.suspects;
        self.poison += other.poison;
        if !other.broken.is_empty() {
            self.broken = other.broken;
        }
        self.more = other.more;
    }
}

/// Appends the reaping of one shard of the process that `member` names, or of a part of it ([`ReapedJobs::more`]). `queues`
/// are the shard's, its first one first. Atomic. [`read_reaped`] reads the reply.
pub fn reap(scripts: &Scripts, member: &str, queues: &[QueueKeys], requests: &mut Requests) {
    let mut command = scripts.begin(Script::Reap, 1 + 4 * queues.len(), 7, requests);
    command.arg(scripts.realm().leases.as_bytes());
    for queue in queues {
        command.arg(&queue.list).arg(&queue.index).arg(&queue.wait_list).arg(&queue.oversize);
    }
    command.arg(member.as_bytes()).arg_u64(FENCE.as_secs());
    command.arg_u64(SUSPECT_RECOVERIES).arg_u64(RECOVERIES_MAX).arg_u64(RECOVERIES_MEMORY.as_secs());
    command.arg_u64(REAP_JOBS_MAX as u64).arg_u64(REAP_BYTES_MAX as u64);
}

/// Reads the reply to [`reap`].
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read_reaped(reply: &Reply) -> Result<Reaped, Error> {
    if let Value::Integer(none) = reply.value() {
        return Ok(if none == -1 { Reaped::Alive } else { Reaped::Gone });
    }
    let mut parts = reply.as_array()?;
    let mut part = || parts.next().ok_or_else(|| reply.value().instead_of("five values"));
    let (back, suspects, poison, broken, more) = (part()?, part()?, part()?, part()?, part()?);
    let count = |value: Value<'_>| Ok::<u64, Error>(u64::try_from(value.as_integer()?).unwrap_or(0));
    Ok(Reaped::Jobs(ReapedJobs {
        back: count(back)?,
        suspects: count(suspects)?,
        poison: count(poison)?,
        broken: String::from_utf8_lossy(broken.as_bulk()?).into_owned(),
        more: more.as_integer()? == 1,
    }))
}

/// Appends the move of up to `count` suspects, and none after [`HAND_BACK_BYTES_MAX`], of a dead shard to the right end of
/// their queue, unless a suspect that was put back earlier still waits there, or the pause after it is not over, whichever
/// process made it. After these the pause is `pause`, at most [`SUSPECT_PAUSE_MAX`]. [`read_freed`] reads the reply.
/// Atomic.
pub fn free_suspects(
    scripts: &Scripts,
    queue: &QueueKeys,
    (count, pause): (usize, Duration),
    requests: &mut Requests,
) {
    let mut command = scripts.begin(Script::Free, 3, 5, requests);
    command.arg(&queue.list).arg(&queue.suspects).arg(&in_flight::freed(&queue.list));
    command.arg_u64(count as u64).arg_u64(SUSPECT_RECOVERIES).arg_u64(HAND_BACK_BYTES_MAX as u64);
    command.arg_u64(lead::millis(pause).max(1)).arg_u64(lead::millis(SUSPECT_PAUSE_MAX));
}

/// How [`free_suspects`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freed {
    /// Suspects put back, 0 if there are no more; `None` if one still waits, or was put back a moment ago.
    pub count: Option<u64>,
    /// After which time another may be put back.
    pub again: Duration,
}

/// Reads the reply to [`free_suspects`].
///
/// # Errors
/// If the reply is an error, or not of the script's shape.
pub fn read_freed(reply: &Reply) -> Result<Freed, Error> {
    let mut parts = reply.as_array()?;
    let mut part = || parts.next().ok_or_else(|| reply.value().instead_of("two values"))?.as_integer();
    let (count, again_ms) = (part()?, part()?);
    let again = Duration::from_millis(u64::try_from(again_ms).unwrap_or(0)).min(SUSPECT_PAUSE_MAX);
    Ok(Freed { count: u64::try_from(count).ok(), again })
}

/// Appends the question for the oldest poisonous job of a dead shard. The reply is the payload, or nil if there is none.
pub fn read_poison(queue: &QueueKeys, requests: &mut Requests) {
    requests.command(&[b"LINDEX", &queue.poison, b"0"]);
}

/// Appends the burial of the job that [`read_poison`] read. [`flight::read_burial`] reads the reply. Atomic.
pub fn bury_poison(scripts: &Scripts, queue: &QueueKeys, burial: &Burial<'_>, requests: &mut Requests) {
    flight::bury_from(scripts, &queue.poison, burial, requests);
}

/// Appends the question what a dead process last published. [`read_heartbeat_key`] reads the reply.
pub fn ask_figures(scripts: &Scripts, uuid: &str, requests: &mut Requests) {
    requests.command(&[b"GET", figures_key(scripts, uuid).as_bytes()]);
}

/// The key of the heartbeat of this process, from the reply to [`ask_figures`]; `None` if it does not say.
#[must_use]
pub fn read_heartbeat_key(reply: &Reply, keys: Keyspace, uuid: &str) -> Option<String> {
    let Value::Bulk(json) = reply.value() else { return None };
    let key = figures::parse(json).ok()?.heartbeat_key;
    Presence::is_key_of(keys, &key, uuid).then_some(key)
}

/// Appends the end of a dead process whose shards were all reaped: its lease, its figures and its heartbeat, if that is
/// known, are removed, unless it lives. The reply is 1 or 0. Atomic.
pub fn release(
    scripts: &Scripts,
    member: &str,
    uuid: &str,
    heartbeat: Option<&str>,
    requests: &mut Requests,
) {
    let figures = figures_key(scripts, uuid);
    let registry = scripts.realm().keys().names().registries.as_ref().map(|registries| registries.processes);
    let mut command = scripts.begin(Script::Release, 3 + usize::from(registry.is_some()), 1, requests);
    command.arg(scripts.realm().leases.as_bytes()).arg(figures.as_bytes());
    command.arg(heartbeat.unwrap_or(&figures).as_bytes());
    if let Some(registry) = registry {
        command.arg(registry.as_bytes());
    }
    command.arg(member.as_bytes());
}

/// In a cluster figures and heartbeat are elsewhere, and expire by themselves: nothing under the guard's name is there to be
/// removed.
fn figures_key(scripts: &Scripts, uuid: &str) -> String {
    let realm = scripts.realm();
    realm.guard().map_or_else(|| realm.keys().process(uuid), str::to_owned)
}
