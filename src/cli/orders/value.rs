//! Values that several subcommands take, checked as they are read.

use crate::limits::{JID_BYTES_MAX, JOB_NAME_BYTES_MAX};

pub(super) fn jid(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > JID_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("a jid has 1 to {JID_BYTES_MAX} bytes and no control characters"));
    }
    Ok(text.to_owned())
}

pub(super) fn job_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > JOB_NAME_BYTES_MAX {
        return Err(format!("a job name has 1 to {JOB_NAME_BYTES_MAX} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("a job name holds no control characters".to_owned());
    }
    Ok(text.to_owned())
}
