//! Compares two runs of loadgen: for each figure both have, the ratio of the medians.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::figure::{Better, Figure};
use super::{Outcome, Table};
use crate::error::Error;

/// Ratios closer to 1 than this mean nothing on a machine that others use too; only larger ones are called a change.
const NOISE: f64 = 0.1;

const HEADER: [&str; 7] = ["Scenario", "Row", "Quantity", "Old", "New", "New by old", "Verdict"];

/// What is read of an earlier document.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct OldDocument {
    scenario: String,
    #[serde(default)]
    figures: Vec<Figure>,
}

/// A file holds one document, or those of a tour.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OldFile {
    One(Box<OldDocument>),
    Many(Vec<OldDocument>),
}

/// Reads the documents of an earlier run.
///
/// # Errors
/// The file cannot be read or was not written by loadgen.
pub(super) fn read(path: &Path) -> Result<Vec<OldDocument>, Error> {
    let text = fs::read_to_string(path)
        .map_err(|error| Error::system(format!("reading {}", path.display()), error))?;
    parse(&text).map_err(|error| Error::OldResults { path: path.to_owned(), error })
}

fn parse(text: &str) -> Result<Vec<OldDocument>, serde_json::Error> {
    Ok(match serde_json::from_str(text)? {
        OldFile::One(document) => vec![*document],
        OldFile::Many(documents) => documents,
    })
}

/// What both runs have in common.
#[derive(Debug)]
pub(super) struct Comparison {
    /// One row per figure; `None` if they have none in common.
    pub(super) table: Option<Table>,
    /// What it describes.
    pub(super) note: String,
}

impl Comparison {
    /// The whole as Markdown.
    pub(super) fn markdown(&self) -> String {
        let table = self.table.as_ref().map(|table| format!("{}\n", table.markdown())).unwrap_or_default();
        format!("{table}{}\n", self.note)
    }
}

/// Compares the figures of a run with those of an earlier one.
pub(super) fn compare(old: &[OldDocument], new: &[Outcome]) -> Comparison {
    let named =
        |scenario: &str, figure: &Figure| (scenario.to_owned(), figure.row.clone(), figure.quantity.clone());
    let earlier: HashMap<_, f64> = old
        .iter()
        .flat_map(|document| document.figures.iter().map(|figure| (document.scenario.as_str(), figure)))
        .filter_map(|(scenario, figure)| Some((named(scenario, figure), figure.median()?)))
        .collect();
    let now = new.iter().flat_map(|outcome| outcome.figures.iter().map(|figure| (outcome.scenario, figure)));
    let mut rows = Vec::new();
    for (scenario, figure) in now {
        let was = earlier.get(&named(scenario, figure));
        if let (Some(was), Some(is)) = (was, figure.median()) {
            rows.push(cells(scenario, figure, *was, is));
        }
    }
    if rows.is_empty() {
        let note = "Nothing to compare: no scenario, row and quantity is in both.".to_owned();
        return Comparison { table: None, note };
    }
    let note = format!(
        "{} figures are in both, {} in the old file; medians. Within {:.0} % a ratio is called the same.",
        rows.len(),
        earlier.len(),
        NOISE * 100.0
    );
    Comparison { table: Some(Table::new(&HEADER, rows)), note }
}

fn cells(scenario: &str, figure: &Figure, was: f64, is: f64) -> Vec<String> {
    let ratio = if was == is { 1.0 } else { is / was };
    vec![
        scenario.to_owned(),
        figure.row.clone(),
        figure.quantity.clone(),
        plain(was),
        plain(is),
        format!("{ratio:.2}"),
        verdict(figure.better, ratio).to_owned(),
    ]
}

fn verdict(better: Better, ratio: f64) -> &'static str {
    let good = match better {
        Better::Higher => ratio,
        Better::Lower => 1.0 / ratio,
    };
    if !good.is_finite() || good <= 0.0 {
        return if ratio > 1.0 { "worse" } else { "better" };
    }
    if good > 1.0 + NOISE {
        "better"
    } else if good < 1.0 / (1.0 + NOISE) {
        "worse"
    } else {
        "same"
    }
}

/// Three digits, or the whole number.
fn plain(number: f64) -> String {
    if number.abs() >= 1_000.0 { format!("{number:.0}") } else { format!("{number:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rate: f64, cost: f64) -> Outcome {
        let figures = [
            Figure::new("c=5", "jobs/s", Better::Higher, [rate]),
            Figure::new("c=5", "µs/job", Better::Lower, [cost]),
        ];
        Outcome::of_figures("noop", figures.into_iter().flatten().collect())
    }

    #[test]
    fn a_file_of_one_scenario_and_one_of_a_tour_can_be_compared_with() {
        let one = serde_json::to_string(&outcome(1_000.0, 2.0).document()).unwrap();
        for text in [one.clone(), format!("[{one},{one}]")] {
            let text = compare(&parse(&text).unwrap(), &[outcome(2_000.0, 2.1)]).markdown();
            let lines: Vec<&str> = text.lines().collect();
            let cells = |line: &str| {
                line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(
                cells(lines[2]),
                ["noop", "c=5", "jobs/s", "1000", "2000", "2.00", "better"],
                "{text}"
            );
            assert_eq!(cells(lines[3])[5..], ["1.05", "same"], "{text}");
        }
    }

    #[test]
    fn a_file_without_a_common_figure_says_so() {
        let old = parse(r#"{"scenario":"limit"}"#).unwrap();
        assert!(compare(&old, &[outcome(1.0, 1.0)]).markdown().contains("Nothing to compare"));
        assert!(parse("{}").is_err());
    }

    #[test]
    fn less_is_better_where_it_costs_and_zero_is_no_trap() {
        assert_eq!(verdict(Better::Lower, 0.5), "better");
        assert_eq!(verdict(Better::Lower, 1.2), "worse");
        assert_eq!(verdict(Better::Lower, f64::INFINITY), "worse");
        assert_eq!(verdict(Better::Lower, 0.0), "better");
        assert_eq!(verdict(Better::Higher, 0.95), "same");
    }
}
