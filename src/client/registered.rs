//! The queues that a client has named in the register of a server ([`crate::store::register`]), so that operators
//! see them at once: with the first push over a connection, and again now and then. What names them goes behind the
//! pushes of the same round trip, and its replies are dropped: an operator who sees a queue late is no reason for a
//! push to fail.

use std::collections::HashMap;
use std::time::Instant;

use crate::limits::{REGISTER_AGAIN, REGISTER_REMEMBERED_MAX};
use crate::resp::Requests;
use crate::store::register::{self, Kind};
use crate::wire::{Keyspace, QueueName};

/// The queues, and when each was named.
#[derive(Debug, Default)]
pub(super) struct Registered(HashMap<QueueName, Instant>);

impl Registered {
    /// Appends what names a queue, unless it was named lately or the server keeps no register. Returns how many replies
    /// follow those of the pushes.
    pub(super) fn name(
        &mut self,
        keys: Keyspace,
        queue: &QueueName,
        now: impl FnOnce() -> f64,
        requests: &mut Requests,
    ) -> usize {
        let Some(register) = keys.register() else { return 0 };
        match self.0.get_mut(queue) {
            Some(named_at) if named_at.elapsed() < REGISTER_AGAIN => return 0,
            Some(named_at) => *named_at = Instant::now(),
            None => {
                if self.0.len() >= REGISTER_REMEMBERED_MAX {
                    self.0.clear();
                }
                self.0.insert(queue.clone(), Instant::now());
            }
        }
        register::name(register, Kind::Queues, &[queue.as_str()], now(), requests)
    }

    /// Another server may answer from now on, or one that was emptied.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::keys::{JIGGLER, SIDEKIQ};

    fn name(registered: &mut Registered, keys: Keyspace, queue: &str) -> usize {
        let mut requests = Requests::new();
        let queue = QueueName::new(queue).unwrap();
        let replies = registered.name(keys, &queue, || 1.5, &mut requests);
        assert_eq!(requests.len_commands(), replies);
        replies
    }

    #[test]
    fn a_queue_is_named_once_in_a_while_and_after_each_new_connection() {
        let mut registered = Registered::default();
        assert_eq!(name(&mut registered, JIGGLER, "a"), 1);
        assert_eq!(name(&mut registered, JIGGLER, "a"), 0);
        assert_eq!(name(&mut registered, JIGGLER, "b"), 1);
        let named_at = registered.0.get_mut(&QueueName::new("a").unwrap()).unwrap();
        *named_at = named_at.checked_sub(REGISTER_AGAIN).unwrap();
        assert_eq!((name(&mut registered, JIGGLER, "a"), name(&mut registered, JIGGLER, "b")), (1, 0));
        registered.forget();
        assert_eq!(name(&mut registered, JIGGLER, "b"), 1);
        assert_eq!(name(&mut Registered::default(), SIDEKIQ, "a"), 0, "each push does it there");
    }

    #[test]
    fn it_remembers_no_more_than_it_may() {
        let mut registered = Registered::default();
        for number in 0..=REGISTER_REMEMBERED_MAX {
            assert_eq!(name(&mut registered, JIGGLER, &format!("q{number}")), 1);
        }
        assert_eq!(registered.0.len(), 1);
    }
}
