//! Names that this process does not know, of which its shards have left jobs to other workers: told once in the log, and
//! shown in its figures.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::state::Control;
use crate::foreign::Foreign;
use crate::limits::{LEFT_NAMES_MAX, LEFT_NAMES_SAID_MAX};
use crate::stats::ShardStats;
use crate::wire::figures::LeftName;

/// The names, those with most jobs first; behind them, without a name, what is not counted one by one.
pub(super) fn names(stats: &[Arc<ShardStats>]) -> Vec<LeftName> {
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, _, count) in stats.iter().flat_map(|stats| stats.left.names()) {
        *times.entry(name).or_default() += count;
    }
    let mut names: Vec<LeftName> =
        times.into_iter().map(|(name, times)| LeftName { name: name.to_owned(), times }).collect();
    names.sort_by_key(|left| Reverse(left.times));
    let beyond = names.split_off(names.len().min(LEFT_NAMES_MAX)).iter().map(|left| left.times).sum::<u64>();
    let others = beyond + stats.iter().map(|stats| stats.left.others()).sum::<u64>();
    if others > 0 {
        names.push(LeftName { name: String::new(), times: others });
    }
    names
}

/// The names that were logged.
#[derive(Default)]
pub(super) struct Said(Vec<String>);

impl Said {
    /// Logs each name once, up to a bound.
    pub(super) fn tell(&mut self, control: &Control) {
        for stats in &control.options.stats {
            for (name, queue, _) in stats.left.names() {
                if self.0.len() >= LEFT_NAMES_SAID_MAX || self.0.iter().any(|said| said == name) {
                    continue;
                }
                self.0.push(name.to_owned());
                let (name, queue) = (Foreign::text(name), Foreign::text(queue));
                tracing::warn!(%name, %queue, "{}", control.options.schema.why_left());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_are_added_up_and_the_rest_comes_last() {
        let stats: Vec<Arc<ShardStats>> = (0..2).map(|_| Arc::default()).collect();
        assert!(names(&stats).is_empty());
        for (shard, name) in [(0, "A"), (1, "B"), (1, "A"), (0, "A"), (1, "B")] {
            stats[shard].left.add(name, "img");
        }
        let shown =
            |names: Vec<LeftName>| names.into_iter().map(|left| (left.name, left.times)).collect::<Vec<_>>();
        assert_eq!(shown(names(&stats)), [("A".to_owned(), 3), ("B".to_owned(), 2)]);
        for number in 0..2 * LEFT_NAMES_MAX {
            stats[number % 2].left.add(&format!("N{number}"), "img");
        }
        let names = shown(names(&stats));
        assert_eq!(names.len(), LEFT_NAMES_MAX + 1);
        assert_eq!(names[LEFT_NAMES_MAX].0, "");
        assert_eq!(names.iter().map(|(_, times)| times).sum::<u64>(), 5 + 2 * LEFT_NAMES_MAX as u64);
    }
}
