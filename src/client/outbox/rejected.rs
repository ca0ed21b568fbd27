//! Jobs that Redis permanently refuses: moved aside, so that they hold up nothing else.
//!
//! A separate journal next to the other, in the same format: once the problem is fixed, it can be opened as an
//! outbox, which pushes what is in it. It is created when the first job arrives.

use std::path::{Path, PathBuf};

use super::OutboxOptions;
use super::journal::Journal;
use super::record::Record;
use crate::client::journal_error::JournalError;
use crate::ids;

/// Added to the name of the journal.
const SUFFIX: &str = ".rejected";

pub(super) struct Rejected {
    // Fixed at construction.
    path: PathBuf,
    options: OutboxOptions,
    // Changed by its own calls.
    journal: Option<Journal>,
}

impl Rejected {
    /// Opens the one next to the journal at `path`, if there is one.
    pub(super) fn open(path: &Path, options: &OutboxOptions) -> Result<Self, JournalError> {
        let mut name = path.as_os_str().to_owned();
        name.push(SUFFIX);
        let path = PathBuf::from(name);
        let journal = if path.exists() { Some(Journal::open(&path, options)?) } else { None };
        Ok(Self { path, options: options.clone(), journal })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Jobs in it.
    pub(super) fn len(&self) -> u64 {
        self.journal.as_ref().map_or(0, Journal::len)
    }

    /// Adds jobs, all or none; `false` if there is no room. They get new numbers: the old ones are lower than the
    /// markers of later pushes, so pushing them under those would count as already done.
    pub(super) fn add(&mut self, records: &[&Record]) -> Result<bool, JournalError> {
        let journal = match &mut self.journal {
            Some(journal) => journal,
            empty => empty.insert(Journal::open(&self.path, &self.options)?),
        };
        let opening = ids::jid().to_string();
        let mut lines = Vec::new();
        for (number, record) in (1..).zip(records) {
            Record::write(&opening, number, &record.job, &mut lines);
        }
        let jobs = records.len() as u64;
        if !journal.has_room(jobs, lines.len() as u64) {
            return Ok(false);
        }
        journal.append(&lines, jobs)?;
        Ok(true)
    }
}
