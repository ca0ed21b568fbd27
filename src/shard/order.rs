//! How one turn serves the queues: a value that the rota writes, and that is kept with the turn.

/// How one turn serves the queues.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Every queue once.
    pub(super) queues: Vec<usize>,
    /// The most to take from each of the first queues, none from those behind; empty: no limit for any.
    pub(super) limits: Vec<usize>,
    /// By weight: how many of these each was allotted.
    pub(super) allotted: Vec<usize>,
}

impl Order {
    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.queues.clear();
        self.limits.clear();
        self.allotted.clear();
    }
}
