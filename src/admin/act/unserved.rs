//! Whether the queues that retried jobs went to are served: jobs in a queue that nobody serves wait for ever.

use std::{collections::BTreeMap, io::Write};

use crate::{
    admin::{database::Database, error::Error, nodes, table::printable},
    limits::RETRIED_QUEUES_NAMED_MAX,
    store::survey::{Scope, Summary},
    view::count::count,
    view::queue,
    wire::Keyspace,
};

/// Warns of queues, by their keys, that no living process serves. As many round trips as `processes` takes.
pub(super) fn report(
    db: &Database,
    queues: &BTreeMap<String, u64>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if queues.is_empty() {
        return Ok(());
    }
    // The jobs are where they belong: that this is not known is no reason for the command to fail.
    match nodes::survey(db, Scope::Processes) {
        Ok(found) => {
            warnings(&found, db.keys, queues)
                .into_iter()
                .try_for_each(|warning| writeln!(out, "{warning}"))?;
        }
        Err(error) => writeln!(out, "whether a process serves these queues is not known: {error}")?,
    }
    Ok(())
}

fn warnings(found: &Summary, keys: Keyspace, queues: &BTreeMap<String, u64>) -> Vec<String> {
    let unserved: Vec<(&str, u64)> = queues
        .iter()
        .map(|(key, jobs)| (keys.queue_name(key).unwrap_or(key), *jobs))
        .filter(|(name, _)| !queue::is_served(found, name))
        .collect();
    let mut warnings: Vec<String> = unserved.iter().take(RETRIED_QUEUES_NAMED_MAX).map(warning).collect();
    if let Some(more @ 1..) = unserved.len().checked_sub(RETRIED_QUEUES_NAMED_MAX) {
        warnings.push(format!("warning: no living process serves {more} more of these queues"));
    }
    warnings
}

fn warning((name, jobs): &(&str, u64)) -> String {
    let name = printable(name);
    let waits = count(*jobs, "job waits", "jobs wait");
    format!("warning: no living process serves queue {name}: {waits} until a worker does (-q {name})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{store::survey::Process, wire::keys::JIGGLER};

    #[test]
    fn queues_that_nobody_serves_are_named_and_the_rest_of_many_counted() {
        let mut found = Summary::default();
        let key = "jiggler:svr:d8625f8721eb:3:25:img,mails:1:1795299901:8066:vm";
        found.processes.insert(key.to_owned(), Process::read(key, b"{}").unwrap());
        let queues = |names: &[(&str, u64)]| -> BTreeMap<String, u64> {
            names.iter().map(|(name, jobs)| (JIGGLER.queue(name), *jobs)).collect()
        };
        let told = |names| warnings(&found, JIGGLER, &queues(names));
        assert_eq!(told(&[("img", 3), ("mails", 1)]), Vec::<String>::new());
        assert_eq!(
            told(&[("img", 3), ("nobody", 1), ("none", 2)]),
            [
                "warning: no living process serves queue nobody: 1 job waits until a worker does (-q nobody)",
                "warning: no living process serves queue none: 2 jobs wait until a worker does (-q none)",
            ]
        );
        let many: Vec<String> =
            (0..RETRIED_QUEUES_NAMED_MAX + 2).map(|number| format!("q{number}")).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|name| (name.as_str(), 1)).collect();
        let told = told(&many);
        assert_eq!(told.len(), RETRIED_QUEUES_NAMED_MAX + 1);
        assert_eq!(told.last().unwrap(), "warning: no living process serves 2 more of these queues");
    }
}
