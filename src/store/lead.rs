//! Leads: some work is for only one process of a fleet.
//!
//! A lead spares double work and no more: it may lapse while its holder is paused, so what is done under it must be safe to
//! do twice. `control` decides when to ask for it, renew it and give it up.
//!
//! The pollers' lead is a key with a time to live that holds the uuid of the process that leads. It is taken by the script
//! that moves due jobs ([`due::move_due`](super::due::move_due)), which saves a round trip at each look; [`renew`] and
//! [`resign`] are separate steps, each atomic. The lead for the lists of Ruby servers needs no key: the first by name of
//! the processes with a lease has it ([`ask_first`]).

use std::time::Duration;

use super::scripts::{Script, Scripts};
use crate::limits::LEASE;
use crate::resp::{Error, Reply, Requests};

/// How long a lead lasts from now on, as Redis counts it.
#[must_use]
pub fn millis(lasts: Duration) -> u64 {
    u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX)
}

/// Appends the question whether the process is the first of those with a lease. [`read_first`] reads the reply. Atomic.
///
/// Called by its text rather than by hash: a few calls a minute in a whole fleet do not justify loading it into each
/// connection of each shard.
pub fn ask_first(leases: &str, uuid: &str, requests: &mut Requests) {
    let mut command = requests.begin(6);
    command.arg(b"EVAL").arg(include_bytes!("scripts/ruby_lead.lua")).arg_u64(1);
    command.arg(leases.as_bytes()).arg(uuid.as_bytes()).arg_u64(millis(LEASE));
}

/// Whether the process that asked leads.
///
/// # Errors
/// If the reply to [`ask_first`] is an error, or not an integer.
pub fn read_first(reply: &Reply) -> Result<bool, Error> {
    Ok(reply.as_integer()? == 1)
}

/// Appends the renewal of a lead by the process that, as far as it knows, has it: one plain command. [`read_renewed`] reads
/// the reply. If another has taken the lead meanwhile, it is the other's lead that is renewed, once.
pub fn renew(key: &str, lasts: Duration, requests: &mut Requests) {
    requests.begin(4).arg(b"GETEX").arg(key.as_bytes()).arg(b"PX").arg_u64(millis(lasts));
}

/// Whether the process leads, from the reply to [`renew`].
///
/// # Errors
/// If the reply is an error, or not a string.
pub fn read_renewed(reply: &Reply, uuid: &str) -> Result<bool, Error> {
    Ok(reply.as_nil_or_bulk()? == Some(uuid.as_bytes()))
}

/// Appends the end of a lead, if this process has it. The reply is 1 or 0. Atomic.
pub fn resign(scripts: &Scripts, key: &str, uuid: &str, requests: &mut Requests) {
    let mut command = scripts.begin(Script::Resign, 1, 1, requests);
    command.arg(key.as_bytes()).arg(uuid.as_bytes());
}
