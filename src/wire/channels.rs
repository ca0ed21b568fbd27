//! The channels of a database, on which nothing is kept: what is said while nobody listens is lost.

use super::keys::Keyspace;

impl Keyspace {
    /// The channel on which the processes of a database listen for the jids of running jobs to cancel. Channels belong to
    /// the whole server, whatever database a connection has selected, so its number is part of their names.
    #[must_use]
    pub fn cancel_channel(self, database: u32) -> String {
        format!("{}{database}", self.names().cancel_prefix)
    }

    /// The channel on which one process listens for an operator's requests: `quiet`, `stop` or `stop now`.
    #[must_use]
    pub fn steer_channel(self, database: u32, uuid: &str) -> String {
        format!("{}{database}:{uuid}", self.names().steer_prefix)
    }

    /// The channel on which every process of a database listens for changes of what is paused. No uuid follows the number.
    #[must_use]
    pub fn fleet_channel(self, database: u32) -> String {
        format!("{}{database}", self.names().steer_prefix)
    }

    /// The channel on which processes tell each other how many slots they give to their queues.
    #[must_use]
    pub fn slots_channel(self, database: u32) -> String {
        format!("{}{database}:slots", self.names().steer_prefix)
    }
}
