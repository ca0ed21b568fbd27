//! What operators do to jobs and processes, step by step and without a connection: retry, kill, delete, prune, look at
//! jobs, make processes quiet, stop them, pause queues and classes, change periodic jobs.
//!
//! An act says what to ask Redis next and reads the reply ([`Steps`]); its caller brings the connections, shows progress,
//! and asks people for consent. The command line drives acts over blocking connections (`admin`). Nothing here prints,
//! waits or ends the process.

// The steps that all acts have in common.
mod size;
mod steps;
// Looking at jobs.
pub(crate) mod look;
// Acting on jobs.
pub(crate) mod action;
mod batch;
pub(crate) mod pick;
pub(crate) mod prune;
mod scene;
pub(crate) mod sweep;
// Processes, queues and classes.
pub(crate) mod pause;
pub(crate) mod periodic;
pub(crate) mod steer;

pub(crate) use batch::Outcome;
pub(crate) use scene::Scene;
pub(crate) use size::Size;
#[cfg(feature = "web")]
pub(crate) use steps::ActProgress;
pub(crate) use steps::{Error, Steps, To};

#[cfg(test)]
mod tests;
