//! Queues whose oversize payloads are being buried: one task per queue at a time, which looks again if more arrived
//! meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;

/// See the module. By queue: whether a payload has arrived since its task began to look.
#[derive(Debug, Default)]
pub(super) struct Burials(RefCell<HashMap<usize, bool>>);

impl Burials {
    /// A payload arrived. Returns whether a task must be started to bury it.
    pub(super) fn came(&self, queue: usize) -> bool {
        self.0.borrow_mut().insert(queue, true).is_none()
    }

    /// Whether the task of this queue is to look (again). If not, it ends.
    pub(super) fn look(&self, queue: usize) -> bool {
        let mut queues = self.0.borrow_mut();
        let came = queues.insert(queue, false) == Some(true);
        if !came {
            queues.remove(&queue);
        }
        came
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_during_a_burial_is_handled_by_the_same_task() {
        let burials = Burials::default();
        assert!(burials.came(1));
        assert!(burials.look(1));
        assert!(!burials.came(1), "its task lives");
        assert!(burials.look(1), "and looks again");
        assert!(!burials.look(1), "then it ends");
        assert!(burials.came(1), "so the next one begins another");
    }
}
