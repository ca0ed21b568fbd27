//! What people have had done by the pages, as it is stored: JSON, an entry each, the latest first.

use serde::{Deserialize, Serialize};

use crate::limits::AUDIT_TEXT_BYTES_MAX;

/// One entry. A later version may have more members.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Unix seconds, by the clock of Redis.
    #[serde(default)]
    pub at: f64,
    /// Who had it done.
    #[serde(default)]
    pub who: String,
    /// What, as an order: "delete all dead jobs named Mail".
    #[serde(default)]
    pub order: String,
    /// `began`, `done`, `stopped` or `failed`.
    #[serde(default)]
    pub outcome: String,
    /// How many jobs, or whatever it was, were acted on.
    #[serde(default)]
    pub done: u64,
    /// What happened.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

impl AuditEntry {
    /// The text to store.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let cut = |text: &str| text[..text.floor_char_boundary(AUDIT_TEXT_BYTES_MAX)].to_owned();
        let entry = Self {
            at: self.at,
            who: cut(&self.who),
            order: cut(&self.order),
            outcome: cut(&self.outcome),
            done: self.done,
            said: cut(&self.said),
        };
        // Texts and numbers always are JSON.
        serde_json::to_string(&entry).unwrap_or_default()
    }

    /// Reads what is stored; `None` if it is something else.
    #[must_use]
    pub fn parse(stored: &[u8]) -> Option<Self> {
        // An array of the members in order would do for serde.
        stored.starts_with(b"{").then(|| serde_json::from_slice(stored).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_and_is_bounded() {
        let entry = AuditEntry {
            at: 1_795_299_903.5,
            who: "ann".to_owned(),
            order: "delete all dead jobs".to_owned(),
            outcome: "done".to_owned(),
            done: 7,
            said: String::new(),
        };
        assert_eq!(AuditEntry::parse(entry.to_stored().as_bytes()), Some(entry.clone()));
        let long = AuditEntry { who: "é".repeat(AUDIT_TEXT_BYTES_MAX), ..entry };
        assert!(long.to_stored().len() < AUDIT_TEXT_BYTES_MAX + 200);
        for other in ["", "x", "[]", "7", "[1.5,\"ann\"]"] {
            assert_eq!(AuditEntry::parse(other.as_bytes()), None, "{other}");
        }
        assert!(AuditEntry::parse(br#"{"at":1,"more":true}"#).is_some());
    }
}
