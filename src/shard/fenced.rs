//! What became of the jobs of a shard that was taken for dead, at most once: reported under another name.
//!
//! At least once there is nothing to report: the jobs run elsewhere, and their outcome is reported there. At most once
//! nothing in Redis represents a job that has started, so nobody runs it again: its outcome (a retry, a place in the dead
//! set, a count) is known only here, and the shard's own calls fail on its fence. Jobs that were still running are
//! dropped, as in a crash; so is what a lost connection may have reported already, because reporting it twice could start
//! a job twice.

use crate::ids::process_uuid;
use crate::limits::STOP_PATIENCE;
use crate::net::Error;
use crate::store::flight;
use crate::store::turn::{QueueKeys, Turn, TurnContext};
use crate::timeout::within;

use super::ledger::Report;
use super::link::{Link, LinkError};
use super::settle::tell_of_deaths;
use super::state::Shard;
use super::steps;

/// Reports what has gathered in the settlement; tries once.
pub(super) async fn report_as_another(shard: &Shard) {
    let last = steps::report(shard);
    if shard.options().at_least_once || last.is_empty() {
        return;
    }
    let late =
        || Err(Error::Timeout { what: "report under another name".to_owned(), after: STOP_PATIENCE }.into());
    match within(STOP_PATIENCE, report(shard, &last)).await.unwrap_or_else(late) {
        Ok(()) => tell_of_deaths(shard, &last),
        Err(error) => tracing::error!(
            shard = shard.options().shard,
            jobs = last.ended(),
            %error,
            "cannot report how these jobs ended; they are lost (at most once)"
        ),
    }
}

/// One turn of a shard that never existed, and its end. One round trip, plus a new connection.
async fn report(shard: &Shard, last: &Report) -> Result<(), LinkError> {
    let uuid = process_uuid();
    let (queues, keys) = (shard.options().queues.iter(), shard.options().realm.keys());
    let context = TurnContext {
        queues: queues
            .map(|(name, _)| QueueKeys::new(keys, name, uuid.as_ref(), shard.options().shard))
            .collect(),
        ..shard.turn_context().clone()
    };
    let order: Vec<usize> = (0..context.queues.len()).collect();
    let mut link = Link::open(shard.options()).await?;
    link.stopper().hurry(STOP_PATIENCE);
    link.call(|scripts, requests| {
        let settled = last.settlement();
        let now = shard.clock().now();
        let turn = Turn { number: 1, after: 0, wanted: 0, order: &order, limits: &[], settled, now };
        context.write(scripts, &turn, requests);
        flight::leave(scripts, 2, &context.queues, false, requests);
    })
    .await?;
    Ok(())
}
