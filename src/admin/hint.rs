//! Why a job that was just pushed, or that a periodic job will push, may not run, as far as the processes say: none is
//! there, none serves its queue, or none that does has a handler of that name.
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
    if db.url.credentials().is_some_and(|credentials| credentials.username.is_some()) {
        return None;
    }
    let found = processes(db).ok().flatten()?;
    about(&Members::of(&found).processes, name, queue.as_str())
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
    let similar = known.iter().map(|known| (strsim::jaro_winkler(known, name), known));
    let closest =
        similar.max_by(|one, other| one.0.total_cmp(&other.0)).filter(|(how, _)| *how >= SIMILAR_MIN);
    let meant =
        closest.map_or_else(String::new, |(_, known)| format!("; did you mean {}?", Foreign::cell(known)));
    let name = Foreign::cell(name);
    Some(format!("no process that takes jobs from queue {queue} has a handler for {name}{meant}"))
}

/// Which queues are served.
fn served(members: &[Member]) -> String {
    let mut queues: Vec<&str> =
        members.iter().flat_map(|member| split_queues(&member.queues)).map(|served| served.name).collect();
    queues.sort_unstable();
    queues.dedup();
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
}
