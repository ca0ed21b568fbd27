//! The reaper: puts the in-flight jobs of dead processes back into their queues (P3), and poison out of the way (P4).
//!
//! With each renewal upkeep learns whose lease has ended and names those processes here, once this process has itself been
//! connected for the length of a lease: after an outage all leases have lapsed at once, and the living need up to that long
//! to renew. Shard by shard, one script each checks the lease again, moves the jobs and fences the shard. Several reapers
//! may work at the same time: each step is atomic and works on whatever is left.
//!
//! ```text
//!  in flight, process dead ─┬─ 1st recovery ────────► its queue, with all the others
//!                           ├─ 2nd, 3rd ─► suspects ► its queue, one by one
//!                           └─ 4th death ─► poison ─► dead set
//! ```
//! A job that kills its process is not alone in flight when it does. So that its neighbours do not share its fate, a job
//! that was recovered before is put back apart from the others: they run and are acked before it runs, or come after its
//! crash. Jobs that run for longer than these pauses alongside it, in the same process, at four deaths, are buried with it.
//!
//! Until its last list is empty the dead process keeps its lease: a reaper that dies in between leaves the rest to the
//! next.

use std::rc::Rc;

use super::actor::Actor;
use super::dead::Remains;
use super::link::ControlLink;
use super::poison;
use super::state::Control;
use crate::limits::{LEASE_SHARDS_MAX, QUEUES_MAX};
use crate::net::Error;
use crate::store::recovery::{self, Reaped, ReapedJobs};
use crate::store::turn::QueueKeys;
use crate::wire::lease::{self, Lease};

/// Starts the reaper of a duty.
pub(super) fn spawn(control: &Rc<Control>, duty: usize) -> Actor {
    Actor::spawn(run(Rc::clone(control), duty))
}

/// Reaps whenever dead processes are named. This is rare, so the connection is opened for it.
async fn run(control: Rc<Control>, duty: usize) {
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
    tracing::warn!(process = member, %error, "could not put back the jobs of a dead process yet; trying again within seconds");
}

async fn reap(
    control: &Control,
    duty: usize,
    link: &mut Option<ControlLink>,
    member: &str,
) -> Result<Option<Remains>, Error> {
    let Some(lease) = lease::parse_lease_member(member).filter(is_sane) else {
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
        let queues: Vec<QueueKeys> = lease
            .queues
            .iter()
            .map(|queue| QueueKeys::new(control.options.keys, queue, lease.uuid, shard))
            .collect();
        loop {
            let replies =
                link.call(|scripts, requests| recovery::reap(scripts, member, &queues, requests)).await?;
            match replies.first().map(recovery::read_reaped).transpose()? {
                Some(Reaped::Jobs(jobs)) => remains.jobs += jobs,
                Some(Reaped::Alive | Reaped::Gone) | None => return Ok(None),
            }
            // Each call takes one at least, so it ends.
            if !remains.jobs.more {
                break;
            }
        }
        remains.queues.extend(queues);
    }
    let ReapedJobs { back: jobs, suspects, poison, .. } = remains.jobs;
    let uuid = lease.uuid;
    control.options.published.recovered.add(jobs + suspects);
    control.options.published.poison.add(poison);
    if control.duties[duty].dead.is_new(member) {
        tracing::warn!(uuid, jobs, suspects, poison, "a process died; its jobs are back in their queues");
    } else {
        tracing::debug!(uuid, jobs, suspects, poison, "suspects of a dead process wait to be put back");
    }
    Ok(Some(remains))
}

/// Buries the poison, frees the suspects, and forgets the process if nothing of it is left: nobody lists it any more, as a
/// Ruby server or otherwise.
async fn settle(
    control: &Control,
    duty: usize,
    link: &mut Option<ControlLink>,
    remains: &Remains,
) -> Result<(), Error> {
    let link = opened(control, duty, link).await?;
    // A dead set that refuses entries does not concern the suspects.
    let buried = poison::bury(control, &control.duties[duty].options.clock, link, remains).await;
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
    let published = link.call(|scripts, requests| recovery::ask_figures(scripts, uuid, requests)).await?;
    let heartbeat =
        published.first().and_then(|reply| recovery::read_heartbeat_key(reply, control.options.keys, uuid));
    let heartbeat = heartbeat.as_deref();
    link.call(|scripts, requests| recovery::release(scripts, member, uuid, heartbeat, requests)).await?;
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
