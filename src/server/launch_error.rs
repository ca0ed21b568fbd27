//! Why a process ran and did not end as it should, from how its shards ended.

use thiserror::Error;

use super::build::Unbuilt;
use crate::mesh::Ending;

/// Why a process ran and did not end as it should.
#[derive(Debug, Error)]
pub(super) enum LaunchError {
    /// glommio refused to start it.
    #[error("the executor of {what} cannot be started: {reason}")]
    Executor { what: String, reason: String },
    /// The control thread panicked.
    #[error(
        "the control thread ended unexpectedly; the jobs of this process are recovered when its lease ends"
    )]
    ControlLost,
    /// A shard left jobs in flight.
    #[error(
        "{jobs} jobs of shard {shard} are left in flight (redis could not be reached); they are recovered when the lease ends"
    )]
    LeftBehind { shard: usize, jobs: usize },
    /// A shard was declared dead.
    #[error("shard {shard} was declared dead and its jobs run elsewhere")]
    Fenced { shard: usize },
    /// The server of metrics cannot take over its socket.
    #[cfg(feature = "web")]
    #[error("the server of metrics cannot be started: {reason}")]
    Web { reason: String },
    /// The factory failed, or made a mistake.
    #[error(transparent)]
    Unbuilt(#[from] Unbuilt),
}

/// The worst outcome decides.
pub(super) fn judge(endings: &[(usize, Ending)]) -> Result<(), LaunchError> {
    for &(shard, how) in endings {
        match how {
            // Why it was not built was said where it was built.
            Ending::Clean | Ending::Unheard | Ending::NoState => {}
            Ending::LeftBehind { jobs } => return Err(LaunchError::LeftBehind { shard, jobs }),
            Ending::Fenced => return Err(LaunchError::Fenced { shard }),
        }
    }
    Ok(())
}
