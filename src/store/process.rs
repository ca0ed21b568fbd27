//! What a process publishes about itself: heartbeat, lease, figures of its shards.

use std::time::Duration;

use super::scripts::{Script, Scripts};
use super::turn::QueueKeys;
use crate::limits::FIGURES_INTERVAL_MAX;
use crate::resp::{Error, Reply, Requests};
use crate::wire::{Presence, Realm};

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
    /// Its figures, if they should be written.
    pub figures: Option<&'a str>,
    /// How long it counts as living from now on, in seconds.
    pub ttl_s: u64,
}

/// Appends a process's report: its heartbeat, the end of the previous one, its figures. Each is answered by `OK` or an
/// integer.
pub fn announce(announcement: &Announcement<'_>, requests: &mut Requests) {
    let Announcement { presence, before, now, rss_kb, figures, ttl_s } = *announcement;
    set(presence.heartbeat_key(), &presence.heartbeat(now, rss_kb), ttl_s, requests);
    if let Some(before) = before {
        withdraw(before, requests);
    }
    if let Some(figures) = figures {
        // They are written less often, and tell that the heartbeat is one of ours: without them it looks like Ruby's.
        set(presence.figures_key(), figures, ttl_s + FIGURES_INTERVAL_MAX.as_secs(), requests);
    }
}

fn set(key: &str, value: &str, ttl_s: u64, requests: &mut Requests) {
    let mut command = requests.begin(5);
    command.arg(b"SET").arg(key.as_bytes()).arg(value.as_bytes()).arg(b"EX").arg_u64(ttl_s);
}

/// Appends the end of the heartbeat of a process that now shows itself differently; its figures stay. The reply is an
/// integer.
pub fn withdraw(presence: &Presence, requests: &mut Requests) {
    requests.command(&[b"DEL", presence.heartbeat_key().as_bytes()]);
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

/// Appends the end of a process: its heartbeat and figures are removed. Each is answered by an integer.
pub fn farewell(presence: &Presence, requests: &mut Requests) {
    requests.command(&[b"DEL", presence.heartbeat_key().as_bytes()]);
    requests.command(&[b"DEL", presence.figures_key().as_bytes()]);
}

/// Appends the end of a lease in a realm: its process holds no job there. The reply is an integer.
pub fn give_up_lease(realm: &Realm, member: &str, requests: &mut Requests) {
    requests.command(&[b"ZREM", realm.leases.as_bytes(), member.as_bytes()]);
}
