//! A job's progress, as it reports it.

use serde::{Deserialize, Serialize};

use super::Error;
use crate::limits::PROGRESS_NOTE_CHARS_MAX;
use crate::resp::Reply;
use crate::store::progress;

/// The last progress a job reported with [`Ctx::progress`](crate::Ctx::progress). Stored as JSON with these members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is to do.
    pub total: u64,
    /// A few words; at most [`PROGRESS_NOTE_CHARS_MAX`] characters.
    #[serde(default)]
    pub note: String,
    /// When it was reported: Unix time in seconds, by the clock of Redis.
    pub at: f64,
}

impl Progress {
    /// A note of this Unix time.
    pub(crate) fn new(done: u64, total: u64, note: &str, at: f64) -> Self {
        let note = note.chars().take(PROGRESS_NOTE_CHARS_MAX).collect();
        Self { done, total, note, at }
    }

    /// Reads the reply to [`progress::ask`].
    pub(super) fn reported(reply: &Reply) -> Result<Option<Self>, Error> {
        let json = progress::reported(reply).map_err(Error::of_call)?;
        // What others wrote under our key is ignored.
        Ok(json.and_then(|json| serde_json::from_slice(json).ok()))
    }

    /// Percent done, from 0 to 100; a job with nothing to do is done.
    #[must_use]
    pub fn percent(&self) -> f64 {
        if self.done >= self.total { 100.0 } else { 100.0 * self.done as f64 / self.total as f64 }
    }

    /// As it is stored.
    pub(super) fn to_json(&self) -> String {
        // Numbers and text are always valid JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}
