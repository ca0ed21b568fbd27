//! How results are written: Markdown tables for people, one JSON document for everything else.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use crate::error::Error;

/// What a cell shows when there is nothing to show.
pub(crate) const NOTHING: &str = "-";

/// The JSON document of one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Document<'a, O, R> {
    /// Its name on the command line.
    pub(crate) scenario: &'static str,
    /// The whole command line.
    pub(crate) command: Vec<String>,
    /// The options after defaults.
    pub(crate) options: &'a O,
    /// What the names in `results` mean.
    pub(crate) definitions: &'a [&'a str],
    /// The raw numbers.
    pub(crate) results: &'a R,
}

/// Writes JSON to a file, or instead of the text to stdout when the file is `-`; the text goes to stdout otherwise.
///
/// # Errors
/// The file or stdout cannot be written.
pub(crate) fn publish<O: Serialize, R: Serialize>(
    text: &str,
    document: &Document<'_, O, R>,
    json: Option<&Path>,
) -> Result<(), Error> {
    let Some(path) = json else { return print(text) };
    let mut rendered = serde_json::to_string_pretty(document)?;
    rendered.push('\n');
    if path == Path::new("-") {
        return print(&rendered);
    }
    fs::write(path, rendered).map_err(|error| Error::system(format!("writing {}", path.display()), error))?;
    print(text)
}

fn print(text: &str) -> Result<(), Error> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| Error::system("writing to stdout", error))
}

/// A Markdown table, never wrapped: it is pasted into documents.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
    table.set_header(header).add_rows(rows);
    format!("{}\n", table.trim_fmt())
}

/// `1_000_000`, as the published tables write numbers.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// `1 core`, `2 cores`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// [`grouped`], of a measured value.
pub(crate) fn rounded(number: f64) -> String {
    // Saturates, and a negative rate does not exist.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are far below 2^53 and positive"
    )]
    grouped(number.round() as u64)
}

/// `82_020 kb`, as the published tables write memory.
pub(crate) fn kilobytes(number: u64) -> String {
    format!("{} kb", grouped(number))
}

/// `14.53 sec`; one digit more below a second, where two would hide differences.
pub(crate) fn seconds(number: f64) -> String {
    if number < 1.0 { format!("{number:.3} sec") } else { format!("{number:.2} sec") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_the_published_tables() {
        let numbers = [0, 7, 999, 1_000, 82_020, 100_000, 1_000_000].map(grouped);
        assert_eq!(numbers, ["0", "7", "999", "1_000", "82_020", "100_000", "1_000_000"]);
        assert_eq!(kilobytes(82_020), "82_020 kb");
        assert_eq!(seconds(14.532), "14.53 sec");
        assert_eq!(seconds(0.2514), "0.251 sec");
        assert_eq!(rounded(412_345.6), "412_346");
        assert_eq!([counted(1, "core"), counted(2, "core")], ["1 core", "2 cores"]);
    }

    #[test]
    fn a_table_is_markdown() {
        let text = table(&["Jobs", "Time"], vec![vec!["1_000".to_owned(), "0.100 sec".to_owned()]]);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines, ["| Jobs  | Time      |", "|-------|-----------|", "| 1_000 | 0.100 sec |"]);
    }
}
