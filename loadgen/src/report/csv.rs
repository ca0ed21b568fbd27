//! The figures as CSV: one line for each value of each run, ready for a spreadsheet or a data frame.

use super::Outcome;
use crate::error::Error;

const HEADER: [&str; 6] = ["scenario", "row", "quantity", "better", "run", "value"];

/// The whole file.
///
/// # Errors
/// A figure cannot be written as CSV.
pub(super) fn csv(outcomes: &[Outcome]) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Csv(error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER).map_err(|error| failed(&error))?;
    for outcome in outcomes {
        for figure in &outcome.figures {
            for (index, value) in figure.values.iter().enumerate() {
                let (run, value) = ((index + 1).to_string(), value.to_string());
                let better = figure.better.name();
                let record = [outcome.scenario, &figure.row, &figure.quantity, better, &run, &value];
                writer.write_record(record).map_err(|error| failed(&error))?;
            }
        }
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figure::{Better, Figure};

    #[test]
    fn each_value_of_each_run_is_a_line_and_commas_are_quoted() {
        let mut outcome = Outcome::of_figures("noop", Vec::new());
        outcome.figures.extend(Figure::new("1 core, c=5", "jobs/s", Better::Higher, [10.5, 20.0]));
        let text = csv(&[outcome]).unwrap();
        let expected = "scenario,row,quantity,better,run,value\n\
             noop,\"1 core, c=5\",jobs/s,higher,1,10.5\n\
             noop,\"1 core, c=5\",jobs/s,higher,2,20\n";
        assert_eq!(text, expected);
    }
}
