//! The lanes that a shard has: itself, or in a Redis Cluster one for each queue, sharing the core ([`super::crew`]).

use std::rc::Rc;

use super::crew::{Crew, Seat};
use super::options::ShardOptions;
use super::slots::Share;
use super::state::Shard;
use crate::handler::Handlers;

/// The lanes of a shard with these options.
pub(super) fn lanes(options: ShardOptions, handlers: Handlers) -> Rc<[Rc<Shard>]> {
    let handlers = Rc::new(handlers);
    if !options.url.is_cluster() {
        return [Rc::new(Shard::new(options, handlers, None))].into();
    }
    let seats = options.queues.iter().map(|(_, rank)| Seat::new(*rank, options.at_least_once));
    let crew = Rc::new(Crew::new(options.slots, seats.collect()));
    let keys = options.realm.keys();
    let lane = |(at, queue): (usize, &(String, i32))| {
        let options = ShardOptions {
            url: options.url.at_key(keys.queue(&queue.0).as_bytes()),
            realm: keys.queue_realm(&queue.0),
            queues: vec![queue.clone()],
            clocks: options.clocks.get(at).cloned().into_iter().collect(),
            ..options.clone()
        };
        Rc::new(Shard::new(options, Rc::clone(&handlers), Some(Share::new(&crew, at))))
    };
    options.queues.iter().enumerate().map(lane).collect()
}
