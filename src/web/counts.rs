//! What the shards have counted: asks each of them over the mesh, and adds up their answers.
//!
//! A shard that is held up by a job does not answer in time; what it said last is taken then, so that no counter goes back.
//! One task for each shard reads its answers at all times, so a shard never waits.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::event::Event;
use crate::io;
use crate::limits::COUNTS_WAIT;
use crate::mesh::{Asker, CountsReader};
use crate::stats::{Row, ShardRow, ShardStats};
use crate::timeout::within;

/// What all shards have counted, by queue and class.
pub(super) type Rows = BTreeMap<(Box<str>, Box<str>), Row>;

/// See the module.
pub(super) struct Counts {
    shards: Vec<Rc<Peer>>,
    answered: Rc<Event>,
}

#[derive(Default)]
struct Peer {
    /// Set once it is connected.
    link: OnceCell<Asker>,
    /// A question is under way.
    asked: Cell<bool>,
    /// Its latest answer.
    rows: RefCell<Vec<ShardRow>>,
}

impl Counts {
    /// Connects to the shards, each as soon as it has started.
    pub(super) fn start(readers: Vec<CountsReader>) -> Self {
        let answered = Rc::new(Event::default());
        let start = |reader: CountsReader| {
            let peer = Rc::new(Peer::default());
            io::spawn(listen(reader, Rc::clone(&peer), Rc::clone(&answered))).detach();
            peer
        };
        Self { shards: readers.into_iter().map(start).collect(), answered }
    }

    /// Asks all shards and adds up what they say. One call at a time: an answer wakes one.
    ///
    /// # Cancel-safety
    /// Safe: an answer that comes later is kept for the next call.
    pub(super) async fn read(&self, stats: &[Arc<ShardStats>]) -> Rows {
        for peer in self.shards.iter().filter(|peer| !peer.asked.get()) {
            peer.asked.set(peer.link.get().is_some_and(Asker::ask));
        }
        let all = async {
            while self.shards.iter().any(|peer| peer.asked.get()) {
                self.answered.wait().await;
            }
        };
        let _in_time = within(COUNTS_WAIT, all).await;
        let mut sum = Rows::new();
        for (peer, stats) in self.shards.iter().zip(stats) {
            for row in &*peer.rows.borrow() {
                sum.entry(stats.names_of(row)).or_default().merge(&row.row);
            }
        }
        sum
    }
}

/// Keeps the latest answer of one shard until it has ended.
async fn listen(reader: CountsReader, peer: Rc<Peer>, answered: Rc<Event>) {
    let (asker, answers) = reader.connect().await;
    let _only_once = peer.link.set(asker);
    loop {
        let answer = answers.next().await;
        peer.asked.set(false);
        match answer {
            Some(rows) => {
                peer.rows.replace(rows);
                answered.raise();
            }
            None => return answered.raise(),
        }
    }
}
