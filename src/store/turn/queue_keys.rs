//! The keys of one queue as one shard uses them, and the names of its batches.

use crate::wire::{Keyspace, in_flight};

/// The name of a batch within its in-flight index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BatchName {
    /// Fetched by the turn with that number.
    Turn(u64),
    /// The shard's wait list: what a blocking move brought in. It never goes away, it is only ever empty.
    Wait,
}

/// The keys of one queue as one shard uses them.
#[derive(Debug, Clone)]
pub struct QueueKeys {
    /// The queue's name.
    pub name: Box<str>,
    /// The list of its waiting jobs.
    pub list: Box<[u8]>,
    /// The shard's in-flight index for that queue.
    pub index: Box<[u8]>,
    /// The same, as text.
    index_name: Box<str>,
    /// The list into which a blocking move puts jobs.
    pub wait_list: Box<[u8]>,
    /// Where payloads too large to fetch go.
    pub oversize: Box<[u8]>,
    /// The jobs of a dead shard that a reaper holds back, because they were recovered before.
    pub suspects: Box<[u8]>,
    /// The jobs of a dead shard that a reaper is to bury.
    pub poison: Box<[u8]>,
}

impl QueueKeys {
    /// The keys of queue `name` for shard `shard` of process `uuid`.
    pub fn new(keys: Keyspace, name: &str, uuid: &str, shard: usize) -> Self {
        let index = keys.in_flight_index(name, uuid, shard);
        Self {
            name: name.into(),
            list: keys.queue(name).into_bytes().into(),
            wait_list: in_flight::wait_list(&index).into_bytes().into(),
            oversize: in_flight::oversize_list(&index).into_bytes().into(),
            suspects: in_flight::suspects(&index).into_bytes().into(),
            poison: in_flight::poison(&index).into_bytes().into(),
            index: index.as_bytes().into(),
            index_name: index.into(),
        }
    }

    /// The key of the list that holds the batch.
    pub fn batch(&self, batch: BatchName) -> Vec<u8> {
        match batch {
            BatchName::Wait => self.wait_list.to_vec(),
            BatchName::Turn(turn) => in_flight::batch(&self.index_name, turn).into_bytes(),
        }
    }
}
