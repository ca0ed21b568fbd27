//! `/errors`: what fails, and how often: the newest jobs of the retry set and of the dead set, counted by class, class of
//! error and message.
//!
//! At most [`PAGE_EXAMINED_MAX`] of each are examined; the page says of how many. Jobs that wait in the retry set and have
//! not failed, because they were snoozed or left to others, are no errors.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use askama::Template;
use http::StatusCode;

use super::answer::{Answer, Visit};
use super::ask::{AskError, address};
use super::frame::{Frame, Page, html};
use super::link::DeskError;
use super::paging::Paging;
use super::wanted::Wanted;
use super::words::{Moment, Text, count, number};
use crate::acts::look::Reached;
use crate::limits::{ERROR_GROUPS_MAX, PAGE_EXAMINED_MAX, PAGE_ROWS_MAX};
use crate::store::entries::{Entry, Place, Set};
use crate::view::entry::JobEntry;
use crate::view::groups::{Group, Groups, Hours};

#[derive(Template)]
#[template(path = "errors.html", config = "src/web/pages/askama.toml")]
struct Errors {
    frame: Frame,
    rows: Vec<Row>,
    paging: Paging,
    examined: Vec<String>,
}

/// Jobs of one class that fail in one way.
struct Row {
    name: Text,
    class: Text,
    error: Text,
    retries: String,
    dead: String,
    first: Option<Moment>,
    last: Option<Moment>,
    /// How many failed so last in each of the last 24 hours, as a path of bars, and in all of them.
    bars: String,
    day: String,
    /// Where they are.
    in_retries: String,
    in_dead: String,
}

/// What was found in both sets.
#[derive(Default)]
struct Both {
    retries: u64,
    dead: u64,
    first: Option<f64>,
    last: Option<f64>,
    hours: Hours,
}

const SETS: [Set; 2] = [Set::Retries, Set::Dead];

/// The page.
pub(super) async fn page(visit: &Visit<'_>) -> Result<Answer, AskError> {
    let skip = visit.ask.number("skip", ERROR_GROUPS_MAX as u64)?.unwrap_or(0) as usize;
    let known = visit.known().await;
    let mut frame = visit.frame("Errors", &known);
    let mut status = known.status();
    let now = known.seen.as_ref().map_or(0.0, |seen| seen.at);
    let (mut all, mut examined) = (BTreeMap::new(), Vec::new());
    if known.trouble.is_none() {
        for set in SETS {
            match groups(visit, set, now).await {
                Ok(look) => {
                    look.groups.into_iter().for_each(|group| add(&mut all, set, group));
                    examined.push(said(set, look.reached, look.unfailed));
                }
                Err(trouble) => {
                    frame = frame.in_trouble(&trouble, visit.desk);
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    break;
                }
            }
        }
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, both): &(_, Both)| std::cmp::Reverse(both.retries + both.dead));
    let rows: Vec<Row> =
        all.iter().skip(skip).take(PAGE_ROWS_MAX).map(|(key, both)| row(key, both, now)).collect();
    let to = |skip: &str| address(Page::Errors.path(), &[("skip", skip)]);
    let paging = Paging::of((skip, rows.len(), all.len()), ("kind of error", "kinds of errors"), to);
    Ok(html(status, &Errors { frame, rows, paging, examined }))
}

/// Class, class of the error, message.
type Key = (String, String, String);

/// What was found in one set.
struct Grouped {
    groups: Vec<Group>,
    reached: Reached,
    /// Jobs that have not failed.
    unfailed: u64,
}

async fn groups(visit: &Visit<'_>, set: Set, now: f64) -> Result<Grouped, DeskError> {
    let place = Place::Set(set);
    let desk = visit.desk;
    let (groups, parser) = (RefCell::new(Groups::before(now)), RefCell::new(desk.parser()));
    let query = Wanted::default().query(&place, 0, PAGE_EXAMINED_MAX as usize, PAGE_EXAMINED_MAX);
    let unfailed = Cell::new(0);
    let add = |entry: &Entry| {
        let job = JobEntry::new(&place, entry, &mut parser.borrow_mut());
        if set == Set::Retries && job.trouble().is_none() && !job.has_failed() {
            unfailed.set(unfailed.get() + 1);
        } else {
            groups.borrow_mut().add(&job);
        }
    };
    let reached = desk.look(&query, add).await?.reached;
    Ok(Grouped { groups: groups.into_inner().sorted().0, reached, unfailed: unfailed.get() })
}

fn said(set: Set, reached: Reached, unfailed: u64) -> String {
    let all = count(reached.total, "job", "jobs");
    let examined = format!("{} of {all} in {set} examined, the newest first", number(reached.examined));
    match unfailed {
        0 => format!("{examined}."),
        1 => format!("{examined}; 1 of them waits there without having failed."),
        more => format!("{examined}; {} of them wait there without having failed.", number(more)),
    }
}

fn add(all: &mut BTreeMap<Key, Both>, set: Set, group: Group) {
    let key = (group.name, group.class, group.error);
    if all.len() >= ERROR_GROUPS_MAX && !all.contains_key(&key) {
        return;
    }
    let both = all.entry(key).or_default();
    match set {
        Set::Dead => both.dead += group.jobs,
        _ => both.retries += group.jobs,
    }
    both.hours.iter_mut().zip(group.hours).for_each(|(sum, more)| *sum += more);
    let least = |one: Option<f64>, other: Option<f64>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    both.first = least(both.first, group.first_failed);
    both.last = least(both.last.map(|at| -at), group.last_failed.map(|at| -at)).map(|at| -at);
}

fn row((name, class, error): &Key, both: &Both, now: f64) -> Row {
    // What was cut is not the name of anything.
    let wanted = Wanted {
        name: if name.ends_with('…') || name == "-" { String::new() } else { name.clone() },
        class: if class.ends_with('…') { String::new() } else { class.clone() },
        ..Wanted::default()
    };
    let to = |set: Set, many: u64| match many {
        0 => String::new(),
        _ => address(set.word(), &wanted.parameters()),
    };
    Row {
        name: Text::cell(name),
        class: Text::cell(class),
        error: Text::cell(error),
        bars: bars(&both.hours),
        day: number(both.hours.iter().sum()),
        retries: number(both.retries),
        dead: number(both.dead),
        first: both.first.map(|at| Moment::of(at, now)),
        last: both.last.map(|at| Moment::of(at, now)),
        in_retries: to(Set::Retries, both.retries),
        in_dead: to(Set::Dead, both.dead),
    }
}

/// One bar for each hour in which there were any, in a drawing that is 120 wide and 24 high.
fn bars(hours: &Hours) -> String {
    let most = hours.iter().copied().max().unwrap_or(0).max(1) as f64;
    let mut path = String::new();
    for (at, count) in hours.iter().enumerate().filter(|(_, count)| **count > 0) {
        // One that is small is seen as well. Writing to a string does not fail.
        let top = 23.0 - (*count as f64 / most * 21.0).max(2.0);
        let _ = write!(path, "M{} 23V{top:.0}", at * 5 + 2);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hour_with_failures_is_a_bar() {
        let mut hours = Hours::default();
        assert_eq!(bars(&hours), "");
        (hours[0], hours[23]) = (1, 100);
        assert_eq!(bars(&hours), "M2 23V21M117 23V2");
    }
}
