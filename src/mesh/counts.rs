//! The question how much a shard has counted, and its answer: between the executor that shows it and one shard.

use glommio::channels::shared_channel::{
    ConnectedReceiver, ConnectedSender, SharedReceiver, SharedSender, new_bounded,
};

use super::awake;
use crate::limits::COUNTS_MESSAGES_MAX;
use crate::stats::ShardRow;

/// The question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AskCounts;

/// The end that asks.
pub(crate) struct CountsReader {
    to_shard: SharedSender<AskCounts>,
    from_shard: SharedReceiver<Vec<ShardRow>>,
}

/// The end of the shard.
pub(crate) struct CountsEnd {
    from_reader: SharedReceiver<AskCounts>,
    to_reader: SharedSender<Vec<ShardRow>>,
}

/// The connected end that asks: questions.
pub(crate) struct Asker(ConnectedSender<AskCounts>);

/// The same: answers.
pub(crate) struct Answers(ConnectedReceiver<Vec<ShardRow>>);

impl CountsReader {
    /// Binds this end to its executor, once the shard has bound its own.
    pub(crate) async fn connect(self) -> (Asker, Answers) {
        let Self { to_shard, from_shard } = self;
        awake(async { (Asker(to_shard.connect().await), Answers(from_shard.connect().await)) }).await
    }
}

impl Asker {
    /// Asks if there is room now, which there is unless a question is under way. Returns whether it did.
    pub(crate) fn ask(&self) -> bool {
        self.0.try_send(AskCounts).is_ok()
    }
}

impl Answers {
    /// The next answer; `None`: the shard has ended.
    pub(crate) async fn next(&self) -> Option<Vec<ShardRow>> {
        self.0.recv().await
    }
}

impl CountsEnd {
    /// Binds this end to the shard's executor, once the reader has bound its own.
    pub(crate) async fn connect(self) -> (ConnectedReceiver<AskCounts>, ConnectedSender<Vec<ShardRow>>) {
        let Self { from_reader, to_reader } = self;
        // In the order in which the reader connects.
        awake(async { (from_reader.connect().await, to_reader.connect().await) }).await
    }
}

/// The two ends of a new link. One question at a time is under way, so neither end ever waits for room.
pub(crate) fn counts_link() -> (CountsReader, CountsEnd) {
    let (to_shard, from_reader) = new_bounded(COUNTS_MESSAGES_MAX);
    let (to_reader, from_shard) = new_bounded(COUNTS_MESSAGES_MAX);
    (CountsReader { to_shard, from_shard }, CountsEnd { from_reader, to_reader })
}
