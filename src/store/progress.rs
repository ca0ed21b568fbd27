//! The progress that jobs report: one string per job, which expires.

use crate::limits::PROGRESS_TTL;
use crate::resp::{Error, Reply, Requests};
use crate::wire::Keyspace;

/// Appends what the job with this jid reports: one SET with a time to live. The reply is `OK`.
pub fn report(keys: Keyspace, jid: &str, json: &str, requests: &mut Requests) {
    let key = keys.progress(jid);
    let mut command = requests.begin(5);
    command.arg(b"SET").arg(key.as_bytes()).arg(json.as_bytes()).arg(b"EX").arg_u64(PROGRESS_TTL.as_secs());
}

/// Appends the question what the job with this jid last reported: one GET, read by [`reported`].
pub fn ask(keys: Keyspace, jid: &str, requests: &mut Requests) {
    requests.command(&[b"GET", keys.progress(jid).as_bytes()]);
}

/// What [`report`] wrote, if the job reported anything lately.
///
/// # Errors
/// If the reply is an error or not a string.
pub fn reported(reply: &Reply) -> Result<Option<&[u8]>, Error> {
    reply.as_nil_or_bulk()
}
