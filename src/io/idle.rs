//! Connections between two uses: bounded, most recently used first, closed when idle for too long.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use glommio::timer::Timer;

/// Limits on what is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdleOptions {
    pub(super) per_key_max: usize,
    pub(super) count_max: usize,
    /// Zero keeps nothing.
    pub(super) timeout: Duration,
}

/// Connections with the time since which they have been idle, in that order.
type List<T> = VecDeque<(T, Instant)>;

/// Idle connections, by destination.
pub(super) struct Idle<K, T> {
    options: IdleOptions,
    /// An empty list is removed when old connections are swept.
    lists: RefCell<HashMap<K, List<T>, RandomState>>,
    /// Invariant: how many connections those lists hold.
    count: Cell<usize>,
    /// Whether the task that closes old connections has been started.
    swept: Cell<bool>,
}

impl<K: Hash + Eq + Clone + 'static, T: 'static> Idle<K, T> {
    pub(super) fn new(options: IdleOptions) -> Rc<Self> {
        Rc::new(Self { options, lists: RefCell::default(), count: Cell::new(0), swept: Cell::new(false) })
    }

    /// The most recently used connection, which is the least likely to have been closed.
    pub(super) fn take(&self, key: &K) -> Option<T> {
        let mut lists = self.lists.borrow_mut();
        let (conn, _) = lists.get_mut(key)?.pop_back()?;
        self.count.set(self.count.get() - 1);
        Some(conn)
    }

    /// Closes old connections from now on, while this lives. Needs an executor, unlike [`keep`](Self::keep).
    pub(super) fn sweep(self: &Rc<Self>) {
        if !self.options.timeout.is_zero() && !self.swept.replace(true) {
            glommio::spawn_local(sweep(Rc::downgrade(self), self.options.timeout)).detach();
        }
    }

    /// Keeps a connection, or drops it if there are enough.
    pub(super) fn keep(&self, key: &K, conn: T) {
        if self.count.get() >= self.options.count_max || self.options.timeout.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut lists = self.lists.borrow_mut();
        match lists.get_mut(key) {
            // Refused, but not dropped here, where the lists are borrowed.
            Some(list) if list.len() >= self.options.per_key_max => {
                drop(lists);
                return;
            }
            Some(list) => list.push_back((conn, now)),
            None if self.options.per_key_max == 0 => {
                drop(lists);
                return;
            }
            None => {
                lists.insert(key.clone(), VecDeque::from([(conn, now)]));
            }
        }
        self.count.set(self.count.get() + 1);
    }

    /// How many are kept for this key.
    pub(super) fn count(&self, key: &K) -> usize {
        self.lists.borrow().get(key).map_or(0, VecDeque::len)
    }

    /// Takes out what has been idle for too long, and returns the time until the next one expires, if any are left.
    fn take_old(&self, old: &mut Vec<T>) -> Option<Duration> {
        let now = Instant::now();
        let timeout = self.options.timeout;
        let mut lists = self.lists.borrow_mut();
        let mut oldest: Option<Instant> = None;
        lists.retain(|_, list| {
            while list.front().is_some_and(|(_, since)| now.duration_since(*since) >= timeout) {
                old.extend(list.pop_front().map(|(conn, _)| conn));
            }
            oldest = oldest.into_iter().chain(list.front().map(|(_, since)| *since)).min();
            !list.is_empty()
        });
        self.count.set(self.count.get() - old.len());
        oldest.map(|since| (since + timeout).saturating_duration_since(now))
    }
}

/// Closes connections as they become old. While there are none it checks once per timeout, which costs next to
/// nothing.
async fn sweep<K: Hash + Eq + Clone + 'static, T: 'static>(idle: Weak<Idle<K, T>>, timeout: Duration) {
    loop {
        let mut old = Vec::new();
        let Some(pause) = idle.upgrade().map(|idle| idle.take_old(&mut old)) else { return };
        // Here no cell is borrowed: dropping a connection may run any code.
        drop(old);
        Timer::new(pause.unwrap_or(timeout)).await;
    }
}

#[cfg(test)]
mod tests {
    use glommio::LocalExecutor;

    use super::*;

    fn options(timeout: Duration) -> IdleOptions {
        IdleOptions { per_key_max: 2, count_max: 3, timeout }
    }

    #[test]
    fn the_last_used_comes_first_and_bounds_hold() {
        LocalExecutor::default().run(async {
            let idle = Idle::new(options(Duration::from_secs(60)));
            for (key, conn) in [("a", 1), ("a", 2), ("a", 3), ("b", 4), ("b", 5)] {
                idle.keep(&key, conn);
            }
            let all: Vec<_> = ["a", "a", "a", "b", "b", "c"].iter().map(|key| idle.take(key)).collect();
            assert_eq!(all, [Some(2), Some(1), None, Some(4), None, None]);
            assert_eq!((idle.count(&"a"), idle.count.get()), (0, 0));
        });
    }

    #[test]
    fn old_connections_are_closed_without_being_asked_for() {
        LocalExecutor::default().run(async {
            let idle = Idle::new(options(Duration::from_millis(3)));
            let conn = Rc::new(());
            for _ in 0..2 {
                idle.sweep();
                idle.keep(&(), Rc::clone(&conn));
                idle.keep(&(), Rc::clone(&conn));
                while Rc::strong_count(&conn) > 1 {
                    Timer::new(Duration::from_millis(1)).await;
                }
                assert_eq!((idle.count.get(), idle.lists.borrow().len()), (0, 0));
            }
        });
    }
}
