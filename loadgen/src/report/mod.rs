//! How results are written: Markdown for people, JSON and CSV for programs, SVG and HTML for an overview.

// What a scenario returns …
pub(crate) mod figure;
pub(crate) mod format;
mod outcome;
pub(crate) mod plot;
mod table;
// … and the forms it is written in.
mod compare;
mod csv;
mod html;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use self::compare::Comparison;
pub(crate) use self::outcome::Outcome;
pub(crate) use self::table::Table;
use crate::cli::OutputOptions;
use crate::error::Error;

/// Means stdout in `--json`.
const STDOUT: &str = "-";

/// What the report's folder holds in addition to the plots.
const PAGE_FILE: &str = "index.html";
const JSON_FILE: &str = "results.json";
const CSV_FILE: &str = "results.csv";
const TABLES_FILE: &str = "tables.md";

/// Whether a text is shown alone or with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heading {
    /// Alone: no heading.
    None,
    /// With others: headed by the title of the scenario.
    Title,
}

/// Prints one outcome to stdout, unless JSON goes there.
///
/// # Errors
/// Stdout cannot be written to.
pub(crate) fn show(outcome: &Outcome, heading: Heading, output: &OutputOptions) -> Result<(), Error> {
    if output.json.as_deref() == Some(Path::new(STDOUT)) {
        return Ok(());
    }
    print(&text(outcome, heading))
}

/// Writes everything requested except what [`show`] prints; the earlier results are read before they may be replaced.
///
/// # Errors
/// A file or stdout cannot be written to, or the file to compare with cannot be read.
pub(crate) fn write(outcomes: &[Outcome], output: &OutputOptions) -> Result<(), Error> {
    let comparison = match &output.compare {
        Some(old) => Some(compare::compare(&compare::read(old)?, outcomes)),
        None => None,
    };
    let json = json(outcomes)?;
    match output.json.as_deref() {
        Some(path) if path == Path::new(STDOUT) => print(&json)?,
        Some(path) => write_file(path, &json)?,
        None => {}
    }
    if let Some(path) = &output.csv {
        write_file(path, &csv::csv(outcomes)?)?;
    }
    if let Some(folder) = &output.report {
        write_report(folder, outcomes, &json, comparison.as_ref())?;
    }
    // Nothing else may be printed alongside JSON on stdout.
    match comparison.map(|comparison| comparison.markdown()) {
        Some(text) if output.json.as_deref() == Some(Path::new(STDOUT)) => eprint_text(&text),
        Some(text) => print(&format!("\n{text}")),
        None => Ok(()),
    }
}

fn text(outcome: &Outcome, heading: Heading) -> String {
    match heading {
        Heading::None => outcome.markdown(),
        Heading::Title => {
            format!("## {} (`{}`)\n\n{}\n", outcome.title, outcome.scenario, outcome.markdown())
        }
    }
}

/// One document, or all of a tour's in an array.
fn json(outcomes: &[Outcome]) -> Result<String, Error> {
    let mut rendered = match outcomes {
        [one] => serde_json::to_string_pretty(&one.document())?,
        many => serde_json::to_string_pretty(&many.iter().map(Outcome::document).collect::<Vec<_>>())?,
    };
    rendered.push('\n');
    Ok(rendered)
}

fn write_report(
    folder: &Path,
    outcomes: &[Outcome],
    json: &str,
    comparison: Option<&Comparison>,
) -> Result<(), Error> {
    fs::create_dir_all(folder)
        .map_err(|error| Error::system(format!("creating {}", folder.display()), error))?;
    let (mut pictures, mut names) = (Vec::new(), Names::default());
    for outcome in outcomes {
        let mut of_outcome = Vec::new();
        for plot in &outcome.plots {
            if let Some(svg) = plot.svg()? {
                write_file(&folder.join(format!("{}.svg", names.distinct(&plot.name))), &on_white(&svg))?;
                of_outcome.push(svg);
            }
        }
        pictures.push(of_outcome);
    }
    let tables: String = outcomes.iter().map(|outcome| text(outcome, Heading::Title)).collect();
    write_file(&folder.join(PAGE_FILE), &html::page(outcomes, &pictures, comparison))?;
    write_file(&folder.join(JSON_FILE), json)?;
    write_file(&folder.join(CSV_FILE), &csv::csv(outcomes)?)?;
    write_file(&folder.join(TABLES_FILE), &tables)
}

/// Makes names unique: a tour may run one scenario several times.
#[derive(Debug, Default)]
struct Names(HashMap<String, u32>);

impl Names {
    /// Returns the name; from its second use on, with a number.
    fn distinct(&mut self, name: &str) -> String {
        let times = self.0.entry(name.to_owned()).or_insert(0);
        *times += 1;
        if *times == 1 { name.to_owned() } else { format!("{name}-{times}") }
    }
}

/// A picture for use on its own, where nothing gives it a background.
fn on_white(svg: &str) -> String {
    svg.replacen('>', "><rect width=\"100%\" height=\"100%\" fill=\"white\"/>", 1)
}

fn write_file(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|error| Error::system(format!("writing {}", path.display()), error))
}

fn print(text: &str) -> Result<(), Error> {
    io::stdout().write_all(text.as_bytes()).map_err(|error| Error::system("writing to stdout", error))
}

fn eprint_text(text: &str) -> Result<(), Error> {
    io::stderr().write_all(text.as_bytes()).map_err(|error| Error::system("writing to stderr", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_again_gets_a_number() {
        let mut names = Names::default();
        assert_eq!(
            ["noop", "cpu", "noop", "noop"].map(|name| names.distinct(name)),
            ["noop", "cpu", "noop-2", "noop-3"]
        );
    }

    #[test]
    fn a_picture_of_its_own_has_a_ground() {
        assert_eq!(
            on_white("<svg width=\"9\"><g></g></svg>"),
            "<svg width=\"9\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/><g></g></svg>"
        );
    }
}
