//! The one warning a process gives where Ruby servers with a poller run next to it, along with the cure.

/// Whether it was given.
#[derive(Debug, Default)]
pub(super) struct PollerWarning {
    said: bool,
}

impl PollerWarning {
    /// Whether it is yet to be given, so that it is worth a question.
    pub(super) const fn is_due(&self) -> bool {
        !self.said
    }

    /// Gives it the first time this many living Ruby servers have a poller.
    pub(super) fn give(&mut self, servers: usize) {
        if servers == 0 || std::mem::replace(&mut self.said, true) {
            return;
        }
        tracing::warn!(
            servers,
            "ruby servers run their poller next to this worker: their requeuer may take jobs of living ruby servers for \
             stale, so that they run twice; set poller_enabled: false in the ruby servers, whose poller's work this worker \
             does, or give the two a redis database each"
        );
    }
}
