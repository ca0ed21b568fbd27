//! `jobs/id/{jid}` and `why/{jid}`: one job, as `show --json` and `why --json` print it.
//!
//! Nothing is sent to the processes, as the command does: what runs is what they said last. And a running job is shown
//! without its payload, which is only in flight.

use std::cell::RefCell;

use super::answer::ApiError;
use crate::acts::look::Query;
use crate::client::Progress;
use crate::foreign::Foreign;
use crate::limits::{
    API_SHOW_QUEUES_MAX, PAGE_EXAMINED_MAX, PAGE_PARAMETER_BYTES_MAX, PAGE_PAYLOAD_BYTES_MAX, PAGE_SKIP_MAX,
    SHOW_PLACES_MAX,
};
use crate::resp::{Requests, url::percent_decode};
use crate::store::entries::{Entry, Order, Place, Set};
use crate::store::progress;
use crate::store::survey::Summary;
use crate::view::filter::Filter;
use crate::view::shown::{JobShown, Running, running};
use crate::view::why::Answer;
use crate::web::pages::{Ask, AskError, Desk, DeskError, place_asked};

/// Everything that is known about it.
pub(super) async fn show(desk: &Desk, jid: &str, ask: &Ask) -> Result<Vec<u8>, ApiError> {
    let jid = &decoded(jid)?;
    let sought = seek(desk, jid, ask).await?;
    let progress = reported(desk, jid).await?;
    if progress.is_none() {
        sought.ensure_found(jid)?;
    }
    let shown = JobShown {
        jid,
        found: sought.found.as_ref().map(|(place, entry)| (place, entry)),
        is_in_flight: false,
        progress: progress.as_ref(),
        running: &sought.running,
        paused: &sought.fleet.paused,
    };
    let mut body = Vec::new();
    shown.write_public_json(&mut desk.parser(), PAGE_PAYLOAD_BYTES_MAX, &mut body)?;
    Ok(body)
}

/// What it waits for, as `why --json` prints it, but for how fast its queue moves, which takes seconds to measure.
pub(super) async fn why(desk: &Desk, jid: &str, ask: &Ask) -> Result<Vec<u8>, ApiError> {
    let jid = &decoded(jid)?;
    let sought = seek(desk, jid, ask).await?;
    sought.ensure_found(jid)?;
    let mut answer = Answer::default();
    if let Some((place, entry)) = &sought.found {
        answer = desk.why(place, entry).await?;
        if let (Some(nth), Some(of)) = (answer.nth, answer.of) {
            answer.add("position", format!("it is number {nth} of {of} in its queue"));
        }
    } else {
        answer.note_runs(&sought.running, sought.fleet.at);
    }
    answer.jid.clone_from(jid);
    let mut body = serde_json::to_vec(&answer).map_err(std::io::Error::from)?;
    body.push(b'\n');
    Ok(body)
}

/// What a look for a job has brought.
struct Sought {
    found: Option<(Place, Entry)>,
    running: Vec<Running>,
    fleet: Summary,
    /// Where it was looked for, in words.
    searched: Vec<String>,
}

impl Sought {
    /// # Errors
    /// [`ApiError::Job`]: it is nowhere.
    fn ensure_found(&self, jid: &str) -> Result<(), ApiError> {
        if self.found.is_some() || !self.running.is_empty() {
            return Ok(());
        }
        let searched = &self.searched[..self.searched.len().min(SHOW_PLACES_MAX)];
        let more = self.searched.len() - searched.len();
        let more = if more > 0 { format!(" and {more} more queues") } else { String::new() };
        let jid = Foreign::cell(jid).to_string();
        Err(ApiError::Job { jid, searched: searched.join(", ") + &more })
    }
}

/// Looks for a job, in one place if the address says which.
async fn seek(desk: &Desk, jid: &str, ask: &Ask) -> Result<Sought, ApiError> {
    ask.only(&["place", "queue", "skip"])?;
    let only = place_asked(ask)?;
    let skip = ask.number("skip", PAGE_SKIP_MAX)?;
    if skip.is_some() && only.is_none() {
        return Err(AskError::Value { name: "skip", allowed: "a place with it".to_owned() }.into());
    }
    let fleet = desk.summary().await?;
    let mut searched = Vec::new();
    let found = match only {
        Some(place) => {
            let (entry, _) =
                look(desk, &place, jid, skip.unwrap_or(0), PAGE_EXAMINED_MAX, &mut searched).await?;
            entry.map(|entry| (place, entry))
        }
        None => find(desk, jid, &fleet, &mut searched).await?,
    };
    Ok(Sought { found, running: running(&fleet, jid), fleet, searched })
}

/// Looks in the sets, and in the queues as far as the bounds allow, the shortest first: so most of them are looked at.
async fn find(
    desk: &Desk,
    jid: &str,
    fleet: &Summary,
    searched: &mut Vec<String>,
) -> Result<Option<(Place, Entry)>, DeskError> {
    for place in Set::ALL.map(Place::Set) {
        if let (Some(entry), _) = look(desk, &place, jid, 0, PAGE_EXAMINED_MAX, searched).await? {
            return Ok(Some((place, entry)));
        }
    }
    let mut queues: Vec<(&u64, &String)> = fleet.queues.iter().map(|(name, jobs)| (jobs, name)).collect();
    queues.sort_unstable();
    let mut left = PAGE_EXAMINED_MAX;
    for (_, name) in queues.into_iter().take(API_SHOW_QUEUES_MAX) {
        let Ok(place) = name.parse().map(Place::Queue) else { continue };
        let (entry, examined) = look(desk, &place, jid, 0, left, searched).await?;
        if let Some(entry) = entry {
            return Ok(Some((place, entry)));
        }
        left -= examined.min(left);
        if left == 0 {
            break;
        }
    }
    Ok(None)
}

/// The entry of this id in a place, and how many were examined.
async fn look(
    desk: &Desk,
    place: &Place,
    jid: &str,
    skip: u64,
    examine_max: u64,
    searched: &mut Vec<String>,
) -> Result<(Option<Entry>, u64), DeskError> {
    let query = Query {
        place: place.clone(),
        filter: Filter::jid(jid),
        skip,
        limit: 1,
        examine_max,
        order: Order::Newest,
        older: None,
        groups: false,
    };
    let first = RefCell::new(None);
    let keep = |entry: &Entry| {
        first.borrow_mut().get_or_insert_with(|| entry.clone());
    };
    let reached = desk.look(&query, keep).await?.reached;
    searched.push(format!("{place} ({} of {} entries examined)", reached.examined, reached.total));
    Ok((first.into_inner(), reached.examined))
}

/// What it reported last. One round trip.
async fn reported(desk: &Desk, jid: &str) -> Result<Option<Progress>, DeskError> {
    let keys = desk.source().keys;
    let ask = |requests: &mut Requests| progress::ask(keys, jid, requests);
    let replies = desk.with(async |open, patience| open.call(patience, ask).await).await?;
    // A key that others have spoilt, or may not be read, does not hide the job.
    let json = replies.first().and_then(|reply| progress::reported(reply).ok()?);
    Ok(json.and_then(|json| serde_json::from_slice(json).ok()))
}

/// The text of a part of a path.
fn decoded(part: &str) -> Result<String, AskError> {
    let wrong = |allowed: &str| AskError::Value { name: "jid", allowed: allowed.to_owned() };
    if part.len() > PAGE_PARAMETER_BYTES_MAX {
        return Err(wrong(&format!("at most {PAGE_PARAMETER_BYTES_MAX} bytes")));
    }
    let bytes = percent_decode(part).ok_or_else(|| wrong("two hexadecimal digits after each %"))?;
    String::from_utf8(bytes).map_err(|_| wrong("text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_is_any_text() {
        for (part, expected) in
            [("a+b", "a+b"), ("%31%c3%A9", "1é"), ("entry:1-2", "entry:1-2"), ("%2F", "/")]
        {
            assert_eq!(decoded(part).unwrap(), expected);
        }
        for part in ["%", "%1", "%zz", "%+1", "%ff", &"x".repeat(PAGE_PARAMETER_BYTES_MAX + 1)] {
            assert!(decoded(part).unwrap_err().to_string().starts_with("parameter jid: give "), "{part}");
        }
    }
}
