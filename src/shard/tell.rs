//! Hands what the shard has counted to those who ask: the executor that shows it, and control, which keeps it.

use std::rc::Rc;

use super::state::Shard;
use crate::mesh::CountsEnd;
use crate::stats::ShardRow;

/// Answers each question until nobody can ask any more. A question is answered between two jobs.
pub(super) async fn tell_counts(end: CountsEnd, lanes: Rc<[Rc<Shard>]>) {
    let (questions, answers) = end.connect().await;
    while questions.recv().await.is_some() {
        if answers.send(counted(&lanes)).await.is_err() {
            return;
        }
    }
}

/// What the lanes of a core have counted so far.
pub(super) fn counted(lanes: &[Rc<Shard>]) -> Vec<ShardRow> {
    let rows = lanes.iter().flat_map(|lane| lane.tally().copy(|queue| lane.queue_number(queue)));
    rows.collect()
}
