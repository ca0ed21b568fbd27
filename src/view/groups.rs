//! Jobs of a place counted by name, class of error and message, for the question what fails and how often.
//!
//! Messages name ids, ports and times, so each run of digits is written as `#`, and only the first line counts.

use std::collections::HashMap;

use serde::Serialize;

use super::entry::{JobEntry, shortened};
use super::page::Head;
use crate::limits::JOBS_GROUPS_MAX;

/// Jobs that have the same name and fail in the same way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Group {
    pub(crate) jobs: u64,
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) error: String,
    /// The jid of one of them, for `show`.
    pub(crate) example: String,
    /// In a set: the lowest and the highest score.
    pub(crate) lowest_score: Option<f64>,
    pub(crate) highest_score: Option<f64>,
    /// When the first of them first failed, and when the last of them last did, as far as they say. Unix seconds.
    #[serde(skip)]
    pub(crate) first_failed: Option<f64>,
    #[serde(skip)]
    pub(crate) last_failed: Option<f64>,
    /// How many of them last failed in each of the last hours, the latest last, before the time that the groups are of.
    #[serde(skip)]
    pub(crate) hours: Hours,
}

/// Jobs in each of the last 24 hours.
pub(crate) type Hours = [u64; 24];

/// Groups of a place. As JSON it is what `jobs PLACE --group --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Grouped<'p> {
    #[serde(flatten)]
    pub(crate) head: Head<'p>,
    pub(crate) examined: u64,
    /// Where to continue; `None`: there is no more.
    pub(crate) next_skip: Option<u64>,
    /// The largest first.
    pub(crate) groups: Vec<Group>,
    /// Jobs in none of these.
    pub(crate) others: u64,
}

/// The groups so far.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// By name, class and error. Invariant: at most [`JOBS_GROUPS_MAX`].
    groups: HashMap<(String, String, String), Group>,
    /// Jobs that would have made one group more.
    others: u64,
    /// Unix seconds; `None`: hours are not counted.
    now: Option<f64>,
}

impl Groups {
    /// The same, with the hours before this time.
    #[cfg(feature = "web")]
    pub(crate) fn before(now: f64) -> Self {
        Self { now: Some(now), ..Self::default() }
    }

    /// Counts a job.
    pub(crate) fn add(&mut self, job: &JobEntry<'_>) {
        let name = job.name().map_or_else(|| "-".to_owned(), |name| shortened(&name));
        let class = shortened(&job.text(job.names().error_class).unwrap_or_default());
        let error = alike(&job.text(job.names().error_message).unwrap_or_default());
        let key = (name, class, error);
        if !self.groups.contains_key(&key) && self.groups.len() >= JOBS_GROUPS_MAX {
            self.others += 1;
            return;
        }
        let (name, class, error) = key.clone();
        let example = || shortened(&job.id());
        let group = self.groups.entry(key).or_insert_with(|| Group {
            jobs: 0,
            name,
            class,
            error,
            example: example(),
            lowest_score: job.score(),
            highest_score: job.score(),
            first_failed: None,
            last_failed: None,
            hours: Hours::default(),
        });
        group.jobs += 1;
        let first = job.number(job.names().first_failed_at);
        if let Some(first) = first {
            group.first_failed = Some(group.first_failed.map_or(first, |before| before.min(first)));
        }
        if let Some(last) = job.last_failed() {
            let ago = self.now.map(|now| ((now - last) / 3_600.0).max(0.0) as usize);
            if let Some(hour) = ago.and_then(|ago| group.hours.iter_mut().rev().nth(ago)) {
                *hour += 1;
            }
            group.last_failed = Some(group.last_failed.map_or(last, |before| before.max(last)));
        }
        if let Some(score) = job.score() {
            group.lowest_score = group.lowest_score.map(|lowest| lowest.min(score));
            group.highest_score = group.highest_score.map(|highest| highest.max(score));
        }
    }

    /// All of them, the largest first, and how many jobs are in none.
    pub(crate) fn sorted(self) -> (Vec<Group>, u64) {
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        groups.sort_by(|one, other| {
            let words = |group: &Group| (group.name.clone(), group.class.clone(), group.error.clone());
            other.jobs.cmp(&one.jobs).then_with(|| words(one).cmp(&words(other)))
        });
        (groups, self.others)
    }
}

/// The first line of a message, shortened, with `#` for each run of digits.
fn alike(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut text = String::new();
    for character in line.chars() {
        match character.is_ascii_digit() {
            false => text.push(character),
            true if !text.ends_with('#') => text.push('#'),
            true => {}
        }
    }
    shortened(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Schema;
    use crate::{
        job::Parser,
        store::entries::{Entry, Place, Set},
    };

    #[test]
    fn jobs_are_counted_by_name_class_and_message_without_its_numbers() {
        let place = Place::Set(Set::Dead);
        let mut groups = Groups::default();
        let mut add = |payload: &str, score: f64| {
            let size = payload.len() as u64;
            let entry =
                Entry { newer: 0, size, score: Some(score), bytes: payload.as_bytes().to_vec().into() };
            groups.add(&JobEntry::new(&place, &entry, &mut Parser::new(Schema::Jiggler)));
        };
        for number in [17, 4, 2_000] {
            let job = format!(
                r#"{{"name":"Item","jid":"j{number}","error_class":"E","error_message":"item {number}: -{number}.5\nmore"}}"#
            );
            add(&job, f64::from(number));
        }
        add(r#"{"name":"Item","jid":"x","error_class":"F","error_message":"item 1: -1.5"}"#, 1.0);
        add("no job", 2.0);
        for number in 0..JOBS_GROUPS_MAX {
            let name = number.to_string().replace(|digit: char| digit.is_ascii_digit(), "x")
                + &"y".repeat(number % 50);
            add(&format!(r#"{{"name":"{number}{name}"}}"#), 3.0);
        }
        let (sorted, others) = groups.sorted();
        assert_eq!((sorted.len(), others), (JOBS_GROUPS_MAX, 3));
        let Group { jobs, name, class, error, example, lowest_score, highest_score, .. } = &sorted[0];
        assert_eq!((*jobs, &**name, &**class, &**error), (3, "Item", "E", "item #: -#.#"));
        assert_eq!((&**example, *lowest_score, *highest_score), ("j17", Some(4.0), Some(2_000.0)));
        assert!(sorted[1..].iter().all(|group| group.jobs == 1));
    }
}
