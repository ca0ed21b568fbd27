//! What the dead set has room for. The workers trim it, by their configuration; a command that did so by its own would delete
//! what nobody has told it to.

use super::{Action, Excess};
use crate::{
    admin::{Error, nodes, session::Session},
    resp::url::RedisUrl,
    store::{
        entries::{Place, Set},
        operate::DeadSetCaps,
        survey::Scope,
    },
};

/// What the workers that run say they keep: the most, if they differ. `own` where none says anything.
pub(super) fn caps_of_fleet(url: &RedisUrl, own: DeadSetCaps) -> Result<DeadSetCaps, Error> {
    let found = nodes::survey(url, Scope::Processes)?;
    let figures = found.processes.values().filter_map(|process| process.figures.as_ref());
    let said = figures.filter(|figures| figures.dead_jobs_max > 0);
    let most = said.fold(None, |most: Option<DeadSetCaps>, figures| {
        let (jobs_max, timeout_s) = most.map_or((0, 0), |most| (most.jobs_max, most.timeout_s));
        Some(DeadSetCaps {
            jobs_max: jobs_max.max(figures.dead_jobs_max),
            timeout_s: timeout_s.max(figures.dead_timeout_s),
        })
    });
    Ok(most.unwrap_or(own))
}

/// Refuses to move so many jobs to the dead set if they are more than it has room for, unless it is to be trimmed.
pub(super) fn check(session: &mut Session, action: Action, jobs: u64) -> Result<(), Error> {
    let Action::Kill(DeadSetCaps { jobs_max, .. }, Excess::Refuse) = action else { return Ok(()) };
    let entries = session.size(&Place::Set(Set::Dead))?;
    if jobs > 0 && entries.saturating_add(jobs) > jobs_max {
        return Err(Error::DeadSetFull { entries, jobs, jobs_max });
    }
    Ok(())
}
