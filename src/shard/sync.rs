//! Brings a shard and Redis back into agreement: what was under way when a connection was lost, which batches Redis
//! counts as in flight, what goes back.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::batch::Batch;
use super::ledger::Single;
use super::link::{Link, LinkError, check};
use super::settle;
use super::state::Shard;
use super::turns::Turns;
use crate::limits::RECONCILE_CALLS_MAX;
use crate::resp::{Error, Reply};
use crate::store::flight::{self, Known};
use crate::store::turn::BatchName;

/// A batch list: queue, batch.
type List = (usize, BatchName);

/// Brings a shard and Redis back into agreement over a new connection.
///
/// A turn whose reply was lost either ran, and then its settlement is done, or never will, and then it is reported again.
/// Batches that Redis knows and the shard does not are handed back: the lost reply carried them. For the others the shard
/// reports to Redis what is settled. Round trips: three, and one for each [`RECONCILE_CALLS_MAX`] batches.
pub(super) async fn resume(shard: &Shard, link: &mut Link, lost: &mut Turns) -> Result<(), LinkError> {
    // From now on whatever is still in abandoned connections, turns or other calls, is void. And a fence is noticed
    // before anything else is asked.
    let newest = shard.numbers().last();
    let replies = link.call(|s, r| flight::resume(s, shard.home(), newest, r)).await?;
    let last_run = replies.first().map(Reply::as_integer).transpose()?.unwrap_or(0);
    let last_run = u64::try_from(last_run).unwrap_or(0);
    // Later ones first, so that the settlements end up in the order in which they were made.
    while let Some(turn) = lost.take_newest() {
        if turn.number > last_run {
            shard.ledger().put_back(turn.report);
        } else {
            // Its reply is lost, with everything it would have reported.
            settle::tell_of_deaths(shard, &turn.report);
        }
    }
    if !shard.options().at_least_once {
        return Ok(());
    }
    hand_back_unknown(shard, link).await?;
    let live = shard.hand().batches(|batch| batch.name != BatchName::Wait);
    sync(shard, link, &live).await
}

/// Hands back the batches that Redis counts as ours but we do not know.
pub(super) async fn hand_back_unknown(shard: &Shard, link: &mut Link) -> Result<(), LinkError> {
    let replies = link
        .call(|_, requests| {
            for queue in shard.turn_context().queues.iter() {
                flight::list_batches(queue, requests);
            }
        })
        .await?;
    let mut unknown = Vec::new();
    for (queue, reply) in replies.iter().enumerate() {
        let mut numbers = flight::read_batches(reply)?;
        numbers.sort_unstable_by_key(|number| Reverse(*number));
        for number in numbers {
            let name = BatchName::Turn(number);
            if !shard.hand().holds(queue, name) && !shard.ledger().closes(queue, number) {
                unknown.push((0, (queue, name), Known::default()));
            }
        }
    }
    reconcile_all(shard, link, &unknown).await?;
    Ok(())
}

/// Makes Redis agree with what the shard knows about these batches, and closes those that are settled. All batches of a
/// wait list come together. What goes back goes back in its old order.
///
/// No turn may be on its way, nor any blocking move into one of these wait lists.
pub(super) async fn sync(shard: &Shard, link: &mut Link, batches: &[Rc<Batch>]) -> Result<(), LinkError> {
    let mut known: HashMap<List, (u64, Known)> = HashMap::new();
    for batch in batches {
        let (newest, known) = known.entry((batch.queue, batch.name)).or_default();
        *newest = batch.id.max(*newest);
        batch.known(known);
    }
    let mut singles = Vec::new();
    for (list, (_, known)) in &mut known {
        singles.extend(tell_known(shard, *list, known));
    }
    let mut known: Vec<_> = known.into_iter().map(|(list, (newest, known))| (newest, list, known)).collect();
    // What goes back last is taken next, so the oldest batch comes last.
    known.sort_unstable_by_key(|(newest, _, _)| Reverse(*newest));
    let result = reconcile_all(shard, link, &known).await;
    let is_held = |list: List| match &result {
        Ok(held) => held.contains(&list),
        Err(_) => true,
    };
    singles.retain(|single| is_held((single.0, single.1)));
    shard.ledger().add_singles(singles);
    for batch in batches {
        if is_held((batch.queue, batch.name)) {
            batch.unheard();
            continue;
        }
        batch.heard();
        if batch.is_settled() {
            settle::close(shard, batch);
        }
    }
    result.map(|_| ())
}

/// Makes the wait list of one queue agree with what the shard knows: what a lost connection moved there unseen goes back
/// to the queue. Allowed only while no blocking move can add to it.
pub(super) async fn sync_wait_list(shard: &Shard, link: &mut Link, queue: usize) -> Result<(), LinkError> {
    let list = (queue, BatchName::Wait);
    let batches = shard.hand().batches(|batch| (batch.queue, batch.name) == list);
    if !batches.is_empty() {
        return sync(shard, link, &batches).await;
    }
    let mut known = Known::default();
    let singles = tell_known(shard, list, &mut known);
    let result = reconcile_all(shard, link, &[(0, list, known)]).await;
    if !matches!(&result, Ok(held) if held.is_empty()) {
        shard.ledger().add_singles(singles);
    }
    result.map(|_| ())
}

/// Returns the lists that stay unchanged, because jobs are to go back to a queue that is not a list.
async fn reconcile_all(
    shard: &Shard,
    link: &mut Link,
    lists: &[(u64, List, Known)],
) -> Result<HashSet<List>, LinkError> {
    let mut held = HashSet::new();
    for chunk in lists.chunks(RECONCILE_CALLS_MAX) {
        let mut open: Vec<&(u64, List, Known)> = chunk.iter().collect();
        // Each call hands one job back at least of a list that stays open, so it ends.
        while !open.is_empty() {
            let number = shard.numbers().fresh();
            let replies = link
                .exchange(|scripts, requests| {
                    for (_, (queue, name), known) in &open {
                        let keys = (shard.home(), shard.queue(*queue));
                        flight::reconcile(scripts, number, keys.0, keys.1, *name, known, requests);
                    }
                })
                .await?;
            let mut left = Vec::new();
            for (list, reply) in open.into_iter().zip(replies) {
                match note_reconciled(shard, list.1.0, reply)? {
                    Reconciled::Done => {}
                    Reconciled::InPart => left.push(list),
                    Reconciled::Held => _ = held.insert(list.1),
                }
            }
            open = left;
        }
        let unheld = chunk.iter().filter(|(_, list, _)| !held.contains(list));
        let acked: usize = unheld.map(|(_, _, known)| known.settled.len()).sum();
        if acked > 0 {
            // The next turn counts them: what ends the process before it leaves them done and uncounted.
            tracing::debug!(
                shard = shard.options().shard,
                acked,
                "told redis apart from a turn what has ended"
            );
        }
    }
    Ok(held)
}

/// How far a list agrees with the shard.
enum Reconciled {
    Done,
    /// More is to go back.
    InPart,
    /// The key of its queue is spoilt.
    Held,
}

fn note_reconciled(shard: &Shard, queue: usize, reply: Reply) -> Result<Reconciled, LinkError> {
    match check(reply) {
        Ok(reply) => match note_handed_back(shard, &[reply])? {
            true => Ok(Reconciled::InPart),
            false => Ok(Reconciled::Done),
        },
        Err(LinkError::Held(refusal)) => {
            shard.held().hand_back_later(queue);
            let key = String::from_utf8_lossy(&shard.queue(queue).list);
            shard.complaints().spoilt(shard.options().shard, &key, &refusal);
            Ok(Reconciled::Held)
        }
        Err(error) => Err(error),
    }
}

/// Counts what went back to queues according to the replies, and looks for it. Returns whether more is to go back.
pub(super) fn note_handed_back(shard: &Shard, replies: &[Reply]) -> Result<bool, Error> {
    let mut more = false;
    for reply in replies {
        let back = flight::read_handed_back(reply)?;
        more |= back.more;
        shard.options().stats.handed_back.add(back.jobs);
        if back.jobs > 0 {
            shard.appetite().look();
        }
    }
    Ok(more)
}

/// Adds what is known about a list apart from its batches: what the report carries, and what waits for a spoilt key.
/// Returns the acks that this takes out of the report.
fn tell_known(shard: &Shard, list: List, known: &mut Known) -> Vec<Single> {
    if list.1 == BatchName::Wait {
        known.keep.extend(shard.held().in_wait_list(list.0));
    }
    shard.ledger().tell_known(list.0, list.1, known)
}
