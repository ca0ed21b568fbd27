//! Changing one periodic job: adding, removing, pausing and resuming it, and pushing its job now.
//!
//! A change is made from what is stored and only if that is still there, so neither two operators nor a tick undo each
//! other's.

use bytes::Bytes;
use thiserror::Error;

use crate::cron::edit::{EditError, Put, entry_of, pause, put, remove, run_now};
use crate::cron::{CronEntry, Origin};
use crate::job::Schema;
use crate::limits::CRON_EDITS_MAX;
use crate::resp::{self, Reply, Requests};
use crate::store::cron::{self, Change, Changed, Row};
use crate::wire::Realm;

/// What to do with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Edit {
    /// Store this entry under its name.
    Add {
        entry: Box<CronEntry>,
        /// Whether it may take another's place.
        replaces: bool,
    },
    /// Remove it.
    Remove,
    /// Let its ticks pass without a push.
    Pause,
    /// Let them push again.
    Resume,
    /// Push its job now.
    Run,
}

/// Why it is not changed. For the user to mend, except for [`EditingError::Busy`] and [`EditingError::Reply`].
#[derive(Debug, Error)]
pub(crate) enum EditingError {
    /// There is none, or one too many, or it cannot be read.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Its job has no place to go.
    #[error("the key of its queue is not a list; fix or remove it")]
    Held,
    /// Others have changed it each time.
    #[error("others change it all the time; try again")]
    Busy,
    /// Redis refused, or answered nonsense.
    #[error(transparent)]
    Reply(#[from] resp::Error),
}

/// The change under way: while [`Self::write`] has something to ask, send it and pass the replies to [`Self::read`]. Two
/// round trips, and two more each time that others come first.
#[derive(Debug)]
pub(crate) struct Editing {
    edit: Edit,
    name: Bytes,
    realm: Realm,
    schema: Schema,
    edits: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Look,
    /// The change, and what it does.
    Put(Requests, Edited),
    Over(Edited),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edited {
    /// Stored, at this time by the clock of Redis in Unix milliseconds.
    Added {
        now: i64,
    },
    Removed {
        /// Whether workers declare it, in code or in their file.
        is_declared: bool,
    },
    Paused,
    Resumed,
    /// Its job was pushed with this id.
    Pushed {
        jid: String,
    },
}

impl Editing {
    /// The change of the entry of that name, in the table of that realm.
    pub(crate) fn new(edit: Edit, name: &str, realm: Realm, schema: Schema) -> Self {
        let name = Bytes::copy_from_slice(name.as_bytes());
        Self { edit, name, realm, schema, edits: 0, stage: Stage::Look }
    }

    /// Appends what is to be asked next; `false`: nothing is.
    pub(crate) fn write(&self, requests: &mut Requests) -> bool {
        match &self.stage {
            Stage::Look => {
                cron::change(&self.realm, &[], requests);
                cron::ask_rows(&self.realm, std::slice::from_ref(&self.name), requests);
            }
            Stage::Put(change, _) => requests.append(change),
            Stage::Over(_) => return false,
        }
        true
    }

    /// Reads the replies to [`Self::write`].
    ///
    /// # Errors
    /// [`EditingError`].
    pub(crate) fn read(&mut self, replies: &[Reply]) -> Result<(), EditingError> {
        let [first, rest @ ..] = replies else {
            let error = resp::Error::Unexpected { expected: "a reply", got: "none".to_owned() };
            return Err(error.into());
        };
        let table = cron::read(first)?;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Look) {
            Stage::Look => {
                let names = std::slice::from_ref(&self.name);
                let absent = || Row { name: self.name.clone(), entry: None, run: None, at: None };
                let row = cron::read_rows(names, rest)?.pop().unwrap_or_else(absent);
                let (change, edited) = self.change(&row, table.now)?;
                Stage::Put(change, edited)
            }
            Stage::Put(_, edited) => {
                self.edits += 1;
                match table.changed.first() {
                    Some(Changed::Done | Changed::Forgotten | Changed::Skipped) => Stage::Over(edited),
                    Some(Changed::Held) => return Err(EditingError::Held),
                    _ if self.edits >= CRON_EDITS_MAX => return Err(EditingError::Busy),
                    _ => Stage::Look,
                }
            }
            over @ Stage::Over(_) => over,
        };
        Ok(())
    }

    /// The change as it is sent, and what it does.
    fn change(&self, row: &Row, now: i64) -> Result<(Requests, Edited), EditError> {
        let written = |change: Change<'_>| {
            let mut requests = Requests::new();
            cron::change(&self.realm, &[change], &mut requests);
            requests
        };
        Ok(match &self.edit {
            Edit::Add { entry, replaces } => {
                let put = put(row, Put { entry, holder: None, replaces: *replaces }, now)?;
                (written(put), Edited::Added { now })
            }
            Edit::Remove => {
                let is_declared = entry_of(row).is_ok_and(|entry| entry.origin() != Origin::Command);
                (written(remove(row)?), Edited::Removed { is_declared })
            }
            Edit::Pause => (written(pause(row, true, now)?), Edited::Paused),
            Edit::Resume => (written(pause(row, false, now)?), Edited::Resumed),
            Edit::Run => {
                let entry = entry_of(row)?;
                let (change, jid) = run_now(row, &entry, self.schema, now)?;
                (written(change), Edited::Pushed { jid })
            }
        })
    }

    /// What was done, once that is known.
    pub(crate) const fn edited(&self) -> Option<&Edited> {
        match &self.stage {
            Stage::Over(edited) => Some(edited),
            Stage::Look | Stage::Put(..) => None,
        }
    }
}
