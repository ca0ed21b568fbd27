//! What a scenario returns: finished tables for people, numbers for everything else.

use serde::Serialize;
use serde_json::Value;

use super::figure::Figure;
use super::plot::Plot;
use super::table::Table;
use crate::error::Error;
use crate::machine::Machine;

/// The result of one scenario, not yet shown.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its name on the command line.
    pub(crate) scenario: &'static str,
    /// What the tables show, in a few words.
    pub(crate) title: &'static str,
    /// People read these first.
    pub(crate) tables: Vec<Table>,
    /// One sentence below the tables, for example how many runs a median is of.
    pub(crate) remark: String,
    /// What the columns mean; also part of the JSON.
    pub(crate) definitions: Vec<String>,
    /// Where other people's numbers come from.
    pub(crate) sources: Vec<String>,
    /// The machine it was measured on.
    pub(crate) machine: Machine,
    /// The options, with defaults filled in.
    pub(crate) options: Value,
    /// The raw numbers.
    pub(crate) results: Value,
    /// The figures by which two outcomes are compared.
    pub(crate) figures: Vec<Figure>,
    /// Pictures of those.
    pub(crate) plots: Vec<Plot>,
}

/// The JSON document of one scenario.
#[derive(Debug, Serialize)]
pub(super) struct Document<'a> {
    scenario: &'static str,
    command: Vec<String>,
    options: &'a Value,
    machine: &'a Machine,
    definitions: &'a [String],
    results: &'a Value,
    figures: &'a [Figure],
}

impl Outcome {
    /// An outcome with its raw numbers and nothing to print yet.
    ///
    /// # Errors
    /// Options or results cannot be written as JSON.
    pub(crate) fn new(
        scenario: &'static str,
        title: &'static str,
        machine: Machine,
        options: &impl Serialize,
        results: &impl Serialize,
    ) -> Result<Self, Error> {
        Ok(Self {
            scenario,
            title,
            tables: Vec::new(),
            remark: String::new(),
            definitions: Vec::new(),
            sources: Vec::new(),
            machine,
            options: serde_json::to_value(options)?,
            results: serde_json::to_value(results)?,
            figures: Vec::new(),
            plots: Vec::new(),
        })
    }

    /// An outcome on a made-up machine, for tests of the outputs.
    #[cfg(test)]
    pub(super) fn of_figures(scenario: &'static str, figures: Vec<Figure>) -> Self {
        let outcome = Self::new(scenario, "A title", Machine::made_up(), &(), &());
        Self { figures, ..outcome.unwrap() }
    }

    /// Adds what these columns mean.
    pub(crate) fn defined_by(mut self, definitions: &[&str]) -> Self {
        self.definitions.extend(definitions.iter().map(|line| (*line).to_owned()));
        self
    }

    /// The whole as Markdown, without a heading.
    pub(crate) fn markdown(&self) -> String {
        let tables: Vec<String> = self.tables.iter().map(Table::markdown).collect();
        let mut text = tables.join("\n");
        if !self.remark.is_empty() {
            text.push_str(&format!("\n{}\n", self.remark));
        }
        text.push('\n');
        for line in self.notes() {
            text.push_str(&format!("- {line}\n"));
        }
        text
    }

    /// Definitions, sources and machine, one line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.definitions.iter().chain(&self.sources).cloned().chain([self.machine.line()]).collect()
    }

    pub(super) fn document(&self) -> Document<'_> {
        Document {
            scenario: self.scenario,
            command: std::env::args().collect(),
            options: &self.options,
            machine: &self.machine,
            definitions: &self.definitions,
            results: &self.results,
            figures: &self.figures,
        }
    }
}
