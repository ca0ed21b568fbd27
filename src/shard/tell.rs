//! Hands what the shard has counted to the executor that shows it, when it asks.

use std::rc::Rc;

use super::state::Shard;
use crate::mesh::CountsEnd;

/// Answers each question until nobody can ask any more. A question is answered between two jobs.
pub(super) async fn tell_counts(end: CountsEnd, lanes: Rc<[Rc<Shard>]>) {
    let (questions, answers) = end.connect().await;
    while questions.recv().await.is_some() {
        let rows = lanes.iter().flat_map(|lane| lane.tally().copy(|queue| lane.queue_number(queue)));
        if answers.send(rows.collect()).await.is_err() {
            return;
        }
    }
}
