//! Aligned columns of text for a terminal.

use std::io::{self, Write};

use crate::foreign::Foreign;

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Writes a header and rows, each column as wide as its widest cell, with two blanks between columns.
///
/// A cell is bounded and contains only visible characters: what others put into Redis must not control the terminal.
pub(super) fn write(out: &mut dyn Write, columns: &[(&str, Align)], rows: &[Vec<String>]) -> io::Result<()> {
    let header: Vec<String> = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(&header)
        .chain(rows)
        .map(|row| row.iter().map(|cell| printable(cell)).collect())
        .collect();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    for row in &rows {
        let cells = row.iter().zip(columns).zip(&widths).map(|((cell, (_, align)), width)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The text as it may appear in a cell or a line.
pub(super) fn printable(text: &str) -> String {
    Foreign::cell(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["default".to_owned(), "12".to_owned()], vec!["über".to_owned(), "3".to_owned()]];
        let mut out = Vec::new();
        write(&mut out, &[("queue", Align::Left), ("jobs", Align::Right)], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "queue    jobs\ndefault    12\nüber        3\n");
    }

    #[test]
    fn a_foreign_cell_is_bounded_and_controls_no_terminal() {
        let rows = [vec!["x".repeat(70_000), "\u{1b}[2J\u{202e}\n".to_owned()]];
        let mut out = Vec::new();
        write(&mut out, &[("queue", Align::Left), ("jobs", Align::Right)], &rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with("more bytes)  \\u{1b}[2J\\u{202e}\\n\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 300), "{text}");
    }
}
