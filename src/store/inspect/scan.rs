//! One SCAN of an inspection, page by page.

use std::collections::BTreeSet;

use super::InspectError;
use super::add::at;
use crate::limits::{INSPECT_KEYS_MAX, SCAN_PAGE_KEYS};
use crate::resp::{Reply, Requests};

/// A SCAN under way.
#[derive(Debug)]
pub(super) struct Scan {
    /// Where to go on; `None` when it has come round.
    pub(super) cursor: Option<Vec<u8>>,
    /// SCAN may give a key twice.
    pub(super) keys: BTreeSet<Vec<u8>>,
}

impl Default for Scan {
    fn default() -> Self {
        Self { cursor: Some(b"0".to_vec()), keys: BTreeSet::new() }
    }
}

impl Scan {
    pub(super) const OVER: Self = Self { cursor: None, keys: BTreeSet::new() };

    /// Takes one page: the cursor to go on with and some keys, perhaps none.
    pub(super) fn accept(&mut self, prefix: &str, reply: &Reply) -> Result<(), InspectError> {
        let pattern = format!("{prefix}*");
        let expected = "a cursor and a page of keys";
        let mut parts = reply.as_array().map_err(at(&pattern))?;
        let (Some(cursor), Some(page)) = (parts.next(), parts.next()) else {
            return Err(at(&pattern)(reply.value().instead_of(expected)));
        };
        let cursor = cursor.as_bulk().map_err(at(&pattern))?;
        self.cursor = (cursor != b"0").then(|| cursor.to_vec());
        for key in page.as_array().map_err(at(&pattern))? {
            self.keys.insert(key.as_bulk().map_err(at(&pattern))?.to_vec());
        }
        if self.keys.len() > INSPECT_KEYS_MAX {
            return Err(InspectError::TooManyKeys { pattern });
        }
        Ok(())
    }
}

/// Appends the question for the next page of the keys of a kind that begin so.
pub(super) fn write_scan(requests: &mut Requests, cursor: &[u8], prefix: &str, kind: &str) {
    let pattern = format!("{prefix}*");
    let mut command = requests.begin(8);
    command.arg(b"SCAN").arg(cursor).arg(b"MATCH").arg(pattern.as_bytes());
    command.arg(b"COUNT").arg_u64(SCAN_PAGE_KEYS).arg(b"TYPE").arg(kind.as_bytes());
}
