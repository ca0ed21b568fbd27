//! Mappings of the configuration file that say something of each of some queues.

use std::collections::HashSet;
use std::path::Path;

use saphyr::MarkedYaml;

use super::error::{Error, Origin};
use super::periodic::fields;
use crate::foreign::Foreign;
use crate::limits::QUEUES_MAX;

/// Reads a mapping of queues: each queue once, what `one` reads of it, and where that is said. `what`: its key, and what is
/// expected of a queue, in words.
///
/// # Errors
/// The first queue of which something is refused, with its line.
pub(super) fn by_queue<T>(
    path: &Path,
    node: &MarkedYaml<'_>,
    what: (&str, &str),
    one: impl Fn(&MarkedYaml<'_>) -> Result<T, String>,
) -> Result<Vec<(String, T, Origin)>, Error> {
    let (key, expected) = what;
    let origin = |node: &MarkedYaml<'_>, queue: &str| {
        let key = if queue.is_empty() { key.to_owned() } else { format!("{key}.{}", Foreign::text(queue)) };
        Origin::File { path: path.to_owned(), line: node.span.start.line(), key }
    };
    let refused = |node: &MarkedYaml<'_>, queue: &str, reason: String| Error::BadValue {
        origin: origin(node, queue),
        reason,
    };
    let queues = fields(node)
        .ok_or_else(|| refused(node, "", format!("a mapping of queues to {expected} is expected")))?;
    if queues.len() > QUEUES_MAX {
        let reason = format!("{} queues are more than the {QUEUES_MAX} allowed", queues.len());
        return Err(refused(node, "", reason));
    }
    let mut named = HashSet::new();
    let read = |(queue, node): (String, &MarkedYaml<'_>)| {
        let value = one(node).map_err(|reason| refused(node, &queue, reason))?;
        if !named.insert(queue.clone()) {
            return Err(refused(node, &queue, "this queue is named twice".to_owned()));
        }
        let origin = origin(node, &queue);
        Ok((queue, value, origin))
    };
    queues.into_iter().map(read).collect()
}
