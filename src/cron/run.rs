//! What is stored of an entry's past and next run, beside the entry: the script that pushes writes it.

use serde::{Deserialize, Serialize};

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
        let last = LastRun { tick: 1, at: 2, jid: "j".to_owned() };
        let run = Run { tick: Some(5), last: Some(last), pushed: 3, missed: 1 };
        assert_eq!(Run::read(Some(&run.to_json())), run);
        for json in [None, Some(&b""[..]), Some(b"[]"), Some(b"{\"tick\":\"x\"}"), Some(b"\xff")] {
            assert_eq!(Run::read(json), Run::default());
        }
    }
}
