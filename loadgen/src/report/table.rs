//! A table of finished cells, and its Markdown.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table as TextTable};

/// A table as shown, whatever the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// Column titles.
    pub(crate) header: Vec<String>,
    /// Rows, each with that many cells.
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns and rows.
    pub(crate) fn new(header: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self { header: header.iter().map(|title| (*title).to_owned()).collect(), rows }
    }

    /// As Markdown, never wrapped: it gets pasted into documents.
    pub(crate) fn markdown(&self) -> String {
        let mut table = TextTable::new();
        table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled).force_no_tty();
        table.set_header(&self.header).add_rows(&self.rows);
        format!("{}\n", table.trim_fmt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown() {
        let rows = vec![vec!["1_000".to_owned(), "0.100 sec".to_owned()]];
        let text = Table::new(&["Jobs", "Time"], rows).markdown();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(lines, ["| Jobs  | Time      |", "|-------|-----------|", "| 1_000 | 0.100 sec |"]);
    }
}
