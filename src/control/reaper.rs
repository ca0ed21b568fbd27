//! The reaper: puts the in-flight jobs of dead processes back into their queues (P3).
//!
//! Upkeep learns with each renewal whose lease has ended and names them here, once this process has itself been connected
//! for a whole lease: after an outage all leases have lapsed at once, and the living need that long at most to renew.
//! Shard by shard, one script each looks again at the lease, moves the jobs and fences the shard. Several reapers may be
//! at it at once; each step is atomic and finds what is left.
//!
//! Known weakness: recoveries are not counted yet, so a job that kills its process is recovered without end (P4).

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

use super::Control;
use super::link::ControlLink;
use crate::event::Event;
use crate::limits::{DEAD_PROCESSES_MAX, LEASE_SHARDS_MAX, QUEUES_MAX, UNKNOWN_LEASES_MAX};
use crate::resp::Error;
use crate::store::recovery::{self, Reaped};
use crate::store::turn::QueueKeys;
use crate::wire::keys::{self, Lease};

/// Members of the lease set whose lease has ended, waiting to be reaped.
#[derive(Default)]
pub(super) struct Dead {
    members: RefCell<VecDeque<String>>,
    /// Members of another form than ours, at most [`UNKNOWN_LEASES_MAX`]: each was said.
    unknown: RefCell<HashSet<String>>,
    pub(super) named: Event,
}

impl Dead {
    /// Names dead processes. Those that do not fit, or wait already, are named again by the next renewal.
    pub(super) fn name(&self, members: Vec<String>) {
        let mut waiting = self.members.borrow_mut();
        for member in members {
            if waiting.len() < self.names_wanted() && !waiting.contains(&member) {
                waiting.push_back(member);
            }
        }
        drop(waiting);
        self.named.raise();
    }

    /// How many names a renewal should ask for: unknown members stay, and must not take the places of dead processes.
    pub(super) fn names_wanted(&self) -> usize {
        DEAD_PROCESSES_MAX + self.unknown.borrow().len()
    }

    fn next(&self) -> Option<String> {
        self.members.borrow_mut().pop_front()
    }

    /// Says that a member is of an unknown form: once, for it will be named again by each renewal.
    fn complain(&self, member: &str) {
        let mut unknown = self.unknown.borrow_mut();
        if unknown.len() < UNKNOWN_LEASES_MAX && unknown.insert(member.to_owned()) {
            tracing::error!(member, "an unknown kind of member stands in the lease set; remove it with ZREM");
        }
    }
}

/// Reaps whenever dead processes are named. Rare, so the connection is opened for it.
pub(super) async fn run(control: Rc<Control>) {
    loop {
        control.dead.named.wait().await;
        let mut link = None;
        while let Some(member) = control.dead.next() {
            if let Err(error) = reap(&control, &mut link, &member).await {
                // The next renewal names the process again.
                tracing::warn!(process = member, %error, "the jobs of a dead process could not be put back yet");
                break;
            }
        }
    }
}

async fn reap(control: &Control, link: &mut Option<ControlLink>, member: &str) -> Result<(), Error> {
    let Some(lease) = keys::parse_lease_member(member).filter(is_sane) else {
        control.dead.complain(member);
        return Ok(());
    };
    let link = match link {
        Some(link) => link,
        None => link.insert(ControlLink::open(control, "reaper").await?),
    };
    let mut jobs = 0;
    for shard in 0..lease.shards {
        let queues: Vec<QueueKeys> =
            lease.queues.iter().map(|queue| QueueKeys::new(queue, lease.uuid, shard)).collect();
        let replies =
            link.call(|scripts, requests| recovery::reap(scripts, member, &queues, requests)).await?;
        match replies.first().map(recovery::read_reaped).transpose()? {
            Some(Reaped::Jobs(count)) => jobs += count,
            Some(Reaped::Alive | Reaped::Gone) | None => return Ok(()),
        }
    }
    link.call(|scripts, requests| recovery::release(scripts, member, lease.uuid, requests)).await?;
    tracing::warn!(uuid = lease.uuid, jobs, "a process died; its jobs are back in their queues");
    Ok(())
}

/// Whether a process of ours can have written it.
fn is_sane(lease: &Lease<'_>) -> bool {
    (1..=LEASE_SHARDS_MAX).contains(&lease.shards) && (1..=QUEUES_MAX).contains(&lease.queues.len())
}
