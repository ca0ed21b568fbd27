//! What comes of each deed, in a sentence or two, for those who are asked.

use super::{Deed, Verb};
use crate::acts::pause::Pausable;
use crate::acts::periodic::Edit;
use crate::store::steer::SteerRequest;

impl Deed {
    /// What that means.
    pub(in crate::web::pages) const fn effect(&self) -> &'static str {
        match self {
            Self::Job { verb, .. } => match verb {
                Verb::Retry => "It leaves its set and goes to its queue at once.",
                Verb::Kill => {
                    "It goes to the dead set, with the reason that an operator has killed it. It can be retried."
                }
                Verb::Delete => "It is gone for good.",
            },
            Self::All { verb, .. } => match verb {
                Verb::Retry => "Each goes to its queue at once.",
                Verb::Kill => {
                    "The dead set must have room for them: none of its jobs is pushed out. They can be retried."
                }
                Verb::Delete => "They are gone for good.",
            },
            Self::Pause(Pausable::Queue(_)) => {
                "No worker takes jobs from it until it is resumed; those that run go on. A Ruby server does not heed it."
            }
            Self::Pause(Pausable::Class(_)) => {
                "Its jobs wait in the retry set, some seconds at a time, and lose no attempt, until it is resumed. \
                 A Ruby server does not heed it."
            }
            Self::Resume(_) => "Workers take its jobs again.",
            Self::Clear(_) => "They are gone for good. Jobs that run are not touched.",
            Self::Steer { request: SteerRequest::Quiet, .. } => {
                "It finishes the jobs that it runs and takes no more. Only a restart makes it take jobs again."
            }
            Self::Steer { .. } => {
                "It takes no more jobs, waits for those that it runs up to its own timeout, hands back the rest, and ends."
            }
            Self::Periodic { edit, .. } => match edit {
                Edit::Pause => "Its ticks pass without a push until it is resumed; what was pushed runs.",
                Edit::Resume => "It is pushed again from its next tick on.",
                Edit::Run => {
                    "Its job is pushed now, besides its ticks, whether it is paused or its last run lives."
                }
                Edit::Remove | Edit::Add { .. } => {
                    "It is pushed no more. One that code or a configuration file declares comes back when a process starts."
                }
            },
            Self::Again { .. } => {
                "A new job with an id of its own goes to the same queue at once, as if it had never run. The old one stays \
                 where it is."
            }
            Self::Cancel { .. } => {
                "The worker that runs it ends it at its next await, and it goes to the dead set. If it has ended by then, \
                 nothing happens."
            }
        }
    }
}
