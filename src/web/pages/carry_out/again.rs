//! Pushing a job as a new one.

use super::{Broken, Link, Report, Text, Verb, Work, count, patience};
use crate::acts::look::Look;
use crate::job::anew::anew;
use crate::store::enqueue::{Push, When, pushed};
use crate::store::entries::{Place, Set};
use crate::view::entry::JobEntry;
use crate::web::pages::job::near_query;
use crate::wire::QueueName;

/// What the form asks for.
pub(super) struct Wish<'w> {
    pub(super) set: Set,
    pub(super) id: &'w str,
    pub(super) near: u64,
    pub(super) args: Option<&'w str>,
    pub(super) removes: bool,
}

/// The round trips of a look for it, and one for the push; then those of its deletion. What is pushed is there before
/// anything is deleted.
pub(super) async fn again(
    work: &Work,
    link: &mut Link,
    wish: Wish<'_>,
    report: &mut Report,
) -> Result<(), Broken> {
    let (place, schema) = (Place::Set(wish.set), work.source.schema);
    let query = near_query(&place, wish.id, wish.near);
    let mut look = Look::new(&query, schema, 1);
    let mut found = None;
    while found.is_none() && work.step(link, &mut look, report).await? {
        found = look.take().into_iter().next();
    }
    let Some(entry) = found else {
        if !report.is_stopped {
            report.said.push(format!("It is not in {place} any more, near where it was seen."));
        }
        return Ok(());
    };
    let mut parser = look.parser();
    let job = JobEntry::new(&place, &entry, &mut parser);
    if let Some(trouble) = job.trouble() {
        return Err(Broken::Refused(format!("It is no job: {trouble}.")));
    }
    let named = job.queue();
    let queue = QueueName::new(&named)
        .map_err(|error| Broken::Refused(format!("Its queue takes no jobs: {error}.")))?;
    let jid = schema.new_jid();
    let payload = anew(schema, &entry.bytes, jid.as_str(), wish.args, work.now())
        .map_err(|error| Broken::Refused(format!("It is no job: {error}.")))?;
    if let Err(trouble) = parser.parse(&payload) {
        return Err(Broken::Refused(format!("With these arguments it is no job: {trouble}.")));
    }
    let push = Push { keys: work.source.keys, queue: &queue, when: When::Now };
    let replies = link.call(&patience(), |requests| push.one(&payload, requests)).await?;
    let waiting = replies.first().map(pushed).transpose()?.unwrap_or(0);
    report.done = 1;
    let name = Text::cell(queue.as_str()).shown;
    report.said.push(format!(
        "Job {jid} was pushed into queue {name}, where {} now.",
        count(waiting, "job waits", "jobs wait")
    ));
    if work.seen.queues.get(queue.as_str()).is_none_or(|queue| queue.processes == 0) {
        report.said.push(format!("No process serves queue {name}: it waits until one does."));
    }
    if wish.removes {
        work.one(link, Verb::Delete, &[place], wish.id, report).await?;
    }
    Ok(())
}
