//! The reaper: puts the in-flight jobs of dead processes back into their queues (P3), and poison out of the way (P4).
//!
//! Upkeep learns with each renewal whose lease has ended and names them here, once this process has itself been connected
//! for a whole lease: after an outage all leases have lapsed at once, and the living need that long at most to renew.
//! Shard by shard, one script each looks again at the lease, moves the jobs and fences the shard. Several reapers may be
//! at it at once; each step is atomic and finds what is left.
//!
//! ```text
//!  in flight, process dead ─┬─ 1st recovery ────────► its queue, with all the others
//!                           ├─ 2nd, 3rd ─► suspects ► its queue, one by one
//!                           └─ 4th death ─► poison ─► dead set
//! ```
//! A job that kills its process is not alone in flight when it does. So that those near it do not share its fate, a job
//! recovered before is put back apart from the others: they run and are acked before it runs, or come after its crash. Jobs
//! that run for longer than these pauses beside it, in the same process, at four deaths, are buried with it.
//!
//! Until its last list is empty the dead process keeps its lease: a reaper that dies in between leaves the rest to the next.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

use super::Control;
use super::link::ControlLink;
use super::poison;
use crate::event::Event;
use crate::limits::{DEAD_PROCESSES_MAX, DEBUG_BYTES_MAX, LEASE_SHARDS_MAX, QUEUES_MAX, UNKNOWN_LEASES_MAX};
use crate::resp::Error;
use crate::store::recovery::{self, Reaped, ReapedJobs};
use crate::store::turn::QueueKeys;
use crate::wire::keys::{self, Lease};

/// Members of the lease set whose lease has ended, waiting to be reaped.
#[derive(Default)]
pub(super) struct Dead {
    members: RefCell<VecDeque<String>>,
    /// Members of another form than ours, at most [`UNKNOWN_LEASES_MAX`]: each was said.
    unknown: RefCell<HashSet<Vec<u8>>>,
    /// Members that were reaped and not released yet, at most [`DEAD_PROCESSES_MAX`]: each was said.
    unsettled: RefCell<VecDeque<String>>,
    /// Whether it was said that the lease set is none.
    leases_are_spoilt: Cell<bool>,
    pub(super) named: Event,
}

impl Dead {
    /// Names dead processes. Those that do not fit, or wait already, are named again by the next renewal.
    pub(super) fn name(&self, members: Vec<Vec<u8>>) {
        let mut waiting = self.members.borrow_mut();
        for member in members {
            let member = match String::from_utf8(member) {
                Ok(member) => member,
                Err(error) => {
                    self.complain(error.as_bytes());
                    continue;
                }
            };
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

    /// Whether the process was not reaped before, as far as is remembered.
    fn is_new(&self, member: &str) -> bool {
        let mut unsettled = self.unsettled.borrow_mut();
        if unsettled.iter().any(|known| known == member) {
            return false;
        }
        if unsettled.len() == DEAD_PROCESSES_MAX {
            unsettled.pop_front();
        }
        unsettled.push_back(member.to_owned());
        true
    }

    /// Says that the key of the leases is no set: once, for it will be so at each renewal.
    pub(super) fn complain_of_leases(&self, key: &str) {
        if !self.leases_are_spoilt.replace(true) {
            tracing::error!(
                key,
                "a key is spoilt: it is no set of leases, so jobs of processes that die stay in flight; all else goes on"
            );
        }
    }

    /// Says that a member is of an unknown form: once, for it will be named again by each renewal.
    fn complain(&self, member: &[u8]) {
        let mut unknown = self.unknown.borrow_mut();
        if unknown.len() < UNKNOWN_LEASES_MAX && unknown.insert(member.to_owned()) {
            let member = member[..member.len().min(DEBUG_BYTES_MAX)].escape_ascii();
            tracing::error!(
                %member,
                "an unknown kind of member stands in the lease set; remove it with ZREM"
            );
        }
    }
}

/// A dead process whose shards are fenced: what is left to do for its jobs.
pub(super) struct Remains {
    member: String,
    uuid: String,
    /// The keys of each queue of each shard.
    pub(super) queues: Vec<QueueKeys>,
    pub(super) jobs: ReapedJobs,
}

/// Reaps whenever dead processes are named. Rare, so the connection is opened for it.
pub(super) async fn run(control: Rc<Control>, duty: usize) {
    loop {
        control.duties[duty].dead.named.wait().await;
        let mut link = None;
        let mut remains = Vec::new();
        while let Some(member) = control.duties[duty].dead.next() {
            match reap(&control, duty, &mut link, &member).await {
                Ok(found) => remains.extend(found),
                Err(error) => {
                    complain(&member, &error);
                    if !matches!(error, Error::Redis(_)) {
                        break;
                    }
                }
            }
        }
        // What may take its time comes after all that can go back at once.
        for remains in remains {
            if let Err(error) = settle(&control, duty, &mut link, &remains).await {
                complain(&remains.member, &error);
                if !matches!(error, Error::Redis(_)) {
                    break;
                }
            }
        }
    }
}

fn complain(member: &str, error: &Error) {
    // The next renewal names the process again.
    tracing::warn!(process = member, %error, "the jobs of a dead process could not be put back yet");
}

async fn reap(
    control: &Control,
    duty: usize,
    link: &mut Option<ControlLink>,
    member: &str,
) -> Result<Option<Remains>, Error> {
    let Some(lease) = keys::parse_lease_member(member).filter(is_sane) else {
        control.duties[duty].dead.complain(member.as_bytes());
        return Ok(None);
    };
    let link = opened(control, duty, link).await?;
    let mut remains = Remains {
        member: member.to_owned(),
        uuid: lease.uuid.to_owned(),
        queues: Vec::new(),
        jobs: ReapedJobs::default(),
    };
    for shard in 0..lease.shards {
        let queues: Vec<QueueKeys> =
            lease.queues.iter().map(|queue| QueueKeys::new(queue, lease.uuid, shard)).collect();
        let replies =
            link.call(|scripts, requests| recovery::reap(scripts, member, &queues, requests)).await?;
        match replies.first().map(recovery::read_reaped).transpose()? {
            Some(Reaped::Jobs(jobs)) => remains.jobs += jobs,
            Some(Reaped::Alive | Reaped::Gone) | None => return Ok(None),
        }
        remains.queues.extend(queues);
    }
    let ReapedJobs { back: jobs, suspects, poison, .. } = remains.jobs;
    let uuid = lease.uuid;
    if control.duties[duty].dead.is_new(member) {
        tracing::warn!(uuid, jobs, suspects, poison, "a process died; its jobs are back in their queues");
    } else {
        tracing::debug!(uuid, jobs, suspects, poison, "suspects of a dead process wait to be put back");
    }
    Ok(Some(remains))
}

/// Lets the suspects go, buries the poison, and forgets the process if nothing of it is left.
async fn settle(
    control: &Control,
    duty: usize,
    link: &mut Option<ControlLink>,
    remains: &Remains,
) -> Result<(), Error> {
    let link = opened(control, duty, link).await?;
    // A dead set that takes nothing is nothing to the suspects.
    let buried = poison::bury(control, link, remains).await;
    if !poison::free_suspects(link, remains).await? {
        return Ok(());
    }
    buried?;
    let Remains { member, uuid, jobs, .. } = remains;
    if !jobs.broken.is_empty() {
        let key = &*jobs.broken;
        tracing::error!(key, uuid, "jobs of a dead process stay in flight: this key is spoilt");
        return Ok(());
    }
    link.call(|scripts, requests| recovery::release(scripts, member, uuid, requests)).await?;
    Ok(())
}

async fn opened<'l>(
    control: &Control,
    duty: usize,
    link: &'l mut Option<ControlLink>,
) -> Result<&'l mut ControlLink, Error> {
    Ok(match link {
        Some(link) => link,
        None => link.insert(ControlLink::open(control, duty, "reaper").await?),
    })
}

/// Whether a process of ours can have written it.
fn is_sane(lease: &Lease<'_>) -> bool {
    (1..=LEASE_SHARDS_MAX).contains(&lease.shards) && (1..=QUEUES_MAX).contains(&lease.queues.len())
}
