//! How one turn serves the queues: a value that the rota writes, and that is kept with the turn.

/// How one turn serves the queues.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Every queue once; where control tells which have jobs, those and the ones that the turn reports on.
    pub(super) queues: Vec<usize>,
    /// The most to take from each of the first queues, none from those behind; empty: no limit for any.
    pub(super) limits: Vec<usize>,
    /// By weight: how many of these each was allotted.
    pub(super) allotted: Vec<usize>,
}

impl Order {
    /// Names these queues too, behind the others. Without a limit there are no others to be told from them.
    pub(super) fn also(&mut self, queues: impl Iterator<Item = usize>) {
        let mut before = None;
        for queue in queues {
            // Most come in rows.
            if before.replace(queue) != Some(queue) && !self.queues.contains(&queue) {
                self.queues.push(queue);
            }
        }
    }

    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.queues.clear();
        self.limits.clear();
        self.allotted.clear();
    }
}
