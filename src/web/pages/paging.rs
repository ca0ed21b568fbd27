//! Which rows of many a page shows, and where the others are.

use super::words::{count, number};

/// A page of rows: which they are, and where the others are.
#[derive(Debug, Default)]
pub(super) struct Paging {
    /// "1 to 50 of 31,204 jobs".
    pub(super) said: String,
    /// The address of the first rows; empty: these are they.
    pub(super) first: String,
    /// The address of the next rows; empty: there are none.
    pub(super) next: String,
}

impl Paging {
    /// Rows `skip` to `skip + shown` of `total`.
    pub(super) fn of(
        (skip, shown, total): (usize, usize, usize),
        (one, more): (&str, &str),
        to: impl Fn(&str) -> String,
    ) -> Self {
        let end = skip + shown;
        let all = count(total as u64, one, more);
        let said = match shown {
            0 => all,
            _ => format!("{} to {} of {all}", number(skip as u64 + 1), number(end as u64)),
        };
        Self {
            said,
            first: if skip > 0 { to("") } else { String::new() },
            next: if end < total { to(&end.to_string()) } else { String::new() },
        }
    }
}
