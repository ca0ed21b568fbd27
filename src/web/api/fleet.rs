//! `summary`, `queues`, `processes` and `pauses`, as the commands print them, of at most so many queues and processes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::answer::ApiError;
use crate::acts;
use crate::limits::{
    API_RUNNING_JOBS_MAX, CRON_LIST_PAGE, CRON_SUMMARY_MAX, FLEET_QUEUES_MAX, PAGE_PROCESSES_MAX,
};
use crate::resp::{self, RedisErrorKind};
use crate::view::gem_summary::{GemSummary, Periodic};
use crate::view::member::{Member, Members};
use crate::view::queue::{Pauses, Queues};
use crate::web::pages::{Desk, DeskError, Open, Patience, periodic_names, periodic_rows};
use crate::wire::Realm;

/// How many are not in an answer.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct LeftOut {
    #[serde(skip_serializing_if = "is_none")]
    queues: usize,
    #[serde(skip_serializing_if = "is_none")]
    processes: usize,
    /// Running ones.
    #[serde(skip_serializing_if = "is_none")]
    jobs: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_none(number: &usize) -> bool {
    *number == 0
}

pub(super) async fn summary(desk: &Desk) -> Result<Vec<u8>, ApiError> {
    let mut summary = desk.summary().await?;
    let periodic = desk.with(async |open, patience| periodic(desk, open, patience).await).await?;
    let mut left =
        LeftOut { processes: cut(&mut summary.processes, PAGE_PROCESSES_MAX), ..LeftOut::default() };
    let lengths = summary.queues.iter().map(|(name, jobs)| (*jobs, name.as_str()));
    if let Some(shortest) = shortest(lengths.collect()) {
        left.queues = shortest.len();
        summary.queues.retain(|name, _| !shortest.contains(name));
    }
    write(&GemSummary::of(&summary, periodic.as_ref()), &left)
}

pub(super) async fn queues(desk: &Desk) -> Result<Vec<u8>, ApiError> {
    let summary = desk.summary().await?;
    let mut shown = Queues::of(&summary);
    let mut left = LeftOut::default();
    let lengths = shown.queues.iter().map(|queue| (queue.jobs, queue.name));
    if let Some(shortest) = shortest(lengths.collect()) {
        left.queues = shortest.len();
        shown.queues.retain(|queue| !shortest.contains(queue.name));
    }
    write(&shown, &left)
}

pub(super) async fn processes(desk: &Desk) -> Result<Vec<u8>, ApiError> {
    let mut summary = desk.summary().await?;
    let mut left =
        LeftOut { processes: cut(&mut summary.processes, PAGE_PROCESSES_MAX), ..LeftOut::default() };
    let mut members = Members::of(&summary);
    left.jobs = cut_jobs(&mut members.processes, API_RUNNING_JOBS_MAX);
    write(&members, &left)
}

/// Leaves so many running jobs, as many of each process as fit alike; returns how many were cut.
fn cut_jobs(members: &mut [Member], most: usize) -> usize {
    let all = |members: &[Member]| members.iter().map(|member| member.jobs.len()).sum::<usize>();
    let before = all(members);
    if before > most {
        let each = most / members.len().max(1);
        members.iter_mut().for_each(|member| member.jobs.truncate(each));
    }
    before - all(members)
}

pub(super) async fn pauses(desk: &Desk) -> Result<Vec<u8>, ApiError> {
    let paused = desk.summary().await?.paused;
    write(&Pauses { queues: &paused.queues, classes: &paused.classes }, &LeftOut::default())
}

/// Leaves the first entries; returns how many were cut.
fn cut<V>(map: &mut BTreeMap<String, V>, most: usize) -> usize {
    let left = map.len().saturating_sub(most);
    if let Some(first) = map.keys().nth(most).cloned() {
        map.split_off(&first);
    }
    left
}

/// The names of all but the longest [`FLEET_QUEUES_MAX`]; `None`: there are no more.
fn shortest(mut lengths: Vec<(u64, &str)>) -> Option<BTreeSet<String>> {
    if lengths.len() <= FLEET_QUEUES_MAX {
        return None;
    }
    lengths.sort_unstable_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(other.1)));
    Some(lengths[FLEET_QUEUES_MAX..].iter().map(|(_, name)| (*name).to_owned()).collect())
}

/// Writes an object, with how much is not in it, if anything.
fn write(value: &impl Serialize, left: &LeftOut) -> Result<Vec<u8>, ApiError> {
    let mut body = serde_json::to_vec(value).map_err(std::io::Error::from)?;
    if *left != LeftOut::default() {
        // Every form here is an object with members.
        body.pop();
        body.extend_from_slice(b",\"left_out\":");
        serde_json::to_writer(&mut body, left).map_err(std::io::Error::from)?;
        body.push(b'}');
    }
    body.push(b'\n');
    Ok(body)
}

/// The periodic jobs; `None` if there are not any, or the user of Redis may not read them.
async fn periodic(desk: &Desk, open: &mut Open, patience: &Patience) -> Result<Option<Periodic>, DeskError> {
    let realm = desk.source().keys.shared_realm();
    let mut periodic = Periodic::default();
    match note(&mut periodic, &realm, open, patience).await {
        Err(DeskError::Act(acts::Error::Reply(resp::Error::Redis(error)))) => match error.kind() {
            RedisErrorKind::NoPerm => return Ok(None),
            // One spoilt key does not hide all the rest.
            RedisErrorKind::WrongType => periodic.trouble = Some(error.to_string()),
            _ => return Err(resp::Error::from(error).into()),
        },
        done => done?,
    }
    Ok((periodic.entries > 0 || periodic.trouble.is_some()).then_some(periodic))
}

async fn note(
    periodic: &mut Periodic,
    realm: &Realm,
    open: &mut Open,
    patience: &Patience,
) -> Result<(), DeskError> {
    let names = periodic_names(realm, open, patience).await?;
    periodic.entries = names.len();
    for page in names[..names.len().min(CRON_SUMMARY_MAX)].chunks(CRON_LIST_PAGE) {
        periodic.note(&periodic_rows(realm, page, open, patience).await?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::survey::Process;

    #[test]
    fn the_longest_queues_are_left_and_what_is_not_is_counted() {
        let names: Vec<String> = (0..FLEET_QUEUES_MAX + 2).map(|number| format!("q{number:04}")).collect();
        let lengths = || names.iter().enumerate().map(|(jobs, name)| (jobs as u64, name.as_str()));
        assert_eq!(shortest(lengths().take(FLEET_QUEUES_MAX).collect()), None);
        let shortest = shortest(lengths().collect()).unwrap();
        assert_eq!(shortest, ["q0000".to_owned(), "q0001".to_owned()].into());
        let mut map = [("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)].into();
        assert_eq!((cut(&mut map, 3), map.len()), (0, 3));
        assert_eq!((cut(&mut map, 1), map.keys().next().map(String::as_str)), (2, Some("a")));
        let written = write(&map, &LeftOut { queues: 2, ..LeftOut::default() }).unwrap();
        assert_eq!(written, b"{\"a\":1,\"left_out\":{\"queues\":2}}\n");
        assert_eq!(write(&map, &LeftOut::default()).unwrap(), b"{\"a\":1}\n");
    }

    #[test]
    fn of_too_many_running_jobs_each_process_shows_as_many() {
        let key = "jiggler:svr:d8625f8721eb:3:25:default:1:1795299901:8066:vm";
        let job = |number: u32| {
            format!(
                r#""p{number}":{{"job_args":{{"name":"J","jid":"{number}"}},"queue":null,"started_at":1.5}}"#
            )
        };
        let member = |jobs: u32| {
            let jobs = (0..jobs).map(job).collect::<Vec<_>>().join(",");
            let value = format!(r#"{{"heartbeat":1.5,"rss":1,"current_jobs":{{{jobs}}}}}"#);
            Member::of(&Process::read(key, value.as_bytes()).unwrap())
        };
        let mut members = [member(4), member(1), member(9)];
        assert_eq!(cut_jobs(&mut members, 14), 0);
        assert_eq!(cut_jobs(&mut members, 9), 7);
        assert_eq!(members.map(|member| member.jobs.len()), [3, 1, 3]);
    }
}
