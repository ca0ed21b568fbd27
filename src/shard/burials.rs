//! Queues whose oversize payloads are being buried: one task a queue at a time, which looks again if more came meanwhile.

use std::cell::RefCell;
use std::collections::HashMap;

/// See the module. By queue: whether a payload came since its task has begun to look.
#[derive(Debug, Default)]
pub(super) struct Burials(RefCell<HashMap<usize, bool>>);

impl Burials {
    /// A payload came. Whether a task must be begun that buries it.
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
    fn what_comes_while_one_is_buried_is_looked_for_by_the_same_task() {
        let burials = Burials::default();
        assert!(burials.came(1));
        assert!(burials.look(1));
        assert!(!burials.came(1), "its task lives");
        assert!(burials.look(1), "and looks again");
        assert!(!burials.look(1), "then it ends");
        assert!(burials.came(1), "so the next one begins another");
    }
}
