//! `jiggler-uring jobs PLACE --group`: the jobs of a place counted by name, class of error and message.
//!
//! As JSON one object is written ([`Grouped`]).

use std::io::Write;

use super::{
    error::Error,
    format::{Format, write_json},
    page::{drive, said},
    session::Session,
    table::{self, Align},
};
use crate::{
    acts::look::{Look, Query},
    job::{Parser, Schema},
    store::entries::{Place, Set},
    time::unix_now,
    view::{
        count,
        entry::JobEntry,
        groups::{Group, Grouped, Groups},
        page::Head,
        span::moment,
    },
};

/// Counts the jobs of a place, as many as the query allows, and shows the largest groups, at most `shown_max`.
pub(super) fn groups(
    (sessions, schema): (&mut [Session], Schema),
    query: &Query,
    shown_max: usize,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let now = sessions.first().map_or_else(unix_now, Session::now);
    let mut look = Look::new(query, schema, sessions.len());
    let mut parser = Parser::new(schema);
    let mut groups = Groups::default();
    drive(sessions, &mut look, |_, entry| {
        groups.add(&JobEntry::new(&query.place, entry, &mut parser));
        Ok(())
    })?;
    let (mut groups, mut others) = groups.sorted();
    if groups.len() > shown_max {
        others += groups.drain(shown_max..).map(|group| group.jobs).sum::<u64>();
    }
    match format {
        Format::Text => text(&groups, others, &query.place, now, out)?,
        Format::Json => {
            let head = Head::of(&query.place, look.reached().total, query.skip);
            let (examined, next_skip) = (look.reached().examined, look.next_skip());
            return write_json(&Grouped { head, examined, next_skip, groups, others }, out);
        }
    }
    writeln!(out, "{}", said(query, &look))?;
    Ok(())
}

fn text(groups: &[Group], others: u64, place: &Place, now: f64, out: &mut dyn Write) -> Result<(), Error> {
    if groups.is_empty() {
        return Ok(());
    }
    let mut columns = vec![
        ("jobs", Align::Right),
        ("job", Align::Left),
        ("error", Align::Left),
        ("for example", Align::Left),
    ];
    let times = match place {
        Place::Queue(_) => None,
        Place::Set(Set::Dead) => Some(["first died", "last died"]),
        Place::Set(_) => Some(["first due", "last due"]),
    };
    columns.extend(times.into_iter().flatten().map(|title| (title, Align::Right)));
    let row = |group: &Group| {
        let Group { jobs, name, class, error, example, lowest_score, highest_score, .. } = group;
        let error = if error.is_empty() { class.clone() } else { format!("{class}: {error}") };
        let mut row = vec![jobs.to_string(), name.clone(), error, example.clone()];
        if times.is_some() {
            row.extend(
                [lowest_score, highest_score].map(|at| at.map_or_else(String::new, |at| moment(at - now))),
            );
        }
        row
    };
    table::write(out, &columns, &groups.iter().map(row).collect::<Vec<_>>())?;
    if others > 0 {
        writeln!(out, "and {} in other groups; --limit shows more", count::jobs(others))?;
    }
    writeln!(out)?;
    Ok(())
}
