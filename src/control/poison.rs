//! Jobs that were in flight in one dying process after another (P4): suspects are freed one by one, poison is buried.
//!
//! The script that reaped has decided which is which (`reap.lua`), and each is in a list of its dead shard. Every step here
//! is atomic, so several reapers may work at the same time.

use std::time::{Duration, Instant};

use glommio::timer::Timer;

use super::dead::Remains;
use super::link::ControlLink;
use super::state::Control;
use crate::job::failure::CLASS_POISON;
use crate::job::retry::killed;
use crate::job::{
    BadPayload, Course, DeadJob, ErrorInfo, FailureTimes, Fate, Parser, Plan, bury_unparsable, decide,
};
use crate::limits::{RECOVERIES_MAX, SUSPECT_PAUSE_MAX, SUSPECTS_PER_CALL_MAX, SUSPECTS_TIME_MAX};
use crate::mesh::ToShard;
use crate::net::Error;
use crate::resp::{Reply, Value};
use crate::store::flight::{self, Burial, Buried};
use crate::store::recovery;
use crate::store::turn::QueueKeys;
use crate::time::RedisClock;

/// Puts the suspects back into their queues, with pauses between them. Returns whether that is done; if not, because nobody
/// takes those that wait, or because it takes too long for other dead processes, it continues at the next renewal of the
/// lease.
pub(super) async fn free_suspects(link: &mut ControlLink, remains: &Remains) -> Result<bool, Error> {
    let Some((at_once, pause)) = pace(remains.jobs.suspects) else { return Ok(true) };
    let begun = Instant::now();
    for queue in &remains.queues {
        loop {
            let replies = link
                .call(|scripts, requests| recovery::free_suspects(scripts, queue, (at_once, pause), requests))
                .await?;
            let freed = recovery::read_freed(replies.first().ok_or(Error::Closed)?)?;
            if freed.count == Some(0) {
                break;
            }
            if begun.elapsed() >= SUSPECTS_TIME_MAX {
                return Ok(false);
            }
            // The pause of another reaper may last longer than the one that this would make.
            Timer::new(freed.again).await;
        }
    }
    Ok(true)
}

/// How many suspects are freed at once, and how long the pause after them is. `None` if there are none.
fn pace(suspects: u64) -> Option<(usize, Duration)> {
    let each =
        SUSPECTS_TIME_MAX.checked_div(u32::try_from(suspects).unwrap_or(u32::MAX))?.min(SUSPECT_PAUSE_MAX);
    let tick = Duration::from_millis(1);
    if each >= tick {
        return Some((1, each));
    }
    let at_once = usize::try_from(tick.as_nanos().div_ceil(each.as_nanos().max(1))).unwrap_or(usize::MAX);
    Some((at_once.min(SUSPECTS_PER_CALL_MAX), tick))
}

/// Buries what was recovered too often, at a time of this clock, and runs the death hooks of this process.
pub(super) async fn bury(
    control: &Control,
    clock: &RedisClock,
    link: &mut ControlLink,
    remains: &Remains,
) -> Result<(), Error> {
    if remains.jobs.poison == 0 {
        return Ok(());
    }
    let mut parser = Parser::new(control.options.schema);
    for queue in &remains.queues {
        loop {
            let replies = link.call(|_, requests| recovery::read_poison(queue, requests)).await?;
            let Some(Value::Bulk(raw)) = replies.first().map(Reply::value) else { break };
            let now = clock.now();
            let (entry, dead) = entry(&mut parser, raw, queue, now);
            let burial = Burial {
                bytes: raw.len(),
                entries: &[entry],
                now,
                cutoff: now - control.settings.get().dead_timeout.as_secs_f64(),
                dead_jobs_max: control.settings.get().dead_jobs_max,
            };
            let replies = link
                .call(|scripts, requests| recovery::bury_poison(scripts, queue, &burial, requests))
                .await?;
            if flight::read_burial(replies.first().ok_or(Error::Closed)?)? != Buried::Before {
                announce(control, dead);
            }
        }
    }
    Ok(())
}

/// The entry of a poisonous job in the dead set: that of a job that died at its last attempt. Bytes that are not a job
/// (they were in flight, so a shard may or may not have parsed them) are buried as such.
fn entry(parser: &mut Parser, raw: &[u8], queue: &QueueKeys, now: f64) -> (Vec<u8>, DeadJob) {
    let (queue, schema) = (&*queue.name, parser.schema());
    let message = format!(
        "in flight when its process died, {} times within 3 days: not recovered again; retry it by hand once \
         it cannot harm",
        RECOVERIES_MAX + 1
    );
    let error = ErrorInfo::new(CLASS_POISON, message);
    let mut dead = DeadJob {
        name: String::new(),
        jid: String::new(),
        queue: queue.to_owned(),
        error_class: error.class.clone().into_owned(),
        error_message: error.stored_message().to_owned(),
    };
    let reason = match parser.parse(raw) {
        Ok(parsed) => {
            parsed.name.clone_into(&mut dead.name);
            parsed.jid.unwrap_or_default().clone_into(&mut dead.jid);
            let plan = Plan { schema, queue, retry_queue: queue, course: Course::Die, backtrace: None };
            match decide(raw, parsed.history, &plan, &error, FailureTimes::at(now)) {
                Ok(Fate::Dead { payload, .. }) => return (payload, dead),
                // It asks not to be kept when it has failed for good, but an operator must learn of what kills processes.
                Ok(Fate::Forgotten) => {
                    return (killed(schema, raw, &error, now).unwrap_or_else(|| raw.to_vec()), dead);
                }
                // A job that is to die dies; what parsed can be amended. If it cannot, its bytes are kept nevertheless.
                other => BadPayload::NotJson { detail: format!("{other:?}") },
            }
        }
        Err(reason) => reason,
    };
    (bury_unparsable(schema, raw, &reason, queue, now), dead)
}

/// Logs it, and passes it to the death hooks, which live on the shards.
fn announce(control: &Control, dead: DeadJob) {
    tracing::error!(
        name = dead.name,
        jid = dead.jid,
        queue = dead.queue,
        "a job goes to the dead set as poison: process after process died while it was in flight"
    );
    // Not waited for: a shard that does not listen, because a handler holds it, must not hold up the reaper.
    if !control.shards.try_send(0, ToShard::Died(Box::new(dead))) {
        tracing::warn!(shard = 0, "the death hooks did not run for this job; does a job hold up the shard?");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::job::Schema;
    use crate::wire::keys::JIGGLER;

    #[test]
    fn suspects_are_apart_but_however_many_they_are_all_free_in_time() {
        assert_eq!(pace(0), None);
        assert_eq!(pace(1), Some((1, SUSPECT_PAUSE_MAX)));
        assert_eq!(pace(100), Some((1, Duration::from_millis(40))));
        for suspects in [4_001_u64, 10_000, 100_000] {
            let (at_once, pause) = pace(suspects).unwrap();
            let calls = suspects.div_ceil(at_once as u64);
            assert!(pause * u32::try_from(calls).unwrap() <= SUSPECTS_TIME_MAX, "{suspects}");
        }
    }

    #[test]
    fn poison_is_buried_as_a_job_that_failed_for_good_with_its_bytes() {
        let raw = br#"{"name":"N","args":[1.0e+21],"retries":5,"jid":"j","attempt":2,"x":1}"#;
        let queue = QueueKeys::new(JIGGLER, "q", "0123456789ab", 0);
        let (entry, dead) = entry(&mut Parser::default(), raw, &queue, 7.5);
        let text = std::str::from_utf8(&entry).unwrap();
        assert!(
            text.starts_with(r#"{"name":"N","args":[1.0e+21],"retries":5,"jid":"j","attempt":2,"x":1,"#),
            "{text}"
        );
        let read: Json = serde_json::from_str(text).unwrap();
        assert_eq!((&read["error_class"], &read["started_at"]), (&json!(CLASS_POISON), &json!(7.5)));
        assert!(read["error_message"].as_str().unwrap().contains("4 times"));
        assert_eq!((&*dead.name, &*dead.jid, &*dead.queue), ("N", "j", "q"));
    }

    #[test]
    fn bytes_that_are_no_job_are_buried_with_their_reason() {
        let queue = QueueKeys::new(JIGGLER, "q", "0123456789ab", 0);
        let (entry, _) = entry(&mut Parser::default(), b"no json", &queue, 7.5);
        assert_eq!(crate::job::bad::exhume(Schema::Jiggler, &entry).unwrap(), b"no json");
    }
}
