//! What is stored of an entry's past and next run, beside the entry: the script that pushes writes it.

use serde::{Deserialize, Serialize};

use super::{CronEntry, Overlap};

/// Where an entry is. What is missing or unreadable counts as nothing: it tells, and decides little.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// The tick that comes next, Unix milliseconds: with jitter it is pushed later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tick: Option<i64>,
    /// The last push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastRun>,
    /// Jobs pushed since it was added.
    pub pushed: u64,
    /// Ticks left out since then, because they were late.
    pub missed: u64,
    /// Ticks left out because the last run still lived.
    #[serde(skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// The last of these, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_tick: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The last push of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LastRun {
    /// Its tick, Unix milliseconds.
    pub tick: i64,
    /// When it was pushed, Unix milliseconds.
    pub at: i64,
    /// Id of the job.
    pub jid: String,
    /// The job as it was pushed, if its runs must not overlap: by its bytes it is found deep in its queue.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub payload: String,
}

impl LastRun {
    /// The push of a tick at a time.
    pub(crate) fn of(entry: &CronEntry, tick: i64, at: i64, jid: &str, payload: &[u8]) -> Self {
        let is_looked_for = entry.overlaps() == Overlap::Skip;
        let payload =
            if is_looked_for { String::from_utf8_lossy(payload).into_owned() } else { String::new() };
        Self { tick, at, jid: jid.to_owned(), payload }
    }
}

impl Run {
    /// Reads what is stored.
    #[must_use]
    pub fn read(json: Option<&[u8]>) -> Self {
        json.and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default()
    }

    /// As it is stored.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Numbers and texts always are JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_what_is_spoilt_counts_as_nothing() {
        let last = LastRun { tick: 1, at: 2, jid: "j".to_owned(), payload: "{}".to_owned() };
        let run =
            Run { tick: Some(5), last: Some(last), pushed: 3, missed: 1, skipped: 2, skipped_tick: Some(4) };
        assert_eq!(Run::read(Some(&run.to_json())), run);
        for json in [None, Some(&b""[..]), Some(b"[]"), Some(b"{\"tick\":\"x\"}"), Some(b"\xff")] {
            assert_eq!(Run::read(json), Run::default());
        }
    }
}
