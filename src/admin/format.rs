//! The form in which something is shown.

use std::io::Write;

use serde::Serialize;

use super::error::Error;

/// The form in which the state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Aligned text for people.
    Text,
    /// One JSON object on one line.
    Json,
}

/// Writes one JSON object on one line.
pub(super) fn write_json(value: &impl Serialize, out: &mut dyn Write) -> Result<(), Error> {
    serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}
