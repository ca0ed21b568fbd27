//! Why a job that was just pushed, or that a periodic job will push, may not run, as far as the processes say: none is
//! there, none serves its queue, or none that does has a handler of that name. And that a queue which was paused or looked
//! at is served by none, so that its name may be misspelt.
//!
//! A hint costs a bounded number of round trips and is left out if it cannot be had. A user with a name of its own gets
//! none: a producer need not have the right to look for processes, and being denied would show in the log of Redis. Ruby
//! servers, and processes with very many handlers, do not say what they run.

use super::{database::Database, error::Error, nodes};
use crate::{
    foreign::Foreign,
    limits::{HINT_LOOKS_MAX, HINT_QUEUES_MAX},
    net::blocking::{BlockingConnection, BlockingOptions},
    store::survey::{Scope, Summary, Survey},
    view::member::{Member, Members},
    wire::{QueueName, heartbeat_key::split_queues},
};

/// How similar a name must be to be what was meant: swapped or missing letters of a short name.
const SIMILAR_MIN: f64 = 0.8;

/// The hint for a job with this name in this queue, if there is one.
pub(super) fn of(db: &Database, name: &str, queue: &QueueName) -> Option<String> {
    about(&members(db)?, name, queue.as_str())
}

/// The hint about a queue that was named and that no process serves, if others are served: it may be misspelt.
pub(super) fn of_queue(db: &Database, queue: &str) -> Option<String> {
    unserved(&members(db)?, queue)
}

fn unserved(members: &[Member], queue: &str) -> Option<String> {
    let queues = queues(members);
    if queues.is_empty() || queues.contains(&queue) {
        return None;
    }
    let meant = did_you_mean(queue, queues.iter().copied());
    Some(format!("no process serves queue {}{}{meant}", Foreign::cell(queue), served(members)))
}

/// What is most similar to a name, if anything is.
fn did_you_mean<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let similar = known.map(|known| (strsim::jaro_winkler(known, name), known));
    let closest =
        similar.max_by(|one, other| one.0.total_cmp(&other.0)).filter(|(how, _)| *how >= SIMILAR_MIN);
    closest.map_or_else(String::new, |(_, known)| format!("; did you mean {}?", Foreign::cell(known)))
}

/// All processes; `None` if they cannot be had, or this user is not to ask for them.
fn members(db: &Database) -> Option<Vec<Member>> {
    if db.url.credentials().is_some_and(|credentials| credentials.username.is_some()) {
        return None;
    }
    let found = processes(db).ok().flatten()?;
    Some(Members::of(&found).processes)
}

/// All processes; `None` if the database has too many keys to look for them.
fn processes(db: &Database) -> Result<Option<Summary>, Error> {
    let mut whole = Summary::default();
    for node in nodes::each(&db.url, &BlockingOptions::default())? {
        let mut conn = BlockingConnection::connect(&node)?;
        let mut survey = Survey::once(Scope::Processes, db.keys);
        let mut looks = 0;
        while nodes::look(&mut conn, &mut survey)? {
            looks += 1;
            if looks >= HINT_LOOKS_MAX && !survey.is_complete() {
                return Ok(None);
            }
        }
        whole.add(survey.finish());
    }
    Ok(Some(whole))
}

fn about(members: &[Member], name: &str, queue: &str) -> Option<String> {
    if members.is_empty() {
        return Some(format!("no worker is running on this redis: jobs in queue {queue} wait for one"));
    }
    let takes = |member: &&Member| member.phase == "running";
    let serves = |member: &&Member| split_queues(&member.queues).iter().any(|served| served.name == queue);
    let serving: Vec<&Member> = members.iter().filter(takes).filter(serves).collect();
    if serving.is_empty() {
        return Some(format!("no process takes jobs from queue {queue}{}", served(members)));
    }
    let known: Option<Vec<&[String]>> = serving.iter().map(|member| member.names.as_deref()).collect();
    let known: Vec<&String> = known?.into_iter().flatten().collect();
    if known.iter().any(|known| *known == name) {
        return None;
    }
    let meant = did_you_mean(name, known.iter().map(|known| known.as_str()));
    let name = Foreign::cell(name);
    Some(format!("no process that takes jobs from queue {queue} has a handler for {name}{meant}"))
}

/// The queues that are served, each once.
fn queues(members: &[Member]) -> Vec<&str> {
    let mut queues: Vec<&str> =
        members.iter().flat_map(|member| split_queues(&member.queues)).map(|served| served.name).collect();
    queues.sort_unstable();
    queues.dedup();
    queues
}

/// Which queues are served, for a line.
fn served(members: &[Member]) -> String {
    let mut queues = queues(members);
    let more = queues.len().saturating_sub(HINT_QUEUES_MAX);
    queues.truncate(HINT_QUEUES_MAX);
    let shown: Vec<String> = queues.iter().map(|queue| Foreign::cell(queue).to_string()).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; served: {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::survey::Process, wire::figures};

    fn member(queues: &str, figures_json: Option<&str>) -> Member {
        let key = format!("jiggler:svr:d8625f8721eb:3:25:{queues}:1:1795299901:8066:vm");
        let mut process = Process::read(&key, b"{}").unwrap();
        process.figures = figures_json.map(|json| figures::parse(json.as_bytes()).unwrap());
        Member::of(&process)
    }

    #[test]
    fn a_job_that_nobody_can_run_is_said_to_wait() {
        let knows =
            member("default,0,img,1", Some(r#"{"phase":"running","shards":[],"names":["Noop","Sleep"]}"#));
        let quiet = member("mails", Some(r#"{"phase":"quiet","shards":[],"names":["Noop"]}"#));
        let older = member("default", Some(r#"{"phase":"running","shards":[]}"#));
        let ruby = member("default", None);
        let said = |members: &[&Member], name: &str, queue: &str| {
            about(&members.iter().map(|member| (*member).clone()).collect::<Vec<_>>(), name, queue)
        };
        assert_eq!(said(&[&knows], "Noop", "img"), None);
        let hint = said(&[&knows], "Nopo", "img").unwrap();
        assert_eq!(
            hint,
            "no process that takes jobs from queue img has a handler for Nopo; did you mean Noop?"
        );
        assert!(said(&[&knows], "Resize", "img").unwrap().ends_with("for Resize"));
        for silent in [&ruby, &older] {
            assert_eq!(said(&[&knows, silent], "Nopo", "default"), None, "nobody can tell");
        }
        let hint = said(&[&knows, &quiet], "Noop", "mails").unwrap();
        assert_eq!(hint, "no process takes jobs from queue mails; served: default, img, mails");
        assert!(said(&[], "Noop", "img").unwrap().contains("no worker is running"));
    }

    #[test]
    fn a_queue_that_nobody_serves_is_compared_with_those_that_are() {
        let members = [member("default,0,img,1", None)];
        assert_eq!(
            unserved(&members, "defalt").unwrap(),
            "no process serves queue defalt; served: default, img; did you mean default?"
        );
        assert!(unserved(&members, "xyz").unwrap().ends_with("served: default, img"));
        assert_eq!((unserved(&members, "img"), unserved(&[], "defalt")), (None, None));
    }
}
