//! How an act and the owner of a connection talk to each other.

use crate::{
    acts::action::DeadSetFull,
    resp::{self, Reply, Requests},
    store::scripts::Scripts,
    wire::QueueName,
};

/// An act in steps, each one call and its reply.
///
/// It may be abandoned between two steps: what was done is done. After [`Error`] it must be.
pub(crate) trait Steps {
    /// Appends the next call, and returns whom to ask; `None`: it is finished, or waits for its caller's consent.
    ///
    /// Until the reply is read it appends the same again: a server that forgot its scripts has done nothing.
    fn next(&self, scripts: &Scripts, requests: &mut Requests) -> Option<To>;

    /// Reads the reply to what [`Self::next`] appended.
    ///
    /// # Errors
    /// [`Error`].
    fn read(&mut self, reply: &Reply) -> Result<(), Error>;

    /// What the next call is for, as an error begins: "read the dead set".
    fn what(&self) -> String;
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum To {
    /// The server whose scripts were given.
    Here,
    /// The node of a cluster that has this queue.
    Queue(QueueName),
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Redis refused the call, or answered nonsense.
    #[error(transparent)]
    Reply(#[from] resp::Error),
    /// The dead set has no room for what is to be moved.
    #[error(transparent)]
    DeadSetFull(#[from] DeadSetFull),
}

/// How far an act has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ActProgress {
    /// Jobs acted on, or keys deleted.
    pub(crate) done: u64,
    /// Entries looked at.
    pub(crate) seen: u64,
    /// Out of this many.
    pub(crate) of: u64,
}
